/* SPDX-License-Identifier: MIT */
/*
 * inspect_entry: what inspect_job.c, inspect_find.c and inspect_walk.c share: one place of one
 * partition, and an entry read there.
 */
#ifndef BROKER_INSPECT_ENTRY_H
#define BROKER_INSPECT_ENTRY_H

#include "broker/inspect.h"

struct redisReply;

/* The stream of a lane, of dead or of parked; not for INSPECT_LATER. */
const char *inspect_stream_key(const struct shard_keys *k, int where);
/* One element [id, [name, value…]] of XRANGE into *j, which borrows its bytes; false: not of that
 * shape. */
bool inspect_read_entry(const struct redisReply *e, const struct shard_keys *k, int where,
                        struct inspect_job *j);
/* A value of `held` into *j, which borrows its bytes; false: it is none. */
bool inspect_read_held(const struct redisReply *value, const struct shard_keys *k,
                       const jobq_id *id, int64_t due_ms, struct inspect_job *j);
/* The last entry that XINFO GROUPS says was delivered; 0-0: none, or no group yet. */
struct entry_id inspect_last_delivered(const struct redisReply *groups);
/* How many entries the next page may have, judged by those of this one. */
size_t inspect_next_count(const struct redisReply *const *replies, size_t n, size_t entries);
/* As inspect_at(), in a partition at hand. */
MUST_CHECK int inspect_at_entry(const struct inspect *in, const struct shard_keys *k, int where,
                                const struct entry_id *entry, struct inspect_job *out, bool *found,
                                jobq_err *err);
MUST_CHECK int inspect_at_later(const struct inspect *in, const struct shard_keys *k,
                                const jobq_id *id, struct inspect_job *out, bool *found,
                                jobq_err *err);

#endif
