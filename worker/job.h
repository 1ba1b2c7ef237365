/* SPDX-License-Identifier: MIT */
/*
 * job: one claimed job in the supervisor's hands, from the claim until its outcome is durable.
 *
 * One allocation holds the struct and the entry's bytes. Exactly one owner at a time, told by
 * stage; the registry of its shard (held by lane and entry id) always knows it. Freed when Redis
 * has answered the acknowledgement or the fail.
 */
#ifndef WORKER_JOB_H
#define WORKER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "broker/claim.h"
#include "broker/codec.h"
#include "worker/dispatch.h"
#include "worker/frame.h"
#include "worker/retry.h"

struct executor;
struct metrics_series;
struct shard;

enum job_stage {
    JOB_WAITING,  /* dispatch: in the local queue */
    JOB_HANDED,   /* pool: with an executor, started or not */
    JOB_CHILDREN, /* done; its children are being stored */
    JOB_ENDING,   /* outcome decided; the acknowledgement or fail is to be sent or answered */
};

/* A job that a handler asked for: kept until it is stored. */
struct job_child {
    struct job_child *next;
    jobq_id id;
    jobq_job spec; /* pointers into bytes */
    char bytes[];
};

struct job {
    struct list node; /* of the owner named by stage */
    enum job_stage stage;
    struct shard *shard;
    enum lane lane;
    struct entry_id entry;
    struct job_header header; /* borrows from h */
    bool header_valid;        /* false: corrupt or newer; h and p are kept as they came */
    const char *h;
    size_t h_len;
    const char *p;
    size_t p_len;
    struct retry_limits limits; /* of its type, when it was claimed */
    uint32_t soft_ms, hard_ms;
    int64_t enqueued_ms;           /* Redis's clock */
    int64_t claimed_ms;            /* monotonic */
    int64_t wait_ms;               /* between enqueue and claim, by Redis's clock */
    int64_t started_redis_ms;      /* as published; 0: not yet */
    struct metrics_series *series; /* where its numbers go; NULL: not looked up yet */
    bool was_handed;               /* to an executor, once or more */
    struct dispatch_job turn;      /* dispatch's part */

    /* what the executor said */
    uint32_t seq;
    uint8_t verdict;  /* enum frame_verdict */
    int64_t delay_ms; /* -1: not set */
    char *text;       /* of the verdict, NULL: none; owned */
    size_t text_len;
    uint32_t run_us; /* 0: it did not run */
    struct job_child *children;
    struct job_child **children_tail;
    size_t children_unsent;    /* not stored yet */
    size_t children_asked;     /* sent, not answered */
    struct executor *executor; /* that ran it: wants to hear that stored children were sent; may be
                                * gone */

    /* what becomes of it */
    bool succeeded;
    struct claim_failed failed; /* unless succeeded; new_h below */
    char *new_h;                /* owned */
    bool in_doubt;              /* sent, and the connection broke: sent again */

    char bytes[]; /* h, NUL, p, NUL */
};

/* One log line that carries id, type, queue and attempt; with one more field. j NULL: only the
 * field. */
void job_log(const struct job *j, enum log_level level, const char *event, const char *key,
             const char *value);
/* The queue it was claimed from. */
const char *job_own_queue(const struct job *j);
struct frame_str job_queue_name(const struct job *j);

/* Copies the entry. NULL when out of memory. */
MUST_CHECK struct job *job_new(struct shard *shard, const struct claim_entry *e);
void job_free(struct job *j); /* its text, children and new_h too; NULL is fine */

#endif
