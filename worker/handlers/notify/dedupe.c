/* SPDX-License-Identifier: MIT */
/*
 * dedupe: notify.dedupe_watched {"thread_id": n}, threads were merged: whoever watched several of
 * them watches the one that is left several times.
 *
 * Each user keeps the watch last read, which sends mail if any of them did. Nothing to do is done
 * well: so is a thread that is gone.
 */
#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/notify/work.h"

struct dedupe {
    struct work work;
    char thread_id[PG_ID_TEXT_MAX];
    char deleted[PG_ID_TEXT_MAX]; /* how many */
    char upgraded[PG_ID_TEXT_MAX];
};

/* Locked by one statement, compared by the next: what the forum wrote meanwhile counts. */
static const char lock[] = "SELECT FROM misago_notifications_watchedthread WHERE thread_id = "
                           "$1::bigint ORDER BY id FOR UPDATE";

static enum attempt attempt_dedupe(void *ctx, struct pg_failure *why)
{
    struct dedupe *d = ctx;
    const char *params[1] = {d->thread_id};
    PGresult *r = work_query(&d->work, lock, 1, params, why);
    bool is_locked = r != NULL;

    PQclear(r);
    r = is_locked ? work_query(&d->work, d->work.sql->dedupe, 1, params, why) : NULL;
    if (!r) {
        return ATTEMPT_FAILED;
    }
    text_format(d->deleted, sizeof(d->deleted), "%s", PQgetvalue(r, 0, 0));
    text_format(d->upgraded, sizeof(d->upgraded), "%s", PQgetvalue(r, 0, 1));
    PQclear(r);
    return ATTEMPT_OK;
}

int notify_dedupe(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct dedupe d = {.work = {.job = job, .host = host, .state = state}};
    struct payload p;
    int verdict = JOBQ_DEAD;

    payload_open(&p, job->payload, job->payload_len);
    text_format(d.thread_id, sizeof(d.thread_id), "%" PRId64, payload_id(&p, "thread_id"));
    if (!payload_finish(&p)) {
        host->set_text(host->ctx, p.fault);
    } else if (work_run(&d.work, attempt_dedupe, &d, &verdict)) {
        work_report(&d.work, "{\"deleted\":%s,\"upgraded\":%s}", d.deleted, d.upgraded);
        verdict = JOBQ_DONE;
    }
    payload_done(&p);
    return verdict;
}
