/* SPDX-License-Identifier: MIT */
/*
 * pg_keep: what is done for the database while no job runs: staying connected, forgetting children
 * that were sent, pruning old rows of done. See pg_job.h. Single thread.
 */
#include <stdio.h>
#include <string.h>

#include <jobq/job.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "worker/executor/pg_job.h"

#define KEEP_MS 5000
#define PRUNE_EVERY_MS 60000
#define PRUNE_ROWS "500"
#define PRUNE_ROWS_N 500
#define PRUNE_SOON_MS 1000 /* when a batch was full there is more */

void pg_sent(struct pg *p, const uint8_t id[16])
{
    /* Best effort: the row goes by age anyway, and sending children twice is harmless. */
    if (p->forget_count < PG_FORGET_MAX)
        memcpy(p->forget[p->forget_count++], id, 16);
}

/* Runs one statement; gives the rows it changed, or -1. */
static int64_t change(struct pg *p, const struct statement *st)
{
    PGresult *r = NULL;
    int64_t rows;

    if (session_run(&p->session, st, &r, 1, clock_mono_ms() + KEEP_MS) != JOBQ_OK)
        return -1;
    if (PQresultStatus(r) != PGRES_COMMAND_OK || text_parse_int(PQcmdTuples(r), &rows) != JOBQ_OK)
        rows = -1;
    session_clear(&r, 1);
    return rows;
}

static void forget(struct pg *p)
{
    char list[PG_FORGET_MAX * JOBQ_ID_TEXT_SIZE + 2];
    struct statement st = {.text = p->sql.forget, .n = 1, .values = {list}};
    size_t len = 0;

    for (size_t i = 0; i < p->forget_count; i++) {
        jobq_id id;

        memcpy(id.bytes, p->forget[i], sizeof(id.bytes));
        list[len++] = i == 0 ? '{' : ',';
        jobq_id_format(&id, list + len);
        len += JOBQ_ID_TEXT_SIZE - 1;
    }
    list[len++] = '}';
    list[len] = '\0';
    p->forget_count = 0;
    (void)change(p, &st);
}

static void prune(struct pg *p, int64_t now)
{
    char age[24];
    struct statement st = {.text = p->sql.prune, .n = 2, .values = {age, PRUNE_ROWS}};
    int64_t rows;

    (void)snprintf(age, sizeof(age), "%lld", (long long)p->retention_ms);
    rows = change(p, &st);
    p->next_prune_ms = now + (rows >= PRUNE_ROWS_N ? PRUNE_SOON_MS : PRUNE_EVERY_MS);
}

int64_t pg_idle(struct pg *p)
{
    struct session *s = &p->session;
    int64_t now = clock_mono_ms();

    if (s->conn != NULL)
        (void)session_poll(s);
    else if (now >= s->next_try_ms)
        (void)!session_connect(s);
    if (s->conn == NULL)
        return MAX(s->next_try_ms - clock_mono_ms(), (int64_t)10);
    if (s->discarding || !s->needs_schema)
        return PRUNE_EVERY_MS;
    if (p->forget_count > 0)
        forget(p);
    if (s->conn != NULL && now >= p->next_prune_ms) {
        /* Executors start together: spread them, within a tenth of what is kept. */
        if (p->next_prune_ms == 0)
            p->next_prune_ms = now + (int64_t)id_random_below(
                                         (uint64_t)MIN(PRUNE_EVERY_MS, p->retention_ms / 10 + 1));
        else
            prune(p, now);
    }
    return MAX(p->next_prune_ms - now, (int64_t)10);
}
