/* SPDX-License-Identifier: MIT */
/*
 * channel: the executor's end of the socketpair. See channel.h.
 *
 * The input buffer holds at most one unfinished frame and one chunk beyond it. Single thread.
 */
#include "worker/executor/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/error.h"

#define CHUNK ((size_t)128 * 1024)
#define KEEP_MAX ((size_t)1024 * 1024) /* a larger buffer is given back once it is empty */
#define LOOK_AHEAD_MAX ((size_t)4 * 1024 * 1024)

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){.fd = fd};
    buf_init(&c->in, FRAME_MAX + LOOK_AHEAD_MAX + 2 * CHUNK);
    /* The children of one job, and their envelope. */
    buf_init(&c->out, FRAME_MAX + 2 * CHUNK);
}

void channel_done(struct channel *c)
{
    buf_done(&c->in);
    buf_done(&c->out);
}

int channel_next(struct channel *c, struct frame *out, jobq_err *err)
{
    size_t left = c->in.len - c->at;
    size_t used = 0;
    int rc;

    if (left == 0)
        return JOBQ_ENOTFOUND;
    rc = frame_next(c->in.data + c->at, left, out, &used, err);
    if (rc != JOBQ_OK)
        return rc;
    if (used == 0)
        return JOBQ_ENOTFOUND;
    c->at += used;
    c->scanned = MAX(c->scanned, c->at);
    return JOBQ_OK;
}

static void drop_consumed(struct channel *c)
{
    if (c->at == 0)
        return;
    if (c->at == c->in.len && c->in.cap > KEEP_MAX)
        buf_done(&c->in);
    else
        buf_consume(&c->in, c->at);
    c->scanned -= c->at;
    c->at = 0;
}

static int wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};

    while (poll(&p, 1, -1) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return 0;
}

int channel_fill(struct channel *c, bool wait, jobq_err *err)
{
    ssize_t n;
    void *room;

    drop_consumed(c);
    room = buf_reserve(&c->in, CHUNK);
    if (room == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for %zu more bytes from jobd", CHUNK);
    for (;;) {
        n = recv(c->fd, room, CHUNK, wait ? 0 : MSG_DONTWAIT);
        if (n > 0) {
            c->in.len += (size_t)n;
            return JOBQ_OK;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (!wait)
                return JOBQ_OK;
            if (wait_for(c->fd, POLLIN) == 0)
                continue;
        }
        c->ended = true;
        return error_set(err, JOBQ_ECONN, "jobd is gone: %s",
                         n == 0 ? "end of stream" : strerror(errno));
    }
}

int channel_flush(struct channel *c, jobq_err *err)
{
    size_t sent = 0;

    if (c->out.failed) {
        buf_clear(&c->out);
        return error_set(err, JOBQ_ENOMEM, "no memory for what jobd must be told");
    }
    while (sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL);

        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        if (errno == EINTR || (errno == EAGAIN && wait_for(c->fd, POLLOUT) == 0))
            continue;
        c->ended = true;
        return error_set(err, JOBQ_ECONN, "jobd is gone: %s", strerror(errno));
    }
    if (c->out.cap > KEEP_MAX)
        buf_done(&c->out);
    else
        buf_clear(&c->out);
    return JOBQ_OK;
}

/* Walks the whole frames behind scanned. */
static bool scan(struct channel *c)
{
    struct frame f;
    size_t used = 0;

    c->scanned = MAX(c->scanned, c->at);
    while (c->scanned < c->in.len) {
        if (frame_next(c->in.data + c->scanned, c->in.len - c->scanned, &f, &used, NULL) != JOBQ_OK)
            return false; /* channel_next() says so when it gets there */
        if (used == 0)
            return false;
        if (f.kind == FRAME_DRAIN)
            return true; /* scanned stays before it: asked again, the answer is the same */
        c->scanned += used;
    }
    return false;
}

bool channel_sees_drain(struct channel *c)
{
    if (c->ended || scan(c))
        return true;
    for (;;) {
        size_t before;

        if (c->in.len - c->at > LOOK_AHEAD_MAX)
            return false;
        drop_consumed(c);
        before = c->in.len;
        if (channel_fill(c, false, NULL) != JOBQ_OK)
            return c->ended;
        if (c->in.len == before)
            return false;
        if (scan(c))
            return true;
    }
}
