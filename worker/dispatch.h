/* SPDX-License-Identifier: MIT */
/*
 * dispatch: which lane to read next and how much, which job goes to which executor, what is taken
 * back.
 *
 * Decision logic only: events and a time go in, actions come out; it knows neither Redis nor
 * processes, so its whole behaviour is tested without them.
 *
 * Reading: one source (a lane of a partition) a turn, chosen by stride scheduling over weights
 * (queue weight x 8, 4, 2, 1 for recovered, high, normal, low), each charged for the jobs it gave;
 * a source that was found empty rests for a millisecond, and only when all are empty the blocking
 * reader takes over. Prefetch is time, not count: an executor holds at most what it will finish in
 * prefetch_us by the measured duration of those types; what is longer, or not yet measured, goes to
 * idle executors one by one. Jobs stuck behind one that turned out long are taken back.
 *
 * Lives as long as the supervisor. Single thread.
 */
#ifndef WORKER_DISPATCH_H
#define WORKER_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"
#include "base/list.h"

#define DISPATCH_READ_MAX 256    /* jobs asked for in one read */
#define DISPATCH_REST_MS 1       /* an empty source is not asked again for so long while others have
                                  * work */
#define DISPATCH_STUCK_MS 20     /* a job that runs longer loses what waits behind it */
#define DISPATCH_RELEASE_MS 250  /* a claimed job that waits longer for an executor goes back, if
                                  * others could take it */
#define DISPATCH_ALONE_LOSSES 3  /* from so many losses on a job runs alone in a fresh executor */

struct dispatch;
struct dispatch_source;
struct dispatch_executor;
struct dispatch_type;

/* Embedded in a job. */
struct dispatch_job {
    struct list node;
    struct dispatch_source *source;
    struct dispatch_type *type;
    int64_t since_ms;
    uint32_t est_us; /* what its run was expected to take when it was handed over; 0: not known */
    bool alone;      /* runs alone in a fresh executor (many losses) */
};

struct dispatch_limits {
    int64_t prefetch_us;
    unsigned max_held;
    bool strict; /* lanes strictly by priority instead of by weight */
};

enum dispatch_act {
    DISPATCH_NOTHING,
    DISPATCH_HAND,    /* job to executor: it must be handed over, then dispatch counts it as held */
    DISPATCH_READ,    /* source, count: then dispatch_read_answered() */
    DISPATCH_BLOCK,   /* arm the blocking reader on all sources: then dispatch_block_ended() */
    DISPATCH_RECALL,  /* take back from executor what has not started: dispatch_taken_back() for
                       * each, dispatch_recalled() */
    DISPATCH_RELEASE, /* job: give it back to Redis; dispatch has forgotten it */
    DISPATCH_RECYCLE, /* executor (idle): replace it by a fresh one */
};

struct dispatch_action {
    enum dispatch_act act;
    struct dispatch_job *job;
    struct dispatch_executor *executor;
    struct dispatch_source *source;
    size_t count;
};

MUST_CHECK int dispatch_new(struct dispatch_limits limits, struct dispatch **out, jobq_err *err);
void dispatch_free(struct dispatch *d);
void dispatch_set_limits(struct dispatch *d, struct dispatch_limits limits);

/* ctx is the caller's. lane as in broker/keys.h. Sources are only ever added; weight may change. */
MUST_CHECK int dispatch_add_source(struct dispatch *d, unsigned lane, unsigned weight, void *ctx,
                                   struct dispatch_source **out, jobq_err *err);
void dispatch_source_weight(struct dispatch_source *s, unsigned weight);
void *dispatch_source_ctx(const struct dispatch_source *s);
/* Whether the source may be read at all (its partition is registered, its queue is ours). */
void dispatch_source_open(struct dispatch *d, struct dispatch_source *s, bool open);
/* Whether its claimed jobs may be started (true at first): false while its lease is in doubt. */
void dispatch_source_may_start(struct dispatch_source *s, bool may);
size_t dispatch_sources(const struct dispatch *d);
struct dispatch_source *dispatch_source_at(const struct dispatch *d, size_t i);
bool dispatch_source_is_open(const struct dispatch_source *s);

/* The record of a type's duration; made at its first use. NULL when out of memory. */
MUST_CHECK struct dispatch_type *dispatch_type_of(struct dispatch *d, const char *name, size_t len);

/* An executor that can take jobs. Caller removes it when it cannot any more. */
MUST_CHECK int dispatch_add_executor(struct dispatch *d, void *ctx, struct dispatch_executor **out,
                                     jobq_err *err);
void *dispatch_executor_ctx(const struct dispatch_executor *x);
/* What it held must have been taken back or ended before. */
void dispatch_remove_executor(struct dispatch *d, struct dispatch_executor *x);
/* Not to be given anything for now (its database is down, it is to be recycled). */
void dispatch_executor_usable(struct dispatch *d, struct dispatch_executor *x, bool usable);
bool dispatch_executor_is_usable(const struct dispatch_executor *x);
unsigned dispatch_executor_held(const struct dispatch_executor *x);

/* ---- events ---- */
void dispatch_claimed(struct dispatch *d, struct dispatch_job *j, int64_t now_ms);
/* The executor's count of started jobs moved; running: one is started and not finished. */
void dispatch_progress(struct dispatch *d, struct dispatch_executor *x, bool running,
                       int64_t started_ms);
/* Its oldest held job ended after run_us. */
void dispatch_finished(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j,
                       uint32_t run_us);
/* Not started: back to the head of the local queue (call in reverse order to keep it). */
void dispatch_taken_back(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j,
                         int64_t now_ms);
/* A DISPATCH_RECALL was carried out. */
void dispatch_recalled(struct dispatch_executor *x);
/* Ended otherwise (its executor died under it). */
void dispatch_lost(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j);
/* A non-blocking read gave n jobs (already told by dispatch_claimed()). Also n = 0 when it
 * failed. */
void dispatch_read_answered(struct dispatch *d, struct dispatch_source *s, size_t n,
                            int64_t now_ms);
/* The blocking reader came back; call dispatch_source_woken() first for each source that gave
 * something. */
void dispatch_block_ended(struct dispatch *d);
void dispatch_source_woken(struct dispatch *d, struct dispatch_source *s);
/* No read may be started: Redis is down or refuses writes, jobd drains. */
void dispatch_hold(struct dispatch *d, bool hold);
/* No job may be started either: jobd drains. */
void dispatch_hold_start(struct dispatch *d, bool hold);
/* Whether someone else could take what we release. */
void dispatch_has_peers(struct dispatch *d, bool peers);
/* Removes a job from the local queue (drain): NULL when none is left. */
struct dispatch_job *dispatch_pop(struct dispatch *d);
/* Forgets all claimed jobs and reads under way (fenced, or the connection broke). */
void dispatch_reset_reads(struct dispatch *d);

/* ---- decisions ---- */
struct dispatch_action dispatch_next(struct dispatch *d, int64_t now_ms);
/* When dispatch_next() may say something new by time alone; INT64_MAX: never. */
int64_t dispatch_due_ms(const struct dispatch *d, int64_t now_ms);
size_t dispatch_waiting(const struct dispatch *d); /* jobs in the local queue */

#endif
