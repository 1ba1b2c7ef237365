/* SPDX-License-Identifier: MIT */
/* What avatar.sweep and avatar.remove take away, and what they never do. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/avatar/studio.h"

#define DAY 86400
#define OLD (DAY + 600)

static void put(struct studio *s, const char *name, long long age)
{
    studio_put(s, name, "x", 1);
    studio_age(s, name, age);
}

/* Runs it and all that it leaves for later; how many runs that took. */
static int sweep(struct studio *s)
{
    char payload[1024] = "{}";

    for (int runs = 1;; runs++) {
        const struct said *said = must_run(s, SWEEP, payload, FRAME_V_DONE, NULL);
        if (said->children == 0) {
            return runs;
        }
        cr_assert_eq(strncmp(said->last_child, SWEEP " ", sizeof(SWEEP)), 0);
        snprintf(payload, sizeof(payload), "%s", strrchr(said->last_child, ' ') + 1);
        cr_assert_lt(runs, 100, "no end: %s", payload);
    }
}

Test(avatar_sweep, removes_orphans_older_than_a_day_and_nothing_else)
{
    struct studio *s = studio_start();
    static const char *const orphans[] = {
        "avatars/00/11/aaa/one.png", "avatars/00/11/aaa/.one.png.0123456789abcdef.tmp",
        "avatars/00/12/bbb/two.png", "avatars/ff/two \"quoted\" \\ ä.png",
        "avatars/three.png",
    };
    static const char *const named[] = {
        "avatars/10/11/aaa/avatar.png",
        "avatars/10/11/aaa/gallery.png",
        "avatars/10/11/aaa/tmp.png",
        "avatars/10/12/bbb/src.png",
    };

    for (size_t i = 0; i < sizeof(orphans) / sizeof(orphans[0]); i++) {
        put(s, orphans[i], OLD);
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        put(s, named[i], 100 * DAY);
    }
    put(s, "avatars/10/12/bbb/fresh.png", DAY - 600);
    put(s, "avatars/20/12/bbb/fresh.png", 0);
    put(s, "attachments/00/11/aaa/one.png", OLD);
    studio_put(s, "avatars/30/31/empty/gone", "", 0);
    unlink(fmt("%s/avatars/30/31/empty/gone", s->media));
    studio_age(s, "avatars/30/31/empty", OLD);
    studio_age(s, "avatars/30/31", OLD);
    studio_age(s, "avatars/00/11/aaa", OLD);
    studio_put(s, "avatars/40/41/fresh/gone", "", 0);
    unlink(fmt("%s/avatars/40/41/fresh/gone", s->media));
    cr_assert_eq(symlink("/etc/passwd", fmt("%s/avatars/20/link", s->media)), 0);
    studio_user(s, 7, named[2], named[3]);
    pg_do(s->pg, "INSERT INTO misago_users_avatar (user_id, size, image) VALUES (7, 400, '%s')",
          named[0]);
    pg_do(s->pg, "INSERT INTO misago_users_avatargallery (gallery, image) VALUES ('g', '%s')",
          named[1]);

    const struct said *said = must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert(strstr(said->result, "\"removed\":5"), "%s", said->result);
    for (size_t i = 0; i < sizeof(orphans) / sizeof(orphans[0]); i++) {
        cr_assert_not(studio_has(s, orphans[i]), "%s", orphans[i]);
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        cr_assert(studio_has(s, named[i]), "%s", named[i]);
    }
    cr_assert(studio_has(s, "avatars/10/12/bbb/fresh.png"));
    cr_assert(studio_has(s, "avatars/20/12/bbb/fresh.png"));
    cr_assert(studio_has(s, "avatars/20/link"));
    cr_assert(studio_has(s, "attachments/00/11/aaa/one.png"));
    cr_assert_not(studio_has(s, "avatars/30/31"), "an empty directory");
    cr_assert_not(studio_has(s, "avatars/00/11/aaa"), "a directory that became empty");
    cr_assert(studio_has(s, "avatars/40/41/fresh"), "an empty directory that is fresh");
    said = must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert(strstr(said->result, "\"removed\":0"), "%s", said->result);
    studio_stop(s);
}

/* PostgreSQL would refuse such a name, and with it the whole question. */
Test(avatar_sweep, passes_over_names_that_no_row_can_hold)
{
    struct studio *s = studio_start();
    static const char *const strange[] = {
        "avatars/00/11/aaa/\xff.png",
        "avatars/00/\xc3/bbb/two.png",
        "avatars/\xed\xa0\x80.png",
    };

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        put(s, strange[i], OLD);
    }
    put(s, "avatars/00/11/aaa/one.png", OLD);
    put(s, "avatars/ff/two.png", OLD);
    const struct said *said = must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert(strstr(said->result, "\"removed\":2"), "%s", said->result);
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        cr_assert(studio_has(s, strange[i]), "%zu", i);
    }
    studio_stop(s);
}

Test(avatar_sweep, goes_on_where_a_job_ended)
{
    struct studio *s = studio_start();
    const int files = 4100;

    for (int i = 0; i < files; i++) {
        put(s, fmt("avatars/%02x/%02x/dir/%d.png", i % 7, i % 11, i), i == 2049 ? 0 : OLD);
    }
    cr_assert_geq(sweep(s), 3, "more than 2000 files in one job");
    cr_assert_eq(studio_files(s), 1);
    studio_stop(s);
}

/* An executor that rights stop, also where the tests are root's. */
static void restart_without_privileges(struct studio *s)
{
    if (geteuid() == 0) {
        cr_assert_eq(prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0), 0);
    }
    studio_restart(s, NULL);
}

Test(avatar_sweep, goes_on_past_what_it_may_not_remove)
{
    struct studio *s = studio_start();
    const char *theirs = "avatars/00/11/theirs/one.png";

    put(s, theirs, OLD);
    put(s, "avatars/00/12/ours/two.png", OLD);
    cr_assert_eq(chmod(fmt("%s/avatars/00/11/theirs", s->media), 0555), 0);
    restart_without_privileges(s);
    const struct said *said = must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert(strstr(said->result, "\"removed\":1,\"kept\":1"), "%s", said->result);
    cr_assert(strstr(said->log, "left alone: ") && strstr(said->log, "Permission denied"), "%s",
              said->log);
    cr_assert(studio_has(s, theirs));
    must_run(s, REMOVE, fmt("{\"user_id\":7,\"paths\":[\"%s\"]}", theirs), FRAME_V_SNOOZE,
             "Permission denied");
    cr_assert_eq(chmod(fmt("%s/avatars/00/11/theirs", s->media), 0755), 0);
    must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert_eq(studio_files(s), 0);
    studio_stop(s);
}

Test(avatar_sweep, refuses_the_files_of_another_forum)
{
    struct studio *s = studio_start();

    studio_user(s, 7, "", "");
    put(s, "avatars/00/11/aaa/one.png", OLD);
    pg_do(s->pg, "INSERT INTO misago_users_avatar (user_id, size, image)"
                 " SELECT 7, 400, format('avatars/00/11/bbb/%%s.png', i)"
                 " FROM generate_series(1, 60) i");
    must_run(s, SWEEP, "{}", FRAME_V_DEAD, "none of the files that the forum's newest avatars");
    cr_assert(studio_has(s, "avatars/00/11/aaa/one.png"));
    put(s, "avatars/00/11/bbb/60.png", OLD);
    must_run(s, SWEEP, "{}", FRAME_V_DONE, NULL);
    cr_assert_not(studio_has(s, "avatars/00/11/aaa/one.png"));
    studio_stop(s);
}

Test(avatar_sweep, remove_looks_again_whether_a_file_is_named)
{
    struct studio *s = studio_start();

    studio_user(s, 7, "avatars/1/2/tmp.png", "avatars/1/2/src.png");
    put(s, "avatars/1/2/tmp.png", 0);
    put(s, "avatars/1/2/src.png", 0);
    put(s, "avatars/1/2/row.png", 0);
    put(s, "avatars/1/2/gallery.png", 0);
    put(s, "avatars/1/2/nobodys.png", 0);
    pg_do(s->pg, "INSERT INTO misago_users_avatar (user_id, size, image)"
                 " VALUES (7, 400, 'avatars/1/2/row.png')");
    pg_do(s->pg, "INSERT INTO misago_users_avatargallery (gallery, image)"
                 " VALUES ('g', 'avatars/1/2/gallery.png')");
    must_run(s, REMOVE,
             "{\"user_id\":7,\"paths\":[\"avatars/1/2/tmp.png\",\"avatars/1/2/src.png\","
             "\"avatars/1/2/row.png\",\"avatars/1/2/gallery.png\",\"avatars/1/2/nobodys.png\"]}",
             FRAME_V_DONE, NULL);
    cr_assert_eq(studio_files(s), 4);
    cr_assert_not(studio_has(s, "avatars/1/2/nobodys.png"));
    studio_stop(s);
}
