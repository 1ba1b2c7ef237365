/* SPDX-License-Identifier: MIT */
/*
 * executor_limits: what an executor may use up: a job's time, its own memory and number of jobs;
 * and how it leaves.
 */
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "worker/job.h"
#include "worker/pool_private.h"
#include "worker/process_info.h"

#define SEQ_WORN (1u << 30) /* the page counts jobs in 32 bits: never let them wrap */
#define GOODBYE_MS 5000    /* to exit after FRAME_DRAIN */

void executor_enforce_limits(struct executor *x, int64_t now_ms)
{
    struct job *j = LIST_FIRST(&x->handed, struct job, node);
    if (!x->running || !j)
        return;
    int64_t ran_ms = now_ms - x->started_ms;
    if (ran_ms >= j->hard_ms) {
        char why[96];
        snprintf(why, sizeof(why), "hard limit of %u ms reached, killed", j->hard_ms);
        pool_kill_executor(x, why);
    } else if (ran_ms >= j->soft_ms && x->asked_seq != j->seq) {
        x->asked_seq = j->seq;
        child_signal(&x->process, SIGTERM);
    }
}

/* A worn executor goes on until its successor is ready, so that there is no gap. */
static void wear_out(struct pool *p, struct executor *x, const char *unit, int64_t n)
{
    x->worn = true;
    p->counts.recycled++;
    log_event(LOG_INFO, "executor.recycle", LOG_INT("pid", x->pid), LOG_INT(unit, n), LOG_END);
    loop_timer_arm(p->respawn, loop_now(p->loop));
}

void executor_outdate(struct pool *p, struct executor *x)
{
    if (x->worn || (x->state != EXECUTOR_READY && x->state != EXECUTOR_STARTING))
        return;
    x->worn = true;
    log_event(LOG_INFO, "executor.recycle", LOG_INT("pid", x->pid), LOG_STR("why", "new settings"),
              LOG_END);
    loop_timer_arm(p->respawn, loop_now(p->loop));
}

void executor_recycle_worn(struct pool *p, struct executor *x, bool look_at_memory)
{
    const struct worker_config *c = p->config;
    if (look_at_memory)
        x->memory_bytes = process_info_own_memory(x->process.pid);
    if (x->state != EXECUTOR_READY || x->worn)
        return;
    if (c->executor_max_jobs && x->jobs_run >= c->executor_max_jobs) {
        wear_out(p, x, "jobs", x->jobs_run);
    } else if (x->last_handed >= SEQ_WORN) {
        wear_out(p, x, "seq", x->last_handed);
    } else if (c->executor_max_rss_bytes && x->memory_bytes > c->executor_max_rss_bytes) {
        wear_out(p, x, "memory_bytes", x->memory_bytes);
    }
}

void executor_dismiss_idle(struct executor *x, int64_t now_ms)
{
    if (x->state != EXECUTOR_RETIRING || x->held)
        return;
    if (!x->goodbye_ms) {
        x->goodbye_ms = now_ms + GOODBYE_MS;
        frame_put(&x->out, FRAME_DRAIN, 0, NULL, 0);
        executor_flush(x);
    } else if (now_ms >= x->goodbye_ms) {
        pool_kill_executor(x, "did not exit when told to");
    }
}
