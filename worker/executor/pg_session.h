/* SPDX-License-Identifier: MIT */
/*
 * pg_session: the one connection of an executor to PostgreSQL.
 *
 * Connects and reconnects, sends the runtime's statements as pipelines with a deadline, remembers
 * the last error that any statement on it met (also the handler's), and puts the session back
 * between jobs.
 *
 * Lives as long as the executor. Single thread; blocks up to the deadline given, and for a few
 * seconds to connect.
 */
#ifndef WORKER_EXECUTOR_PG_SESSION_H
#define WORKER_EXECUTOR_PG_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include <jobq/error.h>

#include "base/base.h"

struct sql;

#define SESSION_STATEMENTS_MAX 4
#define SESSION_PARAMS_MAX 4

struct session {
    PGconn *conn; /* NULL: none */
    PQnoticeReceiver notices;
    char *conninfo; /* secret */
    const struct sql *sql;
    bool needs_schema;
    bool discarding; /* DISCARD ALL was sent, its answer not yet read */
    bool finishing;  /* it is us who closes it */
    bool destroyed;  /* a handler closed it */
    int64_t next_try_ms;

    int up;        /* 1, 0, -1: not known yet */
    char why[256]; /* last reason for not being connected */
    void (*report)(void *ctx, bool up, const char *text);
    void *report_ctx;

    char state[6]; /* SQLSTATE of the last failed statement since session_forget_errors(), or "" */
    char message[208]; /* its primary message */
    unsigned results;  /* of all statements */
};

/* conninfo and sql are borrowed for the call and for life. JOBQ_ECONFIG: conninfo is malformed.
 * JOBQ_ENOMEM. */
MUST_CHECK int session_init(struct session *s, const char *conninfo, const struct sql *sql,
                            jobq_err *err);
void session_done(struct session *s);

/*
 * Whether there is a connection with nothing pending; waits until the deadline for what is, and
 * drops it if that does not come.
 */
MUST_CHECK bool session_settle(struct session *s, int64_t deadline_ms);
/*
 * Makes a connection if there is none, which takes a few seconds for each server that is silent;
 * not if that failed a moment ago. false: s->why tells.
 */
MUST_CHECK bool session_connect(struct session *s);
/* Closes the connection; the next session_connect() makes a new one at once. */
void session_drop(struct session *s);
/* As session_drop(), and not again before a while; tells the supervisor. */
void session_fail(struct session *s, const char *why);

struct statement {
    const char *text;
    int n;
    const char *values[SESSION_PARAMS_MAX];
    int lengths[SESSION_PARAMS_MAX];
    int formats[SESSION_PARAMS_MAX];
};

/*
 * Sends n statements in one write and reads their n results; the caller clears them with
 * session_clear(). After a failed statement the rest were skipped (PGRES_PIPELINE_ABORTED).
 * JOBQ_OK; JOBQ_ECONN: connection lost, or no answer by the deadline (then it is closed): no
 * results.
 */
MUST_CHECK int session_send(struct session *s, const struct statement *statements, size_t n,
                            int64_t deadline_ms);
MUST_CHECK int session_read(struct session *s, PGresult **results, size_t n, int64_t deadline_ms);
MUST_CHECK int session_run(struct session *s, const struct statement *statements,
                           PGresult **results, size_t n, int64_t deadline_ms);
void session_clear(PGresult **results, size_t n);
/* Index of the first that failed, or n. */
size_t session_first_failed(PGresult *const *results, size_t n);
/* Whether a statement returned a first row whose column is not null; its text. */
const char *session_value(const PGresult *r, int column);

void session_forget_errors(struct session *s);
/* Leaves a transaction, if there is one. false: the connection was lost. */
bool session_rollback(struct session *s, int64_t deadline_ms);
/* After a handler had the connection, outside a transaction: starts to wipe what it left in the
 * session. */
void session_wipe(struct session *s);
/* Reads what has arrived. false: the connection was lost. */
bool session_poll(struct session *s);
/* "PostgreSQL 40001: could not serialize access". */
void session_describe(const struct session *s, char *out, size_t out_size);

#endif
