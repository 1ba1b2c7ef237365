/* SPDX-License-Identifier: MIT */
/*
 * claim: what a worker says to one partition: register, beat, read, acknowledge, fail, leave; and
 * what it does for others: move due jobs, fence, reap, sweep, unpark. Each function appends one
 * command to an output buffer; each parser reads that command's reply. No I/O. Contracts of the
 * scripts stand at the head of each lua/<verb>.lua.
 *
 * Every parser gives JOBQ_OK, JOBQ_EFENCED (the caller was declared dead), JOBQ_ESTATE (the script
 * said no; see each), JOBQ_EREDIS (an error reply; err has its text), JOBQ_EPROTO (a reply of
 * another shape).
 */
#ifndef BROKER_CLAIM_H
#define BROKER_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "broker/codec.h"
#include "broker/keys.h"

struct buf;
struct redisReply;

/* Most entries one call of claim_ack(), claim_fail(), claim_unpark() may name; a claim_fail()
 * beyond 64 KiB of payload in all should hold one job only: scripts must stay near a
 * millisecond. */
#define CLAIM_BATCH_MAX 1024

/* ---- membership ---- */

/* types: space-separated. Reply: redis_ms. JOBQ_ESTATE: the name exists already (take a new
 * one). */
void claim_register(struct buf *out, const struct shard_keys *k, const char *name,
                    const char *types);
MUST_CHECK int claim_register_reply(const struct redisReply *r, int64_t *redis_ms, jobq_err *err);

/* XGROUP CREATE … 0 MKSTREAM for the four lanes: appends four commands, whose replies BUSYGROUP and
 * OK are fine. */
void claim_create_groups(struct buf *out, const struct shard_keys *k);

/* Raises the caller's counter if it exists and is not fenced. Reply: all of `alive`. info: what the
 * caller says of itself from now on (docs/protocol.md); NULL: nothing new. */
void claim_beat(struct buf *out, const struct shard_keys *k, const char *name, const char *info,
                size_t info_len);
struct claim_beat {
    int64_t redis_ms;
    int64_t counter;
    size_t peers;                   /* fields of `alive`, the caller's included */
    const struct redisReply *reply; /* borrowed: valid while the reply is */
};
struct claim_peer {
    const char *name; /* NUL-terminated, borrowed from the reply */
    size_t len;
    bool fenced;
    int64_t counter; /* unless fenced */
};
MUST_CHECK int claim_beat_reply(const struct redisReply *r, struct claim_beat *out, jobq_err *err);
bool claim_beat_peer(const struct claim_beat *b, size_t i, struct claim_peer *out);

/*
 * Gives back everything pending of the caller, of all lanes, to recovered with releases + 1; in the
 * call that finds none left the consumers and the fields in alive, types and info are deleted.
 * *more: call again.
 */
void claim_leave(struct buf *out, const struct shard_keys *k, const char *name);
MUST_CHECK int claim_leave_reply(const struct redisReply *r, bool *more, int64_t *released,
                                 jobq_err *err);

/* ---- reading ---- */

/* XREADGROUP GROUP jobq name COUNT count STREAMS lane > */
void claim_read(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                size_t count);
/*
 * XREADGROUP … COUNT 1 BLOCK block_ms STREAMS (the four lanes of each of n partitions) > >…;
 * block_ms > 0. With resource limits in mind n is at most KEYS_PARTITIONS_MAX.
 */
void claim_read_blocking(struct buf *out, const struct shard_keys *const *k, size_t n,
                         const char *name, int64_t block_ms);

/* One entry of a reply of XREADGROUP or XRANGE, borrowed from it. */
struct claim_entry {
    size_t shard; /* index into k of claim_read_blocking(); 0 for claim_read() */
    enum lane lane;
    struct entry_id id;
    const char *h; /* NULL when the fields are not exactly h, p */
    size_t h_len;
    const char *p;
    size_t p_len;
    const struct redisReply *fields; /* as they came; NULL when the entry is gone from the stream
                                      * (nil) */
};
/* Calls fn for each entry in order. k, n: the partitions the read named. */
MUST_CHECK int claim_read_reply(const struct redisReply *r, const struct shard_keys *const *k,
                                size_t n, void (*fn)(void *ctx, const struct claim_entry *e),
                                void *ctx, jobq_err *err);

/* XPENDING lane jobq - + count name; start after *after (exclusive) when it is not NULL. */
void claim_pending(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                   size_t count, const struct entry_id *after);
MUST_CHECK int claim_pending_reply(const struct redisReply *r,
                                   void (*fn)(void *ctx, const struct entry_id *id), void *ctx,
                                   jobq_err *err);
/* XRANGE lane id id: its reply has at most one entry (none: it is gone). */
void claim_fetch(struct buf *out, const struct shard_keys *k, enum lane lane,
                 const struct entry_id *id);
MUST_CHECK int claim_fetch_reply(const struct redisReply *r, enum lane lane,
                                 struct claim_entry *out, bool *found, jobq_err *err);

/* ---- outcomes ---- */

/* A finished job. unique may be NULL. */
struct claim_done {
    struct entry_id entry;
    jobq_id id;
    const char *unique;
    size_t unique_len;
};
/* Acknowledges n entries of one lane; minute = redis time / 60000, names the stats. */
void claim_ack(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
               int64_t minute, const struct claim_done *done, size_t n);
/* *acked <= n: how many were still pending. */
MUST_CHECK int claim_ack_reply(const struct redisReply *r, int64_t *acked, jobq_err *err);

enum claim_action {
    CLAIM_LATER,     /* retry or snooze after delay_ms */
    CLAIM_DEAD,      /* reason says why */
    CLAIM_PARKED,    /* a type nobody here knows, or a newer format */
    CLAIM_RECOVERED, /* back to be claimed at once: release or crash */
};
enum claim_reason { /* of CLAIM_DEAD */
                    CLAIM_PERMANENT,
                    CLAIM_EXHAUSTED,
                    CLAIM_EXPIRED,
                    CLAIM_CORRUPT
};
enum claim_count { /* what the stats call it */
                   CLAIM_COUNT_RETRIED,
                   CLAIM_COUNT_SNOOZED,
                   CLAIM_COUNT_CRASHED,
                   CLAIM_COUNT_RELEASED,
                   CLAIM_COUNT_DEAD,
                   CLAIM_COUNT_EXPIRED,
                   CLAIM_COUNT_CORRUPT,
                   CLAIM_COUNT_PARKED
};
/* One job that did not succeed; h is the new header (already patched), p the payload: the copy is
 * made of these. */
struct claim_failed {
    struct entry_id entry;
    bool has_id;
    jobq_id id; /* CLAIM_LATER needs it */
    enum claim_action action;
    enum claim_reason reason;
    enum claim_count count;
    int64_t delay_ms;
    const char *error; /* CLAIM_DEAD: text for the dead letter */
    size_t error_len;
    const void *h;
    size_t h_len;
    const void *p;
    size_t p_len;
    const char *unique; /* freed by CLAIM_DEAD; NULL: none */
    size_t unique_len;
};
void claim_fail(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                int64_t minute, const struct claim_failed *failed, size_t n);
enum claim_fate {
    CLAIM_MOVED,
    CLAIM_MERGED,
    CLAIM_STALE
}; /* stale: was not pending any more, nothing done */
/* fates: n of them, written on JOBQ_OK. */
MUST_CHECK int claim_fail_reply(const struct redisReply *r, enum claim_fate *fates, size_t n,
                                jobq_err *err);

/* ---- for the whole partition ---- */

/* Due jobs of `later` to their own lanes. *next_due_ms is Redis's Unix ms, -1: none; *more: call
 * again. */
struct claim_move {
    int64_t moved;
    int64_t corrupt;
    int64_t next_due_ms;
    int64_t redis_ms;
    bool more;
};
void claim_move(struct buf *out, const struct shard_keys *k, const char *name, int64_t minute);
MUST_CHECK int claim_move_reply(const struct redisReply *r, struct claim_move *out, jobq_err *err);

/* Declares victim dead if its counter is still the one seen. JOBQ_ESTATE: it changed or is gone. */
void claim_fence(struct buf *out, const struct shard_keys *k, const char *name, const char *victim,
                 int64_t counter_seen);
MUST_CHECK int claim_fence_reply(const struct redisReply *r, jobq_err *err);

/* Moves jobs of a fenced victim to recovered (losses + 1; beyond loss_budget flagged exhausted). */
void claim_reap(struct buf *out, const struct shard_keys *k, const char *name, const char *victim,
                int64_t minute, unsigned loss_budget);
/* JOBQ_ESTATE: the victim is not fenced. */
MUST_CHECK int claim_reap_reply(const struct redisReply *r, bool *more, int64_t *moved,
                                jobq_err *err);

/* Fences every consumer of the group that is not in `alive`; gives how many. */
void claim_sweep(struct buf *out, const struct shard_keys *k, const char *name);
MUST_CHECK int claim_sweep_reply(const struct redisReply *r, int64_t *fenced, jobq_err *err);

/* The oldest dead letters beyond a number or an age go. */
struct claim_drop {
    int64_t keep;         /* so many; 0: any number */
    int64_t retention_ms; /* so long; 0: for ever */
    int64_t tell_ms;      /* from this age on the oldest is told of; 0: never */
    int64_t most;         /* in this call; 0: only look */
};
struct claim_dropped {
    int64_t dropped;
    int64_t left;
    int64_t oldest_ms; /* age of the oldest before this call; -1: below tell_ms */
    bool more;         /* to drop */
};
void claim_drop(struct buf *out, const struct shard_keys *k, const char *name, int64_t minute,
                const struct claim_drop *drop);
MUST_CHECK int claim_drop_reply(const struct redisReply *r, struct claim_dropped *out,
                                jobq_err *err);

/* XRANGE parked (after or -) + COUNT count; its reply is read with claim_parked_reply(). */
void claim_parked(struct buf *out, const struct shard_keys *k, const struct entry_id *after,
                  size_t count);
MUST_CHECK int claim_parked_reply(const struct redisReply *r,
                                  void (*fn)(void *ctx, const struct claim_entry *e), void *ctx,
                                  jobq_err *err);
/* Parked entries back to recovered, counts unchanged. */
void claim_unpark(struct buf *out, const struct shard_keys *k, const char *name,
                  const struct entry_id *ids, size_t n);
MUST_CHECK int claim_unpark_reply(const struct redisReply *r, int64_t *moved, jobq_err *err);

#endif
