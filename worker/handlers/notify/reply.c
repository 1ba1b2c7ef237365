/* SPDX-License-Identifier: MIT */
/*
 * reply: notify.reply {"post_id": n}, a reply was posted in a thread.
 *
 * Whoever watches the thread, may see the post and has nothing else to read there gets a
 * notification, and a mail if wanted. Runs about one post follow each other; the second one finds
 * the notifications of the first and tells nobody anew: who has read the thread since would look
 * like one to be told. It enqueues the mails for what is unread again; their key and their handler
 * see to it that none is sent twice.
 */
#include <string.h>

#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/notify/work.h"

struct reply {
    struct work work;
    char post_id[ID_TEXT_MAX];
    char notified[ID_TEXT_MAX]; /* how many */
    PGresult *users; /* who is told, by which watches they get mail; owned; NULL: again */
    PGresult *mails; /* the watch, the user; owned */
};

/* Whether somebody was told of the post before. */
static const char subject[] = "SELECT EXISTS (SELECT FROM misago_notifications_notification n"
                              " WHERE n.post_id = p.id AND n.verb = $2::text)"
                              " FROM misago_threads_post p WHERE p.id = $1::bigint";

/* Adds the notifications; false: a statement failed. */
static bool tell(struct reply *r, struct pg_failure *why)
{
    const char *params[3] = {r->post_id, r->work.sql->reply_verb, NULL};
    PGresult *told;
    bool ok;

    r->users = work_query(&r->work, r->work.sql->reply, 1, params, why);
    if (!r->users) {
        return false;
    }
    params[2] = PQgetvalue(r->users, 0, 0);
    if (strcmp(params[2], "{}") == 0) {
        return true;
    }
    told = work_query(&r->work, notify_sql_reply_insert, 3, params, why);
    ok = told && work_count_unread(&r->work, PQgetvalue(told, 0, 0), why);
    if (ok) {
        text_format(r->notified, sizeof(r->notified), "%s", PQgetvalue(told, 0, 1));
    }
    PQclear(told);
    return ok;
}

/* Finds who gets mail. */
static bool find_mails(struct reply *r, struct pg_failure *why)
{
    const char *params[3] = {r->post_id, r->work.sql->reply_verb, NULL};

    params[2] = r->users ? PQgetvalue(r->users, 0, 1) : NULL;
    r->mails = work_query(&r->work, notify_sql_reply_mails, 3, params, why);
    return r->mails != NULL;
}

static void forget(struct reply *r)
{
    PQclear(r->users);
    PQclear(r->mails);
    r->users = NULL;
    r->mails = NULL;
    text_format(r->notified, sizeof(r->notified), "0");
}

static enum attempt attempt_reply(void *ctx, struct pg_failure *why)
{
    struct reply *r = ctx;
    const char *params[2] = {r->post_id, r->work.sql->reply_verb};
    char key[32 + ID_TEXT_MAX];
    PGresult *found;
    bool is_there;
    bool is_again;

    text_format(key, sizeof(key), "notify.reply:%s", r->post_id);
    forget(r);
    found = work_lock(&r->work, key, why) ? work_query(&r->work, subject, 2, params, why) : NULL;
    if (!found) {
        return ATTEMPT_FAILED;
    }
    is_there = PQntuples(found) > 0;
    is_again = is_there && PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    if (!is_there) {
        return work_miss(&r->work, "post %s is not there", r->post_id);
    }
    return (is_again || tell(r, why)) && find_mails(r, why) ? ATTEMPT_OK : ATTEMPT_FAILED;
}

static int enqueue_mails(struct reply *r)
{
    char payload[96];
    char key[96];

    for (int i = 0; i < PQntuples(r->mails); i++) {
        text_format(payload, sizeof(payload), "{\"post_id\":%s,\"watched_id\":%s}", r->post_id,
                    PQgetvalue(r->mails, i, 0));
        text_format(key, sizeof(key), "mail.reply:%s:%s", r->post_id, PQgetvalue(r->mails, i, 1));
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
    forget(&r);
    payload_done(&p);
    return verdict;
}
