/* SPDX-License-Identifier: MIT */
/*
 * host: the functions that a running handler may call (jobq_host of <jobq/handler.h>).
 *
 * Each checks that it is called in a job: a module's start() gets the same table, and may log,
 * read the configuration and find cells only. Single thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/executor/executor.h"

#define LOOK_EVERY_MS 10

/* Copies into r->text, valid and cut. */
static void keep_text(struct run *r, const char *text)
{
    (void)text_sanitize(text, strlen(text), r->text, sizeof(r->text));
}

static void host_log(void *ctx, int level, const char *text)
{
    struct run *r = ctx;

    if (text == NULL)
        return;
    if (r->handler == NULL && level >= JOBQ_LOG_ERROR)
        (void)text_sanitize(text, strlen(text), r->last_error, sizeof(r->last_error));
    executor_log(r->ex, r->handler != NULL ? r->seq : 0, level, text);
}

static int host_should_stop(void *ctx)
{
    struct run *r = ctx;
    int64_t now;

    if (r->handler == NULL)
        return 0;
    now = clock_mono_ms();
    if (r->ex->draining || now >= r->view.soft_ms || run_was_told_to_stop(r))
        return 1;
    if (now - r->looked_ms >= LOOK_EVERY_MS) {
        r->looked_ms = now;
        r->ex->draining = channel_sees_drain(&r->ex->channel);
    }
    return r->ex->draining;
}

static void host_progress(void *ctx, int percent)
{
    struct run *r = ctx;
    uint8_t body = (uint8_t)MAX(0, MIN(100, percent));

    if (r->handler == NULL)
        return;
    frame_put(&r->ex->channel.out, FRAME_PROGRESS, r->seq, &body, 1);
    (void)!channel_flush(&r->ex->channel, NULL); /* a lost supervisor is seen by the loop */
}

static int host_set_result(void *ctx, const char *json, size_t len)
{
    struct run *r = ctx;

    if (r->handler == NULL || json == NULL || len > RUN_RESULT_MAX ||
        json_check_value(json, len, NULL) != JOBQ_OK)
        return -1;
    buf_clear(&r->result);
    buf_append(&r->result, json, len);
    return r->result.failed ? -1 : 0;
}

static int host_enqueue(void *ctx, const jobq_child *child)
{
    struct run *r = ctx;
    struct children_parent parent;
    jobq_err err;

    if (r->handler == NULL || child == NULL)
        return -1;
    parent = (struct children_parent){&r->id, r->queue, r->ex->max_payload_bytes};
    if (children_add(&r->children, &parent, child, &err) == JOBQ_OK)
        return 0;
    keep_text(r, err.msg);
    return -1;
}

static bool wants_pg(const struct run *r)
{
    return r->handler != NULL && (r->handler->flags & JOBQ_HANDLER_PG) != 0 && r->ex->pg != NULL;
}

static struct pg_conn *host_pg(void *ctx)
{
    struct run *r = ctx;
    struct pg_conn *conn;
    char why[256];

    if (!wants_pg(r)) {
        host_log(ctx, JOBQ_LOG_ERROR, "pg(): the type is not flagged JOBQ_HANDLER_PG");
        return NULL;
    }
    conn = r->ex->pg_calls->conn(r->ex->pg, why, sizeof(why));
    if (conn == NULL)
        host_log(ctx, JOBQ_LOG_ERROR, why);
    return conn;
}

static int host_complete(void *ctx)
{
    struct run *r = ctx;
    char why[256];
    int rc;

    if (!wants_pg(r) || (r->handler->flags & JOBQ_HANDLER_MANUAL) == 0) {
        if (r->handler != NULL)
            keep_text(r, "complete(): the type is not flagged JOBQ_HANDLER_MANUAL");
        return -1;
    }
    rc = r->ex->pg_calls->complete(r->ex->pg, &r->children, why, sizeof(why));
    if (rc < 0)
        keep_text(r, why);
    return rc;
}

static void host_set_text(void *ctx, const char *text)
{
    struct run *r = ctx;

    if (r->handler != NULL)
        keep_text(r, text != NULL ? text : "");
}

static void host_set_delay(void *ctx, int64_t delay_ms)
{
    struct run *r = ctx;

    r->delay_ms = MAX(delay_ms, (int64_t)0);
}

static const char *host_config(void *ctx, const char *key)
{
    const struct run *r = ctx;

    return key != NULL ? settings_get(&r->ex->settings, key) : NULL;
}

static uint64_t *host_cell(void *ctx, const char *name)
{
    const struct run *r = ctx;

    if (name == NULL || r->ex->cells == NULL)
        return NULL;
    return (uint64_t *)(uintptr_t)cells_find(r->ex->cells, name); /* handlers know no _Atomic */
}

void host_init(struct run *r)
{
    r->host = (jobq_host){
        .size = sizeof(r->host),
        .ctx = r,
        .log = host_log,
        .should_stop = host_should_stop,
        .progress = host_progress,
        .set_result = host_set_result,
        .enqueue = host_enqueue,
        .pg = host_pg,
        .complete = host_complete,
        .set_text = host_set_text,
        .set_delay = host_set_delay,
        .config = host_config,
        .cell = host_cell,
    };
}

void host_forget(struct run *r)
{
    children_clear(&r->children, r->seq);
    buf_clear(&r->result);
    r->text[0] = '\0';
    r->delay_ms = -1;
}

const char *host_last_error(void *ctx)
{
    const struct run *r = ctx;

    return r->last_error;
}
