/* SPDX-License-Identifier: MIT */
/* work: see work.h. */
#include "worker/handlers/notify/work.h"

#include <stdarg.h>
#include <string.h>

#include "worker/handlers/common/text.h"

/* The forum may enqueue before it commits: its post is there soon, or never. */
#define MISSING_ATTEMPTS 4u
#define MISSING_DELAY_MS 5000

/* For this transaction: no long wait for a row; no JIT, which takes longer than the statements. */
static const char settings[] =
    "SELECT set_config('lock_timeout', '2s', true), set_config('jit', 'off', true)";

/* ---- the tables ---- */

static bool probe(struct work *w, struct pg_failure *why)
{
    enum forum_version version = FORUM_UNKNOWN;
    int missing;

    if (w->state->version == FORUM_UNKNOWN) {
        if (forum_probe(w->conn, &version, w->text, sizeof(w->text), why) < 0) {
            return false;
        }
        if (version == FORUM_UNKNOWN) {
            return true;
        }
        missing = forum_require(w->conn, version, notify_sql_of(version)->columns, w->text,
                                sizeof(w->text), why);
        if (missing != 0) {
            return missing > 0;
        }
        w->state->version = version;
    }
    w->sql = notify_sql_of(w->state->version);
    return true;
}

/* ---- the run ---- */

struct attempt_of {
    struct work *work;
    attempt_fn fn;
    void *ctx;
};

static enum attempt attempt_once(void *ctx, struct pg_failure *why)
{
    struct attempt_of *a = ctx;

    a->work->is_missing = false;
    a->work->sql = NULL;
    if (!probe(a->work, why)) {
        return ATTEMPT_FAILED;
    }
    if (!a->work->sql) {
        return ATTEMPT_REFUSED;
    }
    if (!pg_run(a->work->conn, settings, why)) {
        return ATTEMPT_FAILED;
    }
    return a->fn(a->ctx, why);
}

static int judge_missing(struct work *w)
{
    w->host->set_text(w->host->ctx, w->text);
    if (w->job->attempt < MISSING_ATTEMPTS && w->job->attempt < w->job->max_attempts) {
        w->host->set_delay(w->host->ctx, MISSING_DELAY_MS);
        return JOBQ_RETRY;
    }
    w->host->log(w->host->ctx, JOBQ_LOG_WARN, w->text);
    return JOBQ_DONE;
}

static int judge_failure(struct work *w)
{
    if (pg_is_schema_mismatch(&w->why)) {
        w->state->version = FORUM_UNKNOWN; /* the forum was upgraded meanwhile: look again */
    }
    w->host->set_text(w->host->ctx, w->why.text);
    return pg_failure_verdict(&w->why);
}

bool work_run(struct work *w, attempt_fn fn, void *ctx, int *verdict)
{
    struct attempt_of a = {.work = w, .fn = fn, .ctx = ctx};

    w->conn = w->host->pg(w->host->ctx);
    if (!w->conn) {
        w->host->set_text(w->host->ctx, "no connection to PostgreSQL");
        *verdict = JOBQ_SNOOZE;
        return false;
    }
    switch (attempts_run(w->conn, attempt_once, &a, &w->why)) {
    case ATTEMPT_OK:
        return true;
    case ATTEMPT_REFUSED:
        if (w->is_missing) {
            *verdict = judge_missing(w);
        } else {
            w->host->set_text(w->host->ctx, w->text);
            *verdict = JOBQ_DEAD;
        }
        return false;
    case ATTEMPT_FAILED:
        break;
    }
    *verdict = judge_failure(w);
    return false;
}

enum attempt work_miss(struct work *w, const char *format, ...)
{
    va_list args;

    w->is_missing = true;
    va_start(args, format);
    text_format_list(w->text, sizeof(w->text), format, args);
    va_end(args);
    return ATTEMPT_REFUSED;
}

/* ---- statements ---- */

PGresult *work_query(struct work *w, const char *sql, int n, const char *const *params,
                     struct pg_failure *why)
{
    return pg_query(w->conn, sql, n, params, why);
}

static bool run_with(struct work *w, const char *sql, const char *param, struct pg_failure *why)
{
    PGresult *r = pg_query(w->conn, sql, 1, &param, why);

    PQclear(r);
    return r != NULL;
}

bool work_lock(struct work *w, const char *key, struct pg_failure *why)
{
    return run_with(w, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key, why);
}

bool work_count_unread(struct work *w, const char *users, struct pg_failure *why)
{
    return run_with(w,
                    "SELECT FROM misago_users_user WHERE id = ANY ($1::bigint[])"
                    " ORDER BY id FOR NO KEY UPDATE",
                    users, why) &&
           run_with(w,
                    "UPDATE misago_users_user SET unread_notifications = unread_notifications + 1"
                    " WHERE id = ANY ($1::bigint[])",
                    users, why);
}

/* ---- what comes of it ---- */

bool work_enqueue_mail(struct work *w, const char *type, const char *payload, const char *key)
{
    jobq_child child = {
        .size = sizeof(child),
        .type = type,
        .queue = w->host->config(w->host->ctx, "mail.queue"),
        .payload = payload,
        .payload_len = strlen(payload),
        .unique_key = key,
    };

    return w->host->enqueue(w->host->ctx, &child) == 0;
}

void work_report(struct work *w, const char *format, ...)
{
    char json[160];
    va_list args;

    va_start(args, format);
    text_format_list(json, sizeof(json), format, args);
    va_end(args);
    w->host->set_result(w->host->ctx, json, strlen(json));
}
