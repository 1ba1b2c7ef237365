/* SPDX-License-Identifier: MIT */
#include "worker/executors.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "worker/observe.h"
#include "worker/pool.h"
#include "worker/state.h"

static void learn_types(struct supervisor *s, const struct frame_type *types, size_t n)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_append_char(&text, ' ');
        buf_append(&text, types[i].name.bytes, types[i].name.len);
        if (map_put(s->types, types[i].name.bytes, types[i].name.len, s))
            log_event(LOG_ERROR, "types.no_memory", LOG_END);
    }
    if (!n)
        buf_append_str(&text, "");
    size_t len;
    char *stolen = text.failed ? NULL : buf_steal(&text, &len);
    s->types_text = stolen ? stolen : mem_strdup("");
    buf_done(&text);
    log_event(LOG_INFO, "types", LOG_STR("types", s->types_text), LOG_END);
}

static void on_executor_ready(void *ctx, struct executor *x, const struct frame_type *types,
                              size_t n)
{
    struct supervisor *s = ctx;
    struct dispatch_executor *turn;
    jobq_err err;
    if (!s->types_text)
        learn_types(s, types, n);
    if (dispatch_add_executor(s->dispatch, x, &turn, &err)) {
        log_event(LOG_ERROR, "executor.no_memory", LOG_END);
        pool_retire(s->pool, x);
        return;
    }
    executor_set_ctx(x, turn);
}

static void on_executor_progress(void *ctx, struct executor *x, bool running, int64_t started_ms)
{
    struct supervisor *s = ctx;
    if (executor_ctx(x)) /* none: there was no memory for it, it retires */
        dispatch_progress(s->dispatch, executor_ctx(x), running, started_ms);
}

static void on_job_ended(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    observe_ran(s, j);
    dispatch_finished(s->dispatch, executor_ctx(x), &j->turn, j->run_us);
    outcome_verdict(s, x, j);
}

static void on_job_crashed(void *ctx, struct executor *x, struct job *j, const char *why)
{
    struct supervisor *s = ctx;
    if (j->run_us)
        observe_ran(s, j);
    dispatch_lost(s->dispatch, executor_ctx(x), &j->turn);
    outcome_failed(s, j, RETRY_CRASHED, -1, why, strlen(why));
}

static void on_job_returned(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    j->stage = JOB_WAITING;
    dispatch_taken_back(s->dispatch, executor_ctx(x), &j->turn, loop_now(s->loop));
}

static void on_job_dropped(void *ctx, struct executor *x, struct job *j)
{
    struct supervisor *s = ctx;
    dispatch_lost(s->dispatch, executor_ctx(x), &j->turn);
}

static void on_executor_retiring(void *ctx, struct executor *x)
{
    struct supervisor *s = ctx;
    if (!executor_ctx(x))
        return;
    dispatch_executor_usable(s->dispatch, executor_ctx(x), false);
    pool_recall(s->pool, x);
}

static void on_executor_gone(void *ctx, struct executor *x)
{
    struct supervisor *s = ctx;
    if (!executor_ctx(x))
        return;
    dispatch_remove_executor(s->dispatch, executor_ctx(x));
    executor_set_ctx(x, NULL);
}

static void on_database(void *ctx, struct executor *x, bool ok, const char *text)
{
    struct supervisor *s = ctx;
    struct dispatch_executor *turn = executor_ctx(x);
    if (!turn || pool_is_retiring(x))
        return;
    dispatch_executor_usable(s->dispatch, turn, ok);
    if (!ok) {
        snprintf(s->database_text, sizeof(s->database_text), "%s", text);
        pool_recall(s->pool, x);
    }
}

static void on_start_failed(void *ctx, const char *why, bool hopeless)
{
    struct supervisor *s = ctx;
    log_event(LOG_ERROR, "executor.start_failed", LOG_STR("why", why), LOG_END);
    if (!hopeless)
        return;
    s->exit_status = 78;
    loop_stop(s->loop);
}

int executors_make_pool(struct supervisor *s, jobq_err *err)
{
    struct pool_hooks hooks = {
        .ctx = s,
        .on_ready = on_executor_ready,
        .on_progress = on_executor_progress,
        .on_ended = on_job_ended,
        .on_crashed = on_job_crashed,
        .on_returned = on_job_returned,
        .on_dropped = on_job_dropped,
        .on_retiring = on_executor_retiring,
        .on_gone = on_executor_gone,
        .on_database = on_database,
        .on_start_failed = on_start_failed,
    };
    return pool_new(s->loop, s->config, &hooks, &s->pool, err);
}
