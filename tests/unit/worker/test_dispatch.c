/* SPDX-License-Identifier: MIT */
/*
 * Which job goes to which executor, how many it may hold, what is taken back, released, or run
 * alone.
 */
#include <criterion/criterion.h>

#include "base/mem.h"
#include "tests/unit/worker/dispatch_scene.h"

/* Hands out as long as there is anything to hand; gives how many. */
static size_t hand_all(struct scene *s)
{
    for (size_t n = 0;; n++) {
        struct dispatch_action a = scene_next(s);
        if (a.act == DISPATCH_NOTHING)
            return n;
        cr_assert_eq(a.act, DISPATCH_HAND);
    }
}

static void claim_many(struct scene *s, struct dispatch_type *type, size_t n)
{
    while (n--)
        scene_claim(s, type, false);
}

Test(dispatch, hands_in_the_order_of_claim)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_type *type = scene_type(s, "short", 10);
    scene_no_reads(s);
    claim_many(s, type, 20);
    cr_assert_eq(dispatch_waiting(s->d), 20);
    scene_expect(s, DISPATCH_NOTHING);
    struct dispatch_executor *x = scene_executor(s);
    for (size_t i = 0; i < 20; i++) {
        struct dispatch_action a = scene_expect(s, DISPATCH_HAND);
        cr_assert_eq(a.job, &s->jobs[i]);
        cr_assert_eq(a.executor, x);
        cr_assert_eq(dispatch_executor_held(x), i + 1);
    }
    cr_assert_eq(dispatch_waiting(s->d), 0);
    scene_close(s);
}

Test(dispatch, prefetch_is_time_not_count)
{
    static const struct {
        uint32_t run_us;
        size_t held;
    } rows[] = {{1, 64},   {100, 50}, {1000, 5}, {2400, 2},
                {2600, 1}, {5000, 1}, {5001, 1}, {1000000, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scene *s = scene_open(5000, 64, false);
        scene_executor(s);
        scene_no_reads(s);
        claim_many(s, scene_type(s, "t", rows[i].run_us), 200);
        cr_assert_eq(hand_all(s), rows[i].held, "%u us", rows[i].run_us);
        scene_close(s);
    }
}

Test(dispatch, an_executor_takes_more_as_it_finishes)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    scene_no_reads(s);
    claim_many(s, scene_type(s, "t", 1000), 100);
    cr_assert_eq(hand_all(s), 5);
    for (size_t i = 0; i < 95; i++) {
        dispatch_finished(s->d, x, &s->jobs[i], 1000);
        cr_assert_eq(hand_all(s), 1);
        cr_assert_eq(dispatch_executor_held(x), 5);
    }
    scene_close(s);
}

Test(dispatch, types_not_measured_go_one_by_one_to_idle_executors)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s), *y = scene_executor(s);
    struct dispatch_type *unknown = scene_type(s, "new", 0);
    scene_no_reads(s);
    claim_many(s, unknown, 10);
    cr_assert_eq(hand_all(s), 2);
    cr_assert(dispatch_executor_held(x) == 1 && dispatch_executor_held(y) == 1);
    claim_many(s, scene_type(s, "short", 1), 1);
    cr_assert_eq(hand_all(s), 0, "nothing waits behind what may take for ever");
    dispatch_finished(s->d, x, &s->jobs[0], 10);
    cr_assert_geq(hand_all(s), 8, "measured by its first");
    scene_close(s);
}

Test(dispatch, measures_follow_what_jobs_really_take)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    struct dispatch_type *type = scene_type(s, "t", 100);
    scene_no_reads(s);
    for (int i = 0; i < 60; i++) {
        struct dispatch_job *j = scene_claim(s, type, false);
        scene_expect(s, DISPATCH_HAND);
        dispatch_finished(s->d, x, j, 5000);
    }
    claim_many(s, type, 10);
    cr_assert_eq(hand_all(s), 1, "they became long");
    dispatch_finished(s->d, x, &s->jobs[60], UINT32_MAX);
    dispatch_finished(s->d, x, scene_expect(s, DISPATCH_HAND).job, UINT32_MAX);
    cr_assert_eq(hand_all(s), 1);
    scene_close(s);
}

Test(dispatch, gives_each_to_the_executor_with_least_to_do)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x[4];
    scene_no_reads(s);
    for (size_t i = 0; i < 4; i++)
        x[i] = scene_executor(s);
    claim_many(s, scene_type(s, "t", 100), 40);
    cr_assert_eq(hand_all(s), 40);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(dispatch_executor_held(x[i]), 10);
    scene_close(s);
}

Test(dispatch, never_exceeds_max_held_also_when_it_shrinks)
{
    struct scene *s = scene_open(5000, 7, false);
    struct dispatch_executor *x = scene_executor(s);
    scene_no_reads(s);
    claim_many(s, scene_type(s, "t", 1), 20);
    cr_assert_eq(hand_all(s), 7);
    dispatch_set_limits(s->d, (struct dispatch_limits){5000, 3, false});
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(hand_all(s), 0);
        dispatch_finished(s->d, x, &s->jobs[i], 1);
    }
    cr_assert_eq(hand_all(s), 1);
    cr_assert_eq(dispatch_executor_held(x), 3);
    scene_close(s);
}

Test(dispatch, gives_nothing_to_one_that_is_not_usable)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    scene_no_reads(s);
    dispatch_executor_usable(s->d, x, false);
    cr_assert(!dispatch_executor_is_usable(x));
    claim_many(s, scene_type(s, "t", 1), 3);
    scene_claim(s, NULL, true);
    cr_assert_eq(hand_all(s), 0);
    dispatch_executor_usable(s->d, x, true);
    cr_assert_geq(hand_all(s), 3);
    scene_close(s);
}

Test(dispatch, starts_nothing_of_a_partition_whose_lease_is_in_doubt)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_source *other = scene_source(s, 2, 1);
    scene_executor(s);
    scene_no_reads(s);
    scene_claim(s, scene_type(s, "t", 1), false);
    struct dispatch_job *sound = scene_claim(s, scene_type(s, "t", 1), false);
    sound->source = other;
    dispatch_source_may_start(s->source, false);
    cr_assert_eq(scene_expect(s, DISPATCH_HAND).job, sound, "others go on");
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_source_may_start(s->source, true);
    scene_expect(s, DISPATCH_HAND);
    scene_close(s);
}

Test(dispatch, starts_nothing_while_held)
{
    struct scene *s = scene_open(5000, 64, false);
    scene_executor(s);
    claim_many(s, scene_type(s, "t", 1), 3);
    dispatch_hold_start(s->d, true);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_hold_start(s->d, false);
    scene_expect(s, DISPATCH_HAND);
    scene_close(s);
}

/* ---- stuck ---- */

/* An executor that holds five, and has been running the first since now. */
static struct dispatch_executor *five_held(struct scene *s)
{
    struct dispatch_executor *x = scene_executor(s);
    scene_no_reads(s);
    claim_many(s, scene_type(s, "t", 1000), 5);
    cr_assert_eq(hand_all(s), 5);
    dispatch_progress(s->d, x, true, s->now);
    return x;
}

Test(dispatch, takes_back_what_waits_behind_a_long_job)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = five_held(s);
    scene_claim(s, scene_type(s, "t", 0), false);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), s->now + DISPATCH_STUCK_MS + 1);
    s->now += DISPATCH_STUCK_MS;
    scene_expect(s, DISPATCH_NOTHING);
    s->now += 1;
    cr_assert_eq(scene_expect(s, DISPATCH_RECALL).executor, x);
    scene_expect(s, DISPATCH_NOTHING);
    for (size_t i = 5; i-- > 1;)
        dispatch_taken_back(s->d, x, &s->jobs[i], s->now);
    dispatch_recalled(x);
    cr_assert_eq(dispatch_executor_held(x), 1);
    cr_assert_eq(dispatch_waiting(s->d), 5);
    scene_expect(s, DISPATCH_NOTHING);
    scene_executor(s);
    for (size_t i = 1; i <= 5; i++)
        cr_assert_eq(scene_expect(s, DISPATCH_HAND).job, &s->jobs[i], "the old order");
    scene_close(s);
}

/* Between the look at the executor and the recall it may have started all it had. */
Test(dispatch, a_recall_that_brings_nothing_is_not_repeated)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = five_held(s);
    s->now += DISPATCH_STUCK_MS + 1;
    scene_expect(s, DISPATCH_RECALL);
    dispatch_recalled(x);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_progress(s->d, x, true, s->now - DISPATCH_STUCK_MS - 1);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_gt(dispatch_due_ms(s->d, s->now), s->now);
    dispatch_finished(s->d, x, &s->jobs[0], 22000);
    dispatch_progress(s->d, x, true, s->now);
    s->now += DISPATCH_STUCK_MS + 1;
    scene_expect(s, DISPATCH_RECALL);
    scene_close(s);
}

Test(dispatch, a_long_job_alone_is_left_in_peace)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    scene_no_reads(s);
    scene_claim(s, NULL, false);
    scene_expect(s, DISPATCH_HAND);
    dispatch_progress(s->d, x, true, s->now);
    s->now += 3600000;
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), INT64_MAX);
    scene_close(s);
}

Test(dispatch, gives_nothing_more_to_one_that_is_stuck)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    struct dispatch_type *type = scene_type(s, "t", 10);
    scene_no_reads(s);
    scene_claim(s, type, false);
    scene_expect(s, DISPATCH_HAND);
    dispatch_progress(s->d, x, true, s->now);
    s->now += DISPATCH_STUCK_MS + 1;
    scene_claim(s, type, false);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_finished(s->d, x, &s->jobs[0], 30000);
    scene_expect(s, DISPATCH_HAND);
    scene_close(s);
}

/* ---- release ---- */

Test(dispatch, releases_what_waits_too_long_only_if_others_could_take_it)
{
    struct scene *s = scene_open(5000, 64, false);
    scene_no_reads(s);
    claim_many(s, scene_type(s, "t", 10), 3);
    s->now += 10 * DISPATCH_RELEASE_MS;
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), INT64_MAX);
    dispatch_has_peers(s->d, true);
    cr_assert_leq(dispatch_due_ms(s->d, s->now), s->now);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(scene_expect(s, DISPATCH_RELEASE).job, &s->jobs[i]);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_waiting(s->d), 0);
    scene_claim(s, NULL, false);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), s->now + DISPATCH_RELEASE_MS);
    s->now += DISPATCH_RELEASE_MS - 1;
    scene_expect(s, DISPATCH_NOTHING);
    s->now += 1;
    scene_expect(s, DISPATCH_RELEASE);
    scene_close(s);
}

Test(dispatch, releases_past_one_that_waits_to_run_alone)
{
    struct scene *s = scene_open(5000, 64, false);
    scene_no_reads(s);
    dispatch_has_peers(s->d, true);
    struct dispatch_job *alone = scene_claim(s, NULL, true);
    struct dispatch_job *other = scene_claim(s, NULL, false);
    s->now += DISPATCH_RELEASE_MS;
    cr_assert_eq(scene_expect(s, DISPATCH_RELEASE).job, other);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_pop(s->d), alone);
    cr_assert_null(dispatch_pop(s->d));
    scene_close(s);
}

/* ---- alone ---- */

Test(dispatch, a_job_with_many_losses_runs_alone_in_a_fresh_executor)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *used = scene_executor(s);
    struct dispatch_type *type = scene_type(s, "t", 10);
    scene_no_reads(s);
    dispatch_finished(s->d, used, (scene_claim(s, type, false), scene_expect(s, DISPATCH_HAND).job),
                      10);
    struct dispatch_job *alone = scene_claim(s, type, true);
    cr_assert_eq(scene_expect(s, DISPATCH_RECYCLE).executor, used);
    scene_claim(s, type, false);
    scene_expect(s, DISPATCH_NOTHING); /* the one that is going takes nothing */
    dispatch_remove_executor(s->d, used);
    struct dispatch_executor *fresh = scene_executor(s);
    struct dispatch_action a = scene_expect(s, DISPATCH_HAND);
    cr_assert(a.job == alone && a.executor == fresh);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_executor_held(fresh), 1, "nothing waits behind it");
    dispatch_finished(s->d, fresh, alone, 10);
    cr_assert_eq(scene_expect(s, DISPATCH_HAND).executor, fresh, "afterwards it is as any other");
    scene_close(s);
}

Test(dispatch, recycles_no_more_than_it_needs)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x[4];
    scene_no_reads(s);
    for (size_t i = 0; i < 4; i++)
        x[i] = scene_executor(s);
    claim_many(s, NULL, 4);
    for (size_t i = 0; i < 4; i++) {
        struct dispatch_action a = scene_expect(s, DISPATCH_HAND);
        a.job->source = NULL;
        x[i] = a.executor;
    }
    for (size_t i = 0; i < 4; i++)
        dispatch_finished(s->d, x[i], &s->jobs[i], 10);
    scene_claim(s, NULL, true);
    scene_claim(s, NULL, true);
    struct dispatch_executor *one = scene_expect(s, DISPATCH_RECYCLE).executor;
    struct dispatch_executor *two = scene_expect(s, DISPATCH_RECYCLE).executor;
    cr_assert_neq(one, two);
    scene_expect(s, DISPATCH_NOTHING);
    claim_many(s, scene_type(s, "t", 1000), 6);
    cr_assert_eq(hand_all(s), 6, "the other two work on");
    cr_assert(dispatch_executor_held(one) == 0 && dispatch_executor_held(two) == 0);
    scene_close(s);
}

Test(dispatch, a_job_to_run_alone_gets_its_turn_under_any_load)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x[2] = {scene_executor(s), scene_executor(s)};
    struct dispatch_type *type = scene_type(s, "t", 1000);
    struct dispatch_job *held[2][64];
    size_t first[2] = {0, 0}, last[2] = {0, 0};
    struct dispatch_job *alone = NULL;
    bool recycled = false;
    scene_no_reads(s);
    for (int turn = 0; turn < 1000 && !recycled; turn++) {
        while (dispatch_waiting(s->d) < 10)
            scene_claim(s, type, false); /* there is always more */
        if (turn == 50)
            alone = scene_claim(s, type, true);
        struct dispatch_action a;
        while ((a = scene_next(s)).act == DISPATCH_HAND) {
            size_t k = a.executor == x[1];
            held[k][last[k]++ % 64] = a.job;
        }
        recycled = a.act == DISPATCH_RECYCLE;
        for (size_t k = 0; k < 2; k++)
            if (first[k] < last[k])
                dispatch_finished(s->d, x[k], held[k][first[k]++ % 64], 1000);
    }
    cr_assert(recycled, "always busy, it was never made ready for it");
    cr_assert(alone);
    scene_close(s);
}

Test(dispatch, an_executor_kept_free_serves_others_once_nothing_runs_alone)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = five_held(s);
    scene_claim(s, NULL, true);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_finished(s->d, x, &s->jobs[0], 1000);
    scene_claim(s, scene_type(s, "t", 0), false);
    scene_expect(s, DISPATCH_NOTHING);
    while (dispatch_pop(s->d))
        ;
    scene_claim(s, scene_type(s, "t", 0), false);
    cr_assert_eq(scene_expect(s, DISPATCH_HAND).executor, x);
    scene_close(s);
}

/* ---- the rest ---- */

Test(dispatch, forgets_an_executor_that_died)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x[5];
    scene_no_reads(s);
    for (size_t i = 0; i < 5; i++)
        x[i] = scene_executor(s);
    struct dispatch_job *j = scene_claim(s, NULL, false);
    struct dispatch_executor *dead = scene_expect(s, DISPATCH_HAND).executor;
    dispatch_lost(s->d, dead, j);
    for (size_t i = 0; i < 5; i++) {
        size_t k = (i * 3 + 1) % 5;
        dispatch_remove_executor(s->d, x[k]);
    }
    scene_claim(s, NULL, false);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(scene_executor(s), scene_expect(s, DISPATCH_HAND).executor);
    scene_close(s);
}

Test(dispatch, knows_types_by_name)
{
    struct scene *s = scene_open(5000, 64, false);
    cr_assert_eq(dispatch_type_of(s->d, "abc", 3), dispatch_type_of(s->d, "abcd", 3));
    cr_assert_neq(dispatch_type_of(s->d, "abc", 3), dispatch_type_of(s->d, "abcd", 4));
    scene_close(s);
}

Test(dispatch, survives_want_of_memory)
{
    struct dispatch *d = NULL;
    jobq_err err;
    struct dispatch_limits limits = {5000, 64, false};
    for (long nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth, 0);
        cr_assert_eq(dispatch_new(limits, &d, &err), JOBQ_ENOMEM);
    }
    mem_fail_at(0, 0);
    struct scene *s = scene_open(5000, 64, false);
    for (long nth = 1; nth <= 2; nth++) {
        struct dispatch_executor *x = NULL;
        struct dispatch_source *source = NULL;
        mem_fail_at(nth, 0);
        cr_assert_eq(dispatch_add_executor(s->d, s, &x, &err), JOBQ_ENOMEM);
        mem_fail_at(nth, 0);
        cr_assert_eq(dispatch_add_source(s->d, 1, 1, s, &source, &err), JOBQ_ENOMEM);
    }
    mem_fail_at(1, 0);
    cr_assert_null(dispatch_type_of(s->d, "t", 1));
    mem_fail_at(0, 0);
    cr_assert_eq(dispatch_sources(s->d), 1);
    scene_executor(s);
    scene_claim(s, NULL, false);
    scene_expect(s, DISPATCH_HAND);
    scene_close(s);
}
