/* SPDX-License-Identifier: MIT */
/*
 * top_model: what top shows, as JSON: queues with their depths, rates and latencies, workers, and
 * their sums. A rate is of the last 60 seconds, the part of them that lies in the minute before
 * taken as even; a latency is of that minute and this one, estimated within its bucket.
 */
#ifndef ADMIN_JOBCTL_TOP_MODEL_H
#define ADMIN_JOBCTL_TOP_MODEL_H

#include <jansson.h>
#include <stdint.h>

#include <jobq/error.h>

#include "admin/jobctl/session.h"
#include "base/base.h"

/* {"at_ms", "redis", "totals": {…}, "queues": […], "workers": […], "running": […]}. queue NULL: all
 * of them. The caller's. */
MUST_CHECK int top_model_read(struct session *s, const char *queue, json_t **out, jobq_err *err);
/* The time that so many percent of a histogram's entries did not exceed; -1: it has none. */
int64_t top_model_percentile(const int64_t *buckets, int percent);

#endif
