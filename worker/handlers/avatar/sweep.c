/* SPDX-License-Identifier: MIT */
/*
 * sweep: removes files below avatars/ that no row names and that were not changed for a day: what
 * runs left that died, and what the forum itself leaves behind; empty directories too.
 *
 * One job does a bounded piece; what is left is a child's, stored in the same COMMIT.
 */
#include <errno.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/handlers/avatar/account.h"
#include "worker/handlers/avatar/avatar.h"
#include "worker/handlers/avatar/names.h"
#include "worker/handlers/avatar/tree.h"
#include "worker/handlers/common/say.h"
#include "worker/handlers/common/text.h"

#define DAY_S (24 * 3600)
#define LOOK_MAX 20000
#define FILE_MAX 2000 /* removing them keeps avatar.resize from its COMMIT */

struct tally {
    size_t removed;
    size_t kept; /* though nobody names them */
};

static bool should_stop(void *ctx)
{
    const struct task *t = ctx;

    return t->host->should_stop(t->host->ctx) != 0;
}

/* Whether these are the files of this forum: some of those that its newest rows name are there. */
static int check_is_ours(struct task *t)
{
    PGresult *rows =
        pg_query(t->conn, "SELECT image FROM misago_users_avatar ORDER BY id DESC LIMIT 50", 0,
                 NULL, &t->why);
    bool is_ours;
    int verdict = JOBQ_DONE;

    if (!rows) {
        return task_end_sql(t);
    }
    is_ours = PQntuples(rows) == 0;
    for (int i = 0; !is_ours && i < PQntuples(rows); i++) {
        is_ours = media_exists(&t->media, PQgetvalue(rows, i, 0));
    }
    if (!is_ours) {
        verdict = say_verdict(t->host, JOBQ_DEAD,
                              "none of the files that the forum's newest avatars name is below "
                              "forum.media_root: nothing was removed");
    }
    PQclear(rows);
    return verdict;
}

/* What may not be removed here does not keep the sweep from the rest. */
static int remove_file(struct task *t, const char *name, struct tally *tally)
{
    if (media_remove(&t->media, name, &t->fault) == 0) {
        tally->removed++;
        return JOBQ_DONE;
    }
    if (t->fault.kind == MEDIA_FAILED && t->fault.number != EACCES && t->fault.number != EPERM) {
        return task_end_file(t);
    }
    if (tally->kept++ == 0) {
        say_log(t->host, JOBQ_LOG_WARN, "left alone: %s", t->fault.text);
    }
    return JOBQ_DONE;
}

/* Those that no row names, by a look at all rows. Caller ends *unused with list_done(). */
static int find_unused(struct task *t, const struct list *files, struct list *unused)
{
    char *names = list_array(files);
    PGresult *rows = NULL;
    int verdict = JOBQ_DONE;

    if (!names) {
        return say_verdict(t->host, JOBQ_RETRY, "out of memory");
    }
    if (account_unused(t->conn, names, &rows, &t->why) < 0) {
        verdict = task_end_sql(t);
    }
    for (int i = 0; i < PQntuples(rows); i++) {
        list_add(unused, PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    free(names);
    return verdict == JOBQ_DONE && unused->failed
               ? say_verdict(t->host, JOBQ_RETRY, "out of memory")
               : verdict;
}

/* Most files are named, and looking takes a while: only what seems unused is looked at again
   while no avatar.resize can commit. */
static int remove_files(struct task *t, const struct list *files, struct tally *tally)
{
    struct list seem = {0};
    struct list unused = {0};
    int verdict = find_unused(t, files, &seem);

    if (verdict == JOBQ_DONE && seem.count > 0) {
        verdict = account_own_files(t->conn, &t->why) < 0 ? task_end_sql(t)
                                                          : find_unused(t, &seem, &unused);
    }
    for (size_t i = 0; verdict == JOBQ_DONE && i < unused.count; i++) {
        verdict = remove_file(t, unused.names[i], tally);
    }
    list_done(&seem);
    list_done(&unused);
    return verdict;
}

static int enqueue_rest(struct task *t, const char *after)
{
    jobq_child child = {.size = sizeof(child), .type = t->job->type};
    json_t *payload = json_pack("{s:s}", "after", after);
    char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    int verdict = JOBQ_DONE;

    if (!text) {
        /* a name that is no UTF-8 */
        verdict = say_verdict(t->host, JOBQ_RETRY, "cannot go on behind %s", after);
    } else {
        child.payload = text;
        child.payload_len = strlen(text);
        child.max_attempts = t->job->max_attempts;
        verdict = t->host->enqueue(t->host->ctx, &child) == 0 ? JOBQ_DONE : JOBQ_RETRY;
    }
    free(text);
    json_decref(payload);
    return verdict;
}

static int sweep(struct task *t, const char *after)
{
    const jobq_host *host = t->host;
    struct tree tree = {
        .look_max = LOOK_MAX,
        .file_max = FILE_MAX,
        .before = (int64_t)time(NULL) - DAY_S,
        .should_stop = should_stop,
        .ctx = t,
    };
    char json[96];
    struct tally tally = {0};
    int verdict = check_is_ours(t);

    if (verdict == JOBQ_DONE && tree_walk(&tree, &t->media, NAMES_TREE, after, &t->fault) < 0) {
        verdict = task_end_file(t);
    } else if (verdict == JOBQ_DONE && (tree.files.failed || tree.directories.failed)) {
        verdict = say_verdict(t->host, JOBQ_RETRY, "out of memory");
    } else if (verdict == JOBQ_DONE && tree.is_cut && tree.at[0] == '\0') {
        verdict = task_end_stop(t);
    }
    if (verdict == JOBQ_DONE && tree.files.count > 0) {
        verdict = remove_files(t, &tree.files, &tally);
    }
    for (size_t i = tree.directories.count; verdict == JOBQ_DONE && i > 0; i--) {
        media_remove_directory(&t->media, tree.directories.names[i - 1]);
    }
    if (verdict == JOBQ_DONE) {
        text_format(json, sizeof(json), "{\"looked\":%zu,\"removed\":%zu,\"kept\":%zu}",
                    tree.looked, tally.removed, tally.kept);
        host->set_result(host->ctx, json, strlen(json));
        verdict = tree.is_cut ? enqueue_rest(t, tree.at) : JOBQ_DONE;
    }
    tree_done(&tree);
    return verdict;
}

int sweep_run(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct payload p;
    struct task t;
    const char *after;
    int verdict;

    (void)state;
    payload_open(&p, job->payload, job->payload_len);
    after = payload_text(&p, "after", MEDIA_NAME_MAX);
    verdict = task_begin(&t, job, host, &p);
    if (verdict == JOBQ_DONE) {
        verdict = sweep(&t, after ? after : "");
    }
    task_done(&t);
    payload_done(&p);
    return verdict;
}
