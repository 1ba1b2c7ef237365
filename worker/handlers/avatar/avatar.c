/* SPDX-License-Identifier: MIT */
/*
 * avatar: a forum's avatars.
 *
 *   avatar.resize  {"user_id": n, "source": "tmp" | "src", "crop": {"x": n, "y": n, "zoom": n}}
 *   avatar.remove  {"user_id": n, "paths": […]}  enqueued by avatar.resize: files nobody names
 *   avatar.sweep   {"after": name}               (absent: from the start) files nobody names that
 *                                                are older than a day; enqueues what is left of it
 *
 * All run in the runtime's transaction: rows, the record that the job is done and the child that
 * removes the old files are committed together, so that those files go only after COMMIT, and go
 * also when the executor dies right after it.
 */
#include "worker/handlers/avatar/avatar.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/handlers/common/say.h"

#define WAIT_MS 60000 /* for an operator to mend what stands in the way */
#define PATHS_EACH 100

static int wait_for_operator(struct task *t, const char *text)
{
    t->host->set_delay(t->host->ctx, WAIT_MS);
    return say_verdict(t->host, JOBQ_SNOOZE, "%s", text);
}

int task_begin(struct task *t, const jobq_job_view *job, const jobq_host *host, struct payload *p)
{
    const char *root = host->config(host->ctx, "forum.media_root");

    *t = (struct task){.job = job, .host = host};
    if (!payload_finish(p)) {
        return say_verdict(t->host, JOBQ_DEAD, "%s", p->fault);
    }
    if (!root || root[0] != '/') {
        return wait_for_operator(t, "forum.media_root is not set to the forum's directory of media "
                                    "files");
    }
    t->conn = host->pg(host->ctx);
    if (!t->conn) {
        return say_verdict(t->host, JOBQ_SNOOZE, "no connection to PostgreSQL");
    }
    if (media_open(root, &t->media, &t->fault) < 0) {
        return task_end_file(t);
    }
    t->has_media = true;
    return JOBQ_DONE;
}

void task_done(struct task *t)
{
    if (t->has_media) {
        media_close(&t->media);
    }
}

int task_end_sql(struct task *t)
{
    if (pg_is_schema_mismatch(&t->why)) {
        return say_verdict(t->host, JOBQ_DEAD, "the tables are not those of forum 0.39 or 0.40: %s",
                           t->why.text);
    }
    return say_verdict(t->host, pg_failure_verdict(&t->why), "%s", t->why.text);
}

int task_end_file(struct task *t)
{
    int verdict = media_verdict(&t->fault);

    if (verdict == JOBQ_SNOOZE) {
        return wait_for_operator(t, t->fault.text);
    }
    return say_verdict(t->host, verdict, "%s", t->fault.text);
}

int task_end_stop(struct task *t)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 >= t->job->soft_ms) {
        return say_verdict(t->host, JOBQ_RETRY, "took longer than its soft limit");
    }
    return say_verdict(t->host, JOBQ_SNOOZE, "stopped for jobd to drain");
}

static int enqueue_remove(struct task *t, int64_t user_id, char *const *names, size_t count)
{
    jobq_child child = {.size = sizeof(child), .type = AVATAR_REMOVE};
    json_t *paths = json_array();
    json_t *payload;
    char *text;
    int rc = -1;

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(paths, json_string(names[i]));
    }
    payload = json_pack("{s:I, s:o}", "user_id", (json_int_t)user_id, "paths", paths);
    text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    if (text) {
        child.payload = text;
        child.payload_len = strlen(text);
        rc = t->host->enqueue(t->host->ctx, &child);
    }
    free(text);
    json_decref(payload);
    return rc;
}

void task_remove_later(struct task *t, int64_t user_id, const struct list *names)
{
    for (size_t at = 0; at < names->count; at += PATHS_EACH) {
        size_t rest = names->count - at;
        size_t count = rest < PATHS_EACH ? rest : PATHS_EACH;
        if (enqueue_remove(t, user_id, names->names + at, count) < 0) {
            say_log(t->host, JOBQ_LOG_WARN, "%zu files are left to avatar.sweep", rest);
            return;
        }
    }
    if (names->failed) {
        say_log(t->host, JOBQ_LOG_WARN, "out of memory: some files are left to avatar.sweep");
    }
}

static const jobq_handler handlers[] = {
    {"avatar.resize", resize_run, JOBQ_HANDLER_TRANSACTIONAL},
    {AVATAR_REMOVE, remove_run, JOBQ_HANDLER_TRANSACTIONAL},
    {"avatar.sweep", sweep_run, JOBQ_HANDLER_TRANSACTIONAL},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {
    .size = sizeof(jobq_module),
    .name = "avatar",
    .handlers = handlers,
};
