/* SPDX-License-Identifier: MIT */
/* Every outcome moves its counter by exactly as much as happened, and strangers make no series. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"

#define RUNS(type) "jobq_job_run_seconds_count{queue=\"default\",type=\"" type "\"}"
#define WAITS(type) "jobq_job_wait_seconds_count{queue=\"default\",type=\"" type "\"}"
#define BUCKET(type, le)                                                                           \
    "jobq_job_run_seconds_bucket{queue=\"default\",type=\"" type "\",le=\"" le "\"}"

/* The buffer of fmt() is taken anew by what waits: a copy, kept to the end of the test. */
static const char *jobs(const char *type, const char *outcome)
{
    static char names[64][160];
    static size_t next;
    char *name = names[next++ % 64];
    snprintf(name, sizeof(names[0]),
             "jobq_jobs_total{queue=\"default\",type=\"%s\",outcome=\"%s\"}", type, outcome);
    return name;
}

static void expect_jobs(const char *text, const char *type, const char *outcome, long long n)
{
    double value = web_value(text, jobs(type, outcome));
    cr_assert_eq(value, (double)n, "%s is %g, not %lld", jobs(type, outcome), value, n);
}

static double sum_of(const char *text, const char *outcome)
{
    double sum = 0;
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *brace = strchr(line, '}');
        if (strncmp(line, "jobq_jobs_total{", 16) == 0 && brace &&
            memmem(line, (size_t)(brace - line), fmt("outcome=\"%s\"", outcome),
                   strlen(outcome) + 10))
            sum += strtod(brace + 1, NULL);
    }
    return sum;
}

static void let_through(const char *path)
{
    write_file(path, "");
}

/* One job or more of each outcome; of snoozed ones as many as there is time for until the gate is
 * there. */
static void enqueue_all_kinds(struct scene *s, const char *gate)
{
    scene_enqueue_many(s, "noop", "{}", 7);
    scene_enqueue(s, "fail_n", "{\"n\":2,\"delay_ms\":1}");
    scene_enqueue(s, "dead", "{}");
    scene_enqueue(s, "segv", "{}");
    scene_enqueue(s, "snooze", fmt("{\"file\":\"%s\",\"ms\":10}", gate));
    for (int i = 0; i < 5; i++)
        scene_enqueue(s, fmt("stranger.%d", i), "{}");
    freeReplyObject(redis_do(s->redis, "XADD jobq:{default:0}:ready:normal * foo bar"));
}

static void expect_all_kinds(const char *text)
{
    expect_jobs(text, "noop", "succeeded", 7);
    expect_jobs(text, "noop", "retried", 0);
    expect_jobs(text, "fail_n", "retried", 2);
    expect_jobs(text, "fail_n", "succeeded", 1);
    expect_jobs(text, "dead", "dead", 1);
    expect_jobs(text, "segv", "crashed", 1);
    expect_jobs(text, "segv", "dead", 1);
    expect_jobs(text, "mark", "expired", 1);
    expect_jobs(text, "other", "parked", 5);
    expect_jobs(text, "other", "corrupt", 1);
    cr_assert_null(strstr(text, "stranger"), "a stranger's type made a series");
    cr_assert_eq(web_value(text, "jobq_executor_crashes_total{cause=\"died\"}"), 2);
    cr_assert_eq(web_value(text, "jobq_executor_crashes_total{cause=\"killed\"}"), 0);
}

/* What Redis counted, counted twice would differ. */
static void expect_same_as_redis(struct scene *s, const char *text)
{
    static const char *const outcomes[] = {"succeeded", "retried", "snoozed", "crashed", "released",
                                           "dead",      "expired", "corrupt", "parked"};
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
        cr_assert_eq(sum_of(text, outcomes[i]), (double)stats_sum(s, outcomes[i]), "%s: %g, %lld",
                     outcomes[i], sum_of(text, outcomes[i]), stats_sum(s, outcomes[i]));
    cr_assert_gt(sum_of(text, "snoozed"), 0);
}

/* Each job that ran was timed, each that went to an executor waited. */
static void expect_runs_and_claims(const char *text)
{
    cr_assert_eq(web_value(text, RUNS("noop")), 7);
    cr_assert_eq(web_value(text, RUNS("fail_n")), 3);
    cr_assert_eq(web_value(text, WAITS("noop")), 7);
    cr_assert_eq(web_value(text, WAITS("segv")), 2);
    double claimed = web_value(text, "jobq_jobs_claimed_total{queue=\"default\",lane=\"normal\"}");
    double recovered =
        web_value(text, "jobq_jobs_claimed_total{queue=\"default\",lane=\"recovered\"}");
    cr_assert_eq(recovered, 1, "the segv, once more");
    cr_assert_geq(claimed, 7 + 3 + 1 + 1 + 2 + 5 + 1 + 1);
    cr_assert_geq(web_value(text, "jobq_jobs_moved_total{queue=\"default\"}"), 2 + 1);
}

Test(outcomes, move_their_counters_by_what_happened)
{
    struct scene *s = scene_new(0);
    char *gate = strdup(fmt("%s/gate", tmp_dir())), *text;
    jobq_job late = JOBQ_JOB_INIT;
    late.type = "mark";
    late.payload = "{\"file\":\"/nonexistent/never\"}";
    late.expires_after_ms = 1;
    scene_enqueue_job(s, &late);
    wait_redis_ms(s, redis_now_ms(s) + 5);
    scene_jobd(s, 0,
               (struct jobd_options){
                   .executors = 2,
                   .lease = "1s",
                   .extra = web_conf(0, "backoff = 1; crash_budget = 2; drain_grace = \"1s\";")});
    enqueue_all_kinds(s, gate);
    scene_wait_dead(s, 4, 30000); /* dead, segv, expired, corrupt */
    web_wait(0, jobs("noop", "succeeded"), 7);
    web_wait_above(0, jobs("snooze", "snoozed"), 0);
    let_through(gate);
    scene_wait_drained(s, 30000);
    web_wait(0, jobs("snooze", "succeeded"), 1);
    web_wait(0, "jobq_jobs_held{queue=\"default\"}", 0);
    cr_assert_eq(web_get(0, "/metrics", &text), 200);
    expect_all_kinds(text);
    expect_same_as_redis(s, text);
    expect_runs_and_claims(text);
    free(text);
    free(gate);
    scene_drain(s, 0);
    scene_free(s);
}

/* Long jobs run while the numbers are looked at: their time is in the right bucket. */
Test(outcomes, are_timed)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = web_conf(0, "")});
    scene_enqueue(s, "sleep", "{\"ms\":150}");
    web_wait(0, jobs("sleep", "succeeded"), 1);
    char *text;
    cr_assert_eq(web_get(0, "/metrics", &text), 200);
    cr_assert_eq(web_value(text, BUCKET("sleep", "0.1024")), 0);
    cr_assert_eq(web_value(text, BUCKET("sleep", "+Inf")), 1);
    double sum = web_value(text, "jobq_job_run_seconds_sum{queue=\"default\",type=\"sleep\"}");
    cr_assert_geq(sum, 0.149, "%g: the handler's clock has whole milliseconds", sum);
    free(text);
    scene_drain(s, 0);
    scene_free(s);
}

/* A job that is killed at its hard limit, and a handler's children. */
Test(outcomes, count_kills_and_children)
{
    struct scene *s = scene_new(0);
    jobq_job spin = JOBQ_JOB_INIT;
    spin.type = "spin";
    spin.payload = "{}";
    spin.soft_limit_ms = 20;
    spin.hard_limit_ms = 60;
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .extra = web_conf(0, "crash_budget = 1;")});
    scene_enqueue_job(s, &spin);
    scene_enqueue(s, "spawn", "{\"n\":3,\"type\":\"noop\"}");
    web_wait(0, jobs("spin", "dead"), 1);
    web_wait(0, jobs("noop", "succeeded"), 3);
    web_wait(0, "jobq_executor_crashes_total{cause=\"killed\"}", 1);
    web_wait(0, "jobq_children_total{result=\"stored\"}", 3);
    web_wait(0, "jobq_children_total{result=\"duplicate\"}", 0);
    double sum = web_scrape(0, "jobq_job_run_seconds_sum{queue=\"default\",type=\"spin\"}");
    cr_assert_geq(sum, 0.05, "it ran for %g s", sum);
    scene_drain(s, 0);
    scene_free(s);
}

/*
 * Until the one executor is held up by a job, and others are claimed behind it; gives how many are
 * held at least. Short jobs of the same type come first, so that jobs are claimed ahead; whether
 * there was time for that before the long one began is chance: if not, it is let through, and
 * another one tried.
 */
static double hold_up(struct scene *s)
{
    for (int round = 0;; round++) {
        char gate[300];
        snprintf(gate, sizeof(gate), "%s/gate%d", tmp_dir(), round);
        scene_enqueue_many(s, "sleep", "{\"ms\":0}", 300);
        scene_enqueue(s, "sleep", fmt("{\"ms\":600000,\"gate\":\"%s\"}", gate));
        scene_enqueue_many(s, "sleep", "{\"ms\":0}", 300);
        web_wait(0, jobs("sleep", "succeeded"), round * 601 + 300);
        double held = web_scrape(0, "jobq_jobs_held{queue=\"default\"}");
        if (held > 1)
            return held;
        let_through(gate);
        web_wait(0, jobs("sleep", "succeeded"), (round + 1) * 601);
    }
}

/* What is given back by a drain is counted, while the drain lasts. */
Test(outcomes, count_what_a_drain_gives_back)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1, .extra = web_conf(0, "drain_grace = \"10m\";")});
    double held = hold_up(s);
    process_signal(j->process, SIGTERM);
    web_wait_ready(0, 503, "not ready: draining");
    web_wait(0, "jobq_jobs_held{queue=\"default\"}", 1);
    long long given_back = redis_int(s->redis, "XLEN jobq:{default:0}:ready:recovered");
    cr_assert_geq((double)given_back, held - 1, "%lld, and it held %g", given_back, held);
    cr_assert_eq(given_back, stats_sum(s, "released"));
    web_wait(0, jobs("sleep", "released"), (double)given_back);
    cr_assert_eq(web_scrape(0, "jobq_not_ready{part=\"draining\"}"), 1);
    process_kill_group(j->process);
    jobd_free(j);
    s->jobd[0] = NULL;
    scene_free(s);
}

/* Upkeep for others: what was theirs is given back. */
Test(outcomes, count_what_is_done_for_the_dead)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_enqueue_held(s, 1);
    scene_wait_held(s, 1, 20000);
    scene_jobd(s, 1, (struct jobd_options){.executors = 1, .extra = web_conf(1, "")});
    scene_kill(s, 0);
    scene_let_go(s);
    web_wait(1, "jobq_jobs_reaped_total{queue=\"default\"}", 1);
    web_wait(1, "jobq_peers_fenced_total{queue=\"default\"}", 1);
    web_wait(1, "jobq_jobs_claimed_total{queue=\"default\",lane=\"recovered\"}", 1);
    web_wait(1, jobs("sleep", "succeeded"), 1);
    cr_assert_eq(web_scrape(1, "jobq_fenced_total"), 0);
    /* And the other way round: fenced itself, it says so. */
    freeReplyObject(redis_do(s->redis, "DEL jobq:{default:0}:alive"));
    web_wait(1, "jobq_fenced_total", 1);
    web_wait_ready(1, 200, "ready");
    scene_drain(s, 1);
    scene_free(s);
}

/* Depths come with the scrapes, from those that are first in a partition. */
Test(outcomes, tell_how_much_waits)
{
    struct scene *s = scene_new(0);
    jobq_job later = JOBQ_JOB_INIT;
    later.type = "noop";
    later.payload = "{}";
    later.delay_ms = 3600000;
    scene_enqueue_job(s, &later);
    scene_enqueue(s, "dead", "{}");
    scene_enqueue(s, "nobody.knows", "{}");
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .lease = "1s", .extra = web_conf(0, "")});
    scene_wait_dead(s, 1, 20000);
    web_wait(0, "jobq_queue_delayed_jobs{queue=\"default\",partition=\"0\"}", 1);
    web_wait(0, "jobq_queue_dead_jobs{queue=\"default\",partition=\"0\"}", 1);
    web_wait(0, "jobq_queue_parked_jobs{queue=\"default\",partition=\"0\"}", 1);
    web_wait(0, "jobq_queue_ready_jobs{queue=\"default\",partition=\"0\",lane=\"normal\"}", 0);
    web_wait(0, "jobq_queue_oldest_ready_seconds{queue=\"default\",partition=\"0\"}", 0);
    scene_enqueue(s, "sleep", "{\"ms\":600000}");
    web_wait(0, "jobq_jobs_held{queue=\"default\"}", 1);
    scene_enqueue_many(s, "sleep", "{\"ms\":600000}", 3);
    web_wait(0, "jobq_queue_ready_jobs{queue=\"default\",partition=\"0\",lane=\"normal\"}", 3);
    /* What just came is no millisecond old, as jobd reckons Redis's clock. */
    web_wait_above(0, "jobq_queue_oldest_ready_seconds{queue=\"default\",partition=\"0\"}", 0);
    cr_assert_eq(web_scrape(0, "jobq_executors{state=\"busy\"}"), 1);
    jobd_kill(s->jobd[0]);
    jobd_free(s->jobd[0]);
    s->jobd[0] = NULL;
    scene_free(s);
}
