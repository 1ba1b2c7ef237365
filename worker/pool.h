/* SPDX-License-Identifier: MIT */
/*
 * pool: the executor processes: start, hand over, take back, time out, recycle, start again.
 *
 * An executor is a program of its own (fork + exec), one socketpair and one shared page
 * (worker/frame.h). Nothing it says is trusted. When it dies the page tells which job ran: that one
 * crashed, what ended before ended, what had not started goes back untouched. Single thread; never
 * blocks.
 */
#ifndef WORKER_POOL_H
#define WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct executor;
struct frame_type;
struct job;
struct loop;
struct pool;
struct worker_config;

struct pool_hooks {
    void *ctx;
    /* It can take jobs. types: what its modules handle. */
    void (*on_ready)(void *ctx, struct executor *x, const struct frame_type *types, size_t n);
    /* The counts of started and finished jobs moved. */
    void (*on_progress)(void *ctx, struct executor *x, bool running, int64_t started_ms);
    /* A job ended with its verdict, text and children in it; the callee owns it now. */
    void (*on_ended)(void *ctx, struct executor *x, struct job *job);
    /* The executor died under it; the callee owns it now. why: for its dead letter. */
    void (*on_crashed)(void *ctx, struct executor *x, struct job *job, const char *why);
    /* Not started; the callee owns it now. Called in reverse order. */
    void (*on_returned)(void *ctx, struct executor *x, struct job *job);
    /* pool_kill_all(): the job is nobody's now. */
    void (*on_dropped)(void *ctx, struct executor *x, struct job *job);
    /* To be recycled: give it nothing more; it goes when what it holds has ended. */
    void (*on_retiring)(void *ctx, struct executor *x);
    /* It is gone (holds nothing any more); x is freed after this. */
    void (*on_gone)(void *ctx, struct executor *x);
    void (*on_database)(void *ctx, struct executor *x, bool ok, const char *text);
    /* It could not start. at_start: none ever was ready, and this will not heal: exit 78. */
    void (*on_start_failed)(void *ctx, const char *why, bool at_start);
};

/* Borrows loop and config (pool_configure() gives a new one). Starts nothing yet. Caller frees with
 * pool_free(). */
MUST_CHECK int pool_new(struct loop *loop, const struct worker_config *config,
                        const struct pool_hooks *hooks, struct pool **out, jobq_err *err);
void pool_free(struct pool *p); /* kills what runs; jobs are not called back; NULL is fine */
/* How much nicer than we are the executors are to be. */
void pool_set_nice(struct pool *p, int nice);
void pool_start(struct pool *p);
/* New limits and number of executors; when what handlers are told has changed, new executors, one by
 * one: those there are go on until their successors are ready. The configuration before must still
 * be there. */
void pool_configure(struct pool *p, const struct worker_config *config);

/* The executor owns the job until a hook gives it back. */
void pool_hand(struct pool *p, struct executor *x, struct job *job);
/* Takes back what has not started: on_returned() for each, last first. */
void pool_recall(struct pool *p, struct executor *x);
/* Tells it that the stored children of this job were sent. */
void pool_children_sent(struct pool *p, struct executor *x, const uint8_t id[16]);
/* Replaces an executor when it holds nothing more. */
void pool_retire(struct pool *p, struct executor *x);
/* No new executors from now on; idle ones end, busy ones are told to come to an end (soft:
 * SIGTERM). */
void pool_drain(struct pool *p);
void pool_ask_to_stop(struct pool *p);
/* SIGKILL to all, at once: fenced, what they run is not ours any more. on_dropped() for each job,
 * then on_gone(). */
void pool_kill_all(struct pool *p);
/* Writes what was handed over in this turn. */
void pool_flush(struct pool *p);

bool pool_is_retiring(const struct executor *x);
void *executor_ctx(const struct executor *x);
void executor_set_ctx(struct executor *x, void *ctx);
size_t pool_ready(const struct pool *p);   /* executors that can take jobs */
/* Of those, how many say that their database does not answer. */
size_t pool_without_database(const struct pool *p);
size_t pool_alive(const struct pool *p);   /* processes */
size_t pool_held(const struct pool *p);    /* jobs with executors */
/* One process, as those who look see it. */
struct pool_view {
    int pid;
    enum { POOL_STARTING, POOL_IDLE, POOL_BUSY, POOL_LEAVING } state;
    struct job *running; /* NULL: none */
    int64_t started_ms;  /* of it; monotonic */
    int64_t memory_bytes; /* its own, at the last look */
};
void pool_each(const struct pool *p, void (*fn)(void *ctx, const struct pool_view *v), void *ctx);
/* What came of executors so far. */
struct pool_counts {
    uint64_t failed_starts; /* ended before they were ready */
    uint64_t killed;        /* by us, for what they did */
    uint64_t died;          /* by themselves */
    uint64_t recycled;      /* replaced, for their number of jobs or their memory */
};
const struct pool_counts *pool_counts(const struct pool *p);
/* Whether this executor (by address) is still in the pool. */
bool pool_has(const struct pool *p, const struct executor *x);

#endif
