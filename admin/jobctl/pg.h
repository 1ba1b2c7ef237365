/* SPDX-License-Identifier: MIT */
/*
 * pg: one connection to PostgreSQL with an exact deadline, for commands that look at it or prepare
 * it.
 *
 * Blocking, one thread. A failure says what and where and never holds a password; its code follows
 * SQLSTATE: JOBQ_EAUTH (28…, 42501), JOBQ_EREJECTED (25006: read-only), JOBQ_ECONN (08…, 53…, 57P…,
 * no answer), JOBQ_ETIMEDOUT, JOBQ_ESTATE (any other answer).
 */
#ifndef ADMIN_JOBCTL_PG_H
#define ADMIN_JOBCTL_PG_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct pg;
struct pg_result;

/* conninfo may be a URI. JOBQ_ECONFIG: it is NULL, as nothing is configured, or malformed. Caller
 * frees with pg_close(). */
MUST_CHECK int pg_open(const char *conninfo, int64_t deadline_ms, struct pg **out, jobq_err *err);
void pg_close(struct pg *p); /* NULL is fine */
const char *pg_where(const struct pg *p); /* "db.example:5432/forum", for messages */
int pg_version(const struct pg *p);       /* 150020 */

/* One statement with text parameters. Caller frees *out (which may be NULL to drop it) with
 * pg_result_free(). */
MUST_CHECK int pg_query(struct pg *p, const char *sql, size_t n, const char *const *values,
                        struct pg_result **out, jobq_err *err);
/* Several statements without parameters, in one transaction of their own unless they begin one. */
MUST_CHECK int pg_run(struct pg *p, const char *sql, jobq_err *err);
void pg_result_free(struct pg_result *r);
/* Row 0 of a column; NULL: SQL's NULL or no row. Borrowed from r. */
const char *pg_value(const struct pg_result *r, int column);

#endif
