/* SPDX-License-Identifier: MIT */
/* pg: see pg.h. */
#include "worker/handlers/common/pg.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jobq/handler.h>

#include "worker/handlers/common/text.h"

/* libpq's messages end in a newline and may have several lines (DETAIL, HINT, CONTEXT). */
static void flatten(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) {
        text[--n] = '\0';
    }
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ') {
            *p = ' ';
        }
    }
}

static void describe(PGconn *conn, const PGresult *r, struct pg_failure *why)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *detail = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL) : NULL;

    snprintf(why->state, sizeof(why->state), "%s", state ? state : "");
    if (!text) {
        text = PQerrorMessage(conn);
    }
    if (state) {
        text_format(why->text, sizeof(why->text), "PostgreSQL: %s (%s)%s%s", text, state,
                    detail ? ": " : "", detail ? detail : "");
    } else {
        text_format(why->text, sizeof(why->text), "PostgreSQL: %s", text[0] ? text : "no answer");
    }
    flatten(why->text);
}

PGresult *pg_query(PGconn *conn, const char *sql, int n, const char *const *params,
                   struct pg_failure *why)
{
    PGresult *r = PQexecParams(conn, sql, n, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return r;
    }
    describe(conn, r, why);
    PQclear(r);
    return NULL;
}

bool pg_run(PGconn *conn, const char *sql, struct pg_failure *why)
{
    PGresult *r = pg_query(conn, sql, 0, NULL, why);
    bool ok = r != NULL;

    PQclear(r);
    return ok;
}

static bool starts_with_any(const char *state, const char *const *prefixes)
{
    for (; *prefixes; prefixes++) {
        if (strncmp(state, *prefixes, strlen(*prefixes)) == 0) {
            return true;
        }
    }
    return false;
}

char *pg_id_array(const int64_t *ids, size_t count)
{
    size_t size = count * PG_ID_TEXT_MAX + 3;
    char *out = malloc(size);
    size_t at = 0;

    if (!out) {
        return NULL;
    }
    out[at++] = '{';
    for (size_t i = 0; i < count; i++) {
        text_format(out + at, size - at, "%s%" PRId64, i ? "," : "", ids[i]);
        at += strlen(out + at);
    }
    text_format(out + at, size - at, "}");
    return out;
}

bool pg_is_conflict(const struct pg_failure *why)
{
    static const char *const states[] = { "40001", "40P01", NULL };
    return starts_with_any(why->state, states);
}

bool pg_is_schema_mismatch(const struct pg_failure *why)
{
    /* undefined table, column, function; a column of another type */
    static const char *const states[] = { "42P01", "42703", "42883", "42804", NULL };
    return starts_with_any(why->state, states);
}

int pg_failure_verdict(const struct pg_failure *why)
{
    static const char *const not_ours[] = {
        "08",    /* connection */
        "53",    /* out of memory, disk or connections */
        "58",    /* input or output error of the server */
        "57P",   /* shut down, starting, crashed with another session */
        "25006", /* read only: a standby, or a primary demoted */
        "25P03", /* idle in transaction for too long: the executor was stopped */
        "55P03", /* lock not available */
        NULL,
    };

    if (why->state[0] == '\0' || starts_with_any(why->state, not_ours)) {
        return JOBQ_SNOOZE;
    }
    return JOBQ_RETRY;
}
