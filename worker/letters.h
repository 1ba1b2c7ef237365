/* SPDX-License-Identifier: MIT */
/*
 * letters: dead letters are kept in a bounded number and for a bounded time (dead_max,
 * dead_retention). The first jobd of a partition sees to it, a few hundred a step; no letter goes
 * before the log has said that some will.
 */
#ifndef WORKER_LETTERS_H
#define WORKER_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* Part of a shard. */
struct shard_letters {
    bool asking;
    bool announced; /* at announced_ms: the log said that the limit is near */
    int64_t due_ms, announced_ms;
};

/* Looks, or drops some, if that is due and ours to do. */
void letters_run(struct shard *shard, int64_t now_ms);
int64_t letters_due_ms(const struct shard *shard);

#endif
