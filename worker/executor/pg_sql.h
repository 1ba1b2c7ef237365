/* SPDX-License-Identifier: MIT */
/*
 * pg_sql: the statements of the runtime for one schema, and what an SQLSTATE means. Pure, but for
 * allocation.
 *
 * The name of the schema is the only thing ever put into a statement, once, checked and quoted; all
 * else is a parameter. Nothing is prepared: behind a pooler a prepared statement may be another
 * session's.
 */
#ifndef WORKER_EXECUTOR_PG_SQL_H
#define WORKER_EXECUTOR_PG_SQL_H

#include <stdbool.h>

#include <jobq/error.h>

#include "base/base.h"

struct sql {
    char *table;         /* schema.done, for to_regclass */
    char *check;         /* $1 table: exists, may be written */
    char *take;          /* $1 id: a row with the transaction's id, or none: done before */
    char *take_children; /* $1 id, $2 children */
    char *children;      /* $1 id */
    char *store;         /* $1 id, $2 children */
    char *record;        /* $1 id */
    char *forget;        /* $1 array of ids */
    char *prune;         /* $1 age in ms, $2 rows at most */
};

/* JOBQ_ECONFIG: no name for a schema; JOBQ_ENOMEM. Caller frees with sql_done(), also if it
 * fails. */
MUST_CHECK int sql_init(struct sql *s, const char *schema, jobq_err *err);
void sql_done(struct sql *s);

/* Statements without a table. */
#define SQL_BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED"
/* $1 statement_timeout, $2 idle_in_transaction_session_timeout, $3 application_name */
#define SQL_LOCAL                                                                                  \
    "SELECT pg_catalog.set_config('statement_timeout', $1, true),"                                 \
    " pg_catalog.set_config('lock_timeout', '2000', true),"                                        \
    " pg_catalog.set_config('idle_in_transaction_session_timeout', $2, true),"                     \
    " pg_catalog.set_config('application_name', $3, true)"
/* The server then notices that an executor was killed, and cancels its SQL. Since version 14. */
#define SQL_LOCAL_14                                                                               \
    SQL_LOCAL ", pg_catalog.set_config('client_connection_check_interval', '500', true)"
#define SQL_CHECK_INTERVAL_VERSION 140000
/* $1 application_name, $2 statement_timeout */
#define SQL_SESSION                                                                                \
    "SELECT pg_catalog.set_config('application_name', $1, false),"                                 \
    " pg_catalog.set_config('statement_timeout', $2, false)"
#define SQL_SESSION_14                                                                             \
    "SELECT pg_catalog.set_config('application_name', $1, false),"                                 \
    " pg_catalog.set_config('client_connection_check_interval', '500', false)"
/* $1: fails with SQL_NOT_OURS unless this is still the transaction with that id. */
#define SQL_STILL_OURS                                                                             \
    "SELECT 1 / (coalesce(pg_catalog.pg_current_xact_id_if_assigned()::text, '') = $1)::int"
#define SQL_NOT_OURS "22012"
/* $1 transaction id */
#define SQL_XACT_STATUS "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)"
/* There is no such savepoint: makes the transaction fail, whatever the handler does next. */
#define SQL_POISON "ROLLBACK TO SAVEPOINT jobq_done_before"
#define SQL_VERSION_MIN 130000

enum sql_class {
    SQL_OTHER,
    SQL_CONFLICT, /* of transactions: the same again is likely to pass */
    SQL_LOST,     /* the server went, or is not ready */
    SQL_READ_ONLY,
    SQL_LOCKED,    /* lock_timeout */
    SQL_CANCELLED, /* statement_timeout, or somebody's cancel */
    SQL_FULL,      /* connections, disk */
    SQL_NO_TABLE,
    SQL_NO_RIGHT,
    SQL_NO_SUBJECT, /* a foreign key has nothing to point at */
};

/* state: five characters, or "". */
enum sql_class sql_classify(const char *state);

#endif
