/* SPDX-License-Identifier: MIT */
/*
 * reply: notify.reply {"post_id": n}, a reply was posted in a thread.
 *
 * Whoever watches the thread, may see the post and has nothing else to read there gets a
 * notification, and a mail if wanted. Runs about one post follow each other; a later one, such as
 * after a moderator approved the post, tells those who were not told before. Mails are enqueued for
 * whatever is unread, also by an earlier run; their key and their handler see to it that none is
 * sent twice.
 */
#include <string.h>

#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/notify/work.h"

struct reply {
    struct work work;
    char post_id[PG_ID_TEXT_MAX];
    char notified[PG_ID_TEXT_MAX]; /* how many */
    PGresult *mails;            /* the watch, the user; owned */
};

static const char subject[] = "SELECT FROM misago_threads_post WHERE id = $1::bigint";

/* Adds the notifications; false: a statement failed. */
static bool tell(struct reply *r, struct pg_failure *why)
{
    const char *params[3] = {r->post_id, r->work.sql->reply_verb, NULL};
    PGresult *users = work_query(&r->work, r->work.sql->reply, 1, params, why);
    PGresult *told = NULL;
    bool ok = users != NULL;

    text_format(r->notified, sizeof(r->notified), "0");
    if (ok && strcmp(PQgetvalue(users, 0, 0), "{}") != 0) {
        params[2] = PQgetvalue(users, 0, 0);
        told = work_query(&r->work, notify_sql_reply_insert, 3, params, why);
        ok = told && work_count_unread(&r->work, PQgetvalue(told, 0, 0), why);
    }
    if (ok && told) {
        text_format(r->notified, sizeof(r->notified), "%s", PQgetvalue(told, 0, 1));
    }
    PQclear(told);
    PQclear(users);
    return ok;
}

/* Finds who gets mail. */
static bool find_mails(struct reply *r, struct pg_failure *why)
{
    const char *params[2] = {r->post_id, r->work.sql->reply_verb};

    PQclear(r->mails);
    r->mails = work_query(&r->work, notify_sql_reply_mails, 2, params, why);
    return r->mails != NULL;
}

static enum attempt attempt_reply(void *ctx, struct pg_failure *why)
{
    struct reply *r = ctx;
    const char *params[1] = {r->post_id};
    char key[32 + PG_ID_TEXT_MAX];
    PGresult *found;
    bool is_there;

    text_format(key, sizeof(key), "notify.reply:%s", r->post_id);
    found = work_lock(&r->work, key, why) ? work_query(&r->work, subject, 1, params, why) : NULL;
    if (!found) {
        return ATTEMPT_FAILED;
    }
    is_there = PQntuples(found) > 0;
    PQclear(found);
    if (!is_there) {
        return work_miss(&r->work, "post %s is not there", r->post_id);
    }
    return tell(r, why) && find_mails(r, why) ? ATTEMPT_OK : ATTEMPT_FAILED;
}

static int enqueue_mails(struct reply *r)
{
    char payload[128];
    char key[96];

    for (int i = 0; i < PQntuples(r->mails); i++) {
        const char *user = PQgetvalue(r->mails, i, 1);
        text_format(payload, sizeof(payload), "{\"post_id\":%s,\"watched_id\":%s,\"user_id\":%s}",
                    r->post_id, PQgetvalue(r->mails, i, 0), user);
        text_format(key, sizeof(key), "mail.reply:%s:%s", r->post_id, user);
        if (!work_enqueue_mail(&r->work, "mail.reply", payload, key)) {
            return JOBQ_RETRY;
        }
    }
    work_report(&r->work, "{\"notified\":%s,\"mails\":%d}", r->notified, PQntuples(r->mails));
    return JOBQ_DONE;
}

int notify_reply(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct reply r = {.work = {.job = job, .host = host, .state = state}};
    struct payload p;
    int verdict = JOBQ_DEAD;

    payload_open(&p, job->payload, job->payload_len);
    text_format(r.post_id, sizeof(r.post_id), "%" PRId64, payload_id(&p, "post_id"));
    if (!payload_finish(&p)) {
        host->set_text(host->ctx, p.fault);
    } else if (work_run(&r.work, attempt_reply, &r, &verdict)) {
        verdict = enqueue_mails(&r);
    }
    PQclear(r.mails);
    payload_done(&p);
    return verdict;
}
