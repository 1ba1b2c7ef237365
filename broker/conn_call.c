/* SPDX-License-Identifier: MIT */
/*
 * conn_call: the half of conn.h for blocking callers: the steps of the other half, with poll()
 * between them and an exact deadline. No state of its own.
 */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/error.h"
#include "broker/conn.h"

#define POLL_MAX_MS 60000

int conn_wait(struct conn *c, int64_t deadline_ms, jobq_err *err)
{
    int64_t left = deadline_ms - clock_mono_ms();
    int64_t soon = conn_poll_ms(c);
    uint32_t events = conn_events(c);
    struct pollfd p = {.fd = conn_fd(c)};

    if (left <= 0) {
        conn_close(c);
        return error_set(err, JOBQ_ETIMEDOUT, "no answer from Redis at %s in time", conn_where(c));
    }
    if (soon >= 0)
        left = MIN(left, soon);
    if ((events & EPOLLIN) != 0)
        p.events |= POLLIN;
    if ((events & EPOLLOUT) != 0)
        p.events |= POLLOUT;
    /* EINTR: the caller comes again */
    (void)poll(&p, p.fd >= 0 ? 1 : 0, (int)MIN(left, POLL_MAX_MS));
    return conn_step(c, err);
}

int conn_connect(struct conn *c, int64_t deadline_ms, jobq_err *err)
{
    int code = JOBQ_OK;

    if (conn_state(c) == CONN_DOWN)
        code = conn_start(c, err);
    while (code == JOBQ_OK && conn_state(c) != CONN_READY)
        code = conn_wait(c, deadline_ms, err);
    return code;
}

int conn_call_many(struct conn *c, int64_t deadline_ms, size_t n, conn_reply_fn fn, void *ctx,
                   size_t *done, jobq_err *err)
{
    *done = 0;
    conn_mark(c);
    int code = conn_flush(c, err);
    while (code == JOBQ_OK && *done < n) {
        redisReply *reply = NULL;
        code = conn_next(c, &reply, err);
        if (code == JOBQ_OK && reply != NULL)
            fn(ctx, (*done)++, reply);
        else if (code == JOBQ_OK)
            code = conn_wait(c, deadline_ms, err);
    }
    return code;
}

static void keep_reply(void *ctx, size_t i, struct redisReply *reply)
{
    struct redisReply **out = ctx;

    (void)i;
    *out = reply;
}

int conn_call(struct conn *c, int64_t deadline_ms, struct redisReply **out, jobq_err *err)
{
    size_t done;

    return conn_call_many(c, deadline_ms, 1, keep_reply, out, &done, err);
}
