/* SPDX-License-Identifier: MIT */
/*
 * worker_info: what workers say of themselves in all their partitions, put together: one row of
 * JSON for each worker, beside what Redis says of it.
 *
 * What they say is checked member by member; what is not of its form counts as not told. One
 * thread.
 */
#ifndef ADMIN_JOBCTL_WORKER_INFO_H
#define ADMIN_JOBCTL_WORKER_INFO_H

#include <jansson.h>
#include <stdint.h>

#include <jobq/error.h>

#include "admin/jobctl/session.h"
#include "base/base.h"

/* Workers of some partitions, by name. */
struct worker_rows {
    json_t *rows;   /* array of objects; each has "running" (an array of its jobs, oldest first) */
    int64_t now_ms; /* Redis's clock */
};

/* Caller frees with worker_rows_free(). */
MUST_CHECK int worker_rows_read(const struct inspect *in, const struct session_shards *shards,
                                struct worker_rows *out, jobq_err *err);
void worker_rows_free(struct worker_rows *w); /* of a zeroed one too */

#endif
