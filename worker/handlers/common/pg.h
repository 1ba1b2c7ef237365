/* SPDX-License-Identifier: MIT */
/*
 * pg: statements on the runtime's PostgreSQL connection, and what their failures mean for a job.
 *
 * A failure is copied out of libpq at once, so that the caller may go on using the connection.
 * Nothing here opens, closes or ends a transaction: inside a transactional type that is the
 * runtime's business.
 *
 * No state. Whoever holds the connection may call.
 */
#ifndef WORKER_HANDLERS_COMMON_PG_H
#define WORKER_HANDLERS_COMMON_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_ID_TEXT_MAX 21 /* of a 64-bit number, with its sign and a NUL */

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* libpq's PGresult */

/* Why a statement failed. state is empty when there was no answer from a server. */
struct pg_failure {
    char state[6];  /* SQLSTATE */
    char text[512]; /* one line */
};

/*
 * Runs one statement with n text parameters (NULL is SQL's NULL) and gives its rows. Caller frees
 * with PQclear(). NULL: it failed, and *why says how.
 */
struct pg_result *pg_query(struct pg_conn *conn, const char *sql, int n,
                           const char *const *params, struct pg_failure *why);

/* As pg_query(), for statements whose rows nobody wants. */
bool pg_run(struct pg_conn *conn, const char *sql, struct pg_failure *why);

/* An array as a parameter, "{1,2,3}"; NULL: out of memory. Caller frees with free(). */
char *pg_id_array(const int64_t *ids, size_t count);

/* A deadlock or a serialization failure: the same statements may succeed at once. */
bool pg_is_conflict(const struct pg_failure *why);

/* The statement does not fit the tables: they are not what was probed. */
bool pg_is_schema_mismatch(const struct pg_failure *why);

/*
 * JOBQ_SNOOZE when the database or another transaction stood in the way (gone, starting, read
 * only, out of room, rows locked): the job is not to blame, so no attempt is counted. JOBQ_RETRY
 * for all else.
 */
int pg_failure_verdict(const struct pg_failure *why);

#endif
