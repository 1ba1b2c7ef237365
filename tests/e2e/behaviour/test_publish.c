/* SPDX-License-Identifier: MIT */
/*
 * What jobd publishes for those who look: its document in `info`, durations in the stats, events on
 * a channel; and that none of it stays behind.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "tests/e2e/behaviour/behaviour.h"

#define INFO "jobq:{default:0}:info"
#define EVENTS "jobq:{default:0}:events"
/* jobd knows Redis's clock by an answer, which may have been on its way so long. */
#define CLOCK_SLACK_MS 60000

/* ---- the document ---- */

/* Of the only worker; NULL: there is none. */
static json_t *info_of_all(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "HVALS " INFO);
    json_error_t error;
    json_t *info = NULL;

    cr_assert(r->type == REDIS_REPLY_ARRAY && r->elements <= 1);
    if (r->elements == 1) {
        info = json_loadb(r->element[0]->str, r->element[0]->len, JSON_REJECT_DUPLICATES, &error);
        cr_assert_not_null(info, "%s in %s", error.text, r->element[0]->str);
    }
    freeReplyObject(r);
    return info;
}

static long long number_in(const json_t *o, const char *name)
{
    const json_t *n = json_object_get(o, name);
    cr_assert(json_is_integer(n), "%s", name);
    return json_integer_value(n);
}

static const char *text_in(const json_t *o, const char *name)
{
    const json_t *t = json_object_get(o, name);
    cr_assert(json_is_string(t), "%s", name);
    return json_string_value(t);
}

struct wanted {
    struct scene *s;
    const char *state;
    size_t jobs;
    long long succeeded;
    json_t *info; /* that fulfilled it */
};

static bool info_is_so(void *ctx)
{
    struct wanted *w = ctx;
    json_t *info = info_of_all(w->s);
    bool so = info && strcmp(text_in(info, "state"), w->state) == 0 &&
              json_array_size(json_object_get(info, "jobs")) == w->jobs &&
              number_in(json_object_get(info, "minute"), "succeeded") >= w->succeeded;
    if (so)
        w->info = info;
    else
        json_decref(info);
    return so;
}

static json_t *wait_info(struct wanted w)
{
    if (!wait_until(patience_ms(20000), info_is_so, &w))
        fail_test("no document with state %s and %zu jobs", w.state, w.jobs);
    return w.info;
}

Test(publish, says_who_works_on_what)
{
    struct scene *s = scene_new(0);
    long long before = redis_now_ms(s);
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 3, .lease = "1s", .extra = "drain_grace = \"1s\";"});

    json_t *info = wait_info((struct wanted){.s = s, .state = "ready"});
    cr_assert_eq(number_in(info, "v"), 1);
    cr_assert_eq(number_in(info, "pid"), j->process->pid);
    cr_assert_str_eq(text_in(info, "instance"), "a");
    cr_assert_str_eq(text_in(info, "why"), "");
    cr_assert_eq(number_in(info, "executors"), 3);
    cr_assert_eq(number_in(info, "alive"), 3);
    cr_assert_eq(number_in(info, "busy"), 0);
    cr_assert_geq(number_in(info, "since"), before - CLOCK_SLACK_MS);
    cr_assert_geq(number_in(info, "at"), number_in(info, "since"));
    cr_assert_gt(number_in(info, "rss"), 0);
    json_decref(info);

    jobq_id id = scene_enqueue(s, "stoppable", "{\"ms\":600000}");
    info = wait_info((struct wanted){.s = s, .state = "ready", .jobs = 1});
    const json_t *job = json_array_get(json_object_get(info, "jobs"), 0);
    cr_assert_str_eq(text_in(job, "id"), id_text(&id));
    cr_assert_str_eq(text_in(job, "type"), "stoppable");
    cr_assert_str_eq(text_in(job, "lane"), "normal");
    cr_assert_eq(number_in(job, "attempt"), 1);
    cr_assert_geq(number_in(job, "started"), before - CLOCK_SLACK_MS);
    cr_assert_leq(number_in(job, "started"), redis_now_ms(s));
    pid_t pids[8];
    size_t n = jobd_executors(j, pids, 8), found = 0;
    for (size_t i = 0; i < n; i++)
        found += pids[i] == (pid_t)number_in(job, "pid");
    cr_assert_eq(found, 1);
    cr_assert_eq(number_in(info, "busy"), 1);
    cr_assert_eq(number_in(info, "jobs_more"), 0);
    json_decref(info);

    scene_enqueue_many(s, "noop", "{}", 5);
    json_decref(wait_info((struct wanted){.s = s, .state = "ready", .jobs = 1, .succeeded = 5}));

    scene_drain(s, 0);
    cr_assert_eq(redis_int(s->redis, "EXISTS " INFO), 0, "who leaves takes it along");
    scene_free(s);
}

Test(publish, does_not_write_what_did_not_change)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "1s"});

    json_t *first = wait_info((struct wanted){.s = s, .state = "ready"});
    /* What is still settling after the start (memory) may change it; a document must come that
     * stays. */
    for (int i = 0;; i++) {
        wait_beats(s, 12, 60000);
        json_t *next = info_of_all(s);
        bool same = json_equal(first, next);
        json_decref(first);
        first = next;
        if (same)
            break;
        cr_assert_lt(i, 20, "it is written again and again");
    }
    json_decref(first);
    scene_drain(s, 0);
    scene_free(s);
}

Test(publish, leaves_nothing_of_the_dead)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "1s"});
    json_decref(wait_info((struct wanted){.s = s, .state = "ready"}));
    scene_kill(s, 0);
    cr_assert_eq(redis_int(s->redis, "HLEN " INFO), 1);
    /* Its successor fences and reaps it; then there is one document, its own. */
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "1s"});
    wait_log(j, " reaped ", 1, 20000);
    json_t *info = wait_info((struct wanted){.s = s, .state = "ready"});
    cr_assert_eq(number_in(info, "pid"), j->process->pid);
    json_decref(info);
    scene_drain(s, 0);
    cr_assert_eq(redis_int(s->redis, "EXISTS " INFO), 0);
    scene_free(s);
}

/* ---- durations ---- */

static bool all_runs_counted(void *ctx)
{
    return stats_sum(ctx, "runs") >= 7;
}

Test(publish, counts_what_handlers_took)
{
    struct scene *s = scene_new(0);
    scene_enqueue_many(s, "noop", "{}", 6);
    scene_enqueue(s, "sleep", "{\"ms\":40}");
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "1s"});
    if (!wait_until(patience_ms(20000), all_runs_counted, s))
        fail_test("runs stay at %lld", stats_sum(s, "runs"));
    cr_assert_eq(stats_sum(s, "runs"), 7);
    cr_assert_eq(stats_sum(s, "waits"), 7);
    cr_assert_geq(stats_sum(s, "run_ms"), 40);
    cr_assert_geq(stats_sum(s, "wait_ms"), 1);
    long long runs = 0, waits = 0, long_runs = 0;
    for (int k = 0; k < 25; k++) {
        runs += stats_sum(s, fmt("run:%d", k));
        waits += stats_sum(s, fmt("wait:%d", k));
        long_runs += k >= 6 ? stats_sum(s, fmt("run:%d", k)) : 0; /* more than 32 ms */
    }
    cr_assert_eq(runs, 7);
    cr_assert_eq(waits, 7);
    cr_assert_geq(long_runs, 1);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- events ---- */

struct listener {
    struct scene *scene;
    redisContext *c;
    json_t *lines; /* every one so far */
};

static void listen_to(struct listener *l, struct scene *s)
{
    struct timeval patience = {.tv_sec = patience_ms(20000) / 1000};
    l->scene = s;
    l->c = redisConnectUnix(s->redis->socket);
    cr_assert(l->c && !l->c->err);
    redisSetTimeout(l->c, patience);
    redisReply *r = redisCommand(l->c, "SUBSCRIBE " EVENTS);
    cr_assert_not_null(r);
    freeReplyObject(r);
    l->lines = json_array();
}

static void take_message(struct listener *l)
{
    redisReply *r = NULL;
    if (redisGetReply(l->c, (void **)&r) != REDIS_OK)
        fail_test("no further event after %s", json_dumps(l->lines, 0));
    cr_assert(r->type == REDIS_REPLY_ARRAY && r->elements == 3);
    for (char *rest = r->element[2]->str, *line; (line = strsep(&rest, "\n"));) {
        json_error_t error;
        json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        cr_assert_not_null(event, "%s in %s", error.text, line);
        json_array_append_new(l->lines, event);
    }
    freeReplyObject(r);
}

/* The next event of that word of that job (NULL: of any), reading on until it comes. */
static const json_t *wait_event(struct listener *l, const char *word, const jobq_id *id)
{
    for (size_t i = 0;; i++) {
        while (i >= json_array_size(l->lines))
            take_message(l);
        const json_t *event = json_array_get(l->lines, i);
        if (strcmp(text_in(event, "event"), word) == 0 &&
            (!id || strcmp(text_in(event, "id"), id_text(id)) == 0))
            return event;
    }
}

static void stop_listening(struct listener *l)
{
    json_decref(l->lines);
    redisFree(l->c);
}

static bool is_heard(void *ctx)
{
    struct listener *l = ctx;
    struct pollfd p = {.fd = l->c->fd, .events = POLLIN};
    scene_enqueue(l->scene, "noop", "{}");
    return poll(&p, 1, 0) == 1;
}

/* jobd looks once a second: until it has, nothing is told. */
static void wait_heard(struct listener *l)
{
    cr_assert(wait_until(patience_ms(20000), is_heard, l), "nobody is told of anything");
    wait_event(l, "succeeded", NULL);
}

Test(publish, tells_events_to_who_listens)
{
    struct scene *s = scene_new(0);
    struct listener l;
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "1s", .extra = "backoff = 1;"});
    listen_to(&l, s);
    wait_heard(&l);

    jobq_id id = scene_enqueue(s, "noop", "{}");
    const json_t *e = wait_event(&l, "started", &id);
    cr_assert_str_eq(text_in(e, "type"), "noop");
    cr_assert_str_eq(text_in(e, "lane"), "normal");
    cr_assert_geq(number_in(e, "wait_ms"), 0);
    cr_assert_eq(number_in(e, "attempt"), 1);
    cr_assert_gt(number_in(e, "at"), 0);
    cr_assert_gt(strlen(text_in(e, "worker")), 0u);
    e = wait_event(&l, "succeeded", &id);
    cr_assert_geq(number_in(e, "run_ms"), 0);

    id = scene_enqueue(s, "fail_n", "{\"n\":1,\"text\":\"not \\\"now\\\"\\n\"}");
    e = wait_event(&l, "retried", &id);
    cr_assert_str_eq(text_in(e, "text"), "not \"now\"\n");
    cr_assert_geq(number_in(e, "delay_ms"), 0);
    wait_event(&l, "succeeded", &id);
    id = scene_enqueue(s, "dead", "{\"text\":\"no\"}");
    e = wait_event(&l, "dead", &id);
    cr_assert_str_eq(text_in(e, "reason"), "permanent");
    id = scene_enqueue(s, "nobody.knows", "{}");
    wait_event(&l, "parked", &id);
    id = scene_enqueue(s, "segv", "{}");
    wait_event(&l, "crashed", &id);
    wait_event(&l, "dead", &id);
    freeReplyObject(redis_do(s->redis, "XADD jobq:{default:0}:ready:normal * foo bar"));
    e = wait_event(&l, "corrupt", NULL);
    cr_assert_null(json_object_get(e, "id"));
    stop_listening(&l);
    scene_drain(s, 0);
    scene_free(s);
}

Test(publish, tells_of_dead_letters_that_it_drops)
{
    struct scene *s = scene_new(0);
    struct listener l;
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .lease = "1s", .extra = "dead_max = 2;"});
    listen_to(&l, s);
    wait_heard(&l);
    for (int i = 0; i < 5; i++)
        scene_enqueue(s, "dead", "{\"text\":\"no\"}");
    long long jobs = 0;
    for (size_t seen = 0; jobs < 3;) {
        while (seen >= json_array_size(l.lines))
            take_message(&l);
        const json_t *e = json_array_get(l.lines, seen++);
        if (strcmp(text_in(e, "event"), "dropped") == 0)
            jobs += number_in(e, "jobs");
    }
    cr_assert_eq(jobs, 3);
    cr_assert_eq(scene_dead(s), 2);
    stop_listening(&l);
    scene_drain(s, 0);
    scene_free(s);
}

static bool is_event(const json_t *event, const char *word)
{
    return strcmp(text_in(event, "event"), word) == 0;
}

/* Until it is told that some were left out; or that all of these ended, so slowly that none had to
 * be. */
static void wait_skipped(struct listener *l, size_t i, int ended)
{
    long long from = number_in(json_array_get(l->lines, i), "at");

    while (ended > 0) {
        while (i >= json_array_size(l->lines))
            take_message(l);
        const json_t *event = json_array_get(l->lines, i++);
        ended -= is_event(event, "succeeded");
        if (is_event(event, "skipped")) {
            cr_assert_gt(number_in(event, "events"), 0);
            return;
        }
        if (ended == 0)
            cr_assert_geq(number_in(event, "at") - from, 5000, "ten thousand were told at once");
    }
}

/* A flood is cut, and says so. */
Test(publish, leaves_out_what_is_too_much)
{
    struct scene *s = scene_new(0);
    struct listener l;
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "1s"});
    listen_to(&l, s);
    wait_heard(&l);
    scene_enqueue_many(s, "noop", "{}", 5000);
    scene_wait_drained(s, 60000);
    wait_skipped(&l, 0, 5000);
    stop_listening(&l);
    scene_drain(s, 0);
    scene_free(s);
}
