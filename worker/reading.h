/* SPDX-License-Identifier: MIT */
/*
 * reading: XREADGROUP, without blocking on the command connection and blocking on the reader: what
 * dispatch asks for, and what became of it.
 */
#ifndef WORKER_READING_H
#define WORKER_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard_lane;
struct supervisor;

/* Asks one lane for at most count jobs. */
void reading_read(struct supervisor *s, struct shard_lane *lane, size_t count);
/* Arms the blocking reader on all lanes of all partitions we claim from. */
void reading_block(struct supervisor *s);
/* Ends a blocked read at once; its answer still comes, and what it brought with it. */
void reading_unblock(struct supervisor *s);
void reading_reader_down(struct supervisor *s);
/* Answers to come belong to an old incarnation: forget that we wait for them. */
void reading_reset(struct supervisor *s);
/* A blocked read that outlived its time is broken off; without a reader the lanes are asked again
 * now and then. */
void reading_check(struct supervisor *s, int64_t now_ms);
int64_t reading_due_ms(const struct supervisor *s);
void reading_free(struct supervisor *s);

#endif
