/* SPDX-License-Identifier: MIT */
/* background: see background.h. */
#include "tests/support/background.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/session.h"
#include "tests/support/support.h"

#define SOON_MS 20000

static void *run(void *ctx)
{
    struct background *b = ctx;

    b->verdict = handler_run(b->handler, b->type, b->payload);
    atomic_store(&b->over, true);
    return NULL;
}

void background_start(struct background *b, struct handler *h, const char *type,
                      const char *payload)
{
    *b = (struct background){.handler = h, .type = strdup(type), .payload = strdup(payload)};
    if (b->type == NULL || b->payload == NULL || pthread_create(&b->thread, NULL, run, b) != 0)
        fail_test("no thread");
}

int background_join(struct background *b)
{
    pthread_join(b->thread, NULL);
    free(b->type);
    free(b->payload);
    return b->verdict;
}

/* ---- who waits for a lock ---- */

struct watch {
    struct background *b;
    struct postgres *pg;
    PGconn *conn; /* whose statement is to wait */
};

static bool is_blocked(void *ctx)
{
    struct watch *w = ctx;

    return atomic_load(&w->b->over) || pg_int(w->pg,
                                              "SELECT count(*) FROM pg_stat_activity WHERE pid = %d"
                                              " AND wait_event_type = 'Lock'",
                                              PQbackendPID(w->conn)) > 0;
}

/* Also when the run is over. */
static void wait_blocked(struct background *b, struct postgres *pg, PGconn *conn, const char *who)
{
    struct watch w = {b, pg, conn};

    if (!wait_until(now_ms() + patience_ms(SOON_MS), is_blocked, &w))
        fail_test("%s never waited for a lock", who);
}

void background_wait_blocked(struct background *b, struct postgres *pg)
{
    wait_blocked(b, pg, b->handler->conn, "the job");
}

int background_beside(PGconn *other, struct handler *h, struct postgres *pg, const char *type,
                      const char *payload)
{
    struct background job;

    background_start(&job, h, type, payload);
    background_wait_blocked(&job, pg);
    session_do(other, "COMMIT");
    return background_join(&job);
}

/* ---- a deadlock ---- */

static bool has_short_timeout(void *ctx)
{
    PGresult *r = PQexec(ctx, "SHOW deadlock_timeout");
    bool is_short = PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), "20ms") == 0;

    PQclear(r);
    return is_short;
}

/* Only a superuser may, so it is the server's setting; the job's session has to have read it. */
static void shorten_deadlock_timeout(struct postgres *pg, PGconn *conn)
{
    pg_do(pg, "ALTER SYSTEM SET deadlock_timeout = '20ms'");
    pg_do(pg, "SELECT pg_reload_conf()");
    if (!wait_until(now_ms() + patience_ms(SOON_MS), has_short_timeout, conn))
        fail_test("the server never read its new deadlock_timeout");
}

/* The rival never looks for deadlocks: the job has to find it, once the holder is gone. */
static int run_into(const struct deadlock *d, struct handler *h, struct postgres *pg)
{
    struct background job;
    PGconn *holder = session_open(pg);
    PGconn *rival = session_open(pg);
    const char *wish = fmt("UPDATE %s WHERE id = %lld", d->update, d->first);

    session_do(rival, "SET deadlock_timeout = '1h'");
    session_do(rival, "BEGIN; UPDATE %s WHERE id = %lld", d->update, d->first + 2);
    session_do(holder, "BEGIN; UPDATE %s WHERE id = %lld", d->update, d->first + 1);
    background_start(&job, h, d->type, d->payload);
    background_wait_blocked(&job, pg);
    if (PQsendQuery(rival, wish) != 1)
        fail_test("%s: %s", wish, PQerrorMessage(rival));
    wait_blocked(&job, pg, rival, "the rival");
    session_do(holder, "ROLLBACK");
    PGresult *r = PQgetResult(rival); /* the job gave way, by deadlock or by its lock_timeout */
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_test("%s: %s", wish, PQerrorMessage(rival));
    PQclear(r);
    if (PQgetResult(rival) != NULL)
        fail_test("%s: two results", wish);
    session_do(rival, "COMMIT");
    PQfinish(holder);
    PQfinish(rival);
    return background_join(&job);
}

int background_deadlock(struct handler *h, struct postgres *pg, const struct deadlock *d)
{
    int verdict = JOBQ_SNOOZE;

    shorten_deadlock_timeout(pg, h->conn);
    /* On a machine too slow to set the scene within the job's lock_timeout it ends in SNOOZE. */
    for (int i = 0; verdict == JOBQ_SNOOZE && i < 10; i++)
        verdict = run_into(d, h, pg);
    return verdict;
}
