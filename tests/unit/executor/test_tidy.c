/* SPDX-License-Identifier: MIT */
/* G24: nothing of one job reaches the next. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"

static struct rig *start(void)
{
    const char *modules[] = {lib_path("jobq-test/test.so"), NULL};
    struct rig *r = rig_start(NULL, modules, NULL);

    cr_assert(r->ready, "%s", r->failed);
    return r;
}

Test(tidy, restores_what_a_job_changed_of_the_process)
{
    struct rig *r = start();

    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "setstate", "{\"n\":3}"), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    for (const char *const *word =
             (const char *const[]){"of type setstate", "the signal mask", "the umask", "the locale",
                                   "3 signal handlers", "a running timer",
                                   "3 descriptors left open (/dev/null)", NULL};
         *word != NULL; word++)
        cr_assert(strstr(r->log, *word), "no \"%s\" in: %s", *word, r->log);
    rig_free(r);
}

Test(tidy, goes_on_restoring_after_many_jobs)
{
    struct rig *r = start();

    for (int i = 0; i < 100; i++)
        rig_expect(rig_run(r, "noop", NULL), FRAME_V_DONE, NULL);
    for (int i = 0; i < 40; i++) {
        rig_expect(rig_run(r, "setstate", "{\"n\":1}"), FRAME_V_DONE, NULL);
        rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    }
    rig_free(r);
}

Test(tidy, says_nothing_of_jobs_that_leave_nothing)
{
    struct rig *r = start();

    for (int i = 0; i < 200; i++)
        (void)rig_run(r, i % 2 == 0 ? "noop" : "fail", NULL);
    cr_assert_eq(r->log[0], '\0', "%s", r->log);
    rig_free(r);
}

Test(tidy, closes_descriptors_unless_the_type_keeps_them)
{
    struct rig *r = start();

    rig_expect(rig_run(r, "leakfd", "{\"n\":200}"), FRAME_V_DONE, NULL);
    cr_assert(strstr(r->log, "200 descriptors left open"), "%s", r->log);
    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "keepfd", "{\"n\":2}"), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "leakfd", "{\"n\":2}"), FRAME_V_DONE, NULL);
    /* The two of keepfd are there, those of leakfd are not. */
    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DEAD, "descriptors: ");
    rig_free(r);
}

static pid_t orphan;

static bool is_gone(void *ctx)
{
    (void)ctx;
    return kill(orphan, 0) != 0 && errno == ESRCH;
}

Test(tidy, kills_orphans_that_hid_in_a_session_of_their_own)
{
    struct rig *r = start();
    const char *file = fmt("%s/pid", tmp_dir());
    char *text;

    rig_expect(rig_run(r, "forkchild", fmt("{\"file\":\"%s\"}", file)), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    text = read_file(file);
    orphan = (pid_t)strtol(text, NULL, 10);
    cr_assert_gt(orphan, 1);
    cr_assert(wait_until(patience_ms(5000), is_gone, NULL));
    cr_assert(strstr(r->log, "1 processes left behind"), "%s", r->log);
    free(text);
    rig_free(r);
}

Test(tidy, reaps_children_that_were_not_waited_for)
{
    struct rig *r = start();

    rig_expect(rig_run(r, "zombie", NULL), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "checkstate", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}
