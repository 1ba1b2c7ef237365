/* SPDX-License-Identifier: MIT */
/*
 * resize: makes a user's avatar, in all sizes, from what was uploaded.
 *
 * Files are written before rows, under names that a repeated run writes again; rows name them only
 * after the source was found to be still the one, with the user's row locked. The old files are
 * removed by a child that is stored in the same COMMIT, so that at no moment a row names a file
 * that is not there.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/handlers/avatar/account.h"
#include "worker/handlers/avatar/avatar.h"
#include "worker/handlers/avatar/names.h"
#include "worker/handlers/avatar/render.h"
#include "worker/handlers/avatar/strip.h"
#include "worker/handlers/common/crash.h"
#include "worker/handlers/common/say.h"
#include "worker/handlers/common/text.h"

#define BYTES_MAX ((size_t)10 * 1024 * 1024)
#define SIDE_MAX 16384
#define PIXELS_MAX 50000000
#define ATTEMPTS 3 /* to write into a directory that a sweep finds empty at that moment */
#define MEDIA_URL "/media/"

static const char *const source_words[] = {"tmp", "src", NULL};
enum { SOURCE_TMP, SOURCE_SRC };

struct resize {
    struct task task;
    int64_t user_id;
    int source;
    struct crop crop;
    char crop_text[128];

    struct account account; /* as first read */
    const char *name;       /* of the source: in account */
    uint8_t *bytes;
    size_t len;
    struct sniff sniffed;
    struct box box;
    struct rendered rendered;
    char directory[NAMES_DIRECTORY_SIZE];
    struct list paths; /* of the sizes, below the media root */
};

#define GO_ON JOBQ_DONE /* of the steps below: the next one may begin; final where *done is set */

/* ---- the source ---- */

static const char *column(const struct resize *r)
{
    return r->source == SOURCE_TMP ? "avatar_tmp" : "avatar_src";
}

/* Whether another job has made this avatar of that upload. */
static bool is_made(const struct resize *r, const struct account *now)
{
    return r->source == SOURCE_TMP && now->tmp[0] == '\0' && now->src[0] != '\0' &&
           strcmp(now->crop, r->crop_text) == 0;
}

static int leave(struct resize *r, bool *done, const char *why)
{
    *done = true;
    say_log(r->task.host, JOBQ_LOG_INFO, "user %" PRId64 ": %s", r->user_id, why);
    return JOBQ_DONE;
}

static int find_source(struct resize *r, bool *done)
{
    struct task *t = &r->task;

    if (account_read(t->conn, r->user_id, false, &r->account, &t->why) < 0) {
        return task_end_sql(t);
    }
    if (!r->account.exists) {
        return leave(r, done, "is gone");
    }
    if (r->account.is_locked) {
        return leave(r, done, "the avatar is locked by a moderator");
    }
    r->name = r->source == SOURCE_TMP ? r->account.tmp : r->account.src;
    if (r->name[0] != '\0') {
        return GO_ON;
    }
    if (is_made(r, &r->account)) {
        return leave(r, done, "another job has made this avatar");
    }
    return say_verdict(t->host, JOBQ_DEAD, "user %" PRId64 " has no image in %s", r->user_id,
                       column(r));
}

/* A file may be gone because the forum has just replaced it. */
static int judge_missing(struct resize *r, bool *done)
{
    struct task *t = &r->task;
    struct account now;

    if (t->fault.kind == MEDIA_MISSING) {
        if (account_read(t->conn, r->user_id, false, &now, &t->why) < 0) {
            return task_end_sql(t);
        }
        if (!now.exists || is_made(r, &now) ||
            strcmp(r->source == SOURCE_TMP ? now.tmp : now.src, r->name) != 0) {
            return leave(r, done, "the image was replaced meanwhile");
        }
    }
    if (media_verdict(&t->fault) == JOBQ_DEAD) {
        return say_verdict(t->host, JOBQ_DEAD, "%s %s: %s", column(r), r->name, t->fault.text);
    }
    return task_end_file(t);
}

static int check_limits(struct resize *r)
{
    const struct sniff *s = &r->sniffed;
    const char *bad = NULL;
    char why[256];

    if (sniff(r->bytes, r->len, &r->sniffed, &bad) < 0) {
        return say_verdict(r->task.host, JOBQ_DEAD, "%s %s: not an image that is taken: %s",
                           column(r), r->name, bad);
    }
    if (s->width > SIDE_MAX || s->height > SIDE_MAX ||
        (uint64_t)s->width * s->height > PIXELS_MAX) {
        return say_verdict(r->task.host, JOBQ_DEAD,
                           "%s %s: %ux%u pixels; at most %d a side and %d in all are taken",
                           column(r), r->name, s->width, s->height, SIDE_MAX, PIXELS_MAX);
    }
    if (crop_box(&r->crop, (int)s->width, (int)s->height, &r->box, why, sizeof(why)) < 0) {
        return say_verdict(r->task.host, JOBQ_DEAD, "%s", why);
    }
    r->len = strip(s->kind, r->bytes, r->len);
    return GO_ON;
}

static bool should_stop(void *ctx)
{
    const struct task *t = ctx;

    return t->host->should_stop(t->host->ctx) != 0;
}

static int make(struct resize *r)
{
    struct task *t = &r->task;
    struct render_source source = {
        .bytes = r->bytes,
        .len = r->len,
        .sniffed = r->sniffed,
        .box = r->box,
        .should_stop = should_stop,
        .ctx = t,
    };
    char why[384];

    switch (render(&source, &r->rendered, why, sizeof(why))) {
    case RENDER_OK:
        return GO_ON;
    case RENDER_BAD:
        return say_verdict(t->host, JOBQ_DEAD, "%s %s: %s", column(r), r->name, why);
    case RENDER_STOPPED:
        return task_end_stop(t);
    case RENDER_FAILED:
        break;
    }
    return say_verdict(t->host, JOBQ_RETRY, "%s", why);
}

/* ---- the files ---- */

static void name_files(struct resize *r)
{
    struct names_of of = {
        .user_id = r->user_id, .source = r->name, .bytes = r->bytes, .len = r->len, .box = r->box};
    char file[NAMES_FILE_SIZE];
    char path[NAMES_DIRECTORY_SIZE + NAMES_FILE_SIZE];

    names_directory(&of, r->directory);
    for (int i = 0; i < RENDER_SIZES; i++) {
        names_file(r->directory, render_sizes[i], file);
        text_format(path, sizeof(path), "%s/%s", r->directory, file);
        list_add(&r->paths, path);
    }
}

static int write_once(struct resize *r)
{
    struct media_fault *fault = &r->task.fault;
    int directory;
    int rc = 0;

    if (media_directory(&r->task.media, r->directory, true, &directory, fault) < 0) {
        return -1;
    }
    for (size_t i = 0; rc == 0 && i < RENDER_SIZES; i++) {
        const char *file = strrchr(r->paths.names[i], '/') + 1;
        rc = media_put(directory, file, r->rendered.png[i], r->rendered.len[i], fault);
    }
    if (rc == 0) {
        rc = media_sync(directory, fault);
    }
    close(directory);
    return rc;
}

/* A sweep removes directories that it finds empty: then they are made again. */
static int write_files(struct resize *r)
{
    struct task *t = &r->task;
    int rc = -1;

    for (int i = 0; rc < 0 && i < ATTEMPTS; i++) {
        rc = write_once(r);
        if (rc < 0 && t->fault.kind != MEDIA_MISSING) {
            break;
        }
    }
    if (rc < 0 && t->fault.kind == MEDIA_MISSING) {
        return say_verdict(t->host, JOBQ_RETRY, "%s", t->fault.text);
    }
    return rc < 0 ? task_end_file(t) : GO_ON;
}

static bool has_files(const struct resize *r)
{
    for (size_t i = 0; i < RENDER_SIZES; i++) {
        if (!media_has(&r->task.media, r->paths.names[i], r->rendered.len[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the rows ---- */

/* [{"size": 400, "url": "/media/avatars/…"}, …]; caller frees with free(). */
static char *format_avatars(const struct resize *r)
{
    const char *base = r->task.host->config(r->task.host->ctx, "forum.media_url");
    json_t *list = json_array();
    char *text;

    base = base && base[0] != '\0' ? base : MEDIA_URL;
    for (size_t i = 0; i < RENDER_SIZES; i++) {
        const char *slash = base[strlen(base) - 1] == '/' ? "" : "/";
        json_array_append_new(list,
                              json_pack("{s:i, s:o}", "size", render_sizes[i], "url",
                                        json_sprintf("%s%s%s", base, slash, r->paths.names[i])));
    }
    text = json_array_size(list) == RENDER_SIZES ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

static void format_sizes(char *out, size_t size)
{
    size_t at = 0;

    for (int i = 0; i < RENDER_SIZES; i++) {
        text_format(out + at, size - at, "%c%d", i ? ',' : '{', render_sizes[i]);
        at += strlen(out + at);
    }
    text_format(out + at, size - at, "}");
}

/* What the rows named and nothing of the new avatar is. Names outside avatars/ are not ours. */
static void add_old(const struct resize *r, const char *name, struct list *old)
{
    if (strncmp(name, NAMES_TREE "/", sizeof(NAMES_TREE)) == 0 && strlen(name) <= MEDIA_NAME_MAX &&
        strcmp(name, r->name) != 0 && !list_has(&r->paths, name)) {
        list_add(old, name);
    }
}

static int replace(struct resize *r, const struct account *now)
{
    struct task *t = &r->task;
    char sizes[64];
    char *images = list_array(&r->paths);
    char *avatars = format_avatars(r);
    struct account_avatar avatar = {
        .user_id = r->user_id,
        .sizes = sizes,
        .images = images,
        .avatars = avatars,
        .crop = r->crop_text,
        .src = r->source == SOURCE_TMP ? r->name : "",
    };
    struct list old = {0};
    PGresult *rows = NULL;
    int verdict = GO_ON;

    format_sizes(sizes, sizeof(sizes));
    if (!images || !avatars) {
        verdict = say_verdict(t->host, JOBQ_RETRY, "out of memory");
    } else if (account_replace(t->conn, &avatar, &rows, &t->why) < 0) {
        verdict = task_end_sql(t);
    } else {
        for (int i = 0; i < PQntuples(rows); i++) {
            add_old(r, PQgetvalue(rows, i, 0), &old);
        }
        if (r->source == SOURCE_TMP) {
            add_old(r, now->src, &old);
        }
        task_remove_later(t, r->user_id, &old);
    }
    PQclear(rows);
    list_done(&old);
    free(images);
    free(avatars);
    return verdict;
}

/* A newer upload won, or the user went: our files are nobody's, unless another job of the same
   upload and crop has put them to use; avatar.remove looks. */
static int discard(struct resize *r, bool *done, const char *why)
{
    task_remove_later(&r->task, r->user_id, &r->paths);
    return leave(r, done, why);
}

static int settle(struct resize *r, bool *done)
{
    struct task *t = &r->task;
    struct account now;
    int verdict = GO_ON;

    if (account_share_files(t->conn, &t->why) < 0 ||
        account_read(t->conn, r->user_id, true, &now, &t->why) < 0) {
        return task_end_sql(t);
    }
    if (!now.exists || now.is_locked) {
        return discard(r, done, now.exists ? "the avatar was locked meanwhile" : "is gone");
    }
    if (strcmp(r->source == SOURCE_TMP ? now.tmp : now.src, r->name) != 0) {
        return discard(r, done, "the image was replaced meanwhile");
    }
    if (!has_files(r)) { /* an avatar.remove for the same avatar came in between */
        verdict = write_files(r);
    }
    return verdict == GO_ON ? replace(r, &now) : verdict;
}

/* ---- the run ---- */

static void report(struct resize *r)
{
    const jobq_host *host = r->task.host;
    char json[512];

    text_format(json, sizeof(json),
                "{\"kind\":\"%s\",\"width\":%u,\"height\":%u,\"directory\":\"%s\"}",
                sniff_name(r->sniffed.kind), r->sniffed.width, r->sniffed.height, r->directory);
    host->set_result(host->ctx, json, strlen(json));
}

static int make_avatar(struct resize *r)
{
    struct task *t = &r->task;
    bool done = false;
    int verdict = find_source(r, &done);

    if (verdict == GO_ON && !done &&
        media_read(&t->media, r->name, BYTES_MAX, &r->bytes, &r->len, &t->fault) < 0) {
        verdict = judge_missing(r, &done);
    }
    if (verdict == GO_ON && !done) {
        verdict = check_limits(r);
    }
    if (verdict == GO_ON && !done) {
        verdict = make(r);
    }
    if (verdict == GO_ON && !done) {
        name_files(r);
        verdict =
            r->paths.failed ? say_verdict(t->host, JOBQ_RETRY, "out of memory") : write_files(r);
    }
    if (verdict == GO_ON && !done) {
        HANDLER_CRASH_POINT("avatar.renamed");
        verdict = settle(r, &done);
    }
    if (verdict == GO_ON && !done) {
        report(r);
    }
    return verdict;
}

int resize_run(const jobq_job_view *job, const jobq_host *host, void *state)
{
    static const char *const crop_names[] = {"x", "y", "zoom", NULL};
    struct payload p;
    struct resize *r = calloc(1, sizeof(*r));
    double numbers[3] = {0};
    char why[256];
    int verdict;

    (void)state;
    if (!r) {
        host->set_text(host->ctx, "out of memory");
        return JOBQ_RETRY;
    }
    payload_open(&p, job->payload, job->payload_len);
    r->user_id = payload_id(&p, "user_id");
    r->source = payload_word(&p, "source", source_words);
    (void)payload_numbers(&p, "crop", crop_names, numbers);
    r->crop = (struct crop){numbers[0], numbers[1], numbers[2]};
    verdict = task_begin(&r->task, job, host, &p);
    if (!p.fault[0] && crop_check(&r->crop, why, sizeof(why)) < 0) {
        verdict = say_verdict(r->task.host, JOBQ_DEAD, "%s", why);
    } else if (verdict == JOBQ_DONE) {
        crop_format(&r->crop, r->crop_text, sizeof(r->crop_text));
        verdict = make_avatar(r);
    }
    task_done(&r->task);
    payload_done(&p);
    rendered_done(&r->rendered);
    list_done(&r->paths);
    free(r->bytes);
    free(r);
    return verdict;
}
