/* SPDX-License-Identifier: MIT */
/*
 * private_thread: notify.private_thread {"actor_id": n, "thread_id": n, "members": [n, …]}, the
 * actor let the members into a private thread.
 *
 * Each member who may see the thread watches it from now on and gets a notification, and a mail,
 * as the member has chosen for threads of whom they follow and of others. Who was told before and
 * has not looked since is not told again.
 */
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/notify/work.h"

struct invitation {
    struct work work;
    char actor_id[PG_ID_TEXT_MAX];
    char thread_id[PG_ID_TEXT_MAX];
    char *members; /* a PostgreSQL array; owned */
    bool has_actor;
    char notified[PG_ID_TEXT_MAX]; /* how many */
    PGresult *mails;            /* the user; owned */
};

/* A thread gets its first post in the transaction that starts it. */
static const char subject[] =
    "SELECT EXISTS (SELECT FROM misago_users_user u WHERE u.id = $2::bigint)"
    " FROM misago_threads_thread t WHERE t.id = $1::bigint AND t.first_post_id IS NOT NULL";

static bool watch(struct invitation *v, const char *users, const char *by_mail,
                  struct pg_failure *why)
{
    const char *params[3] = {v->thread_id, users, by_mail};
    PGresult *r;

    if (strcmp(users, "{}") == 0) {
        return true;
    }
    r = work_query(&v->work, v->work.sql->watch, 3, params, why);
    PQclear(r);
    return r != NULL;
}

static bool notify(struct invitation *v, const char *users, struct pg_failure *why)
{
    const char *params[4] = {v->thread_id, v->work.sql->private_verb, users, v->actor_id};
    PGresult *told;
    bool ok;

    if (strcmp(users, "{}") == 0) {
        return true;
    }
    told = work_query(&v->work, notify_sql_private_insert, 4, params, why);
    ok = told && work_count_unread(&v->work, PQgetvalue(told, 0, 0), why);
    if (ok) {
        text_format(v->notified, sizeof(v->notified), "%s", PQgetvalue(told, 0, 1));
    }
    PQclear(told);
    return ok;
}

static bool tell(struct invitation *v, struct pg_failure *why)
{
    const char *params[3] = {v->thread_id, v->actor_id, v->members};
    PGresult *users = work_query(&v->work, v->work.sql->private_thread, 3, params, why);
    bool ok = users && watch(v, PQgetvalue(users, 0, 0), PQgetvalue(users, 0, 1), why) &&
              notify(v, PQgetvalue(users, 0, 2), why);

    PQclear(users);
    return ok;
}

static enum attempt attempt_invitation(void *ctx, struct pg_failure *why)
{
    struct invitation *v = ctx;
    const char *params[4] = {v->thread_id, v->actor_id, NULL, NULL};
    char key[32 + PG_ID_TEXT_MAX];
    PGresult *found;
    bool is_there;

    text_format(key, sizeof(key), "notify.private_thread:%s", v->thread_id);
    text_format(v->notified, sizeof(v->notified), "0");
    found = work_lock(&v->work, key, why) ? work_query(&v->work, subject, 2, params, why) : NULL;
    if (!found) {
        return ATTEMPT_FAILED;
    }
    is_there = PQntuples(found) > 0;
    v->has_actor = is_there && PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    if (!is_there) {
        return work_miss(&v->work, "thread %s is not there", v->thread_id);
    }
    if (!v->has_actor) {
        return ATTEMPT_OK;
    }
    if (!tell(v, why)) {
        return ATTEMPT_FAILED;
    }
    params[1] = v->work.sql->private_verb;
    params[2] = v->members;
    params[3] = v->actor_id;
    PQclear(v->mails);
    v->mails = work_query(&v->work, notify_sql_private_mails, 4, params, why);
    return v->mails ? ATTEMPT_OK : ATTEMPT_FAILED;
}

static int enqueue_mails(struct invitation *v)
{
    char payload[128];
    char key[96];

    for (int i = 0; i < PQntuples(v->mails); i++) {
        const char *user = PQgetvalue(v->mails, i, 0);
        text_format(payload, sizeof(payload), "{\"thread_id\":%s,\"user_id\":%s,\"actor_id\":%s}",
                    v->thread_id, user, v->actor_id);
        text_format(key, sizeof(key), "mail.private_thread:%s:%s", v->thread_id, user);
        if (!work_enqueue_mail(&v->work, "mail.private_thread", payload, key)) {
            return JOBQ_RETRY;
        }
    }
    work_report(&v->work, "{\"notified\":%s,\"mails\":%d}", v->notified, PQntuples(v->mails));
    return JOBQ_DONE;
}

static int run_invitation(struct invitation *v)
{
    char text[64 + PG_ID_TEXT_MAX];
    int verdict = JOBQ_RETRY;

    if (!work_run(&v->work, attempt_invitation, v, &verdict)) {
        return verdict;
    }
    if (v->has_actor) {
        return enqueue_mails(v);
    }
    text_format(text, sizeof(text), "user %s is gone: nobody was told", v->actor_id);
    v->work.host->set_text(v->work.host->ctx, text);
    v->work.host->log(v->work.host->ctx, JOBQ_LOG_WARN, text);
    return JOBQ_DONE;
}

int notify_private_thread(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct invitation v = {.work = {.job = job, .host = host, .state = state}};
    struct payload p;
    size_t count = 0;
    int64_t *members;
    int verdict = JOBQ_DEAD;

    payload_open(&p, job->payload, job->payload_len);
    text_format(v.actor_id, sizeof(v.actor_id), "%" PRId64, payload_id(&p, "actor_id"));
    text_format(v.thread_id, sizeof(v.thread_id), "%" PRId64, payload_id(&p, "thread_id"));
    members = payload_ids(&p, "members", IDS_MAX, &count);
    if (!payload_finish(&p)) {
        host->set_text(host->ctx, p.fault);
    } else if ((v.members = pg_id_array(members, count)) == NULL) {
        host->set_text(host->ctx, "out of memory");
        verdict = JOBQ_RETRY;
    } else {
        verdict = run_invitation(&v);
    }
    PQclear(v.mails);
    free(v.members);
    free(members);
    payload_done(&p);
    return verdict;
}
