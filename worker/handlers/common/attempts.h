/* SPDX-License-Identifier: MIT */
/*
 * attempts: statements that belong together, tried again while they conflict with others'.
 *
 * They run in a savepoint of the runtime's transaction, so that a deadlock's victim gives its locks
 * back and tries again without losing the transaction; deferred constraints are checked at its
 * end, where a row that was deleted meanwhile can still be left out by another attempt, and not at
 * the runtime's COMMIT.
 *
 * No state. Whoever holds the connection may call.
 */
#ifndef WORKER_HANDLERS_COMMON_ATTEMPTS_H
#define WORKER_HANDLERS_COMMON_ATTEMPTS_H

#include "worker/handlers/common/pg.h"

enum attempt {
    ATTEMPT_OK,      /* keep what was written */
    ATTEMPT_FAILED,  /* a statement did; *why says how */
    ATTEMPT_REFUSED, /* undo what was written; the caller knows why */
};

/* Starts anew with each call. Must set *why when it returns ATTEMPT_FAILED. */
typedef enum attempt (*attempt_fn)(void *ctx, struct pg_failure *why);

enum attempt attempts_run(struct pg_conn *conn, attempt_fn fn, void *ctx, struct pg_failure *why);

#endif
