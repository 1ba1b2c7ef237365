/* SPDX-License-Identifier: MIT */
/* forum: see forum.h. */
#include "tests/integration/recount/forum.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE "contrib/forum/fixture/"

/* The module may do what contrib/postgres grants its role, and nothing else. The server's own user
 * is named like their schema, where its new tables would end up. */
static struct forum *open_forum(struct forum *f)
{
    pg_do(f->pg, "ALTER ROLE jobq SET search_path = public; SET search_path = public");
    pg_load(f->pg, source_path("contrib/postgres/roles.sql"));
    if (f->version != NULL)
        pg_load(f->pg, source_path(fmt("contrib/postgres/grants/recount-%s.sql", f->version)));
    f->driver = driver_open(lib_path("jobq/recount.so"),
                            fmt("%s user=jobq_worker application_name=driver", f->pg->conninfo));
    return f;
}

static struct forum *start_server(void)
{
    struct forum *f = calloc(1, sizeof(*f));

    if (!f) {
        fail_test("out of memory");
    }
    f->pg = postgres_start(false);
    return f;
}

struct forum *forum_start_empty(void)
{
    return open_forum(start_server());
}

struct forum *forum_start(const char *version)
{
    struct forum *f = start_server();
    const char *const argv[] = { source_path(FIXTURE "load.sh"),
                                 f->pg->conninfo,
                                 "--threads",
                                 "600",
                                 "--posts",
                                 "4000",
                                 "--users",
                                 "450",
                                 "--version",
                                 version,
                                 NULL };
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    if (status != 0) {
        fail_test("load.sh: exit %d: %s", status, out);
    }
    free(out);
    f->is_040 = strcmp(version, V040) == 0;
    f->version = version;
    return open_forum(f);
}

void forum_stop(struct forum *f)
{
    driver_close(f->driver);
    postgres_stop(f->pg);
    free(f);
}

void forum_load(struct forum *f, const char *file)
{
    pg_load(f->pg, source_path(fmt(FIXTURE "%s", file)));
}

char *forum_faults(struct forum *f)
{
    const char *const argv[] = {
        "psql", "-XAt", "-d", f->pg->conninfo, "-f", source_path(FIXTURE "verify.sql"), NULL
    };
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    if (status != 0) {
        fail_test("verify.sql: exit %d: %s", status, out);
    }
    return out;
}

void forum_must_be_right(struct forum *f)
{
    char *faults = forum_faults(f);

    if (faults[0] != '\0') {
        fail_test("counters are wrong:\n%.2000s", faults);
    }
    free(faults);
}

static const char *const tables[] = { "misago_threads_thread", "misago_categories_category",
                                      "misago_users_user", NULL };

void forum_keep(struct forum *f)
{
    pg_do(f->pg, "DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept");
    for (size_t i = 0; tables[i]; i++) {
        pg_do(f->pg, "CREATE TABLE kept.%s AS TABLE %s", tables[i], tables[i]);
    }
}

long long forum_changed_rows(struct forum *f)
{
    long long n = 0;

    for (size_t i = 0; tables[i]; i++) {
        n += pg_int(f->pg,
                    "SELECT count(*) FROM (SELECT t::text FROM kept.%s t EXCEPT ALL"
                    " SELECT t::text FROM %s t) x",
                    tables[i], tables[i]);
    }
    return n;
}

char *forum_row_versions(struct forum *f)
{
    return pg_str(f->pg, "SELECT md5(string_agg(v, ',' ORDER BY v)) FROM ("
                         " SELECT 't' || ctid || xmin AS v FROM misago_threads_thread UNION ALL"
                         " SELECT 'c' || ctid || xmin FROM misago_categories_category UNION ALL"
                         " SELECT 'u' || ctid || xmin FROM misago_users_user) x");
}

PGconn *session_open(struct forum *f)
{
    PGconn *conn = PQconnectdb(f->pg->conninfo);

    if (PQstatus(conn) != CONNECTION_OK) {
        fail_test("connect: %s", PQerrorMessage(conn));
    }
    return conn;
}

void session_do(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);

    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_test("%s: %s", sql, PQerrorMessage(conn));
    }
    PQclear(r);
}

static atomic_int over; /* runs that came to an end and were not joined yet */

static void *run_background(void *ctx)
{
    struct background *b = ctx;

    b->verdict = driver_run(b->driver, b->type, b->payload);
    atomic_fetch_add(&over, 1);
    return NULL;
}

int background_over(void)
{
    return atomic_load(&over);
}

void background_start(struct background *b, struct forum *f, const char *type, const char *payload)
{
    *b = (struct background){ .driver = f->driver, .type = type, .payload = payload };
    if (pthread_create(&b->thread, NULL, run_background, b) != 0) {
        fail_test("no thread");
    }
}

int background_join(struct background *b)
{
    pthread_join(b->thread, NULL);
    atomic_fetch_sub(&over, 1);
    return b->verdict;
}

static bool is_blocked(void *ctx)
{
    struct forum *f = ctx;

    return background_over() > 0 ||
           pg_int(f->pg, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'driver'"
                         " AND wait_event_type = 'Lock'") > 0;
}

void forum_wait_blocked(struct forum *f)
{
    if (!wait_until(now_ms() + patience_ms(20000), is_blocked, f)) {
        fail_test("the job never waited for a lock");
    }
}

void must_recount_all(struct forum *f, const char *kind, long long checked, long long changed,
                      size_t runs)
{
    long long c = 0;
    long long m = 0;
    size_t n = 0;
    int verdict =
        driver_run_chain(f->driver, RECOUNT_ALL, fmt("{\"kind\":\"%s\"}", kind), &c, &m, &n);

    if (verdict != JOBQ_DONE || c != checked || m != changed || (runs > 0 && n != runs)) {
        fail_test("recount_all %s: verdict %d (%s), checked %lld not %lld, changed %lld not %lld, "
                  "%zu runs not %zu",
                  kind, verdict, f->driver->text, c, checked, m, changed, n, runs);
    }
}
