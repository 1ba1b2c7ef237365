/* SPDX-License-Identifier: MIT */
/*
 * lease: proof that this incarnation is alive on one partition, and the judgement whether others
 * are.
 *
 * Decision logic only: it is told what Redis answered and what time it is, and says what to do
 * next. Silence is counted in our own accepted beats, never in seconds, so a frozen Redis, a
 * failover, a clock step or a pause of our own count for nothing. Presence makes it faster: a name
 * that we ourselves have seen subscribed on this connection, and that has been absent for
 * LEASE_GONE_MS, and from as many of our looks as go into that time, without a beat, is dead.
 *
 * Lives as long as the incarnation. Single thread, no I/O.
 */
#ifndef WORKER_LEASE_H
#define WORKER_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

#define LEASE_BEATS 5         /* beats a lease; silence over so many of our own beats is death */
#define LEASE_GONE_MS 750     /* absence from PUBSUB NUMSUB that means death */
#define LEASE_POLL_MS 250     /* how often the first ranks look for absence */
#define LEASE_POLLERS 3       /* how many ranks do */
#define LEASE_LOOK_MS 1000    /* everybody looks at least so often, however long the lease */
#define LEASE_RANK_MS 100     /* a rank acts so much later than the one before it */

struct lease;
struct claim_beat;

enum lease_act {
    LEASE_NOTHING,
    LEASE_SEND_BEAT,   /* claim_beat, then lease_beat_answered() or lease_beat_failed() */
    LEASE_SEND_LOOK,   /* HGETALL alive and PUBSUB NUMSUB of the names of lease_peer_name() */
    LEASE_SEND_FENCE,  /* victim, counter */
    LEASE_SEND_REAP,   /* victim */
};

struct lease_action {
    enum lease_act act;
    const char *victim; /* borrowed until the next call */
    int64_t counter;
};

/* partition: its key base, for ranking. name: our incarnation. Caller frees with lease_free(). */
MUST_CHECK int lease_new(const char *partition, const char *name, int64_t lease_ms,
                         struct lease **out, jobq_err *err);
void lease_free(struct lease *l);

/* Registration was answered; the first beat is due at once. sent_ms: when it was sent. */
void lease_registered(struct lease *l, int64_t sent_ms, int64_t now_ms);
/* An accepted beat, sent at sent_ms: proof of life counts from the sending. counted: one of the
 * regular beats. */
MUST_CHECK int lease_beat_answered(struct lease *l, const struct claim_beat *beat, int64_t sent_ms,
                                   int64_t now_ms, jobq_err *err);
/* No answer, or an error: it proves nothing and is sent again after a beat. */
void lease_beat_failed(struct lease *l, int64_t now_ms);
/* An extra beat, at once: others may miss our presence (our subscriber connection broke). */
void lease_beat_soon(struct lease *l, int64_t now_ms);
/* Others cannot see us subscribed for now: beat so often that nobody takes that for death. */
void lease_hidden(struct lease *l, bool hidden, int64_t now_ms);
/* What HGETALL alive told between beats: new names, new counters; counts no silence. One call a
 * peer. */
MUST_CHECK int lease_look_peer(struct lease *l, const char *name, bool fenced, int64_t counter,
                               int64_t now_ms, jobq_err *err);
/* The look is complete: names it did not mention are gone. */
void lease_look_done(struct lease *l, int64_t now_ms);
void lease_look_failed(struct lease *l, int64_t now_ms);
/* What NUMSUB told about one name. Ignored while presence is off. */
void lease_presence(struct lease *l, const char *name, int64_t subscribers, int64_t now_ms);
/* Off behind a proxy or without the permission: then only silence counts. */
void lease_use_presence(struct lease *l, bool use);
/* Our own connection was lost: all counting starts again, and nobody has been seen subscribed on
 * the new one. */
void lease_reconnected(struct lease *l);
enum lease_result {
    LEASE_ACT_FENCED, /* the fence took: its jobs are to be reaped */
    LEASE_ACT_MORE,   /* the reap moved some: again at once */
    LEASE_ACT_DONE,   /* nothing more is to do: reaped, or alive after all */
    LEASE_ACT_RETRY,  /* an error: again later */
};
/* A fence or a reap was answered. */
void lease_act_answered(struct lease *l, const char *victim, enum lease_result result,
                        int64_t now_ms);

/* This name is dead for certain: its lock is ours. It is fenced at once when it is met. */
void lease_declare_dead(struct lease *l, const char *name);

/* What to do now; call until it says LEASE_NOTHING. */
struct lease_action lease_next(struct lease *l, int64_t now_ms);
/* When to call again at the latest (monotonic ms). */
int64_t lease_due_ms(const struct lease *l, int64_t now_ms);

/* May a job be started now? False once the lease, less one beat, has passed without an accepted
 * beat. */
bool lease_may_start(const struct lease *l, int64_t now_ms);
/* When lease_may_start() turns false without another beat. */
int64_t lease_proof_ends_ms(const struct lease *l);
int64_t lease_beat_ms(const struct lease *l);
/* Other incarnations known and not fenced; iterate by i from 0 until NULL. */
const char *lease_peer_name(const struct lease *l, size_t i);
size_t lease_living_peers(const struct lease *l);
/* Our place among those not suspected: 0 acts first. */
unsigned lease_rank(const struct lease *l, int64_t now_ms);

#endif
