/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/base.h"
#include "worker/drain.h"

#define GRACE 30000
static const struct drain_view QUIET = {0};
static const struct drain_view RUNNING = {.running = 2, .executors = 2};

/* The next action, taken no earlier than due; *now moves to when it was taken. */
static enum drain_act wait_for_act(struct drain *d, const struct drain_view *v, int64_t *now)
{
    for (int guard = 0; guard < 10; guard++) {
        enum drain_act a = drain_next(d, v, *now);
        if (a != DRAIN_WAIT)
            return a;
        int64_t due = drain_due_ms(d);
        cr_assert_gt(due, *now, "due again at once, yet there was nothing to do");
        cr_assert_lt(due, INT64_MAX);
        *now = due;
    }
    cr_assert_fail("no action");
    return DRAIN_WAIT;
}

Test(drain, does_nothing_before_it_begins)
{
    struct drain d = {0};
    cr_assert_eq(drain_next(&d, &QUIET, 100), DRAIN_WAIT);
    cr_assert_eq(drain_due_ms(&d), INT64_MAX);
    cr_assert(!drain_cuts_off(&d));
}

Test(drain, of_an_idle_jobd_ends_at_once)
{
    struct drain d = {0};
    drain_begin(&d, GRACE, 100);
    cr_assert_eq(drain_next(&d, &QUIET, 100), DRAIN_LEAVE);
    cr_assert_eq(d.phase, DRAIN_LEAVING);
    cr_assert_eq(drain_next(&d, &QUIET, 100), DRAIN_STOP);
    cr_assert_eq(d.phase, DRAIN_OVER);
    cr_assert_eq(drain_next(&d, &QUIET, 100), DRAIN_WAIT, "once");
    cr_assert_eq(drain_due_ms(&d), INT64_MAX);
}

Test(drain, waits_for_what_runs_what_is_read_and_what_is_unanswered)
{
    static const struct drain_view busy[] = {{.running = 1},
                                             {.reading = true},
                                             {.unsettled = 1},
                                             {.running = 3, .reading = true, .unsettled = 9}};
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        struct drain d = {0};
        drain_begin(&d, GRACE, 0);
        for (int64_t now = 0; now < GRACE - DRAIN_ASK_MS; now += 500)
            cr_assert_eq(drain_next(&d, &busy[i], now), DRAIN_WAIT);
        cr_assert(!drain_cuts_off(&d), "what ends by itself is not cut off");
        cr_assert_eq(drain_next(&d, &QUIET, 20000), DRAIN_LEAVE);
    }
}

Test(drain, asks_near_the_end_of_the_grace_and_kills_at_its_end)
{
    struct drain d = {0};
    int64_t now = 1000;
    drain_begin(&d, GRACE, now);
    cr_assert_eq(wait_for_act(&d, &RUNNING, &now), DRAIN_ASK);
    cr_assert_eq(now, 1000 + GRACE - DRAIN_ASK_MS);
    cr_assert(drain_cuts_off(&d));
    cr_assert_eq(wait_for_act(&d, &RUNNING, &now), DRAIN_KILL);
    cr_assert_eq(now, 1000 + GRACE);
    cr_assert_eq(drain_next(&d, &QUIET, now + 5), DRAIN_LEAVE);
    cr_assert_eq(drain_next(&d, &QUIET, now + 6), DRAIN_STOP);
}

Test(drain, of_a_short_grace_asks_at_half_of_it)
{
    struct drain d = {0};
    int64_t now = 0;
    drain_begin(&d, 4000, 0);
    cr_assert_eq(wait_for_act(&d, &RUNNING, &now), DRAIN_ASK);
    cr_assert_eq(now, 2000);
    cr_assert_eq(wait_for_act(&d, &RUNNING, &now), DRAIN_KILL);
    cr_assert_eq(now, 4000);
}

Test(drain, without_grace_asks_and_kills_at_once)
{
    struct drain d = {0};
    drain_begin(&d, 0, 50);
    cr_assert_eq(drain_next(&d, &RUNNING, 50), DRAIN_ASK);
    cr_assert_leq(drain_due_ms(&d), 50);
    cr_assert_eq(drain_next(&d, &RUNNING, 50), DRAIN_KILL);
    cr_assert_eq(drain_next(&d, &RUNNING, 50), DRAIN_WAIT, "killed once");
    cr_assert(drain_cuts_off(&d));
    cr_assert_eq(drain_next(&d, &QUIET, 51), DRAIN_LEAVE);
}

Test(drain, asked_for_twice_ends_the_grace_now)
{
    struct drain d = {0};
    drain_begin(&d, GRACE, 0);
    cr_assert_eq(drain_next(&d, &RUNNING, 10), DRAIN_WAIT);
    drain_begin(&d, GRACE, 2000);
    cr_assert_leq(drain_due_ms(&d), 2000);
    cr_assert_eq(drain_next(&d, &RUNNING, 2000), DRAIN_ASK);
    cr_assert_eq(drain_next(&d, &RUNNING, 2000), DRAIN_KILL);
    drain_begin(&d, GRACE, 3000);
    cr_assert_eq(d.grace_ends_ms, 2000, "a third one does not lengthen it");
    cr_assert_eq(drain_next(&d, &QUIET, 3000), DRAIN_LEAVE);
}

Test(drain, asked_for_again_while_leaving_changes_nothing)
{
    struct drain d = {0};
    struct drain_view leaving = {.leaving = 1};
    drain_begin(&d, GRACE, 0);
    cr_assert_eq(drain_next(&d, &QUIET, 0), DRAIN_LEAVE);
    drain_begin(&d, GRACE, 10);
    cr_assert_eq(drain_next(&d, &leaving, 20), DRAIN_WAIT);
    cr_assert_eq(d.phase, DRAIN_LEAVING);
    cr_assert_eq(drain_next(&d, &QUIET, 30), DRAIN_STOP);
}

Test(drain, stops_in_bounded_time_with_redis_down)
{
    static const struct drain_view stuck[] = {
        {.unsettled = 3}, {.reading = true}, {.running = 1, .unsettled = 1, .executors = 1}};
    for (size_t i = 0; i < ARRAY_LEN(stuck); i++) {
        struct drain d = {0};
        int64_t now = 0;
        enum drain_act a;
        drain_begin(&d, GRACE, 0);
        while ((a = wait_for_act(&d, &stuck[i], &now)) != DRAIN_LEAVE)
            cr_assert(a == DRAIN_ASK || a == DRAIN_KILL);
        cr_assert_eq(now, GRACE + DRAIN_LEAVE_MS,
                     "once the grace is over it waits no longer than this");
        struct drain_view leaving = stuck[i];
        leaving.leaving = 4;
        cr_assert_eq(wait_for_act(&d, &leaving, &now), DRAIN_STOP);
        cr_assert_eq(now, GRACE + 2 * DRAIN_LEAVE_MS);
    }
}

Test(drain, is_never_due_for_nothing)
{
    static const struct drain_view views[] = {
        {.unsettled = 1}, {.reading = true}, {.running = 1}, {.running = 1, .unsettled = 1}};
    static const int64_t graces[] = {0, 1, 2000, GRACE};
    for (size_t i = 0; i < ARRAY_LEN(views); i++)
        for (size_t k = 0; k < ARRAY_LEN(graces); k++) {
            struct drain d = {0};
            drain_begin(&d, graces[k], 0);
            for (int64_t now = 0; now < GRACE + 4 * DRAIN_LEAVE_MS; now += 100) {
                while (drain_next(&d, &views[i], now) != DRAIN_WAIT)
                    ;
                cr_assert_gt(drain_due_ms(&d), now, "view %zu, grace %lld, at %lld", i,
                             (long long)graces[k], (long long)now);
            }
        }
}

Test(drain, waits_for_leave_and_for_executors_to_exit)
{
    struct drain d = {0};
    struct drain_view leaving = {.leaving = 2, .executors = 1};
    drain_begin(&d, GRACE, 0);
    cr_assert_eq(drain_next(&d, &leaving, 0), DRAIN_LEAVE);
    cr_assert_eq(drain_next(&d, &leaving, 10), DRAIN_WAIT);
    leaving.leaving = 0;
    cr_assert_eq(drain_next(&d, &leaving, 20), DRAIN_WAIT);
    cr_assert_eq(drain_due_ms(&d), DRAIN_LEAVE_MS);
    leaving.executors = 0;
    cr_assert_eq(drain_next(&d, &leaving, 30), DRAIN_STOP);
}
