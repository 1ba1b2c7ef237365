/* SPDX-License-Identifier: MIT */
/*
 * pg_job: one job's life in PostgreSQL: the right to its effect, its transaction, what its end
 * means.
 *
 * A transactional job takes its right by a row in done, first thing in the runtime's transaction;
 * its children are stored in that row; COMMIT makes row, children and effect one. A COMMIT without
 * an answer is never assumed: the row is asked for again. See runtime_pg.h for when each function
 * is called.
 *
 * Lives as long as the executor. Single thread.
 */
#ifndef WORKER_EXECUTOR_PG_JOB_H
#define WORKER_EXECUTOR_PG_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/buf.h"
#include "worker/executor/pg_session.h"
#include "worker/executor/pg_sql.h"
#include "worker/executor/runtime_pg.h"

#define PG_XID_SIZE 24
#define PG_FORGET_MAX 128

struct pg {
    struct session session;
    struct sql sql;
    int64_t retention_ms;

    /* the job between begin() and end() */
    struct pg_job job;
    bool handed_out;       /* the handler has the connection */
    bool unavailable;      /* it asked for it in vain */
    int completed;         /* last answer of complete(); PG_NOT_COMPLETED: not called */
    char xid[PG_XID_SIZE]; /* of the transaction that holds the right */
    struct buf stored;     /* children found by complete() */
    struct buf packed;     /* children on their way into the row */

    /* housekeeping: pg_keep.c */
    uint8_t forget[PG_FORGET_MAX][16];
    size_t forget_count;
    int64_t next_prune_ms;
};

#define PG_NOT_COMPLETED (-2)

enum pg_gate pg_begin(struct pg *p, const struct pg_job *job, struct children *children,
                      struct verdict *v);
struct pg_conn *pg_conn(struct pg *p, char *why, size_t why_size);
int pg_complete(struct pg *p, const struct children *children, char *why, size_t why_size);
enum pg_end pg_end(struct pg *p, struct children *children, struct verdict *v);

/*
 * Whether there is a connection for the job that runs. Makes one only when that cannot take it past
 * its hard limit, which would count as its crash.
 */
MUST_CHECK bool pg_ready(struct pg *p);

/* pg_take.c: the row that is the right to the effect. */
enum take {
    TAKE_OURS,   /* the transaction is open, the row is in it */
    TAKE_BEFORE, /* done before; no transaction is open */
    TAKE_FAILED, /* session.state and message tell; no transaction is open */
    TAKE_LOST,   /* no connection, or it broke */
};
enum take pg_take(struct pg *p);
/* Reads the children stored with the row. JOBQ_OK; JOBQ_ECONN; JOBQ_EPROTO: they cannot be read. */
MUST_CHECK int pg_stored_children(struct pg *p, struct children *children);
/* After a COMMIT whose answer never came: finds out. */
enum pg_end pg_resolve(struct pg *p, struct children *children, struct verdict *v);

/* pg_verdict.c: what an error means for the job. */
void pg_decide(struct verdict *v, enum frame_verdict kind, int64_t delay_ms, const char *format,
               ...) PRINTF_LIKE(4, 5);
/* By the last error of the session. true: run the attempt again, v is for when that is enough. */
bool pg_judge(struct pg *p, struct verdict *v);
/* The connection broke under the handler. */
void pg_judge_lost(struct pg *p, struct verdict *v);
/* 1 to 2 seconds. */
int64_t pg_soon_ms(void);
/* A deadline for the runtime's own statements: in ms from now, not beyond the job's hard limit. */
int64_t pg_deadline(const struct pg *p, int64_t ms);

/* pg_keep.c */
void pg_sent(struct pg *p, const uint8_t id[16]);
int64_t pg_idle(struct pg *p);

#endif
