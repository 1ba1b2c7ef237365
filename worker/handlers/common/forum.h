/* SPDX-License-Identifier: MIT */
/*
 * forum: which version's tables a database holds.
 *
 * Names of tables and columns differ between 0.39 (the releases in use) and 0.40. Only catalogues
 * are read; every column that our statements name must be there, so that a third version is
 * refused with a clear text instead of being counted wrong.
 *
 * No state; the caller keeps the answer.
 */
#ifndef WORKER_HANDLERS_COMMON_FORUM_H
#define WORKER_HANDLERS_COMMON_FORUM_H

#include <stddef.h>

#include "worker/handlers/common/pg.h"

enum forum_version {
    FORUM_UNKNOWN = 0,
    FORUM_039,
    FORUM_040,
};

/*
 * 0: asked; *out is FORUM_UNKNOWN when the tables are of neither version, and text (one line)
 * says what is missing. -1: a statement failed.
 */
int forum_probe(struct pg_conn *conn, enum forum_version *out, char *text, size_t text_size,
                struct pg_failure *why);

/*
 * 0: all the columns are there; columns is a PostgreSQL array of "table.column" texts. 1: not all,
 * and text (one line) says which is missing. -1: a statement failed. For what a module needs
 * besides.
 */
int forum_require(struct pg_conn *conn, enum forum_version version, const char *columns, char *text,
                  size_t text_size, struct pg_failure *why);

#endif
