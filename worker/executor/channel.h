/* SPDX-License-Identifier: MIT */
/*
 * channel: the executor's end of the socketpair.
 *
 * Reads large chunks, hands out whole frames, gathers what is to be sent. While a job runs, the
 * channel may still be looked at for an order to drain; nothing that a running job uses may
 * therefore point into it.
 *
 * Lives as long as the executor. Single thread; blocks only where said.
 */
#ifndef WORKER_EXECUTOR_CHANNEL_H
#define WORKER_EXECUTOR_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"
#include "base/buf.h"
#include "worker/frame.h"

struct channel {
    int fd;
    struct buf in;
    size_t at;      /* before it: consumed */
    size_t scanned; /* before it: whole frames looked at by channel_sees_drain() */
    struct buf out; /* append frames here */
    bool ended;     /* the supervisor is gone */
};

/* Borrows fd. */
void channel_init(struct channel *c, int fd);
void channel_done(struct channel *c);

/*
 * The next whole frame; its body is valid until the next channel_fill(). JOBQ_ENOTFOUND: more bytes
 * are needed. JOBQ_EPROTO: the stream is broken for good.
 */
MUST_CHECK int channel_next(struct channel *c, struct frame *out, jobq_err *err);

/* Reads what is there, waiting for the first byte if asked to. JOBQ_ECONN: the supervisor is gone.
 * JOBQ_ENOMEM. */
MUST_CHECK int channel_fill(struct channel *c, bool wait, jobq_err *err);

/* Sends all of out, waiting as long as it takes. JOBQ_ECONN: the supervisor is gone. JOBQ_ENOMEM:
 * out had failed. */
MUST_CHECK int channel_flush(struct channel *c, jobq_err *err);

/* Whether FRAME_DRAIN, or the end of the stream, waits anywhere in what was sent to us. Never
 * blocks. */
bool channel_sees_drain(struct channel *c);

#endif
