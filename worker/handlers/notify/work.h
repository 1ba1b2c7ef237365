/* SPDX-License-Identifier: MIT */
/*
 * work: what the three types of the module have in common: the run, its database, the counters of
 * unread notifications, the mails, and the verdicts.
 *
 * A struct work lives on the handler's stack during one run.
 */
#ifndef WORKER_HANDLERS_NOTIFY_WORK_H
#define WORKER_HANDLERS_NOTIFY_WORK_H

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include <jobq/handler.h>

#include "worker/handlers/common/attempts.h"
#include "worker/handlers/common/forum.h"
#include "worker/handlers/common/pg.h"
#include "worker/handlers/notify/sql.h"

#define IDS_MAX 1000 /* members in one payload */

/* What is known of the database's tables; lives as long as the executor. */
struct state {
    enum forum_version version; /* FORUM_UNKNOWN: not looked yet */
};

struct work {
    const jobq_job_view *job;
    const jobq_host *host;
    struct state *state;
    PGconn *conn;
    const struct notify_sql *sql; /* NULL: the tables are unknown; text says why */
    bool is_missing;              /* what the job is about is not there; text says what */
    char text[512];               /* of the verdict */
    struct pg_failure why;
};

/*
 * Runs fn(ctx, …) until it goes through. True: it did, and the outcome is up to the caller.
 * False: *verdict is the job's, and its text is set. Sets w->conn and w->sql first; fn returns
 * ATTEMPT_REFUSED after work_miss().
 */
bool work_run(struct work *w, attempt_fn fn, void *ctx, int *verdict);

/* The refusal of a job whose subject is not there (yet). */
enum attempt work_miss(struct work *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One statement; NULL: it failed, and *why says how. The rows: caller frees with PQclear(). */
PGresult *work_query(struct work *w, const char *sql, int n, const char *const *params,
                     struct pg_failure *why);

/* Serialises the runs about one subject until the transaction ends. key: "type:id". */
bool work_lock(struct work *w, const char *key, struct pg_failure *why);

/* One more unread notification for each of users, a PostgreSQL array; rows locked in the order of
   their ids. */
bool work_count_unread(struct work *w, const char *users, struct pg_failure *why);

/*
 * Enqueues a mail. key: while a job holds it, the mail is not enqueued twice. False: the job
 * cannot be enqueued, and the runtime knows why.
 */
bool work_enqueue_mail(struct work *w, const char *type, const char *payload, const char *key);

/* The job's result. */
void work_report(struct work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The types. */
int notify_reply(const jobq_job_view *job, const jobq_host *host, void *state);
int notify_private_thread(const jobq_job_view *job, const jobq_host *host, void *state);
int notify_dedupe(const jobq_job_view *job, const jobq_host *host, void *state);

#endif
