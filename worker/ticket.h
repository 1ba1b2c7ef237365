/* SPDX-License-Identifier: MIT */
/*
 * ticket: what an answer of Redis belongs to: a partition and an incarnation, so that answers to an
 * older incarnation are ignored. One for each command of the upkeep (watch.c, peers.c, audit.c),
 * freed by its callback. Single thread.
 */
#ifndef WORKER_TICKET_H
#define WORKER_TICKET_H

#include "worker/link.h"
#include "worker/state.h"

struct ticket {
    struct shard *shard;
    uint64_t generation;
    int64_t sent_ms;
    int64_t sent_us; /* of a beat: exactly */
    enum lane lane;
    struct entry_id entry;
    char victim[INCARNATION_SIZE];
};

/* NULL when out of memory. Freed with mem_free(). */
MUST_CHECK struct ticket *ticket_new(struct shard *shard);
bool ticket_is_current(const struct ticket *t);
/* Where the commands of a partition are appended. */
struct buf *ticket_out(struct shard *shard);
/* Names who reads the answer to the command just appended. */
void ticket_expect(struct shard *shard, link_reply_fn fn, struct ticket *t);
int64_t ticket_now(const struct shard *shard);
/* A parser's return code: being fenced and errors are dealt with; true: go on. */
bool ticket_accept(struct supervisor *s, const struct redisReply *r, int rc, const char *what,
                   const jobq_err *err);

#endif
