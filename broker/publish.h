/* SPDX-License-Identifier: MIT */
/*
 * publish: what a worker tells those who look: durations of the minute, events, and whether anybody
 * listens (docs/protocol.md, "What jobd publishes"). Each function appends commands to an output
 * buffer. No I/O.
 */
#ifndef BROKER_PUBLISH_H
#define BROKER_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"
#include "broker/keys.h"

struct buf;
struct redisReply;

#define PUBLISH_BUCKETS 25 /* bucket k: at most 2^k ms; the last one also everything longer */

/* Durations since they were last sent. */
struct publish_time {
    int64_t count, sum_us;
    int64_t buckets[PUBLISH_BUCKETS];
};
struct publish_times {
    struct publish_time run, wait;
};

void publish_add(struct publish_time *t, int64_t us);
/* Adds them to the stats of the minute and starts again from 0 (the microseconds left over are
 * kept); how many replies will come, 0: there was nothing to tell. */
size_t publish_append_times(struct buf *out, const struct shard_keys *k, int64_t minute,
                            struct publish_times *t);
/* PUBLISH of lines to the partition's channel of events: one reply. */
void publish_append_events(struct buf *out, const struct shard_keys *k, const char *lines,
                           size_t len);
/* Listeners at the channel of events, element i of the reply of PUBSUB NUMSUB; -1: not of that
 * channel. */
int64_t publish_listeners(const struct redisReply *r, size_t i, const struct shard_keys *k);

/* How much waits in a partition. */
struct publish_depth {
    int64_t ready[LANE_COUNT];     /* not delivered to anybody */
    int64_t oldest_ms[LANE_COUNT]; /* since when the oldest of them is ready, Unix ms; -1: none */
    int64_t delayed, dead, parked;
};
void publish_ask_depth(struct buf *out, const struct shard_keys *k);
MUST_CHECK int publish_depth_reply(const struct redisReply *r, struct publish_depth *out,
                                   jobq_err *err);

#endif
