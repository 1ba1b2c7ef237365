/* SPDX-License-Identifier: MIT */
/*
 * Recipients as real forums picked them: only where $JOBQ_FORUM_DATA names a directory that holds,
 * for a version V of 0.39.6 and 0.40, forum-V.dump (pg_dump -Fc) and forum-V-recipients.csv: a
 * header, then post_id,user_id,send_emails (t or f); an empty user_id: nobody is told of the post.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/notify/stage.h"

static void restore(struct postgres *pg, const char *dump)
{
    char *out = NULL;
    const char *const argv[] = {"pg_restore", "--no-owner", "-d", pg->conninfo, dump, NULL};
    int status;

    /* The dumps were made of a database named otherwise; what they create is all in public. */
    pg_do(pg, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public");
    status = run_command(&out, NULL, argv);
    cr_assert_eq(pg_int(pg, "SELECT count(*) FROM pg_class WHERE relname = 'misago_threads_post'"),
                 1, "pg_restore: exit %d: %.2000s", status, out);
    free(out);
    pg_do(pg, "ANALYZE");
}

/* Runs the job for each post that is listed; leaves the mails in table mailed. */
static void run_all(struct stage *s)
{
    PGconn *conn = session_open(s->pg);
    PGresult *posts = PQexec(conn, "SELECT DISTINCT post_id FROM expected ORDER BY post_id");

    cr_assert_gt(PQntuples(posts), 100);
    session_do(conn, "BEGIN");
    for (int i = 0; i < PQntuples(posts); i++) {
        long long post = strtoll(PQgetvalue(posts, i, 0), NULL, 10);
        cr_assert_eq(stage_notify(s, post), JOBQ_DONE, "post %lld: %s", post, s->handler->text);
        for (size_t k = 0; k < s->handler->child_count; k++)
            session_do(conn,
                       "INSERT INTO mailed SELECT (p->>'post_id')::int, w.user_id"
                       " FROM (SELECT '%s'::jsonb) x(p)"
                       " JOIN misago_notifications_watchedthread w"
                       " ON w.id = (p->>'watched_id')::bigint",
                       s->handler->children[k].payload);
    }
    session_do(conn, "COMMIT");
    PQclear(posts);
    PQfinish(conn);
}

static void compare(const char *directory, const char *version)
{
    struct stage *s = calloc(1, sizeof(*s));
    const char *list;
    char *differing;

    s->pg = postgres_start(false);
    restore(s->pg, fmt("%s/forum-%s.dump", directory, version));
    pg_do(s->pg, "CREATE TABLE expected (post_id int, user_id int, send_emails boolean);"
                 " CREATE TABLE mailed (post_id int, user_id int)");
    list = fmt("\\copy expected FROM '%s/forum-%s-recipients.csv' CSV HEADER", directory, version);
    const char *const argv[] = {"psql", "-XqAt", "-d", s->pg->conninfo, "-c", list, NULL};
    char *out = NULL;
    cr_assert_eq(run_command(&out, NULL, argv), 0, "%s", out);
    free(out);
    fixture_grant(s->pg, "notify", strcmp(version, V040) == 0 ? V040 : V039);
    s->handler = stage_handler(s->pg, NULL);
    run_all(s);
    differing = pg_str(
        s->pg, "WITH told AS (SELECT n.post_id, n.user_id, m.user_id IS NOT NULL AS send_emails"
               " FROM misago_notifications_notification n LEFT JOIN mailed m"
               " ON m.post_id = n.post_id AND m.user_id = n.user_id"
               " WHERE n.post_id IN (SELECT post_id FROM expected) AND n.created_at > now() - "
               "interval '1 day')"
               " SELECT string_agg(x::text, ' ') FROM ("
               " (SELECT '-', * FROM expected WHERE user_id IS NOT NULL EXCEPT ALL SELECT '-', * "
               "FROM told)"
               " UNION ALL (SELECT '+', * FROM told EXCEPT ALL SELECT '+', * FROM expected)) x");
    cr_assert_null(differing, "%s: %.2000s", version, differing);
    stage_stop(s);
}

Test(notify, picks_the_recipients_that_the_forum_picked)
{
    const char *directory = getenv("JOBQ_FORUM_DATA");

    if (!directory)
        cr_skip_test("JOBQ_FORUM_DATA is not set");
    compare(directory, "0.39.6");
    compare(directory, "0.40");
}
