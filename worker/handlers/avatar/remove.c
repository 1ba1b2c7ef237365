/* SPDX-License-Identifier: MIT */
/*
 * remove: removes files that rows named before, after the transaction that replaced them.
 *
 * Each is looked up again: a file that a row names by now stays.
 */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/avatar/account.h"
#include "worker/handlers/avatar/avatar.h"
#include "worker/handlers/avatar/names.h"
#include "worker/handlers/common/crash.h"
#include "worker/handlers/common/say.h"
#include "worker/handlers/common/text.h"

#define PATHS_MAX 1000

/* The directory that a file was in, when that was its last one; those above are shared with other
   avatars, and left to the sweep. */
static void remove_directory(const struct task *t, const char *path)
{
    char name[MEDIA_NAME_MAX + 1];
    char *slash;

    text_format(name, sizeof(name), "%s", path);
    slash = strrchr(name, '/');
    if (slash) {
        *slash = '\0';
        if (strcmp(name, NAMES_TREE) != 0) {
            media_remove_directory(&t->media, name);
        }
    }
}

static int remove_unused(struct task *t, int64_t user_id, const struct list *paths)
{
    char *names = list_array(paths);
    PGresult *rows = NULL;
    int verdict = JOBQ_DONE;

    if (!names) {
        return say_verdict(t->host, JOBQ_RETRY, "out of memory");
    }
    if (account_own_files(t->conn, &t->why) < 0 ||
        account_unused_of(t->conn, user_id, names, &rows, &t->why) < 0) {
        verdict = task_end_sql(t);
    }
    for (int i = 0; verdict == JOBQ_DONE && i < PQntuples(rows); i++) {
        const char *path = PQgetvalue(rows, i, 0);
        if (media_remove(&t->media, path, &t->fault) == 0) {
            remove_directory(t, path);
        } else if (t->fault.kind == MEDIA_BAD) {
            say_log(t->host, JOBQ_LOG_WARN, "left alone: %s", t->fault.text);
        } else {
            verdict = task_end_file(t);
        }
        HANDLER_CRASH_POINT("avatar.removed");
    }
    PQclear(rows);
    free(names);
    return verdict;
}

int remove_run(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct payload p;
    struct task t;
    struct list list = {0};
    const char **paths;
    size_t count = 0;
    int64_t user_id;
    int verdict;

    (void)state;
    payload_open(&p, job->payload, job->payload_len);
    user_id = payload_id(&p, "user_id");
    paths = payload_texts(&p, "paths", PATHS_MAX, MEDIA_NAME_MAX, &count);
    verdict = task_begin(&t, job, host, &p);
    for (size_t i = 0; verdict == JOBQ_DONE && i < count; i++) {
        if (strncmp(paths[i], NAMES_TREE "/", sizeof(NAMES_TREE)) != 0) {
            verdict =
                say_verdict(t.host, JOBQ_DEAD, "paths[%zu]: must be below " NAMES_TREE "/", i);
        }
        list_add(&list, paths[i]);
    }
    if (verdict == JOBQ_DONE && list.failed) {
        verdict = say_verdict(t.host, JOBQ_RETRY, "out of memory");
    }
    if (verdict == JOBQ_DONE) {
        verdict = remove_unused(&t, user_id, &list);
    }
    task_done(&t);
    list_done(&list);
    free(paths);
    payload_done(&p);
    return verdict;
}
