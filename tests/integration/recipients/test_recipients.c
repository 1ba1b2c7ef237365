/* SPDX-License-Identifier: MIT */
/*
 * The module notify over every post of a forum, compared with what the judge says of each: who was
 * told, who of them is to get a mail, and that nobody else was. Notifications do not decide about
 * those of other posts, so that one forum serves for all posts.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/recipients/judge.h"
#include "tests/support/fixture.h"
#include "tests/support/handler.h"
#include "tests/support/support.h"

struct scene {
    struct postgres *pg;
    struct handler *handler;
    struct judge *judge;
    PGresult *watches; /* id, user; ascending by id */
    long long told, mailed;
};

static struct scene open_scene(const char *version)
{
    struct scene s = {.pg = postgres_start(false)};

    fixture_load(s.pg, &(struct fixture){.version = version,
                                         .threads = 120,
                                         .posts = 900,
                                         .users = 220,
                                         .seed = test_seed(1) % 1000000});
    pg_do(s.pg, "TRUNCATE misago_notifications_notification;"
                "UPDATE misago_users_user SET unread_notifications = 0");
    s.handler = handler_open("notify", s.pg->conninfo, NULL);
    s.judge = judge_open(s.handler->conn);
    s.watches = PQexec(s.handler->conn,
                       "SELECT id, user_id FROM misago_notifications_watchedthread ORDER BY id");
    cr_assert_eq(PQresultStatus(s.watches), PGRES_TUPLES_OK);
    return s;
}

static void close_scene(struct scene *s)
{
    PQclear(s->watches);
    judge_close(s->judge);
    handler_close(s->handler);
    postgres_stop(s->pg);
}

/* The user who watches; ids of watches go up by one in the fixture, but do not have to. */
static long long user_of_watch(const struct scene *s, long long watch)
{
    int low = 0;
    int high = PQntuples(s->watches) - 1;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (strtoll(PQgetvalue(s->watches, middle, 0), NULL, 10) < watch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    cr_assert_eq(strtoll(PQgetvalue(s->watches, low, 0), NULL, 10), watch, "no such watch");
    return strtoll(PQgetvalue(s->watches, low, 1), NULL, 10);
}

static int compare_ids(const void *a, const void *b)
{
    long long x = *(const long long *)a;
    long long y = *(const long long *)b;

    return (x > y) - (x < y);
}

/* Users the last run enqueued a mail for, ascending. */
static size_t mailed_users(const struct scene *s, long long post, long long *users)
{
    for (size_t i = 0; i < s->handler->child_count; i++) {
        json_t *payload = json_loads(s->handler->children[i].payload, 0, NULL);

        cr_assert_str_eq(s->handler->children[i].type, "mail.reply");
        cr_assert_eq(json_integer_value(json_object_get(payload, "post_id")), post);
        users[i] = user_of_watch(s, json_integer_value(json_object_get(payload, "watched_id")));
        json_decref(payload);
    }
    qsort(users, s->handler->child_count, sizeof(*users), compare_ids);
    return s->handler->child_count;
}

static void judge_run(struct scene *s, long long post)
{
    long long *mailed = calloc(s->handler->child_count + 1, sizeof(*mailed));
    const char *const params[] = {fmt("%lld", post)};
    PGresult *r = PQexecParams(s->handler->conn,
                               "SELECT user_id FROM misago_notifications_notification"
                               " WHERE post_id = $1 ORDER BY user_id",
                               1, NULL, params, NULL, NULL, 0);
    size_t mails = mailed_users(s, post, mailed);
    size_t expected_mails = 0;
    size_t count;
    const struct told *told = judge_post(s->judge, post, &count);

    cr_assert_eq(PQresultStatus(r), PGRES_TUPLES_OK);
    for (size_t i = 0; i < count || i < (size_t)PQntuples(r); i++) {
        long long found =
            i < (size_t)PQntuples(r) ? strtoll(PQgetvalue(r, (int)i, 0), NULL, 10) : 0;
        long long expected = i < count ? told[i].user_id : 0;

        cr_assert_eq(found, expected, "post %lld: told user %lld, to be told: %lld (0: nobody)",
                     post, found, expected);
        if (told[i].send_emails) {
            cr_assert_lt(expected_mails, mails, "post %lld: no mail for user %lld", post, expected);
            cr_assert_eq(mailed[expected_mails], expected,
                         "post %lld: a mail for user %lld, not %lld", post, mailed[expected_mails],
                         expected);
            expected_mails++;
        }
    }
    cr_assert_eq(mails, expected_mails, "post %lld: %zu mails, not %zu", post, mails,
                 expected_mails);
    PQclear(r);
    free(mailed);
    s->told += (long long)count;
    s->mailed += (long long)mails;
}

static void all_posts(const char *version)
{
    struct scene s = open_scene(version);
    size_t count;
    const long long *posts = judge_posts(s.judge, &count);

    cr_assert_gt(count, 800);
    for (size_t i = 0; i < count; i++) {
        int verdict = handler_run(s.handler, "notify.reply", fmt("{\"post_id\":%lld}", posts[i]));

        cr_assert_eq(verdict, JOBQ_DONE, "post %lld: %s", posts[i], s.handler->text);
        judge_run(&s, posts[i]);
    }
    cr_assert_gt(s.told, 2000, "hardly anybody was told: %lld", s.told);
    cr_assert_gt(s.mailed, 1000);
    cr_assert_lt(s.mailed, s.told);
    cr_assert_eq(pg_int(s.pg, "SELECT count(*) FROM misago_notifications_notification"), s.told);
    cr_assert_eq(pg_int(s.pg, "SELECT sum(unread_notifications) FROM misago_users_user"), s.told);
    close_scene(&s);
}

Test(recipients, of_every_post_are_the_judges_in_0_39)
{
    all_posts("0.39");
}

Test(recipients, of_every_post_are_the_judges_in_0_40)
{
    all_posts("0.40");
}
