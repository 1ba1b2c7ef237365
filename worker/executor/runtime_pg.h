/* SPDX-License-Identifier: MIT */
/*
 * runtime_pg: what the executor asks of runtime-pg.so, the only part of the runtime that knows
 * PostgreSQL.
 *
 * The executor opens it when a loaded type wants PostgreSQL, and calls it through this table. One
 * connection, kept over the jobs of an executor. For each job of such a type: begin(), then the
 * handler, then end(); between jobs idle(). What a database error means for the job is decided
 * here.
 *
 * Both sides are always of one build: build must be equal. Single thread; blocks up to the job's
 * hard limit.
 */
#ifndef WORKER_EXECUTOR_RUNTIME_PG_H
#define WORKER_EXECUTOR_RUNTIME_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/api.h>
#include <jobq/error.h>
#include <jobq/handler.h>
#include <jobq/job.h>

#include "base/base.h"
#include "worker/frame.h"

struct children;
struct pg;
struct pg_conn;

#define RUNTIME_PG_SYMBOL "jobq_runtime_pg"
#define RUNTIME_PG_BUILD JOBQ_VERSION " 1"

struct pg_options {
    const char *conninfo; /* secret */
    const char *schema;
    bool needs_schema;    /* some type is transactional or manual */
    int64_t retention_ms; /* of done rows */
    /* The database answers, or it does not and why. Called when that changes. */
    void (*report)(void *ctx, bool up, const char *text);
    void *ctx;
};

/* A job, as far as the database is concerned. */
struct pg_job {
    const jobq_id *id;
    const char *id_text;
    const char *type;
    unsigned flags;  /* of the type */
    int64_t soft_ms; /* monotonic */
    int64_t hard_ms;
    unsigned releases; /* so far */
};

/* What is to become of a job. */
struct verdict {
    enum frame_verdict kind;
    int64_t delay_ms;                     /* -1: not set */
    char text[JOBQ_HANDLER_TEXT_MAX + 1]; /* empty: none */
};

enum pg_gate {
    PG_GATE_RUN,     /* call the handler */
    PG_GATE_BEFORE,  /* the job was done before: children are those stored then; verdict is DONE */
    PG_GATE_AGAIN,   /* a conflict with another transaction: begin again */
    PG_GATE_REFUSED, /* cannot be tried now; verdict says what is to become of it */
};

enum pg_end {
    PG_END_OK,     /* verdict stands, maybe changed */
    PG_END_BEFORE, /* as PG_GATE_BEFORE */
    PG_END_AGAIN,  /* a conflict: run the whole attempt again; verdict is for when that has been
                      tried enough */
};

struct runtime_pg {
    const char *build;
    /* Connects to nothing yet. Borrows options' strings for the call only. JOBQ_ECONFIG: conninfo
     * or schema is malformed. */
    int (*open)(const struct pg_options *options, struct pg **out, jobq_err *err);
    void (*close)(struct pg *p); /* NULL is fine */
    enum pg_gate (*begin)(struct pg *p, const struct pg_job *job, struct children *children,
                          struct verdict *v);
    /* host->pg(): NULL when there is none (text in why). */
    struct pg_conn *(*conn)(struct pg *p, char *why, size_t why_size);
    /* host->complete(): 0, 1 or -1 (text in why). */
    int (*complete)(struct pg *p, const struct children *children, char *why, size_t why_size);
    enum pg_end (*end)(struct pg *p, struct children *children, struct verdict *v);
    /* The stored children of this job were sent. */
    void (*sent)(struct pg *p, const uint8_t id[16]);
    /* Housekeeping while nothing runs: connect, tidy tables. Gives the ms after which it wants to
     * be called again. */
    int64_t (*idle)(struct pg *p);
    /* The connection's socket, or -1. */
    int (*fd)(const struct pg *p);
};

#endif
