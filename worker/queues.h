/* SPDX-License-Identifier: MIT */
/*
 * queues: which queues exist (jobq:queues, asked for once a lease, so that nobody scans), their
 * partitions as shards, and which of them this jobd claims from.
 */
#ifndef WORKER_QUEUES_H
#define WORKER_QUEUES_H

#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct shard;
struct supervisor;

/* The queues of the configuration: made if new, weights changed, those no longer named are not
 * claimed from. */
MUST_CHECK int queues_configure(struct supervisor *s, jobq_err *err);
/* When due: registers our queues and asks which there are. */
void queues_ask(struct supervisor *s, int64_t now_ms);
/* One of ours whose partitions jobq:queues has not told yet; NULL: there is none. */
const char *queues_unknown(const struct supervisor *s);
/* A new incarnation: registers anew, with a fresh lease. */
MUST_CHECK int queues_reset_shard(struct shard *shard, jobq_err *err);
/* Subscribes to the wake-up channels not subscribed yet. */
void queues_subscribe(struct supervisor *s);
void queues_free(struct supervisor *s);

#endif
