/* SPDX-License-Identifier: MIT */
/*
 * pg_session: the one connection of an executor to PostgreSQL. See pg_session.h. Single thread.
 */
#include "worker/executor/pg_session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libpq-events.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "worker/executor/pg_sql.h"

#define CHECK_MS 5000
#define COLLECT_MS 5000
#define TRY_AGAIN_MS 1000u

/* ---- what happens on the connection, whoever uses it ---- */

static void keep_error(struct session *s, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    if (state == NULL)
        return;
    (void)snprintf(s->state, sizeof(s->state), "%.5s", state);
    (void)snprintf(s->message, sizeof(s->message), "%s", message != NULL ? message : "");
}

/* libpq calls this for every result made, and when the connection is closed. */
static int on_event(PGEventId event, void *info, void *ctx)
{
    struct session *s = ctx;

    if (event == PGEVT_RESULTCREATE) {
        const PGEventResultCreate *e = info;

        s->results++;
        if (PQresultStatus(e->result) == PGRES_FATAL_ERROR)
            keep_error(s, e->result);
    } else if (event == PGEVT_CONNDESTROY && !s->finishing) {
        s->conn = NULL;
        s->destroyed = true;
    }
    return 1;
}

static void ignore_notice(void *ctx UNUSED, const char *message UNUSED)
{
}

/* ---- connecting ---- */

int session_init(struct session *s, const char *conninfo, const struct sql *sql, jobq_err *err)
{
    PQconninfoOption *parsed;
    char *why = NULL;

    *s = (struct session){.sql = sql, .up = -1};
    parsed = PQconninfoParse(conninfo, &why);
    /* Its text quotes the string, which may hold a password. */
    PQfreemem(why);
    if (parsed == NULL)
        return error_set(err, JOBQ_ECONFIG,
                         "postgres: neither a libpq connection string nor a URI");
    PQconninfoFree(parsed);
    s->conninfo = mem_strdup(conninfo);
    return s->conninfo != NULL ? JOBQ_OK
                               : error_set(err, JOBQ_ENOMEM, "no memory for the connection string");
}

void session_done(struct session *s)
{
    session_drop(s);
    if (s->conninfo != NULL)
        mem_wipe_free(s->conninfo, strlen(s->conninfo));
    s->conninfo = NULL;
}

void session_drop(struct session *s)
{
    s->finishing = true;
    PQfinish(s->conn);
    s->finishing = false;
    s->conn = NULL;
    s->discarding = false;
    s->next_try_ms = 0;
}

static void tell(struct session *s, bool up, const char *text)
{
    if (s->up == (int)up)
        return;
    s->up = up;
    s->report(s->report_ctx, up, text);
}

/* One line, without the line ends libpq puts everywhere. */
static void keep_why(struct session *s, const char *text)
{
    size_t n = 0;

    for (; *text != '\0' && n + 1 < sizeof(s->why); text++) {
        char c = *text == '\n' || *text == '\t' ? ' ' : *text;

        if (c != ' ' || (n > 0 && s->why[n - 1] != ' '))
            s->why[n++] = c;
    }
    while (n > 0 && s->why[n - 1] == ' ')
        n--;
    s->why[n] = '\0';
}

void session_fail(struct session *s, const char *why)
{
    char text[sizeof(s->why)];

    (void)snprintf(text, sizeof(text), "%s", why); /* may point into the connection */
    session_drop(s);
    keep_why(s, text);
    s->next_try_ms = clock_mono_ms() + TRY_AGAIN_MS + (int64_t)id_random_below(TRY_AGAIN_MS / 2);
    tell(s, false, s->why);
}

static PGconn *open_connection(const char *conninfo)
{
    /* What conninfo says comes after these, and wins. */
    const char *const names[] = {"target_session_attrs",
                                 "connect_timeout",
                                 "client_encoding",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "fallback_application_name",
                                 "dbname",
                                 NULL};
    const char *const values[] = {"read-write", "3",     "UTF8", "5",      "2",
                                  "3",          "10000", "jobq", conninfo, NULL};

    return PQconnectdbParams(names, values, 1);
}

/* The table is there and may be written. */
static bool check_schema(struct session *s)
{
    struct statement st = {.text = s->sql->check, .n = 1, .values = {s->sql->table}};
    PGresult *r = NULL;
    char text[256];
    const char *exists, *allowed;
    bool ok = false;

    if (session_run(s, &st, &r, 1, clock_mono_ms() + CHECK_MS) != JOBQ_OK) {
        session_fail(s, "connection lost while it was made");
        return false;
    }
    exists = session_value(r, 0);
    allowed = session_value(r, 1);
    if (exists == NULL) {
        session_describe(s, text, sizeof(text));
    } else if (exists[0] != 't') {
        (void)snprintf(text, sizeof(text), "no table %s in database %s: run \"jobctl init\"",
                       s->sql->table, PQdb(s->conn));
    } else if (allowed == NULL || allowed[0] != 't') {
        (void)snprintf(text, sizeof(text),
                       "role %s may not read and write %s: grant it SELECT, INSERT, UPDATE, DELETE",
                       PQuser(s->conn), s->sql->table);
    } else {
        ok = true;
    }
    session_clear(&r, 1);
    if (!ok)
        session_fail(s, text);
    return ok;
}

static bool connect_now(struct session *s)
{
    s->conn = open_connection(s->conninfo);
    s->destroyed = false;
    if (s->conn == NULL || PQstatus(s->conn) != CONNECTION_OK) {
        session_fail(s, s->conn != NULL ? PQerrorMessage(s->conn) : "out of memory");
        return false;
    }
    if (!PQregisterEventProc(s->conn, on_event, "jobq", s)) {
        session_fail(s, "out of memory");
        return false;
    }
    s->notices = PQsetNoticeReceiver(s->conn, NULL, NULL);
    (void)PQsetNoticeProcessor(s->conn, ignore_notice, NULL);
    if (PQserverVersion(s->conn) < SQL_VERSION_MIN) {
        session_fail(s, "PostgreSQL 13 or newer is needed");
        return false;
    }
    if (s->needs_schema && !check_schema(s))
        return false;
    s->why[0] = '\0';
    tell(s, true, "connected");
    return true;
}

/* ---- waiting ---- */

/* false: deadline, or poll failed. */
static bool wait_socket(struct session *s, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd p = {.fd = PQsocket(s->conn), .events = events};
        int64_t left = deadline_ms - clock_mono_ms();
        int n;

        if (left <= 0 || p.fd < 0)
            return false;
        n = poll(&p, 1, (int)MIN(left, (int64_t)INT32_MAX));
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

static bool flush(struct session *s, int64_t deadline_ms)
{
    int rc;

    while ((rc = PQflush(s->conn)) > 0) {
        if (!wait_socket(s, POLLIN | POLLOUT, deadline_ms) || !PQconsumeInput(s->conn))
            return false;
    }
    return rc == 0;
}

/* The next result, NULL at the end of a statement. *ok false: no answer. */
static PGresult *next_result(struct session *s, int64_t deadline_ms, bool *ok)
{
    *ok = true;
    while (PQisBusy(s->conn)) {
        if (!wait_socket(s, POLLIN, deadline_ms) || !PQconsumeInput(s->conn)) {
            *ok = false;
            return NULL;
        }
    }
    return PQgetResult(s->conn);
}

/* ---- the runtime's statements ---- */

int session_send(struct session *s, const struct statement *statements, size_t n,
                 int64_t deadline_ms)
{
    bool ok;

    ASSERT(n <= SESSION_STATEMENTS_MAX);
    ok = PQsetnonblocking(s->conn, 1) == 0 && PQenterPipelineMode(s->conn) == 1;
    for (size_t i = 0; ok && i < n; i++) {
        const struct statement *st = &statements[i];

        ok = PQsendQueryParams(s->conn, st->text, st->n, NULL, st->values, st->lengths, st->formats,
                               0) == 1;
    }
    ok = ok && PQpipelineSync(s->conn) == 1 && flush(s, deadline_ms);
    if (ok)
        return JOBQ_OK;
    session_drop(s);
    return JOBQ_ECONN;
}

static bool read_one(struct session *s, PGresult **out, int64_t deadline_ms)
{
    bool ok;
    PGresult *end;

    *out = next_result(s, deadline_ms, &ok);
    if (!ok || *out == NULL)
        return false;
    end = next_result(s, deadline_ms, &ok);
    if (end != NULL)
        PQclear(end);
    return ok && end == NULL;
}

static bool read_sync(struct session *s, int64_t deadline_ms)
{
    bool ok;
    PGresult *r = next_result(s, deadline_ms, &ok);

    ok = ok && PQresultStatus(r) == PGRES_PIPELINE_SYNC;
    PQclear(r);
    return ok && PQexitPipelineMode(s->conn) == 1 && PQsetnonblocking(s->conn, 0) == 0;
}

int session_read(struct session *s, PGresult **results, size_t n, int64_t deadline_ms)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        results[i] = NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = read_one(s, &results[i], deadline_ms);
    if (ok && read_sync(s, deadline_ms) && PQstatus(s->conn) == CONNECTION_OK)
        return JOBQ_OK;
    session_clear(results, n);
    session_drop(s);
    return JOBQ_ECONN;
}

int session_run(struct session *s, const struct statement *statements, PGresult **results, size_t n,
                int64_t deadline_ms)
{
    int rc = session_send(s, statements, n, deadline_ms);

    return rc == JOBQ_OK ? session_read(s, results, n, deadline_ms) : rc;
}

void session_clear(PGresult **results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

size_t session_first_failed(PGresult *const *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ExecStatusType status = PQresultStatus(results[i]);

        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            return i;
    }
    return n;
}

const char *session_value(const PGresult *r, int column)
{
    if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) == 0 || PQgetisnull(r, 0, column))
        return NULL;
    return PQgetvalue(r, 0, column);
}

/* ---- between jobs ---- */

void session_forget_errors(struct session *s)
{
    s->state[0] = '\0';
    s->message[0] = '\0';
}

static bool collect_discard(struct session *s, int64_t deadline_ms)
{
    PGresult *r;
    bool ok = true, good = true;

    while ((r = next_result(s, deadline_ms, &ok)) != NULL) {
        good = good && PQresultStatus(r) == PGRES_COMMAND_OK;
        PQclear(r);
    }
    s->discarding = false;
    if (!ok || !good)
        session_drop(s);
    return ok && good;
}

bool session_settle(struct session *s, int64_t deadline_ms)
{
    if (s->conn != NULL && PQstatus(s->conn) != CONNECTION_OK)
        session_drop(s);
    if (s->conn != NULL && s->discarding)
        (void)!collect_discard(s, deadline_ms);
    return s->conn != NULL;
}

bool session_connect(struct session *s)
{
    return s->conn != NULL || (clock_mono_ms() >= s->next_try_ms && connect_now(s));
}

bool session_rollback(struct session *s, int64_t deadline_ms)
{
    struct statement st = {.text = "ROLLBACK"};
    PGresult *r = NULL;
    bool ok;

    if (s->conn == NULL || PQtransactionStatus(s->conn) == PQTRANS_IDLE)
        return s->conn != NULL;
    ok = session_run(s, &st, &r, 1, deadline_ms) == JOBQ_OK;
    session_clear(&r, 1);
    if (ok && PQtransactionStatus(s->conn) != PQTRANS_IDLE) {
        session_drop(s);
        return false;
    }
    return ok;
}

void session_wipe(struct session *s)
{
    PGnotify *n;

    if (s->conn == NULL)
        return;
    (void)PQsetErrorVerbosity(s->conn, PQERRORS_DEFAULT);
    (void)PQsetErrorContextVisibility(s->conn, PQSHOW_CONTEXT_ERRORS);
    PQuntrace(s->conn);
    (void)PQsetNoticeReceiver(s->conn, s->notices, NULL);
    (void)PQsetNoticeProcessor(s->conn, ignore_notice, NULL);
    while ((n = PQnotifies(s->conn)) != NULL)
        PQfreemem(n);
    /* Its answer is read when the connection is needed again: nobody waits for it. */
    if (PQsetnonblocking(s->conn, 0) != 0 || PQsendQuery(s->conn, "DISCARD ALL") != 1)
        session_drop(s);
    else
        s->discarding = true;
}

bool session_poll(struct session *s)
{
    if (s->conn == NULL)
        return false;
    if (!PQconsumeInput(s->conn) || PQstatus(s->conn) != CONNECTION_OK) {
        session_drop(s);
        return false;
    }
    if (s->discarding && !PQisBusy(s->conn))
        return collect_discard(s, clock_mono_ms() + COLLECT_MS);
    return true;
}

void session_describe(const struct session *s, char *out, size_t out_size)
{
    if (s->state[0] != '\0')
        (void)snprintf(out, out_size, "PostgreSQL %s: %s", s->state, s->message);
    else
        (void)snprintf(out, out_size, "PostgreSQL: connection lost");
}
