/* SPDX-License-Identifier: MIT */
/*
 * watch: the upkeep of every partition that exists, whether we claim from it or not: registering,
 * moving due jobs, sweeping, walking the parked; and when peers.c and audit.c have their turn.
 */
#ifndef WORKER_WATCH_H
#define WORKER_WATCH_H

#include <stdint.h>

struct shard;
struct supervisor;

/* All periodic upkeep that is due. */
void watch_run(struct supervisor *s, int64_t now_ms);
int64_t watch_due_ms(const struct supervisor *s, int64_t now_ms);
/* A message on a partition's wake channel: the due time that is the earliest now. */
void watch_wake(struct supervisor *s, const char *channel, const char *message);
/* Redis lost the groups of a partition: makes them again, at 0. */
void watch_create_groups(struct shard *shard);

#endif
