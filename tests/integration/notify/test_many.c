/* SPDX-License-Identifier: MIT */
/* 1,800 watchers cost as many statements as three. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/notify/stage.h"

#define WATCHERS 1800
#define STATEMENTS_MAX 20

/* What libpq sent: one Parse or Query message for each statement. */
static size_t count_statements(const char *trace)
{
    char *text = read_file(trace);
    size_t n = 0;

    cr_assert_not_null(text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        n += line[0] == 'F' && (strstr(line, "\tParse\t") || strstr(line, "\tQuery\t"));
    free(text);
    return n;
}

static size_t statements_of(struct stage *s, const char *type, const char *payload,
                            const char *result)
{
    char trace[256];
    FILE *f;

    snprintf(trace, sizeof(trace), "%s/trace", tmp_dir());
    f = fopen(trace, "w");
    cr_assert_not_null(f);
    PQtrace(s->handler->conn, f);
    PQsetTraceFlags(s->handler->conn, PQTRACE_SUPPRESS_TIMESTAMPS);
    stage_must(s, type, payload, result);
    PQuntrace(s->handler->conn);
    fclose(f);
    return count_statements(trace);
}

static void tell_many(const char *version)
{
    struct stage *s = stage_start(version, WATCHERS + 200);
    char payload[64];
    size_t n;

    pg_do(s->pg,
          "INSERT INTO misago_notifications_watchedthread (user_id, thread_id, category_id,"
          " send_emails, secret, created_at, %s%s)"
          " SELECT id, 1, 4, id %% 3 > 0, md5(id::text), now(), now()%s"
          " FROM misago_users_user WHERE id BETWEEN 101 AND 100 + %d",
          s->words->read, s->words->watch_columns, s->words->watch_values, WATCHERS);
    snprintf(payload, sizeof(payload), "{\"post_id\":%lld}", stage_reply(s, 1, 5));

    n = statements_of(s, REPLY, payload, "{\"notified\":1800,\"mails\":1200}");
    cr_assert_leq(n, STATEMENTS_MAX, "%zu statements", n);
    cr_assert_geq(n, 8, "%zu statements: they are not all counted", n);
    cr_assert_eq(s->handler->child_count, 1200);
    stage_must_count_right(s);
    cr_assert_eq(pg_int(s->pg, "SELECT count(DISTINCT user_id)"
                               " FROM misago_notifications_notification"),
                 WATCHERS);

    pg_do(s->pg,
          "INSERT INTO misago_notifications_watchedthread (user_id, thread_id, category_id,"
          " send_emails, secret, created_at, %s%s)"
          " SELECT user_id, thread_id, category_id, NOT send_emails, secret, created_at,"
          " %s + interval '1 s'%s FROM misago_notifications_watchedthread",
          s->words->read, s->words->watch_columns, s->words->read, s->words->watch_values);
    n = statements_of(s, DEDUPE, "{\"thread_id\":1}", "{\"deleted\":1800,\"upgraded\":1200}");
    cr_assert_leq(n, STATEMENTS_MAX, "%zu statements", n);
    stage_stop(s);
}

Test(notify, needs_few_statements_for_many_watchers_in_0_39)
{
    tell_many(V039);
}

Test(notify, needs_few_statements_for_many_watchers_in_0_40)
{
    tell_many(V040);
}
