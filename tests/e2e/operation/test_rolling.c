/* SPDX-License-Identifier: MIT */
/*
 * Two jobd restarted in turn while jobs keep coming: none lost, none repeated, no budget used
 * (G37, and G22 without extras).
 *
 * Each jobd has, besides the common queue, one of its own: what runs there until the test opens a
 * gate is sure to be held by that jobd when it is told to end. All budgets are one loss, one crash
 * and two attempts (one of which the load uses up): whatever a restart counted against a job would
 * make it a dead letter.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"
#include "tests/e2e/operation/load.h"
#include "tests/integration/jobctl/run.h"

#define BUDGETS "backoff = 20; max_attempts = 2; crash_budget = 1; loss_budget = 1; "
#define GRACE "drain_grace = \"5m\"; "
#define SHORT_GRACE "drain_grace = \"200ms\"; "

static const char *const own_queue[] = {"of-a", "of-b"};

static struct jobd *start(struct scene *s, size_t i, const char *instance, int executors,
                          const char *more)
{
    return scene_jobd(
        s, i,
        (struct jobd_options){.instance = instance,
                              .lease = "10s",
                              .executors = executors,
                              .queues =
                                  fmt("{ name = \"default\"; }, { name = \"%s\"; }", own_queue[i]),
                              .extra = web_conf(i, fmt(BUDGETS "%s", more))});
}

static const char *marks_of(size_t round)
{
    return fmt("%s/marks-%zu", tmp_dir(), round);
}

static const char *gate_of(size_t round)
{
    return fmt("%s/gate-%zu", tmp_dir(), round);
}

/* A job that jobd i holds until the gate of this round is opened. */
static void occupy(struct scene *s, size_t i, size_t round)
{
    load_gated(s, own_queue[i], marks_of(round), gate_of(round));
    wait_lines(marks_of(round), 1, 30000);
}

/* ---- what others see of a drain ---- */

struct state {
    struct scene *scene;
    struct jobd *jobd;
    const char *wanted;
    char seen[64];
};

static bool is_listed_so(void *ctx)
{
    struct state *w = ctx;
    struct run r = JOBCTL("worker", "list", "--json", "--redis", w->scene->redis->viewer_url);
    json_t *workers = r.json ? json_object_get(r.json, "workers") : NULL, *one;
    size_t i;

    cr_assert_eq(r.status, 0, "%s", r.err);
    snprintf(w->seen, sizeof(w->seen), "not listed");
    json_array_foreach(workers, i, one)
    {
        const char *work = json_string_value(json_object_get(one, "work"));
        if (json_integer_value(json_object_get(one, "pid")) == w->jobd->process->pid)
            snprintf(w->seen, sizeof(w->seen), "%s", work ? work : "nothing");
    }
    run_free(&r);
    return strcmp(w->seen, w->wanted) == 0;
}

static void wait_listed(struct scene *s, struct jobd *j, const char *work)
{
    struct state w = {.scene = s, .jobd = j, .wanted = work};

    if (!wait_until(now_ms() + patience_ms(20000), is_listed_so, &w))
        fail_test("worker list says %s, not %s", w.seen, work);
}

/* Of the queue of jobd i: jobs that nobody has claimed, and those that somebody holds. */
static void expect_own(struct scene *s, size_t i, long long unclaimed, long long held)
{
    static const char look[] =
        "local g = redis.call('XINFO', 'GROUPS', KEYS[1])[1] "
        "local f = {} "
        "for k = 1, #g, 2 do f[g[k]] = g[k + 1] end "
        "local after = '(' .. f['last-delivered-id'] "
        "return #redis.call('XRANGE', KEYS[1], after, '+') * 1000 + f.pending";
    long long both = redis_int(s->redis, "EVAL %s 1 jobq:{%s:0}:ready:normal", look, own_queue[i]);

    cr_assert_eq(both, unclaimed * 1000 + held, "unclaimed %lld, held %lld", both / 1000,
                 both % 1000);
}

/*
 * Tells jobd i to end while it holds the job of this round. Until that ends it drains, says so, and
 * takes nothing more; the other one works on.
 */
static void drain_held(struct scene *s, struct load *l, size_t i, size_t round)
{
    struct jobd *j = s->jobd[i];
    jobq_job job = JOBQ_JOB_INIT;

    process_signal(j->process, SIGTERM);
    cr_assert(jobd_wait_notify(j, "STOPPING=1", patience_ms(20000)));
    web_wait_ready(i, 503, "draining");
    web_wait_ready(1 - i, 200, "ready");
    wait_listed(s, j, "draining");
    wait_listed(s, s->jobd[1 - i], "ready");
    /* There is an executor free for it. */
    job.queue = own_queue[i];
    job.type = "effect";
    scene_enqueue_job(s, &job);
    long long before = scene_effects(s);
    load_wait(l, 20);
    scene_wait_effects(s, before + 20, 30000);
    cr_assert(process_is_alive(j->process), "what it holds may end");
    write_file(gate_of(round), "");
    cr_assert_eq(process_wait(j->process, patience_ms(30000)), 0);
    cr_assert_eq(process_count_log(j->process, "drain.grace_over"), 0);
    cr_assert_eq(process_count_log(j->process, "left=yes"), 1);
    expect_own(s, i, 1, 0); /* only what came afterwards waits */
    cr_assert_eq(count_lines(marks_of(round)), 1u, "it ran once");
}

/* The same with a grace that is too short for what it holds: that is given back, and runs again. */
static void drain_cut_off(struct scene *s, size_t i, size_t round)
{
    struct jobd *j = s->jobd[i];

    process_signal(j->process, SIGTERM);
    cr_assert_eq(process_wait(j->process, patience_ms(30000)), 0);
    cr_assert_eq(process_count_log(j->process, "drain.grace_over"), 1);
    cr_assert_eq(process_count_log(j->process, "left=yes"), 1);
    cr_assert_eq(count_lines(marks_of(round)), 1u);
}

static void forget(struct scene *s, size_t i)
{
    jobd_free(s->jobd[i]);
    s->jobd[i] = NULL;
}

/* ---- the judgement ---- */

static void check(struct scene *s)
{
    static const char *const never[] = {"reaped", "crashed", "dead"};

    cr_assert_eq(scene_dead(s), 0, "no budget was used");
    cr_assert_eq(scene_parked(s), 0);
    cr_assert_eq(s->unknown, 0u);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        cr_expect_eq(stats_sum(s, never[i]), 0, "%s", never[i]);
    for (size_t i = 0; i < 2; i++) {
        redisReply *r = redis_do(s->redis, "XRANGE jobq:{%s:0}:dead - +", own_queue[i]);
        cr_assert_eq(r->elements, 0u);
        freeReplyObject(r);
        expect_own(s, i, 0, 0);
    }
    scene_check_effects(s);
}

/* Everything comes to its end: every job that was acknowledged, and the children. */
static void finish(struct scene *s, struct load *l)
{
    load_stop(l);
    scene_wait_effects(s, (long long)(s->acked_count + s->children), 60000);
    scene_wait_drained(s, 60000);
    check(s);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(process_count_log(s->jobd[i]->process, "incarnation.lost"), 0);
        cr_assert_eq(process_count_log(s->jobd[i]->process, " reap"), 0);
        scene_drain(s, i);
    }
    check(s);
    redis_check_refused(s->redis);
}

Test(rolling, restarts_under_load_lose_and_repeat_nothing)
{
    static const struct {
        size_t jobd;
        const char *instance; /* of its successor */
        int executors;
        bool cut_off;
        const char *conf;
    } rounds[] = {
        {0, "a", 2, false, GRACE},          /* as it was */
        {1, "b", 3, false, SHORT_GRACE},    /* with another configuration */
        {0, "anew", 2, false, SHORT_GRACE}, /* under another name */
        {1, "b", 2, true, GRACE},           {0, "anew", 4, true, GRACE "lane_order = \"strict\"; "},
    };
    struct scene *s = scene_new(SCENE_PG);

    start(s, 0, "a", 2, GRACE);
    start(s, 1, "b", 2, GRACE);
    struct load *l = load_start(s);
    for (size_t k = 0; k < ARRAY_LEN(rounds); k++) {
        size_t i = rounds[k].jobd;
        occupy(s, i, k);
        if (rounds[k].cut_off)
            drain_cut_off(s, i, k);
        else
            drain_held(s, l, i, k);
        forget(s, i);
        start(s, i, rounds[k].instance, rounds[k].executors, rounds[k].conf);
        web_wait_ready(i, 200, "ready");
        wait_lines(marks_of(k), rounds[k].cut_off ? 2 : 1, 30000);
        write_file(gate_of(k), "");
    }
    finish(s, l);
    scene_free(s);
}
