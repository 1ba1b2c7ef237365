/* SPDX-License-Identifier: MIT */
/*
 * What is read next, how much, and when the blocking reader takes over.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/keys.h"
#include "tests/unit/worker/dispatch_scene.h"

#define SOURCES_MAX 128

/* Sources that always have so many jobs ready; what they give is done at once. */
struct supply {
    struct scene *s;
    struct dispatch_executor *x;
    struct dispatch_source *sources[SOURCES_MAX];
    size_t ready[SOURCES_MAX]; /* how many jobs a read finds at most */
    size_t jobs[SOURCES_MAX];  /* given so far */
    size_t reads[SOURCES_MAX];
    size_t n;
    size_t blocks;
    int reads_a_ms; /* how many reads go into a millisecond */
    int in_this_ms;
};

static void open_supply(struct supply *p, bool strict)
{
    memset(p, 0, sizeof(*p));
    p->s = scene_open(5000, 64, strict);
    dispatch_source_open(p->s->d, p->s->source, false);
    p->reads_a_ms = 10;
    p->x = scene_executor(p->s);
}

/* Its jobs are measured, so that reads ask for many. */
static size_t add_source(struct supply *p, unsigned lane, unsigned weight, size_t ready)
{
    cr_assert_lt(p->n, SOURCES_MAX);
    dispatch_hold(p->s->d, true);
    p->sources[p->n] = scene_source(p->s, lane, weight);
    p->ready[p->n] = ready;
    struct dispatch_job *j = scene_claim(p->s, NULL, false);
    j->source = p->sources[p->n];
    scene_expect(p->s, DISPATCH_HAND);
    dispatch_finished(p->s->d, p->x, j, 10);
    dispatch_hold(p->s->d, false);
    return p->n++;
}

static void answer(struct supply *p, const struct dispatch_action *a)
{
    size_t k = 0;
    while (p->sources[k] != a->source)
        k++;
    size_t n = MIN(p->ready[k], a->count);
    p->jobs[k] += n;
    p->reads[k]++;
    dispatch_read_answered(p->s->d, a->source, n, p->s->now);
    if (++p->in_this_ms >= p->reads_a_ms) {
        p->in_this_ms = 0;
        p->s->now++;
    }
}

/* So many reads; a blocked one ends at once with one job of each that has some. */
static void read_many(struct supply *p, size_t reads)
{
    while (reads) {
        struct dispatch_action a = scene_next(p->s);
        if (a.act == DISPATCH_READ) {
            answer(p, &a);
            reads--;
        } else if (a.act == DISPATCH_BLOCK) {
            p->blocks++;
            for (size_t k = 0; k < p->n; k++)
                if (p->ready[k])
                    dispatch_source_woken(p->s->d, p->sources[k]);
            dispatch_block_ended(p->s->d);
            reads--;
        } else {
            cr_assert_eq(a.act, DISPATCH_NOTHING);
            int64_t due = dispatch_due_ms(p->s->d, p->s->now);
            cr_assert_lt(due, INT64_MAX, "room and sources, yet nothing will ever be read");
            p->s->now = MAX(due, p->s->now + 1);
        }
    }
}

static void forget_counts(struct supply *p)
{
    memset(p->jobs, 0, sizeof(p->jobs));
    memset(p->reads, 0, sizeof(p->reads));
}

static void close_supply(struct supply *p)
{
    scene_close(p->s);
}

#define PLENTY 100000

Test(dispatch_read, shares_by_the_weight_of_lanes)
{
    struct supply p;
    open_supply(&p, false);
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        add_source(&p, lane, 1, PLENTY);
    read_many(&p, 1500);
    size_t sum = p.jobs[0] + p.jobs[1] + p.jobs[2] + p.jobs[3];
    static const size_t parts[] = {8, 4, 2, 1};
    for (size_t lane = 0; lane < LANE_COUNT; lane++)
        cr_assert(p.jobs[lane] * 15 > sum * parts[lane] * 95 / 100 &&
                      p.jobs[lane] * 15 < sum * parts[lane] * 105 / 100,
                  "lane %zu: %zu of %zu", lane, p.jobs[lane], sum);
    close_supply(&p);
}

Test(dispatch_read, shares_by_the_weight_of_queues_live)
{
    struct supply p;
    open_supply(&p, false);
    add_source(&p, LANE_NORMAL, 1, PLENTY);
    add_source(&p, LANE_NORMAL, 9, PLENTY);
    read_many(&p, 1000);
    cr_assert(p.reads[0] >= 95 && p.reads[0] <= 105, "%zu", p.reads[0]);
    dispatch_source_weight(p.sources[0], 9);
    forget_counts(&p);
    read_many(&p, 1000);
    cr_assert(p.reads[0] >= 450 && p.reads[0] <= 550, "%zu", p.reads[0]);
    close_supply(&p);
}

Test(dispatch_read, the_greatest_weights_leave_something_to_the_least)
{
    struct supply p;
    open_supply(&p, false);
    add_source(&p, LANE_RECOVERED, 1000, PLENTY);
    add_source(&p, LANE_LOW, 1, PLENTY);
    read_many(&p, 20000);
    cr_assert_geq(p.reads[1], 2);
    close_supply(&p);
}

Test(dispatch_read, strict_lanes_go_first_to_last)
{
    struct supply p;
    open_supply(&p, true);
    size_t low = add_source(&p, LANE_LOW, 1000, PLENTY),
           high = add_source(&p, LANE_HIGH, 1, PLENTY);
    read_many(&p, 500);
    cr_assert_eq(p.reads[high], 500);
    p.ready[high] = 0;
    forget_counts(&p);
    read_many(&p, 500);
    cr_assert_geq(p.reads[low], 250);
    p.ready[high] = PLENTY;
    forget_counts(&p);
    read_many(&p, 500);
    cr_assert_geq(p.reads[high], 490, "as soon as it has work again");
    close_supply(&p);
}

Test(dispatch_read, blocks_only_when_all_are_empty)
{
    struct supply p;
    open_supply(&p, false);
    size_t a = add_source(&p, LANE_NORMAL, 1, 0), b = add_source(&p, LANE_HIGH, 1, 3);
    for (int i = 0; i < 2; i++) {
        struct dispatch_action x = scene_expect(p.s, DISPATCH_READ);
        scene_expect(p.s, DISPATCH_NOTHING); /* one read at a time */
        cr_assert_eq(x.count, 64);
        answer(&p, &x);
    }
    cr_assert(p.reads[a] == 1 && p.reads[b] == 1);
    scene_expect(p.s, DISPATCH_BLOCK);
    scene_expect(p.s, DISPATCH_NOTHING);
    p.s->now += 100000;
    scene_expect(p.s, DISPATCH_NOTHING);
    dispatch_block_ended(p.s->d);
    scene_expect(p.s, DISPATCH_BLOCK);
    dispatch_source_woken(p.s->d, p.sources[b]);
    dispatch_block_ended(p.s->d);
    cr_assert_eq(scene_expect(p.s, DISPATCH_READ).source, p.sources[b]);
    close_supply(&p);
}

Test(dispatch_read, an_empty_source_rests_while_others_have_work)
{
    struct supply p;
    open_supply(&p, false);
    size_t busy = add_source(&p, LANE_NORMAL, 1, PLENTY),
           empty = add_source(&p, LANE_RECOVERED, 1, 0);
    p.reads_a_ms = 1 << 20; /* time stands still */
    read_many(&p, 200);
    cr_assert_eq(p.reads[empty], 1);
    cr_assert_eq(p.reads[busy], 199);
    p.s->now += DISPATCH_REST_MS;
    read_many(&p, 200);
    cr_assert_eq(p.reads[empty], 2);
    close_supply(&p);
}

static void check_empties(bool strict)
{
    struct supply p;
    open_supply(&p, strict);
    for (unsigned queue = 0; queue < 25; queue++)
        for (unsigned lane = 0; lane < LANE_COUNT; lane++)
            add_source(&p, lane, 1 + queue, 0);
    size_t busy = add_source(&p, LANE_LOW, 1, PLENTY);
    read_many(&p, 1000);
    forget_counts(&p);
    read_many(&p, 2000);
    cr_assert_geq(p.reads[busy], 1000, "%zu", p.reads[busy]);
    for (size_t k = 0; k < busy; k++)
        cr_assert_geq(p.reads[k], 8, "source %zu was looked at %zu times", k, p.reads[k]);
    close_supply(&p);
}

Test(dispatch_read, many_empty_sources_starve_neither_a_busy_one_nor_each_other)
{
    check_empties(false);
    check_empties(true);
}

Test(dispatch_read, one_that_was_empty_for_long_is_owed_nothing)
{
    struct supply p;
    open_supply(&p, false);
    size_t busy = add_source(&p, LANE_NORMAL, 1, PLENTY), idle = add_source(&p, LANE_NORMAL, 1, 0);
    read_many(&p, 20000);
    p.ready[idle] = PLENTY;
    forget_counts(&p);
    read_many(&p, 200);
    cr_assert_geq(p.reads[busy], 95, "%zu", p.reads[busy]);
    cr_assert_geq(p.reads[idle], 95, "%zu", p.reads[idle]);
    close_supply(&p);
}

Test(dispatch_read, one_that_gave_a_little_each_time_owes_nothing)
{
    struct supply p;
    open_supply(&p, false);
    size_t busy = add_source(&p, LANE_RECOVERED, 100, PLENTY),
           trickle = add_source(&p, LANE_NORMAL, 50, 30);
    p.reads_a_ms = 2;
    read_many(&p, 20000);
    p.ready[trickle] = PLENTY;
    forget_counts(&p);
    read_many(&p, 900);
    cr_assert_geq(p.reads[trickle], 50, "half its share of 1 in 9: %zu", p.reads[trickle]);
    cr_assert_geq(p.reads[busy], 700);
    close_supply(&p);
}

Test(dispatch_read, one_opened_late_is_owed_nothing)
{
    struct supply p;
    open_supply(&p, false);
    size_t first = add_source(&p, LANE_NORMAL, 1, PLENTY);
    read_many(&p, 5000);
    size_t second = add_source(&p, LANE_NORMAL, 1, PLENTY);
    forget_counts(&p);
    read_many(&p, 200);
    cr_assert(p.reads[first] >= 95 && p.reads[second] >= 95);
    dispatch_source_open(p.s->d, p.sources[second], false);
    forget_counts(&p);
    read_many(&p, 5000);
    cr_assert_eq(p.reads[second], 0, "closed");
    dispatch_source_open(p.s->d, p.sources[second], true);
    forget_counts(&p);
    read_many(&p, 200);
    cr_assert(p.reads[first] >= 95 && p.reads[second] >= 95);
    close_supply(&p);
}

Test(dispatch_read, after_a_reset_nobody_is_owed_anything)
{
    struct supply p;
    open_supply(&p, false);
    size_t busy = add_source(&p, LANE_NORMAL, 1, PLENTY), idle = add_source(&p, LANE_NORMAL, 1, 0);
    read_many(&p, 5000);
    struct dispatch_action stale = scene_expect(p.s, DISPATCH_READ);
    dispatch_reset_reads(p.s->d);
    dispatch_read_answered(p.s->d, stale.source, 50,
                           p.s->now); /* of the old connection: says nothing */
    p.ready[idle] = PLENTY;
    forget_counts(&p);
    read_many(&p, 200);
    cr_assert(p.reads[busy] >= 95 && p.reads[idle] >= 95, "%zu %zu", p.reads[busy], p.reads[idle]);
    close_supply(&p);
}

/* ---- how much ---- */

Test(dispatch_read, asks_for_what_fits)
{
    static const struct {
        uint32_t run_us;
        size_t executors, count;
    } rows[] = {{0, 1, 1},     {0, 3, 3},    {10, 1, 64}, {10, 3, 192}, {10, 9, DISPATCH_READ_MAX},
                {1000, 4, 20}, {60000, 5, 5}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scene *s = scene_open(5000, 64, false);
        struct dispatch_executor *x = scene_executor(s);
        for (size_t k = 1; k < rows[i].executors; k++)
            scene_executor(s);
        if (rows[i].run_us) {
            dispatch_hold(s->d, true);
            struct dispatch_job *j = scene_claim(s, scene_type(s, "t", rows[i].run_us), false);
            x = scene_expect(s, DISPATCH_HAND).executor;
            dispatch_finished(s->d, x, j, rows[i].run_us);
            dispatch_hold(s->d, false);
        }
        cr_assert_eq(scene_expect(s, DISPATCH_READ).count, rows[i].count, "row %zu", i);
        scene_close(s);
    }
}

Test(dispatch_read, counts_what_is_claimed_already)
{
    struct scene *s = scene_open(5000, 64, false);
    for (int i = 0; i < 4; i++)
        scene_executor(s);
    scene_claim(s, NULL, false);
    scene_claim(s, NULL, false);
    dispatch_hold_start(s->d, true);
    scene_expect(s, DISPATCH_NOTHING); /* what could not be started is not claimed */
    dispatch_hold_start(s->d, false);
    scene_expect(s, DISPATCH_HAND);
    scene_expect(s, DISPATCH_HAND);
    cr_assert_eq(scene_expect(s, DISPATCH_READ).count, 2);
    scene_close(s);
}

Test(dispatch_read, neither_reads_nor_blocks_without_room)
{
    struct scene *s = scene_open(5000, 64, false);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), INT64_MAX);
    struct dispatch_executor *x = scene_executor(s);
    scene_claim(s, NULL, false);
    scene_expect(s, DISPATCH_HAND);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_finished(s->d, x, &s->jobs[0], 10000);
    dispatch_executor_usable(s->d, x, false);
    scene_expect(s, DISPATCH_NOTHING);
    dispatch_executor_usable(s->d, x, true);
    dispatch_hold(s->d, true);
    scene_expect(s, DISPATCH_NOTHING);
    cr_assert_eq(dispatch_due_ms(s->d, s->now), INT64_MAX);
    dispatch_hold(s->d, false);
    dispatch_read_answered(s->d, scene_expect(s, DISPATCH_READ).source, 0, s->now);
    dispatch_executor_usable(s->d, x, false);
    scene_expect(s, DISPATCH_NOTHING); /* all are empty: without room it does not block either */
    dispatch_executor_usable(s->d, x, true);
    scene_expect(s, DISPATCH_BLOCK);
    scene_close(s);
}

/* While everybody is busy it waits until a read is worth its way. */
Test(dispatch_read, does_not_read_in_dribbles)
{
    struct scene *s = scene_open(5000, 64, false);
    struct dispatch_executor *x = scene_executor(s);
    struct dispatch_type *type = scene_type(s, "t", 10);
    dispatch_hold(s->d, true);
    for (int i = 0; i < 65; i++)
        scene_claim(s, type, false);
    for (int i = 0; i < 64; i++)
        scene_expect(s, DISPATCH_HAND);
    dispatch_finished(s->d, x, &s->jobs[0], 10);
    scene_expect(s, DISPATCH_HAND);
    dispatch_hold(s->d, false);
    for (int i = 1; i < 32; i++) {
        dispatch_finished(s->d, x, &s->jobs[i], 10);
        scene_expect(s, DISPATCH_NOTHING);
    }
    dispatch_finished(s->d, x, &s->jobs[32], 10);
    cr_assert_eq(scene_expect(s, DISPATCH_READ).count, 32);
    scene_close(s);
}
