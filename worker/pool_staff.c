/* SPDX-License-Identifier: MIT */
/*
 * pool_staff: who is in the pool: executors that start, die and are replaced, so that there are as
 * many as the configuration says. What they are given and have done is in pool.c.
 */
#include <stdio.h>

#include "base/child.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "config/config.h"
#include "worker/pool.h"
#include "worker/pool_private.h"

#define STEADY_MS 1000 /* an executor that lived so long is replaced at once */
#define LONGEST_PAUSE_MS 10000
#define START_DEATHS                                                                               \
    5 /* so many deaths before ready, in START_WINDOW_MS, at start: configuration */
#define START_WINDOW_MS 10000

/* ---- death ---- */

static void describe_death(struct executor *x, int status, char *out, size_t size)
{
    if (x->why[0])
        snprintf(out, size, "executor: %s", x->why);
    else {
        char how[96];
        child_describe(status, how, sizeof(how));
        snprintf(out, size, "executor died: %s", how);
    }
}

/* At start, deaths before anything was ready come from the configuration; later they are waited
 * out. */
static void count_failed_start(struct pool *p, const char *why, int64_t now_ms)
{
    if (p->start_deaths == 0 || now_ms - p->first_start_death_ms > START_WINDOW_MS) {
        p->start_deaths = 0;
        p->first_start_death_ms = now_ms;
    }
    p->start_deaths++;
    bool hopeless = !p->ever_ready && (p->said_failed || p->start_deaths >= START_DEATHS);
    p->hooks.on_start_failed(p->hooks.ctx, why, hopeless);
    p->pause_ms = p->pause_ms ? MIN(p->pause_ms * 2, LONGEST_PAUSE_MS) : 100;
}

static void count_end(struct pool *p, const struct executor *x, int status)
{
    if (x->state == EXECUTOR_STARTING)
        p->counts.failed_starts += !p->draining;
    else if (x->why[0])
        p->counts.killed++;
    else if (x->state == EXECUTOR_READY || status != 0)
        p->counts.died++;
}

void pool_bury(struct pool *p, struct executor *x, int status)
{
    char why[224];
    int64_t now = loop_now(p->loop);
    enum executor_state was = x->state;
    bool had_job = x->held > 0;
    describe_death(x, status, why, sizeof(why));
    p->alive--;
    x->process.pid = 0;
    if (x->disowned) {
        executor_free(x);
        return;
    }
    count_end(p, x, status);
    if (was != EXECUTOR_STARTING)
        pool_settle(p, x, why);
    else
        executor_read_frames(p, x);
    x->state = EXECUTOR_DEAD;
    if (was == EXECUTOR_STARTING && !p->draining) {
        count_failed_start(p, x->said[0] ? x->said : why, now);
    } else if (was == EXECUTOR_READY) {
        log_event(LOG_WARN, "executor.died", LOG_INT("pid", x->pid), LOG_STR("why", why), LOG_END);
        /* Under a job it is that job's budget that ends it; one that dies by itself is not started
         * in a frenzy. */
        bool by_itself = !x->jobs_run && !had_job && now - x->born_ms < STEADY_MS;
        p->pause_ms = !by_itself ? 0 : p->pause_ms ? MIN(p->pause_ms * 2, LONGEST_PAUSE_MS) : 10;
    }
    p->hooks.on_gone(p->hooks.ctx, x);
    executor_free(x);
    if (!p->draining)
        loop_timer_arm(p->respawn, now + p->pause_ms);
}

/* ---- birth ---- */

/* Successors that can take jobs. */
static size_t count_fresh(const struct pool *p)
{
    size_t n = 0;
    LIST_FOR_EACH (node, &p->executors) {
        const struct executor *x = LIST_ENTRY(node, struct executor, node);
        n += !x->worn && x->state == EXECUTOR_READY;
    }
    return n;
}

void pool_executor_ready(struct pool *p, struct executor *x)
{
    x->state = EXECUTOR_READY;
    p->ever_ready = true;
    p->start_deaths = 0;
    if (x->worn) { /* its settings were changed while it started: it is nobody's successor */
        pool_retire(p, x);
        return;
    }
    bool all_are_there = count_fresh(p) >= (size_t)p->config->executors;
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *old = LIST_ENTRY(node, struct executor, node);
        if (!old->worn || old->state != EXECUTOR_READY)
            continue;
        pool_retire(p, old);
        if (!all_are_there) /* otherwise there are more than there are to be from now on */
            return;
    }
}

static size_t count_staying(const struct pool *p)
{
    size_t n = 0;
    LIST_FOR_EACH (node, &p->executors) {
        const struct executor *x = LIST_ENTRY(node, struct executor, node);
        n += !x->worn && (x->state == EXECUTOR_READY || x->state == EXECUTOR_STARTING);
    }
    return n;
}

void pool_start_missing(struct pool *p)
{
    while (!p->draining && count_staying(p) < (size_t)p->config->executors) {
        jobq_err err;
        int rc = executor_start(p, &err);
        if (rc) {
            log_event(LOG_ERROR, "executor.start_failed", LOG_STR("error", err.msg), LOG_END);
            count_failed_start(p, err.msg, loop_now(p->loop));
            if (!p->draining)
                loop_timer_arm(p->respawn, loop_now(p->loop) + MAX(p->pause_ms, 100));
            return;
        }
    }
}

void pool_respawn(void *ctx, int64_t now_ms)
{
    struct pool *p = ctx;
    (void)now_ms;
    pool_start_missing(p);
}

/* ---- another configuration ---- */

void pool_configure(struct pool *p, const struct worker_config *config)
{
    bool outdated = worker_config_tells_otherwise(p->config, config);
    p->config = config;
    if (outdated)
        LIST_FOR_EACH (node, &p->executors)
            executor_outdate(p, LIST_ENTRY(node, struct executor, node));
    size_t staying = count_staying(p);
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        if (x->state != EXECUTOR_READY || x->worn)
            continue;
        if (staying > (size_t)config->executors) {
            staying--;
            pool_retire(p, x);
        }
    }
    pool_start_missing(p);
}
