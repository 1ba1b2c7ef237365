/* SPDX-License-Identifier: MIT */
/*
 * keys: every Redis key name, with its Cluster hash tag. Nothing else spells a key. Pure, but for
 * allocation.
 */
#ifndef BROKER_KEYS_H
#define BROKER_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/job.h>

#include "base/base.h"

/* The streams of a partition, in the order in which they are served. */
enum lane { LANE_RECOVERED, LANE_HIGH, LANE_NORMAL, LANE_LOW, LANE_COUNT };

#define KEYS_PREFIX_DEFAULT "jobq"
#define KEYS_GROUP "jobq" /* the one consumer group of every lane */
#define KEYS_PARTITIONS_MAX 256

/* The keys of one partition of one queue; all strings NUL-terminated, owned by the struct. */
struct shard_keys {
    char queue[JOBQ_NAME_MAX + 1];
    unsigned partition;
    char *base;              /* "jobq:{Q:P}" */
    char *lanes[LANE_COUNT]; /* base:ready:<lane> */
    char *later, *held, *alive, *dead, *parked, *control, *types, *info, *cancelled;
    char *audit, *totals; /* what operators did, and how many jobs it changed */
    char *wake, *events;  /* channels */
};

/* "recovered", "high", "normal", "low". */
const char *keys_lane_name(enum lane lane);
/* The lane a job with these header flags belongs to (never LANE_RECOVERED). */
enum lane keys_lane_of_flags(uint8_t flags);

/* prefix NULL: the default. Caller frees with keys_done(). JOBQ_ENOMEM; JOBQ_EINVAL: a name outside
 * the alphabet. */
MUST_CHECK int keys_init(struct shard_keys *k, const char *prefix, const char *queue,
                         unsigned partition, jobq_err *err);
void keys_done(struct shard_keys *k);

/* These write into out (NUL-terminated) and return the length; out_size KEYS_MAX always
 * suffices. */
#define KEYS_MAX 512
size_t keys_stats(const struct shard_keys *k, int64_t minute, char *out, size_t out_size);
size_t keys_unique(const struct shard_keys *k, const char *unique, size_t len, char *out,
                   size_t out_size);
size_t keys_queues(const char *prefix, char *out, size_t out_size); /* "jobq:queues" */
size_t keys_node(const char *prefix, const char *incarnation, char *out,
                 size_t out_size); /* "jobq:node:<inc>" */

/* CRC16 of the unique key (if any), else of the 16 id bytes, modulo partitions (Redis Cluster's
 * CRC16, XMODEM). */
unsigned keys_partition(const jobq_id *id, const char *unique, size_t unique_len,
                        unsigned partitions);
uint16_t keys_crc16(const void *bytes, size_t len);

#endif
