/* SPDX-License-Identifier: MIT */
/*
 * children: the jobs that a running job enqueues, gathered until it is known to be done.
 *
 * They are kept as FRAME_CHILD frames, ready to be sent. For the done row they are packed: one byte
 * of version, then the frames. Ids are derived from the parent's, so a rerun makes the same ones.
 * Single thread.
 */
#ifndef WORKER_EXECUTOR_CHILDREN_H
#define WORKER_EXECUTOR_CHILDREN_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/handler.h>
#include <jobq/job.h>

#include "base/base.h"
#include "base/buf.h"

#define CHILDREN_MAX 100000 /* of one job; the supervisor takes no more */

struct children {
    struct buf frames; /* FRAME_CHILD, one after the other */
    uint32_t count;
    uint32_t seq; /* the parent's, in every frame */
};

void children_init(struct children *c);
void children_done(struct children *c);
void children_clear(struct children *c, uint32_t seq);

/* Whose children they are, for what a child leaves out and for its id. */
struct children_parent {
    const jobq_id *id;
    const char *queue;
    size_t max_payload_bytes;
};
/* Checks and copies. JOBQ_EINVAL, JOBQ_ETOOBIG, JOBQ_ENOMEM with a text that names the field;
 * nothing is added then. */
MUST_CHECK int children_add(struct children *c, const struct children_parent *parent,
                            const jobq_child *child, jobq_err *err);

/* Appends the packed form; nothing when there are none. */
void children_pack(const struct children *c, struct buf *out);
/* Replaces what is there by what was packed. JOBQ_EPROTO: not ours, or damaged; JOBQ_ENOMEM. */
MUST_CHECK int children_unpack(struct children *c, const void *bytes, size_t len, jobq_err *err);

#endif
