/* SPDX-License-Identifier: MIT */
/* attempts: see attempts.h. */
#include "worker/handlers/common/attempts.h"

#include <libpq-fe.h>
#include <string.h>

#define ATTEMPTS 4

static bool is_worth_another(const struct pg_failure *why)
{
    return pg_is_conflict(why) || strcmp(why->state, "23503") == 0;
}

static enum attempt try_once(PGconn *conn, attempt_fn fn, void *ctx, struct pg_failure *why)
{
    enum attempt outcome = fn(ctx, why);

    if (outcome == ATTEMPT_OK && !pg_run(conn, "SET CONSTRAINTS ALL IMMEDIATE", why)) {
        return ATTEMPT_FAILED;
    }
    return outcome;
}

enum attempt attempts_run(PGconn *conn, attempt_fn fn, void *ctx, struct pg_failure *why)
{
    struct pg_failure ignored;
    enum attempt outcome = ATTEMPT_FAILED;

    for (int i = 0; i < ATTEMPTS; i++) {
        if (!pg_run(conn, "SAVEPOINT attempt", why)) {
            return ATTEMPT_FAILED;
        }
        outcome = try_once(conn, fn, ctx, why);
        if (outcome == ATTEMPT_OK) {
            return pg_run(conn, "RELEASE SAVEPOINT attempt", why) ? ATTEMPT_OK : ATTEMPT_FAILED;
        }
        if (!pg_run(conn, "ROLLBACK TO SAVEPOINT attempt", &ignored) ||
            !pg_run(conn, "RELEASE SAVEPOINT attempt", &ignored) || outcome == ATTEMPT_REFUSED ||
            !is_worth_another(why)) {
            return outcome;
        }
    }
    return outcome;
}
