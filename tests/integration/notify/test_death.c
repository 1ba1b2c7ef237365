/* SPDX-License-Identifier: MIT */
/*
 * The module in a whole deployment: executors die at every point of a job's life, and each watcher
 * has one notification and one mail; mails of many watchers leave in order.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/scene.h"
#include "tests/support/fixture.h"

#define WATCHERS 6
#define REPLIES 12

/* A forum 0.40 in which users 101 … watch threads 1 … of a category that they may read. */
static struct scene *set_up(int threads, int watchers)
{
    struct scene *s = scene_new(SCENE_PG);

    fixture_stay_public(s->postgres);
    fixture_load(
        s->postgres,
        &(struct fixture){.version = V040, .threads = 20, .posts = 60, .users = watchers + 200});
    pg_load(s->postgres, source_path("contrib/postgres/grants/notify-0.40.sql"));
    pg_do(
        s->postgres,
        "DELETE FROM misago_notifications_notification;"
        " DELETE FROM misago_notifications_watchedthread; DELETE FROM misago_users_bancache;"
        " DELETE FROM misago_users_ban;"
        " UPDATE misago_users_user SET is_active = true, group_id = 3, groups_ids = '{3}',"
        "  unread_notifications = 0;"
        " UPDATE misago_threads_thread SET category_id = 4, is_hidden = false, "
        "  is_unapproved = false;"
        " UPDATE misago_threads_post SET category_id = 4, is_hidden = false, is_unapproved = false;"
        " INSERT INTO misago_notifications_watchedthread (user_id, thread_id, category_id,"
        "  send_emails, secret, created_at, read_time, plugin_data) SELECT u.id, t.id, 4, true, "
        "'x', now(),"
        "  now() - interval '1 minute', '{}' FROM misago_users_user u, misago_threads_thread t"
        "  WHERE u.id BETWEEN 101 AND 100 + %d AND t.id <= %d;"
        " INSERT INTO misago_threads_post (poster_name, original, posted_at, updated_at, "
        "has_reports,"
        "  has_open_reports, is_unapproved, is_hidden, category_id, poster_id, thread_id)"
        " SELECT 'x', 'x', now(), now(), false, false, false, false, 4, 5, t.id"
        "  FROM misago_threads_thread t WHERE t.id <= %d",
        watchers, threads, threads);
    return s;
}

static struct jobd *start_jobd(struct scene *s, const char *const *env)
{
    char modules[512];

    snprintf(modules, sizeof(modules), "\"%s\"", lib_path("jobq/notify.so"));
    return scene_jobd(s, 0,
                      (struct jobd_options){.modules = modules,
                                            .executors = 2,
                                            .lease = "10m",
                                            .env = env,
                                            .extra = "backoff = 100; crash_budget = 200;"
                                                     " mail = { queue = \"post\"; };"});
}

static long long mails(struct scene *s)
{
    return redis_int(s->redis, "XLEN jobq:{post:0}:ready:normal");
}

/* Payloads of the mails that wait, each once. */
static size_t distinct_mails(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "XRANGE jobq:{post:0}:ready:normal - +");
    char **seen = calloc(r->elements + 1, sizeof(*seen));
    size_t n = 0;

    for (size_t i = 0; i < r->elements; i++) {
        redisReply *fields = r->element[i]->element[1];
        for (size_t k = 0; k + 1 < fields->elements; k += 2) {
            bool is_new = strcmp(fields->element[k]->str, "p") == 0;
            for (size_t j = 0; is_new && j < n; j++)
                is_new = strcmp(seen[j], fields->element[k + 1]->str) != 0;
            if (is_new)
                seen[n++] = fields->element[k + 1]->str;
        }
    }
    free(seen);
    freeReplyObject(r);
    return n;
}

static void enqueue_replies(struct scene *s, int n)
{
    long long last = pg_int(s->postgres, "SELECT max(id) FROM misago_threads_post");

    for (int i = 0; i < n; i++)
        scene_enqueue(s, "notify.reply", fmt("{\"post_id\":%lld}", last - i));
}

static void check(struct scene *s, int replies, int watchers)
{
    long long all = (long long)replies * watchers;

    scene_wait_drained(s, 60000);
    cr_assert_eq(scene_dead(s), 0);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM misago_notifications_notification"),
                 all);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(DISTINCT (user_id, post_id))"
                                     " FROM misago_notifications_notification"),
                 all);
    cr_assert_eq(pg_int(s->postgres, "SELECT sum(unread_notifications) FROM misago_users_user"),
                 all);
    cr_assert_eq(mails(s), all);
}

static void kill_executors_at(const char *point)
{
    struct scene *s = set_up(REPLIES, WATCHERS);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point);
    start_jobd(s, env);
    enqueue_replies(s, REPLIES);
    check(s, REPLIES, WATCHERS);
    cr_assert_eq(distinct_mails(s), REPLIES * WATCHERS);
    cr_assert_geq(process_count_log(s->jobd[0]->process, "executor.died"), 2, "%s was not reached",
                  point);
    scene_drain(s, 0);
    scene_free(s);
}

Test(notify, survives_executors_dying_when_they_start)
{
    kill_executors_at("execute.started:3");
}

Test(notify, survives_executors_dying_before_the_commit)
{
    kill_executors_at("execute.before_commit:3");
}

Test(notify, survives_executors_dying_with_the_commit_sent)
{
    kill_executors_at("execute.commit_sent:3");
}

Test(notify, survives_executors_dying_after_the_commit)
{
    kill_executors_at("execute.committed:3");
}

Test(notify, sends_the_mails_of_many_watchers)
{
    struct scene *s = set_up(1, 1800);

    start_jobd(s, NULL);
    enqueue_replies(s, 1);
    check(s, 1, 1800);
    cr_assert_eq(distinct_mails(s), 1800);
    /* Another job of the same post: its mails are held by those that wait. */
    enqueue_replies(s, 1);
    check(s, 1, 1800);
    scene_drain(s, 0);
    scene_free(s);
}
