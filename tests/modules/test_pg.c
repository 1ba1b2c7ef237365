/* SPDX-License-Identifier: MIT */
/*
 * test_pg: handlers that write to PostgreSQL in every way, right and wrong. Opened as
 * lib/jobq-test/test_pg.so; the tables are in tables.sql.
 *
 * transactional:
 *   effect       {"fail_n"}        one row; retry in the first n attempts, after the row
 *   effect_slow  {"ms", "file", "gate"}  one row, marks the file, waits; done earlier if there is a
 * file gate parent       {"n"}             one row, and n children of type effect echo the payload,
 * byte for byte subject      {"subject"}       a row that needs its subject when it is committed
 *   sql          {"sql", "verdict"} one row, then any SQL; if that fails: verdict, retry by default
 *   savepoint                      a failing statement inside a savepoint, then one row
 *   endtx, endtx_begin, endtx_rollback   ends the runtime's transaction; and begins another
 *   pg_unfinished                  leaves a statement on its way
 *   pg_setstate, pg_checkstate     leaves what a session can keep; dead if it is there
 *   pg_deaf                        one row, then a statement that lasts {"s"} seconds
 * manual:
 *   manual       {"fail_n", "n"}   complete(), one row, COMMIT; n children before complete()
 *   manual_ignore                  the same, but goes on when complete() says it was done before
 *   manual_open, manual_rollback   says done without having committed
 * pg:
 *   pg           {"sql"}           any SQL, no transaction of the runtime
 *   pg_open                        leaves a transaction open and says done
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "tests/modules/payload.h"

#define GATE_MS 5 /* between two looks for the file */

static PGconn *connection(const jobq_host *host)
{
    return (PGconn *)host->pg(host->ctx);
}

/* 0, or -1 with the server's text as the verdict's. */
static int run_sql(const jobq_host *host, const char *sql, const char *parameter)
{
    PGconn *conn = connection(host);
    PGresult *r;
    int ok;

    if (conn == NULL)
        return -1;
    r = parameter != NULL ? PQexecParams(conn, sql, 1, NULL, &parameter, NULL, NULL, 0)
                          : PQexec(conn, sql);
    ok = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK;
    if (!ok)
        host->set_text(host->ctx, PQerrorMessage(conn));
    PQclear(r);
    return ok ? 0 : -1;
}

static int insert_effect(const jobq_job_view *job, const jobq_host *host)
{
    return run_sql(host, "INSERT INTO public.effects (job_id) VALUES ($1::uuid)", job->id);
}

static void mark_file(const jobq_job_view *job)
{
    char path[4096];
    int fd;

    if (!payload_text(job, "file", path, sizeof(path)))
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "x\n", 2) != 2)
        abort();
    close(fd);
}

static int run_effect(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (insert_effect(job, host) != 0)
        return JOBQ_RETRY;
    return (long)job->attempt <= payload_int(job, "fail_n", 0) ? JOBQ_RETRY : JOBQ_DONE;
}

static int run_effect_slow(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char gate[4096];
    bool gated = payload_text(job, "gate", gate, sizeof(gate));
    struct timespec t;
    int64_t end, now;

    (void)state;
    if (insert_effect(job, host) != 0)
        return JOBQ_RETRY;
    mark_file(job);
    clock_gettime(CLOCK_MONOTONIC, &t);
    end = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + payload_int(job, "ms", 100);
    do {
        clock_gettime(CLOCK_MONOTONIC, &t);
        now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
        if (now < end)
            poll(NULL, 0, gated ? GATE_MS : (int)(end - now));
    } while (now < end && !(gated && access(gate, F_OK) == 0));
    return JOBQ_DONE;
}

static int spawn(const jobq_job_view *job, const jobq_host *host, long fallback)
{
    jobq_child child = {.size = sizeof(child), .type = "effect"};
    long n = payload_int(job, "n", fallback);
    char payload[64];

    for (long i = 0; i < n; i++) {
        snprintf(payload, sizeof(payload), "{\"i\":%ld}", i);
        child.payload = payload;
        if (host->enqueue(host->ctx, &child) != 0)
            return -1;
    }
    return 0;
}

static int run_parent(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (spawn(job, host, 1) != 0)
        return JOBQ_DEAD;
    return insert_effect(job, host) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_echo(const jobq_job_view *job, const jobq_host *host, void *state)
{
    const char *values[] = {job->id, job->payload};
    const int lengths[] = {0, (int)job->payload_len}, formats[] = {0, 1};
    PGconn *conn = connection(host);
    PGresult *r;
    int ok;

    (void)state;
    if (conn == NULL)
        return JOBQ_RETRY;
    r = PQexecParams(conn,
                     "INSERT INTO public.echoes (job_id, payload) VALUES ($1::uuid, $2::bytea)", 2,
                     NULL, values, lengths, formats, 0);
    ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return ok ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_subject(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char sql[160];

    (void)state;
    snprintf(sql, sizeof(sql),
             "INSERT INTO public.subject_effects (job_id, subject) VALUES ($1::uuid, %ld)",
             payload_int(job, "subject", 0));
    return run_sql(host, sql, job->id) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_any_sql(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char sql[8192];

    (void)state;
    if (insert_effect(job, host) != 0)
        return JOBQ_RETRY;
    mark_file(job);
    if (payload_text(job, "sql", sql, sizeof(sql)) && run_sql(host, sql, NULL) != 0)
        return (int)payload_int(job, "verdict", JOBQ_RETRY);
    return JOBQ_DONE;
}

static int run_savepoint(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (run_sql(host, "SAVEPOINT here", NULL) != 0 || run_sql(host, "SELECT 1/0", NULL) == 0 ||
        run_sql(host, "ROLLBACK TO SAVEPOINT here", NULL) != 0)
        return JOBQ_DEAD;
    host->set_text(host->ctx, "");
    return insert_effect(job, host) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_endtx(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    (void)insert_effect(job, host);
    return run_sql(host, "COMMIT", NULL) == 0 ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_endtx_begin(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (run_sql(host, "ROLLBACK", NULL) != 0 || run_sql(host, "BEGIN", NULL) != 0)
        return JOBQ_DEAD;
    return insert_effect(job, host) == 0 ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_endtx_rollback(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    (void)insert_effect(job, host);
    return run_sql(host, "ROLLBACK", NULL) == 0 ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_pg_unfinished(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)state;
    return PQsendQuery(connection(host), "SELECT pg_sleep(10)") == 1 ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_pg_setstate(const jobq_job_view *job, const jobq_host *host, void *state)
{
    static const char *const all[] = {
        "SET search_path TO pg_temp, public",
        "SET timezone TO 'Asia/Tokyo'",
        "SET statement_timeout TO 123456",
        "CREATE TEMP TABLE left_behind (x int)",
        "SELECT pg_advisory_lock(4711)",
        "LISTEN left_behind",
        "PREPARE left_behind AS SELECT 1",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1",
    };

    (void)job;
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (run_sql(host, all[i], NULL) != 0)
            return JOBQ_DEAD;
    }
    return JOBQ_DONE;
}

static int run_pg_checkstate(const jobq_job_view *job, const jobq_host *host, void *state)
{
    static const char check[] =
        "SELECT concat_ws(' ',"
        " CASE WHEN current_setting('timezone') = 'Asia/Tokyo' THEN 'timezone' END,"
        " CASE WHEN current_setting('statement_timeout') LIKE '123456%' THEN 'statement_timeout' "
        "END,"
        " CASE WHEN current_setting('transaction_isolation') <> 'read committed' THEN 'isolation' "
        "END,"
        " CASE WHEN to_regclass('pg_temp.left_behind') IS NOT NULL THEN 'temporary table' END,"
        " (SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = "
        "pg_backend_pid() LIMIT 1),"
        " (SELECT 'listen' FROM pg_listening_channels() LIMIT 1),"
        " (SELECT 'prepared statement' FROM pg_prepared_statements LIMIT 1),"
        " (SELECT 'cursor' FROM pg_cursors WHERE name = 'left_behind'))";
    PGconn *conn = connection(host);
    PGresult *r = PQexec(conn, check);
    int clean = PQresultStatus(r) == PGRES_TUPLES_OK && PQgetvalue(r, 0, 0)[0] == '\0';

    (void)job;
    (void)state;
    if (!clean)
        host->set_text(host->ctx, PQresultStatus(r) == PGRES_TUPLES_OK ? PQgetvalue(r, 0, 0)
                                                                       : PQerrorMessage(conn));
    PQclear(r);
    return clean ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_pg_deaf(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char sql[64];

    (void)state;
    if (insert_effect(job, host) != 0)
        return JOBQ_RETRY;
    mark_file(job);
    snprintf(sql, sizeof(sql), "SELECT pg_sleep(%ld)", payload_int(job, "s", 60));
    return run_sql(host, sql, NULL) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

/* ---- manual ---- */

static int run_manual(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (spawn(job, host, 0) != 0 || run_sql(host, "BEGIN", NULL) != 0)
        return JOBQ_RETRY;
    switch (host->complete(host->ctx)) {
    case 0:
        break;
    case 1:
        return run_sql(host, "ROLLBACK", NULL) == 0 ? JOBQ_DONE : JOBQ_RETRY;
    default:
        return JOBQ_RETRY;
    }
    if (insert_effect(job, host) != 0 || (long)job->attempt <= payload_int(job, "fail_n", 0))
        return JOBQ_RETRY;
    return run_sql(host, "COMMIT", NULL) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_manual_ignore(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (run_sql(host, "BEGIN", NULL) != 0)
        return JOBQ_RETRY;
    (void)host->complete(host->ctx);
    (void)insert_effect(job, host);
    (void)run_sql(host, "COMMIT", NULL);
    return JOBQ_DONE;
}

static int run_manual_open(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (run_sql(host, "BEGIN", NULL) != 0 || host->complete(host->ctx) != 0)
        return JOBQ_RETRY;
    return insert_effect(job, host) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_manual_rollback(const jobq_job_view *job, const jobq_host *host, void *state)
{
    int verdict = run_manual_open(job, host, state);

    return run_sql(host, "ROLLBACK", NULL) == 0 ? verdict : JOBQ_RETRY;
}

/* ---- only a connection ---- */

static int run_pg(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char sql[8192];

    (void)state;
    if (!payload_text(job, "sql", sql, sizeof(sql)))
        return JOBQ_DEAD;
    mark_file(job);
    return run_sql(host, sql, NULL) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int run_pg_open(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)state;
    if (run_sql(host, "BEGIN", NULL) != 0)
        return JOBQ_RETRY;
    return insert_effect(job, host) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static const jobq_handler handlers[] = {
    {"effect", run_effect, JOBQ_HANDLER_TRANSACTIONAL},
    {"effect_slow", run_effect_slow, JOBQ_HANDLER_TRANSACTIONAL},
    {"parent", run_parent, JOBQ_HANDLER_TRANSACTIONAL},
    {"echo", run_echo, JOBQ_HANDLER_TRANSACTIONAL},
    {"subject", run_subject, JOBQ_HANDLER_TRANSACTIONAL},
    {"sql", run_any_sql, JOBQ_HANDLER_TRANSACTIONAL},
    {"savepoint", run_savepoint, JOBQ_HANDLER_TRANSACTIONAL},
    {"endtx", run_endtx, JOBQ_HANDLER_TRANSACTIONAL},
    {"endtx_begin", run_endtx_begin, JOBQ_HANDLER_TRANSACTIONAL},
    {"endtx_rollback", run_endtx_rollback, JOBQ_HANDLER_TRANSACTIONAL},
    {"pg_unfinished", run_pg_unfinished, JOBQ_HANDLER_TRANSACTIONAL},
    {"pg_setstate", run_pg_setstate, JOBQ_HANDLER_TRANSACTIONAL},
    {"pg_checkstate", run_pg_checkstate, JOBQ_HANDLER_TRANSACTIONAL},
    {"pg_deaf", run_pg_deaf, JOBQ_HANDLER_TRANSACTIONAL},
    {"manual", run_manual, JOBQ_HANDLER_MANUAL},
    {"manual_ignore", run_manual_ignore, JOBQ_HANDLER_MANUAL},
    {"manual_open", run_manual_open, JOBQ_HANDLER_MANUAL},
    {"manual_rollback", run_manual_rollback, JOBQ_HANDLER_MANUAL},
    {"pg", run_pg, JOBQ_HANDLER_PG},
    {"pg_open", run_pg_open, JOBQ_HANDLER_PG},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {sizeof(jobq_module), "test_pg", handlers, NULL, NULL};
