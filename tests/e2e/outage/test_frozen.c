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

static bool freeze_redis(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);

    (void)what;
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 50}", 150);
    for (int i = 1; i <= 3; i++) {
        scene_wait_more(s, 20, 30000);
        scene_wait_pending(s, 2, 20000);
        process_signal(s->redis->process, SIGSTOP);
        for (size_t k = 0; k < 2; k++)
            outage_wait_status(s->jobd[k], "STATUS=not ready: lease: no accepted beat");
        outage_lasts(s, 3 * lease_ms);
        process_signal(s->redis->process, SIGCONT);
        for (size_t k = 0; k < 2; k++)
            outage_wait_status(s->jobd[k], "STATUS=ready");
    }
    return outage_end_without_steal(s);
}

/* G1 G16 G19 G36: Redis is frozen for three leases, again and again, with jobs running on two jobd:
 * 0 steals. */
Test(frozen, redis_for_three_leases_steals_nothing)
{
    outage_without_steal(freeze_redis, 500, NULL);
}

#define DEADLINE_MS 300
/* Far beyond the deadline: who does not keep to it waits for an answer that never comes. */
#define NEVER_MS 20000

struct producer {
    jobq_client *used;
    size_t unknown; /* answers: stored or not */
    size_t stored;
};

/* A deadline as short as this is missed now and then. */
static bool has_stored_one(void *ctx)
{
    struct producer *p = ctx;
    jobq_job job = JOBQ_JOB_INIT;
    jobq_answer a;
    jobq_err err;

    job.type = "noop";
    job.payload = "{}";
    int rc = jobq_enqueue(p->used, &job, &a, &err);
    p->unknown += rc == JOBQ_EUNKNOWN;
    p->stored += rc == JOBQ_OK;
    return rc == JOBQ_OK;
}

/* G6: no call outlives its deadline on a frozen Redis; what is REJECTED is not stored, what is
 * UNKNOWN may be. */
Test(frozen, a_producer_has_its_answer_within_the_deadline)
{
    struct scene *s = scene_new(0);
    struct producer p = {0};
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *fresh;
    jobq_job job = JOBQ_JOB_INIT, jobs[50];
    jobq_answer a, answers[50];
    jobq_err err;
    int rc;

    o.redis = s->redis->producer_url;
    o.deadline_ms = DEADLINE_MS;
    cr_assert_eq(jobq_client_open(&o, &fresh, &err), JOBQ_OK);
    cr_assert_eq(jobq_client_open(&o, &p.used, &err), JOBQ_OK);
    job.type = "noop";
    job.payload = "{}";
    for (size_t i = 0; i < 50; i++)
        jobs[i] = job;
    cr_assert(wait_until(patience_ms(20000), has_stored_one, &p));
    process_signal(s->redis->process, SIGSTOP);
    int64_t from = now_ms();
    cr_assert_eq(jobq_enqueue(fresh, &job, &a, &err), JOBQ_EREJECTED, "it was never connected: %s",
                 a.text);
    cr_assert(a.cause == JOBQ_CAUSE_TIMED_OUT || a.cause == JOBQ_CAUSE_UNREACHABLE, "%s", a.text);
    /* Rejected where there was no time to send it, at last sent and unanswered. */
    for (int i = 0; (rc = jobq_enqueue(p.used, &job, &a, &err)) == JOBQ_EREJECTED && i < 20; i++)
        cr_assert_eq(a.cause, JOBQ_CAUSE_TIMED_OUT, "%s", a.text);
    cr_assert_eq(rc, JOBQ_EUNKNOWN, "%s", a.text);
    cr_assert_neq(jobq_enqueue_many(p.used, jobs, 50, answers, &err), JOBQ_OK);
    job.delay_ms = 1000;
    cr_assert_neq(jobq_enqueue(p.used, &job, &a, &err), JOBQ_OK);
    cr_assert_lt(now_ms() - from, patience_ms(NEVER_MS));
    p.unknown += 1u + (a.status == JOBQ_STATUS_UNKNOWN);
    for (size_t i = 0; i < 50; i++) {
        cr_assert(answers[i].status == JOBQ_STATUS_UNKNOWN ||
                  answers[i].status == JOBQ_STATUS_REJECTED);
        p.unknown += answers[i].status == JOBQ_STATUS_UNKNOWN;
    }
    process_signal(s->redis->process, SIGCONT);
    scene_jobd(s, 0, (struct jobd_options){0});
    cr_assert(wait_until(patience_ms(20000), has_stored_one, &p));
    scene_wait_drained(s, 30000);
    size_t runs = (size_t)process_count_log(s->jobd[0]->process, " job.done ");
    cr_assert(runs >= p.stored && runs <= p.stored + p.unknown, "%zu runs, %zu stored, %zu unknown",
              runs, p.stored, p.unknown);
    jobq_client_close(fresh);
    jobq_client_close(p.used);
    outage_end(s);
}

static bool hold_for_twenty_leases(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);
    const char *burn[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    struct process *burners[16];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = cores < 1 ? 1 : cores > 16 ? 16 : (size_t)cores;

    (void)what;
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 1, .lease = outage_lease(lease_ms)});
    for (size_t i = 0; i < n; i++)
        burners[i] = process_start("burner", burn, NULL);
    scene_enqueue_held(s, 2);
    scene_wait_held(s, 2, 20000);
    outage_lasts(s, 20 * lease_ms);
    scene_let_go(s);
    scene_wait_effects(s, 2, 60000);
    for (size_t i = 0; i < n; i++)
        process_free(burners[i]);
    return outage_end_without_steal(s);
}

/* G16: a handler that runs twenty leases is left to its jobd, with every core busy. */
Test(frozen, a_handler_of_twenty_leases_is_never_stolen)
{
    outage_without_steal(hold_for_twenty_leases, 300, NULL);
}

/* ---- one of two cannot reach Redis ---- */

/* jobd 0 reaches Redis itself, jobd 1 by the relay; each holds two jobs. */
static struct process *begin_apart(struct scene *s, const char *path, int64_t lease_ms)
{
    struct process *relay = outage_relay(s->redis, path);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_jobd(s, 1,
               (struct jobd_options){.executors = 2,
                                     .lease = outage_lease(lease_ms),
                                     .redis = redis_worker_url(path)});
    scene_enqueue_held(s, 12);
    scene_wait_held(s, 4, 20000);
    return relay;
}

/* What it held is done by the other; back again it takes a new name and works. True: the other one
 * was let live. */
static bool end_apart(struct scene *s)
{
    outage_wait_log(s->jobd[1], "incarnation.lost");
    outage_wait_status(s->jobd[1], "STATUS=ready");
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 10}", 100);
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    /* Who cannot prove to live judges nobody. */
    bool spared = process_count_log(s->jobd[0]->process, "incarnation.lost") == 0 &&
                  process_count_log(s->jobd[1]->process, " fenced ") == 0;
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
    return spared;
}

static bool be_silent(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);
    char path[256];

    (void)what;
    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    struct process *relay = begin_apart(s, path, lease_ms);
    process_signal(relay, SIGSTOP);
    outage_wait_log(s->jobd[0], " fenced ");
    outage_wait_status(s->jobd[1], "STATUS=not ready: ");
    scene_let_go(s);
    scene_wait_drained(s, 60000);
    process_signal(relay, SIGCONT);
    bool spared = end_apart(s);
    process_free(relay);
    return spared;
}

/* G1 G13 G14 G15 G19: the link is silent: nothing closes, nothing arrives. */
Test(apart, a_silent_link_costs_a_lease_and_a_name)
{
    outage_without_steal(be_silent, 500, NULL);
}

static bool be_cut_off(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);
    char path[256];

    (void)what;
    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    struct process *relay = begin_apart(s, path, lease_ms);
    process_kill_group(relay);
    process_free(relay);
    outage_wait_status(s->jobd[1], "STATUS=not ready: redis: ");
    outage_wait_log(s->jobd[0], " fenced ");
    scene_let_go(s);
    scene_wait_drained(s, 60000);
    relay = outage_relay(s->redis, path);
    bool spared = end_apart(s);
    process_free(relay);
    return spared;
}

/* G1 G13 G14 G15 G19: the link is cut and cannot be made again for a while. */
Test(apart, a_cut_link_costs_a_lease_and_a_name)
{
    outage_without_steal(be_cut_off, 500, NULL);
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
    for (int i = 1; i <= 5 || lost < 3; i++) {
        struct delivery d = {s, false};

        scene_wait_drained(s, 20000); /* nothing of the last round is in flight */
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
        cr_assert_lt(i, 50, "of %d answers %d were lost", i, lost);
    }
    outage_end(s);
    process_free(relay);
}
