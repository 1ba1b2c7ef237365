/* SPDX-License-Identifier: MIT */
/*
 * Silence: a Redis that is frozen, a jobd that cannot reach it, handlers that outlive many leases
 * on a busy machine.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/outage/outage.h"

/* G1 G16 G19 G36: Redis is frozen for three leases, again and again, with jobs running on two jobd:
 * 0 steals. */
Test(frozen, redis_for_three_leases_steals_nothing)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "500ms"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 50}", 150);
    for (int i = 1; i <= 3; i++) {
        scene_wait_effects(s, i * 20, 30000);
        scene_wait_pending(s, 2, 20000);
        process_signal(s->redis->process, SIGSTOP);
        for (size_t k = 0; k < 2; k++)
            outage_wait_status(s->jobd[k], "STATUS=not ready: lease: no accepted beat");
        outage_lasts(s, 1500);
        process_signal(s->redis->process, SIGCONT);
        for (size_t k = 0; k < 2; k++)
            outage_wait_status(s->jobd[k], "STATUS=ready");
    }
    outage_end(s);
}

/* G6: no call outlives its deadline on a frozen Redis; what is REJECTED is not stored, what is
 * UNKNOWN may be. */
Test(frozen, a_producer_has_its_answer_within_the_deadline)
{
    struct scene *s = scene_new(0);
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *fresh, *used;
    jobq_job job = JOBQ_JOB_INIT, jobs[50];
    jobq_answer a, answers[50];
    jobq_err err;

    o.redis = s->redis->producer_url;
    o.deadline_ms = 300;
    cr_assert_eq(jobq_client_open(&o, &fresh, &err), JOBQ_OK);
    cr_assert_eq(jobq_client_open(&o, &used, &err), JOBQ_OK);
    job.type = "noop";
    job.payload = "{}";
    for (size_t i = 0; i < 50; i++)
        jobs[i] = job;
    cr_assert_eq(jobq_enqueue(used, &job, &a, &err), JOBQ_OK);
    process_signal(s->redis->process, SIGSTOP);
    int64_t from = now_ms();
    cr_assert_eq(jobq_enqueue(fresh, &job, &a, &err), JOBQ_EREJECTED, "it was never connected: %s",
                 a.text);
    cr_assert(a.cause == JOBQ_CAUSE_TIMED_OUT || a.cause == JOBQ_CAUSE_UNREACHABLE, "%s", a.text);
    cr_assert_eq(jobq_enqueue(used, &job, &a, &err), JOBQ_EUNKNOWN, "%s", a.text);
    cr_assert_neq(jobq_enqueue_many(used, jobs, 50, answers, &err), JOBQ_OK);
    job.delay_ms = 1000;
    cr_assert_neq(jobq_enqueue(used, &job, &a, &err), JOBQ_OK);
    cr_assert_lt(now_ms() - from, patience_ms(4 * 300 + 400));
    size_t unknown = 1 + (a.status == JOBQ_STATUS_UNKNOWN);
    for (size_t i = 0; i < 50; i++) {
        cr_assert(answers[i].status == JOBQ_STATUS_UNKNOWN ||
                  answers[i].status == JOBQ_STATUS_REJECTED);
        unknown += answers[i].status == JOBQ_STATUS_UNKNOWN;
    }
    process_signal(s->redis->process, SIGCONT);
    scene_jobd(s, 0, (struct jobd_options){0});
    job.delay_ms = 0;
    cr_assert_eq(jobq_enqueue(fresh, &job, &a, &err), JOBQ_OK, "%s", a.text);
    scene_wait_drained(s, 30000);
    int runs = process_count_log(s->jobd[0]->process, " job.done ");
    cr_assert(runs >= 2 && (size_t)runs <= 2 + unknown, "%d runs, %zu unknown", runs, unknown);
    jobq_client_close(fresh);
    jobq_client_close(used);
    outage_end(s);
}

/* G16: a handler that runs twenty leases is left to its jobd, with every core busy. */
Test(frozen, a_handler_of_twenty_leases_is_never_stolen)
{
    struct scene *s = scene_new(SCENE_PG);
    const char *burn[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    struct process *burners[16];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : cores > 16 ? 16 : (size_t)cores;

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 1, .lease = "300ms"});
    for (size_t i = 0; i < n; i++)
        burners[i] = process_start("burner", burn, NULL);
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 6000}", 2);
    scene_wait_effects(s, 2, 60000);
    for (size_t i = 0; i < n; i++)
        process_free(burners[i]);
    scene_wait_drained(s, 20000);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM jobq.done"), 2);
    outage_end(s);
}

/* ---- one of two cannot reach Redis ---- */

/* jobd 0 reaches Redis itself, jobd 1 by the relay; each holds two jobs. */
static struct process *begin_apart(struct scene *s, const char *path)
{
    struct process *relay = outage_relay(s->redis, path);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "500ms"});
    scene_jobd(
        s, 1,
        (struct jobd_options){.executors = 2, .lease = "500ms", .redis = redis_worker_url(path)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 400}", 12);
    scene_wait_pending(s, 4, 20000);
    return relay;
}

/* What it held is done by the other; back again it takes a new name and works. */
static void end_apart(struct scene *s)
{
    outage_wait_log(s->jobd[1], "incarnation.lost");
    outage_wait_status(s->jobd[1], "STATUS=ready");
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 10}", 100);
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(process_count_log(s->jobd[0]->process, "incarnation.lost"), 0);
    cr_assert_eq(process_count_log(s->jobd[1]->process, " fenced "), 0,
                 "who cannot prove to live judged another");
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G1 G13 G14 G15 G19: the link is silent: nothing closes, nothing arrives. */
Test(apart, a_silent_link_costs_a_lease_and_a_name)
{
    struct scene *s = scene_new(SCENE_PG);
    char path[256];

    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    struct process *relay = begin_apart(s, path);
    process_signal(relay, SIGSTOP);
    outage_wait_log(s->jobd[0], " fenced ");
    outage_wait_status(s->jobd[1], "STATUS=not ready: ");
    scene_wait_drained(s, 60000);
    process_signal(relay, SIGCONT);
    end_apart(s);
    process_free(relay);
}

/* G1 G13 G14 G15 G19: the link is cut and cannot be made again for a while. */
Test(apart, a_cut_link_costs_a_lease_and_a_name)
{
    struct scene *s = scene_new(SCENE_PG);
    char path[256];

    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    struct process *relay = begin_apart(s, path);
    process_kill_group(relay);
    process_free(relay);
    outage_wait_status(s->jobd[1], "STATUS=not ready: redis: ");
    outage_wait_log(s->jobd[0], " fenced ");
    scene_wait_drained(s, 60000);
    relay = outage_relay(s->redis, path);
    end_apart(s);
    process_free(relay);
}

struct delivery {
    struct scene *scene;
    bool delivered;
};

static bool is_settled(void *ctx)
{
    struct delivery *d = ctx;

    d->delivered = scene_pending(d->scene) > 0;
    return d->delivered || !outage_is_blocked(d->scene);
}

/*
 * An answer that brought a job is lost with its connection: Redis holds it delivered, jobd has
 * never seen it. By construction: the reader waits; the relay is frozen, so the answer goes no
 * further than there; then it is cut. The lease is long, and nobody else is there: only the audit
 * can find it (G1 G19 G42).
 */
Test(apart, a_job_in_a_lost_answer_is_found_by_the_audit)
{
    struct scene *s = scene_new(SCENE_PG);
    char path[256];
    int lost = 0;

    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    struct process *relay = outage_relay(s->redis, path);
    scene_jobd(s, 0, (struct jobd_options){.lease = "10s", .redis = redis_worker_url(path)});
    for (int i = 1; i <= 5; i++) {
        struct delivery d = {s, false};

        outage_wait_blocked(s);
        process_signal(relay, SIGSTOP);
        scene_enqueue(s, "effect", "{}");
        /* Unless its time was just up: then nothing was lost in this round. */
        if (!wait_until(now_ms() + patience_ms(20000), is_settled, &d))
            fail_test("the job was not delivered");
        lost += d.delivered;
        process_kill_group(relay);
        process_free(relay);
        relay = outage_relay(s->redis, path);
        scene_wait_effects(s, i, 30000);
        cr_assert_eq(process_count_log(s->jobd[0]->process, "audit.found"), lost);
    }
    cr_assert_geq(lost, 3);
    outage_end(s);
    process_free(relay);
}
