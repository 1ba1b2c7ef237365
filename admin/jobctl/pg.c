/* SPDX-License-Identifier: MIT */
/* pg: see pg.h. */
#include "admin/jobctl/pg.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/conninfo.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

struct pg {
    PGconn *conn;
    int64_t deadline_ms;
    char where[128];
};

struct pg_result {
    PGresult *result;
};

/* ---- errors ---- */

static int code_of_state(const char *state)
{
    if (strncmp(state, "28", 2) == 0 || strcmp(state, "42501") == 0)
        return JOBQ_EAUTH;
    if (strcmp(state, "25006") == 0)
        return JOBQ_EREJECTED;
    if (strcmp(state, "57014") == 0) /* our statement_timeout */
        return JOBQ_ETIMEDOUT;
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "53", 2) == 0 ||
        strncmp(state, "57P", 3) == 0)
        return JOBQ_ECONN;
    return JOBQ_ESTATE;
}

/* The first line of what libpq says, fit for a message. */
static void first_line(const char *text, char *out, size_t out_size)
{
    text_sanitize(text, strcspn(text, "\n"), out, out_size);
}

/*
 * libpq tells no SQLSTATE of a refused connection, but writes it into the text at this verbosity:
 * "FATAL: 28P01: …". false: there is none, the server was not reached.
 */
static bool find_state(const char *text, char state[6])
{
    for (const char *at = text; (at = strstr(at, ":  ")) != NULL; at += 3) {
        if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':') {
            memcpy(state, at + 3, 5);
            state[5] = '\0';
            return true;
        }
    }
    return false;
}

static int refused(const struct pg *p, jobq_err *err)
{
    char line[180], state[6];
    const char *text = PQerrorMessage(p->conn);
    first_line(text, line, sizeof(line));
    int code = find_state(text, state) ? code_of_state(state) : JOBQ_ECONN;
    if (code == JOBQ_ESTATE)
        code = JOBQ_ECONFIG; /* no such database, no such parameter: what was configured is wrong */
    return error_set(err, code, "cannot connect to PostgreSQL: %s", line);
}

static int failed(const struct pg *p, const PGresult *r, jobq_err *err)
{
    char line[160];
    const char *state = r != NULL ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r != NULL ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    first_line(text != NULL ? text : PQerrorMessage(p->conn), line, sizeof(line));
    int code = state != NULL ? code_of_state(state) : JOBQ_ECONN;
    return error_set(err, code, "PostgreSQL at %s: %s%s%s", p->where, line,
                     state != NULL ? ", SQLSTATE " : "", state != NULL ? state : "");
}

/* ---- waiting ---- */

static int wait_socket(const struct pg *p, short events, jobq_err *err)
{
    int64_t left = p->deadline_ms - clock_mono_ms();
    struct pollfd fd = {.fd = PQsocket(p->conn), .events = events};
    if (left <= 0)
        return error_set(err, JOBQ_ETIMEDOUT, "PostgreSQL at %s did not answer in time", p->where);
    if (fd.fd < 0)
        return error_set(err, JOBQ_ECONN, "the connection to PostgreSQL at %s is gone", p->where);
    /* EINTR and a time-out: the caller looks again */
    (void)!poll(&fd, 1, (int)MIN(left, (int64_t)60000));
    return JOBQ_OK;
}

static int finish_connecting(struct pg *p, jobq_err *err)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED)
            return refused(p, err);
        int rc = wait_socket(p, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, err);
        if (rc != JOBQ_OK)
            return rc;
        status = PQconnectPoll(p->conn);
    }
    return JOBQ_OK;
}

/* Reads every result of what was sent; the first failure counts. *out gets the last one. */
static int take_results(struct pg *p, PGresult **out, jobq_err *err)
{
    int rc = JOBQ_OK;
    *out = NULL;
    for (;;) {
        int flush = PQflush(p->conn);
        while (flush == 1 || PQisBusy(p->conn)) {
            int waited = wait_socket(p, (short)(flush == 1 ? POLLIN | POLLOUT : POLLIN), err);
            if (waited != JOBQ_OK)
                return waited;
            if (PQconsumeInput(p->conn) == 0)
                return failed(p, NULL, err);
            flush = PQflush(p->conn);
        }
        PGresult *r = PQgetResult(p->conn);
        if (r == NULL)
            return rc;
        ExecStatusType status = PQresultStatus(r);
        if (rc == JOBQ_OK && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
            status != PGRES_EMPTY_QUERY)
            rc = failed(p, r, err);
        PQclear(*out);
        *out = r;
    }
}

/* ---- connecting ---- */

static int check_conninfo(const char *conninfo, jobq_err *err)
{
    char *text = NULL;
    jobq_err why;
    if (conninfo_check(conninfo, &why) != JOBQ_OK)
        return error_set(err, JOBQ_ECONFIG, "postgres %s", why.msg);
    PQconninfoOption *options = PQconninfoParse(conninfo, &text);
    PQconninfoFree(options);
    if (text != NULL)
        PQfreemem(text); /* not shown: it may repeat a piece of a password */
    if (options == NULL)
        return error_set(
            err, JOBQ_ECONFIG,
            "postgres is not a libpq connection string (\"host=… dbname=…\" or postgresql://…)");
    return JOBQ_OK;
}

static void set_where(struct pg *p)
{
    const char *host = PQhost(p->conn), *port = PQport(p->conn), *db = PQdb(p->conn);
    char text[128];
    snprintf(text, sizeof(text), "%s:%s/%s", host != NULL ? host : "", port != NULL ? port : "",
             db != NULL ? db : "");
    text_sanitize(text, strlen(text), p->where, sizeof(p->where));
}

/* The server gives up a statement when we do, so that nothing of ours waits on in it. */
static int limit_statements(struct pg *p, jobq_err *err)
{
    char ms[24];
    const char *values[] = {ms};
    snprintf(ms, sizeof(ms), "%lld", (long long)MAX(p->deadline_ms - clock_mono_ms(), (int64_t)1));
    return pg_query(p, "SELECT pg_catalog.set_config('statement_timeout', $1, false)", 1, values,
                    NULL, err);
}

int pg_open(const char *conninfo, int64_t deadline_ms, struct pg **out, jobq_err *err)
{
    const char *const names[] = {"dbname", "fallback_application_name", NULL};
    const char *const values[] = {conninfo, "jobctl", NULL};
    if (conninfo == NULL)
        return error_set(err, JOBQ_ECONFIG,
                         "no PostgreSQL is configured: set postgres in the configuration, "
                         "JOBQ_POSTGRES or --postgres");
    int rc = check_conninfo(conninfo, err);
    if (rc != JOBQ_OK)
        return rc;
    struct pg *p = mem_zalloc(1, sizeof(*p));
    if (p == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a connection");
    p->deadline_ms = deadline_ms;
    snprintf(p->where, sizeof(p->where), "the configured address");
    p->conn = PQconnectStartParams(names, values, 1); /* what is given as dbname is expanded */
    if (p->conn == NULL)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for a connection");
    else if (PQstatus(p->conn) == CONNECTION_BAD)
        rc = refused(p, err);
    if (rc == JOBQ_OK) {
        PQsetErrorVerbosity(p->conn, PQERRORS_VERBOSE);
        rc = finish_connecting(p, err);
    }
    if (rc == JOBQ_OK) {
        set_where(p);
        if (PQsetnonblocking(p->conn, 1) != 0)
            rc = failed(p, NULL, err);
    }
    if (rc == JOBQ_OK)
        rc = limit_statements(p, err);
    if (rc == JOBQ_OK)
        *out = p;
    else
        pg_close(p);
    return rc;
}

void pg_close(struct pg *p)
{
    if (p == NULL)
        return;
    PQfinish(p->conn);
    mem_free(p);
}

const char *pg_where(const struct pg *p)
{
    return p->where;
}

int pg_version(const struct pg *p)
{
    return PQserverVersion(p->conn);
}

/* ---- statements ---- */

int pg_query(struct pg *p, const char *sql, size_t n, const char *const *values,
             struct pg_result **out, jobq_err *err)
{
    PGresult *result = NULL;
    struct pg_result *r = NULL;
    if (PQsendQueryParams(p->conn, sql, (int)n, NULL, values, NULL, NULL, 0) == 0)
        return failed(p, NULL, err);
    int rc = take_results(p, &result, err);
    if (rc == JOBQ_OK && out != NULL) {
        r = mem_zalloc(1, sizeof(*r));
        if (r == NULL)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for an answer");
    }
    if (rc == JOBQ_OK && out != NULL) {
        r->result = result;
        *out = r;
        return JOBQ_OK;
    }
    PQclear(result);
    return rc;
}

int pg_run(struct pg *p, const char *sql, jobq_err *err)
{
    PGresult *result = NULL;
    if (PQsendQuery(p->conn, sql) == 0)
        return failed(p, NULL, err);
    int rc = take_results(p, &result, err);
    PQclear(result);
    return rc;
}

void pg_result_free(struct pg_result *r)
{
    if (r == NULL)
        return;
    PQclear(r->result);
    mem_free(r);
}

const char *pg_value(const struct pg_result *r, int column)
{
    if (PQntuples(r->result) == 0 || PQgetisnull(r->result, 0, column))
        return NULL;
    return PQgetvalue(r->result, 0, column);
}
