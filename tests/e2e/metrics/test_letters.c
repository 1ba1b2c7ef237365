/* SPDX-License-Identifier: MIT */
/* Dead letters beyond dead_max and dead_retention: announced, dropped, counted everywhere. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"

#define DEAD "jobq:{default:0}:dead"
#define DROPPED "jobq_dead_dropped_total{queue=\"default\"}"
#define NEAR " dead.near_limit "
#define GONE " dead.dropped "

static void add_letters(struct scene *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        entry_add(s, "dead", (struct job_header){.enqueued_ms = 1}, "noop", "{}");
}

struct wanted {
    struct scene *s;
    long long letters;
};

static bool are_letters(void *ctx)
{
    struct wanted *w = ctx;
    return scene_dead(w->s) == w->letters;
}

static void wait_letters(struct scene *s, long long exactly)
{
    if (!wait_until(patience_ms(20000), are_letters, &(struct wanted){s, exactly}))
        fail_test("%lld dead letters, not %lld", scene_dead(s), exactly);
}

/* What all steps told of together. */
static long long sum_of_log(struct jobd *j)
{
    long long sum = 0;
    char *log = process_log(j->process);
    for (char *rest = log, *line; (line = strsep(&rest, "\n"));)
        if (strstr(line, GONE))
            sum += line_number(line, "count");
    free(log);
    return sum;
}

struct drops {
    struct jobd *jobd;
    long long sum;
};

static bool are_told(void *ctx)
{
    struct drops *d = ctx;
    return sum_of_log(d->jobd) == d->sum;
}

static void wait_told(struct jobd *j, long long sum)
{
    if (!wait_until(patience_ms(20000), are_told, &(struct drops){j, sum}))
        fail_test("the log tells of %lld dropped, not %lld", sum_of_log(j), sum);
}

static char *first_kept(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "XRANGE " DEAD " - + COUNT 1");
    cr_assert(r->type == REDIS_REPLY_ARRAY && r->elements == 1);
    char *id = strdup(r->element[0]->element[0]->str);
    freeReplyObject(r);
    return id;
}

static bool are_scraped(void *ctx)
{
    (void)ctx;
    return web_scrape(0, DROPPED) + web_scrape(1, DROPPED) == 15;
}

/* The log says so before the first one goes; two jobd do no more than one. */
Test(letters, beyond_the_number_are_announced_and_dropped)
{
    struct scene *s = scene_new(0);
    long long sum = 0;
    add_letters(s, 25);
    char *newest_ten = NULL;
    redisReply *r = redis_do(s->redis, "XREVRANGE " DEAD " + - COUNT 10");
    cr_assert_eq(r->elements, 10);
    newest_ten = strdup(r->element[9]->element[0]->str);
    freeReplyObject(r);
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i,
                   (struct jobd_options){
                       .executors = 1, .lease = "1s", .extra = web_conf(i, "dead_max = 10;")});
    wait_letters(s, 10);
    char *kept = first_kept(s);
    cr_assert_str_eq(kept, newest_ten);
    free(kept);
    free(newest_ten);
    wait_beats(s, 12, 60000);
    cr_assert_eq(scene_dead(s), 10);
    cr_assert_eq(stats_sum(s, "dropped"), 15);
    cr_assert_eq(redis_int(s->redis, "HGET jobq:{default:0}:totals dropped"), 15);
    if (!wait_until(patience_ms(20000), are_scraped, NULL))
        fail_test("%g and %g, not 15", web_scrape(0, DROPPED), web_scrape(1, DROPPED));
    for (size_t i = 0; i < 2; i++) {
        char *log = read_file(s->jobd[i]->process->log);
        const char *near = strstr(log, NEAR), *gone = strstr(log, GONE);
        cr_assert(gone == NULL || (near != NULL && near < gone), "%s", log);
        cr_assert_leq(process_count_log(s->jobd[i]->process, NEAR), 1, "once an hour");
        free(log);
        sum += sum_of_log(s->jobd[i]);
    }
    cr_assert_eq(sum, 15);
    redis_check_refused(s->redis);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

Test(letters, near_the_number_are_announced_and_kept)
{
    struct scene *s = scene_new(0);
    add_letters(s, 18);
    struct jobd *j = scene_jobd(
        s, 0, (struct jobd_options){.executors = 1, .lease = "1s", .extra = "dead_max = 20;"});
    wait_log(j, NEAR, 1, 20000);
    const char *const line[] = {NEAR,          "warn", "queue=default", "partition=0", "dead=18 ",
                                "dead_max=20", NULL};
    free(log_line(j, line));
    wait_beats(s, 12, 60000);
    cr_assert_eq(scene_dead(s), 18);
    cr_assert_eq(process_count_log(j->process, GONE), 0);
    scene_drain(s, 0);
    scene_free(s);
}

Test(letters, beyond_the_age_are_dropped)
{
    struct scene *s = scene_new(0);
    long long now = redis_now_ms(s);
    long long const ages_h[] = {50, 49, 23, 1}; /* a tenth of a day ahead is told of: 21.6 h */
    for (size_t i = 0; i < ARRAY_LEN(ages_h); i++)
        freeReplyObject(redis_do(s->redis, "XADD " DEAD " %lld-1 h x p y reason corrupt",
                                 now - ages_h[i] * 3600000));
    freeReplyObject(redis_do(s->redis, "HSETNX jobq:queues default 1"));
    struct jobd *j = scene_jobd(s, 0,
                                (struct jobd_options){.executors = 1,
                                                      .lease = "1s",
                                                      .extra = "dead_max = 0; "
                                                               "dead_retention = \"1d\";"});
    wait_letters(s, 2);
    wait_told(j, 2);
    cr_assert_eq(process_count_log(j->process, NEAR), 1);
    scene_drain(s, 0);
    scene_free(s);
}

/* 0 is no limit; a limit that a reload brings holds at once. */
Test(letters, are_kept_without_limit_until_a_reload_sets_one)
{
    struct scene *s = scene_new(0);
    freeReplyObject(redis_do(s->redis, "XADD " DEAD " 1-1 h x p y"));
    add_letters(s, 8);
    struct jobd *j = scene_jobd(s, 0,
                                (struct jobd_options){.executors = 1,
                                                      .lease = "1s",
                                                      .extra = "dead_max = 0; "
                                                               "dead_retention = 0;"});
    wait_beats(s, 12, 60000);
    cr_assert_eq(scene_dead(s), 9);
    cr_assert_eq(process_count_log(j->process, NEAR), 0);
    char *text = read_file(j->conf), *at = strstr(text, "dead_max = 0;");
    cr_assert_not_null(at);
    memcpy(at, "dead_max = 3;", 13);
    write_file(j->conf, text);
    free(text);
    process_signal(j->process, SIGHUP);
    wait_letters(s, 3);
    wait_told(j, 6);
    scene_drain(s, 0);
    scene_free(s);
}
