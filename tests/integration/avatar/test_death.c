/* SPDX-License-Identifier: MIT */
/* kill -9 anywhere, two runs at once, newer uploads, full disks: a user always has the files that
   the rows name, and in the end exactly those. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/avatar/studio.h"
#include "tests/support/session.h"

#define TMP "avatars/0a/1b/upload/one.png"
#define NEWER "avatars/0a/1b/upload/two.png"

/* A user with an avatar whose ten files are old ones, and an upload. */
static struct studio *start(void)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(520, 500, 1);

    studio_put_pixels(s, TMP, &p, ".png");
    studio_user(s, 7, TMP, "");
    for (size_t i = 0; i < SIZES; i++) {
        const char *name = fmt("avatars/ee/ee/old/%d.png", sizes[i]);
        studio_put(s, name, "x", 1);
        pg_do(s->pg, "INSERT INTO misago_users_avatar (user_id, size, image) VALUES (7, %d, '%s')",
              sizes[i], name);
    }
    pixels_free(&p);
    return s;
}

static bool rows_have_files(struct studio *s)
{
    for (size_t i = 0; i < SIZES; i++) {
        char *image =
            pg_str(s->pg, "SELECT image FROM misago_users_avatar WHERE user_id = 7 AND size = %d",
                   sizes[i]);
        bool has = image && studio_has(s, image);
        free(image);
        if (!has) {
            return false;
        }
    }
    return true;
}

static jobq_id new_id(void)
{
    jobq_id id;
    jobq_err err;

    cr_assert_eq(jobq_id_new(&id, &err), JOBQ_OK, "%s", err.msg);
    return id;
}

static bool is_alone(void *ctx)
{
    struct studio *s = ctx;

    return pg_int(s->pg, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE"
                         " 'jobq %%'") == 0;
}

/* Runs the job until the executor dies at the point. */
static void die_at(struct studio *s, const char *point, const struct rig_job *job)
{
    const char *env[] = {fmt("JOBQ_CRASH_AT=%s", point), NULL};

    studio_restart(s, env);
    (void)rig_run_job(s->rig, job);
    cr_assert(s->rig->ended && WIFSIGNALED(s->rig->status) && WTERMSIG(s->rig->status) == SIGKILL,
              "did not die at %s", point);
    cr_assert(rows_have_files(s), "died at %s: a row names a file that is not there", point);
    studio_restart(s, NULL);
    if (!wait_until(patience_ms(20000), is_alone, s)) {
        fail_test("the session of the dead executor stays");
    }
}

static void dies_and_recovers(const char *point, size_t left_over)
{
    struct studio *s = start();
    jobq_id id = new_id();
    char payload[256];
    struct rig_job job = {.type = RESIZE, .payload = payload, .id = &id};

    snprintf(payload, sizeof(payload), "%s", job_of(7, "tmp", -20, -30, 0.9));
    die_at(s, point, &job);
    const struct said *said = rig_run_job(s->rig, &job);
    cr_assert_eq(said->verdict, FRAME_V_DONE, "after %s: %s", point, said->text);
    cr_assert_eq(said->children, 1, "after %s", point);
    must_be_whole(s, 7);
    must_run_child(s, said);
    must_be_whole(s, 7);
    cr_assert_eq(studio_files(s), 11 + left_over, "after %s", point);
    studio_stop(s);
}

Test(avatar_death, between_writing_and_renaming_a_file)
{
    dies_and_recovers("avatar.written", 1); /* the temporary file is left to the sweep */
    dies_and_recovers("avatar.written:7", 1);
}

Test(avatar_death, between_files_and_rows)
{
    dies_and_recovers("avatar.renamed", 0);
}

Test(avatar_death, before_and_after_commit)
{
    dies_and_recovers("execute.before_commit", 0);
    dies_and_recovers("execute.commit_sent", 0);
    dies_and_recovers("execute.committed", 0);
}

Test(avatar_death, while_old_files_are_removed)
{
    struct studio *s = start();
    jobq_id id = new_id();
    char payload[1024];
    struct rig_job job = {.type = REMOVE, .payload = payload, .id = &id};
    const struct said *said =
        must_run(s, RESIZE, job_of(7, "tmp", -20, -30, 0.9), FRAME_V_DONE, NULL);

    snprintf(payload, sizeof(payload), "%s", strchr(said->last_child, '{'));
    die_at(s, "avatar.removed:4", &job);
    cr_assert_eq(studio_files(s), 11 + 6);
    said = rig_run_job(s->rig, &job);
    cr_assert_eq(said->verdict, FRAME_V_DONE, "%s", said->text);
    must_be_whole(s, 7);
    cr_assert_eq(studio_files(s), 11);
    studio_stop(s);
}

/* ---- at once ---- */

static void give(struct rig *r, const struct rig_job *job)
{
    r->idles_seen = r->idles;
    (void)rig_give(r, job);
}

static const struct said *finish(struct rig *r)
{
    rig_wait(r, rig_is_idle);
    if (r->ended || frame_page_done(r->page) != r->last_seq) {
        fail_test("the job is not done");
    }
    return &r->said[r->last_seq];
}

Test(avatar_races, two_runs_at_once_make_one_avatar)
{
    struct studio *s = start();
    struct rig *other = studio_rig(s, NULL);
    jobq_id id = new_id();
    char payload[256];
    struct rig_job same = {.type = RESIZE, .payload = payload, .id = &id};
    struct rig_job twin = {.type = RESIZE, .payload = payload};

    /* the same job delivered twice; a second job for the same; ends of both kinds are fine as long
       as no run fails and the outcome is whole */
    snprintf(payload, sizeof(payload), "%s", job_of(7, "tmp", -20, -30, 0.9));
    for (int i = 0; i < 2; i++) {
        const struct rig_job *second = i == 0 ? &same : &twin;
        pg_do(s->pg, "UPDATE misago_users_user SET avatar_tmp = '%s', avatar_src = ''", TMP);
        give(s->rig, &same);
        give(other, second);
        const struct said *a = finish(s->rig);
        const struct said *b = finish(other);
        /* DONE, or given back where one had to wait for the other's row for too long */
        cr_assert(a->verdict == FRAME_V_DONE || a->verdict == FRAME_V_SNOOZE, "%s", a->text);
        cr_assert(b->verdict == FRAME_V_DONE || b->verdict == FRAME_V_SNOOZE, "%s", b->text);
        if (a->verdict != FRAME_V_DONE && b->verdict != FRAME_V_DONE) {
            fail_test("neither: %s; %s", a->text, b->text);
        }
        cr_assert(rows_have_files(s));
        id = new_id();
    }
    must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    rig_free(other);
    studio_stop(s);
}

/* Or it has waited too long and is given back. */
static bool is_waiting(void *ctx)
{
    struct studio *s = ctx;

    return frame_page_done(s->rig->page) == s->rig->last_seq ||
           pg_int(s->pg, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE"
                         " 'jobq %%' AND wait_event_type = 'Lock'") > 0;
}

/*
 * Holds the user's row while the job makes its files, does something to it once the job waits, and
 * lets go. The job waits for at most two seconds: where the machine was too slow for that it is
 * given back, and all begins again.
 */
static const struct said *meddle(struct studio *s, const char *payload, const char *sql)
{
    PGconn *conn = session_open(s->pg);

    for (int i = 0; i < 20; i++) {
        struct rig_job job = {.type = RESIZE, .payload = payload};
        pg_do(s->pg, "UPDATE misago_users_user SET avatar_tmp = '%s', is_avatar_locked = false",
              TMP);
        session_do(conn, "BEGIN");
        session_do(conn, "SELECT FROM misago_users_user WHERE id = 7 FOR UPDATE");
        give(s->rig, &job);
        if (!wait_until(patience_ms(20000), is_waiting, s)) {
            fail_test("the job never waited for the row");
        }
        session_do(conn, "%s", sql);
        session_do(conn, "COMMIT");
        const struct said *said = finish(s->rig);
        if (said->verdict == FRAME_V_DONE) {
            PQfinish(conn);
            return said;
        }
        cr_assert_eq(said->verdict, FRAME_V_SNOOZE, "%s", said->text);
    }
    fail_test("the job was given back each time");
}

Test(avatar_races, a_newer_upload_wins)
{
    struct studio *s = start();
    char payload[256];

    snprintf(payload, sizeof(payload), "%s", job_of(7, "tmp", -20, -30, 0.9));
    const struct said *said =
        meddle(s, payload, "UPDATE misago_users_user SET avatar_tmp = '" NEWER "' WHERE id = 7");
    cr_assert(strstr(said->log, "the image was replaced meanwhile"), "%s", said->log);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_user WHERE avatar_tmp = '" NEWER
                               "' AND avatar_src = '' AND avatar_crop = ''"),
                 1);
    cr_assert(rows_have_files(s), "the old avatar is untouched");
    cr_assert_eq(studio_files(s), 21);
    must_run_child(s, said);
    cr_assert_eq(studio_files(s), 11, "what was made in vain is removed");
    cr_assert(rows_have_files(s));

    said = meddle(s, payload, "UPDATE misago_users_user SET is_avatar_locked = true");
    cr_assert(strstr(said->log, "locked"), "%s", said->log);
    must_run_child(s, said);
    cr_assert(rows_have_files(s));
    cr_assert_eq(studio_files(s), 11);
    studio_stop(s);
}

Test(avatar_races, files_that_were_removed_before_commit_are_written_again)
{
    struct studio *s = start();
    char payload[256];

    /* the ten files are there already, nobody's; while the job waits for the row they go */
    snprintf(payload, sizeof(payload), "%s", job_of(7, "tmp", -20, -30, 0.9));
    const char *files = fmt("%s/avatars", s->media);
    const char *argv[] = {"find",       files, "-name", "*.png",   "!",       "-path",
                          "*/upload/*", "!",   "-path", "*/old/*", "-delete", NULL};
    PGconn *conn = session_open(s->pg);
    for (int i = 0;; i++) {
        struct rig_job job = {.type = RESIZE, .payload = payload};
        session_do(conn, "BEGIN");
        session_do(conn, "SELECT pg_advisory_xact_lock(hashtextextended('jobq avatar files', 0))");
        give(s->rig, &job);
        if (!wait_until(patience_ms(20000), is_waiting, s)) {
            fail_test("the job never waited for the files");
        }
        cr_assert_eq(studio_files(s), 21);
        cr_assert_eq(run_command(NULL, NULL, argv), 0);
        cr_assert_eq(studio_files(s), 11);
        session_do(conn, "COMMIT");
        if (finish(s->rig)->verdict == FRAME_V_DONE) {
            break;
        }
        cr_assert_lt(i, 20, "given back each time");
    }
    PQfinish(conn);
    must_be_whole(s, 7);
    studio_stop(s);
}

/* ---- disks ---- */

/* A small disk of its own for the media. False where that is not permitted. */
static bool mount_small(struct studio *s)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", s->media, "tmpfs", 0, "size=64k,mode=755") == 0;
}

static void must_have_no_avatar(struct studio *s)
{
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_avatar"), 0);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_user WHERE avatar_tmp = '" TMP
                               "' AND avatars IS NULL"),
                 1);
}

static void fill_small_disk(struct studio *s)
{
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_SNOOZE, "No space left on device");
    must_have_no_avatar(s);
    cr_assert_leq(studio_files(s), 10);
    cr_assert_eq(mount(NULL, s->media, NULL, MS_REMOUNT | MS_RDONLY, "size=64k"), 0);
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_SNOOZE, "Read-only file system");
    must_have_no_avatar(s);
    cr_assert_eq(mount(NULL, s->media, NULL, MS_REMOUNT, "size=8m"), 0);
}

/* Where nothing can be mounted: a directory without the right to write, for users. */
static void take_right_to_write(struct studio *s)
{
    const char *directory = fmt("%s/avatars", s->media);

    cr_assert_eq(chmod(directory, 0555), 0);
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_SNOOZE, "Permission denied");
    must_have_no_avatar(s);
    cr_assert_eq(chmod(directory, 0755), 0);
}

/* For root in a container, whom rights do not stop: a limit that kills the executor as it writes.
 */
static void limit_files(struct studio *s)
{
    struct rlimit limit = {1000, RLIM_INFINITY};
    struct rig_job job = {.type = RESIZE, .payload = job_of(7, "tmp", 0, 0, 1)};

    cr_assert_eq(prlimit(s->rig->child.pid, RLIMIT_FSIZE, &limit, NULL), 0);
    (void)rig_run_job(s->rig, &job);
    cr_assert(s->rig->ended);
    must_have_no_avatar(s);
    studio_restart(s, NULL);
}

Test(avatar_disk, a_full_one_leaves_what_there_was_and_no_rubbish)
{
    struct studio *s = studio_start();
    struct pixels p = pixels_pattern(420, 410, 0);
    size_t len;
    void *bytes = pixels_encode(&p, ".jpg[Q=40]", &len);
    bool small = mount_small(s);
    size_t left_over = 0;

    cr_assert_lt(len, 40000);
    studio_put(s, TMP, bytes, len);
    studio_user(s, 7, TMP, "");
    studio_restart(s, NULL); /* an executor that sees the disk */
    if (small) {
        fill_small_disk(s);
    } else if (geteuid() != 0) {
        take_right_to_write(s);
    } else {
        limit_files(s);
        left_over = 1; /* of the one who died */
    }
    must_run(s, RESIZE, job_of(7, "tmp", 0, 0, 1), FRAME_V_DONE, NULL);
    must_be_whole(s, 7);
    cr_assert_eq(studio_files(s), 11 + left_over, "a temporary file was left");
    free(bytes);
    pixels_free(&p);
    studio_stop(s);
}
