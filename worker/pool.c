/* SPDX-License-Identifier: MIT */
#include "worker/pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/child.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/cells.h"
#include "worker/frame.h"
#include "worker/job.h"
#include "worker/pool_private.h"

#define BUSY_TICK_MS 2   /* while an executor holds several jobs: their ends are seen in the page */
#define LIMIT_TICK_MS 50 /* how exactly time limits are kept */
#define MEMORY_TICK_MS 1000

static void on_tick(void *ctx, int64_t now_ms);

int pool_new(struct loop *loop, const struct worker_config *config, const struct pool_hooks *hooks,
             struct pool **out, jobq_err *err)
{
    int rc;
    struct pool *p = mem_zalloc(1, sizeof(*p));
    if (!p)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    p->loop = loop;
    p->cells_fd = -1;
    p->config = config;
    p->hooks = *hooks;
    list_init(&p->executors);
    if ((rc = cells_new(&p->cells_fd, err)))
        goto out;
    if ((rc = loop_timer_new(loop, on_tick, p, &p->tick, err)))
        goto out;
    rc = loop_timer_new(loop, pool_respawn, p, &p->respawn, err);
out:
    if (rc)
        pool_free(p);
    else
        *out = p;
    return rc;
}

void pool_set_nice(struct pool *p, int nice)
{
    p->nice = nice;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    LIST_FOR_EACH (node, &p->executors)
        executor_free(LIST_ENTRY(node, struct executor, node));
    loop_timer_free(p->tick);
    loop_timer_free(p->respawn);
    if (p->cells_fd >= 0)
        close(p->cells_fd);
    mem_free(p);
}

/* ---- counting ---- */

size_t pool_alive(const struct pool *p)
{
    return p->alive;
}

size_t pool_ready(const struct pool *p)
{
    size_t n = 0;
    LIST_FOR_EACH (node, &p->executors)
        n += LIST_ENTRY(node, struct executor, node)->state == EXECUTOR_READY;
    return n;
}

size_t pool_without_database(const struct pool *p)
{
    size_t n = 0;
    LIST_FOR_EACH (node, &p->executors) {
        const struct executor *x = LIST_ENTRY(node, struct executor, node);
        n += x->state == EXECUTOR_READY && x->database_down;
    }
    return n;
}

size_t pool_held(const struct pool *p)
{
    size_t n = 0;
    LIST_FOR_EACH (node, &p->executors)
        n += LIST_ENTRY(node, struct executor, node)->held;
    return n;
}

bool pool_has(const struct pool *p, const struct executor *x)
{
    LIST_FOR_EACH (node, &p->executors)
        if (LIST_ENTRY(node, struct executor, node) == x)
            return true;
    return false;
}

const struct pool_counts *pool_counts(const struct pool *p)
{
    return &p->counts;
}

void pool_each(const struct pool *p, void (*fn)(void *ctx, const struct pool_view *v), void *ctx)
{
    LIST_FOR_EACH (node, &p->executors) {
        const struct executor *x = LIST_ENTRY(node, struct executor, node);
        struct pool_view v = {.pid = x->pid,
                              .state = x->held ? POOL_BUSY : POOL_IDLE,
                              .memory_bytes = x->memory_bytes};
        if (x->state == EXECUTOR_DEAD)
            continue;
        if (x->state == EXECUTOR_STARTING)
            v.state = POOL_STARTING;
        else if (x->state == EXECUTOR_RETIRING)
            v.state = POOL_LEAVING;
        if (x->running && !list_is_empty(&x->handed)) {
            v.running = LIST_ENTRY(x->handed.next, struct job, node);
            v.started_ms = x->started_ms;
        }
        fn(ctx, &v);
    }
}

bool pool_is_retiring(const struct executor *x)
{
    return x->state == EXECUTOR_RETIRING;
}

void *executor_ctx(const struct executor *x)
{
    return x->ctx;
}

void executor_set_ctx(struct executor *x, void *ctx)
{
    x->ctx = ctx;
}

/* ---- what the page tells ---- */

static void end_job(struct pool *p, struct executor *x, struct job *j)
{
    list_remove(&j->node);
    x->held--;
    x->jobs_run++;
    j->run_us =
        atomic_load_explicit(&x->page->run_us[j->seq % FRAME_HELD_MAX], memory_order_relaxed);
    p->hooks.on_ended(p->hooks.ctx, x, j);
}

/* Everything up to done has ended, its frames are read. False: the page makes no sense. */
static bool take_done(struct pool *p, struct executor *x, uint32_t done)
{
    if (done == x->done)
        return true;
    if ((int32_t)(done - x->done) < 0 || (int32_t)(done - x->last_handed) > 0)
        return false;
    x->done = done;
    for (;;) {
        struct job *j = LIST_FIRST(&x->handed, struct job, node);
        if (!j || (int32_t)(j->seq - done) > 0)
            return true;
        end_job(p, x, j);
    }
}

void pool_check_page(struct pool *p, struct executor *x)
{
    if (x->state == EXECUTOR_DEAD)
        return;
    /* done first, then the frames: whatever was said before `done` moved has arrived by then. */
    uint32_t done = frame_page_done(x->page);
    uint32_t started = frame_page_started(x->page);
    int64_t started_ms = atomic_load_explicit(&x->page->started_ms, memory_order_relaxed);
    if (!executor_read_frames(p, x))
        return;
    if (!take_done(p, x, done)) {
        pool_kill_executor(x, "its shared page is corrupt");
        return;
    }
    struct job *head = LIST_FIRST(&x->handed, struct job, node);
    x->running = head && head->seq == started;
    x->started_ms = x->running ? started_ms : 0;
    p->hooks.on_progress(p->hooks.ctx, x, x->running, x->started_ms);
}

/* ---- limits ---- */

void pool_kill_executor(struct executor *x, const char *why)
{
    if (!x->why[0])
        snprintf(x->why, sizeof(x->why), "%s", why);
    child_signal_group(&x->process, SIGKILL);
}

void pool_retire(struct pool *p, struct executor *x)
{
    if (x->state != EXECUTOR_READY)
        return;
    x->state = EXECUTOR_RETIRING;
    p->hooks.on_retiring(p->hooks.ctx, x);
    loop_timer_arm(p->tick, loop_now(p->loop));
}

static void on_tick(void *ctx, int64_t now_ms)
{
    struct pool *p = ctx;
    bool look_at_memory = now_ms >= p->memory_due_ms;
    if (look_at_memory)
        p->memory_due_ms = now_ms + MEMORY_TICK_MS;
    bool busy = false, several = false, leaving = false;
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        if (x->held)
            pool_check_page(p, x);
        executor_enforce_limits(x, now_ms);
        executor_recycle_worn(p, x, look_at_memory);
        executor_dismiss_idle(x, now_ms);
        busy |= x->held > 0;
        several |= x->held > 1;
        leaving |= x->state == EXECUTOR_RETIRING || x->state == EXECUTOR_STARTING;
    }
    int64_t pause = several ? BUSY_TICK_MS : busy || leaving ? LIMIT_TICK_MS : MEMORY_TICK_MS;
    loop_timer_arm(p->tick, now_ms + pause);
    p->tick_ms = now_ms + pause;
}

static void tick_within(struct pool *p, int64_t pause_ms)
{
    int64_t due = loop_now(p->loop) + pause_ms;
    if (due >= p->tick_ms && loop_timer_is_armed(p->tick))
        return;
    p->tick_ms = due;
    loop_timer_arm(p->tick, due);
}

/* ---- handing over and taking back ---- */

void pool_hand(struct pool *p, struct executor *x, struct job *j)
{
    ASSERT(x->state == EXECUTOR_READY && x->held < FRAME_HELD_MAX);
    if (++x->last_handed == 0)
        x->last_handed = 1;
    j->seq = x->last_handed;
    j->stage = JOB_HANDED;
    list_push_back(&x->handed, &j->node);
    x->held++;
    struct frame_job f = {
        .soft_ms = j->soft_ms,
        .hard_ms = j->hard_ms,
        .max_attempts = j->limits.max_attempts,
        .enqueued_ms = j->enqueued_ms,
        .queue = job_queue_name(j),
        .h = {j->h, j->h_len},
        .p = {j->p, j->p_len},
    };
    frame_put_job(&x->out, j->seq, &f);
    x->unflushed = true;
    p->unflushed = true;
    tick_within(p, x->held > 1 ? BUSY_TICK_MS : LIMIT_TICK_MS);
}

void pool_flush(struct pool *p)
{
    if (!p->unflushed)
        return;
    p->unflushed = false;
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        if (x->unflushed)
            executor_flush(x);
    }
}

/* What has not started, last first, so that pushing each to the front of a queue keeps the
 * order. */
static void return_unstarted(struct pool *p, struct executor *x, uint32_t started)
{
    for (;;) {
        if (list_is_empty(&x->handed))
            return;
        struct job *j = LIST_ENTRY(x->handed.prev, struct job, node);
        if ((int32_t)(j->seq - started) <= 0)
            return;
        list_remove(&j->node);
        x->held--;
        p->hooks.on_returned(p->hooks.ctx, x, j);
    }
}

void pool_recall(struct pool *p, struct executor *x)
{
    if (x->state == EXECUTOR_STARTING || x->state == EXECUTOR_DEAD)
        return;
    return_unstarted(p, x, frame_page_recall(x->page, x->last_handed));
}

void pool_children_sent(struct pool *p, struct executor *x, const uint8_t id[16])
{
    frame_put(&x->out, FRAME_SENT, 0, id, 16);
    x->unflushed = true;
    p->unflushed = true;
}

/* ---- death ---- */

static uint32_t run_time_us(const struct pool *p, const struct executor *x)
{
    int64_t us = (loop_now(p->loop) - x->started_ms) * 1000;
    return (uint32_t)MIN(MAX(us, 1), (int64_t)UINT32_MAX);
}

void pool_settle(struct pool *p, struct executor *x, const char *why)
{
    /* Its last words first: what ended before it died, ended. */
    uint32_t done = frame_page_done(x->page);
    uint32_t started = frame_page_started(x->page);
    if (!executor_read_frames(p, x))
        /* Its outcome or its children may be among what was lost: what ended unheard counts as
         * crashed. */
        started = (int32_t)(done - started) > 0 ? done : started;
    else if (!take_done(p, x, done))
        log_event(LOG_ERROR, "executor.page_corrupt", LOG_INT("pid", x->pid), LOG_END);
    if ((int32_t)(started - x->last_handed) > 0)
        started = x->done;
    return_unstarted(p, x, started);
    for (;;) {
        struct job *j = LIST_FIRST(&x->handed, struct job, node);
        if (!j)
            return;
        list_remove(&j->node);
        x->held--;
        if (x->running) /* the first of them is the one that ran */
            j->run_us = run_time_us(p, x);
        x->running = false;
        p->hooks.on_crashed(p->hooks.ctx, x, j, why);
    }
}

void pool_start(struct pool *p)
{
    pool_start_missing(p);
    p->tick_ms = loop_now(p->loop) + LIMIT_TICK_MS;
    loop_timer_arm(p->tick, p->tick_ms);
}

/* ---- the end ---- */

void pool_drain(struct pool *p)
{
    p->draining = true;
    loop_timer_disarm(p->respawn);
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        if (x->state == EXECUTOR_STARTING)
            pool_kill_executor(x, "drain");
        else
            pool_retire(p, x);
    }
}

void pool_ask_to_stop(struct pool *p)
{
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        struct job *j = LIST_FIRST(&x->handed, struct job, node);
        if (j && x->asked_seq != j->seq) {
            x->asked_seq = j->seq;
            child_signal(&x->process, SIGTERM);
        }
    }
}

void pool_kill_all(struct pool *p)
{
    LIST_FOR_EACH (node, &p->executors) {
        struct executor *x = LIST_ENTRY(node, struct executor, node);
        if (x->disowned)
            continue;
        LIST_FOR_EACH (job_node, &x->handed) {
            list_remove(job_node);
            x->held--;
            p->hooks.on_dropped(p->hooks.ctx, x, LIST_ENTRY(job_node, struct job, node));
        }
        p->hooks.on_gone(p->hooks.ctx, x);
        x->disowned = true;
        x->state = EXECUTOR_DEAD;
        child_signal_group(&x->process, SIGKILL);
    }
    if (!p->draining)
        loop_timer_arm(p->respawn, loop_now(p->loop));
}
