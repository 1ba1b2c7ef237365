/* SPDX-License-Identifier: MIT */
/*
 * peers: carries out what lease.c decides about one partition: beats, looks at others, fences and
 * reaps the dead.
 */
#ifndef WORKER_PEERS_H
#define WORKER_PEERS_H

#include <stdint.h>

struct shard;

/* Whatever is due now. The shard must be registered. */
void peers_run(struct shard *shard, int64_t now_ms);

#endif
