/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/loop.h"
#include "tests/unit/base/prng.h"

static struct loop *loop;
static char fired[64];
static size_t fired_count;

struct timed {
    struct loop_timer *timer;
    char name;
    int64_t seen_ms;
    struct timed *other;
    enum { NOTHING, ARM_NOW, DISARM_OTHER, FREE_OTHER, FREE_SELF, ARM_OTHER_LATER } action;
};

static void make_loop(void)
{
    clock_fake(1000, 0);
    cr_assert_eq(loop_new(&loop, NULL), JOBQ_OK);
}

static void drop_loop(void)
{
    loop_free(loop);
    clock_fake_off();
}

static void turn_at(int64_t now_ms)
{
    clock_fake(now_ms, 0);
    cr_assert_eq(loop_turn(loop, 0, NULL), JOBQ_OK);
}

static void on_timer(void *ctx, int64_t now_ms)
{
    struct timed *t = ctx;
    fired[fired_count++] = t->name;
    t->seen_ms = now_ms;
    switch (t->action) {
    case NOTHING:
        break;
    case ARM_NOW:
        loop_timer_arm(t->timer, now_ms);
        break;
    case DISARM_OTHER:
        loop_timer_disarm(t->other->timer);
        break;
    case FREE_OTHER:
        loop_timer_free(t->other->timer);
        t->other->timer = NULL;
        break;
    case FREE_SELF:
        loop_timer_free(t->timer);
        t->timer = NULL;
        break;
    case ARM_OTHER_LATER:
        loop_timer_arm(t->other->timer, now_ms + 10);
        break;
    }
}

static void make_timer(struct timed *t, char name, int64_t due_ms)
{
    t->name = name;
    cr_assert_eq(loop_timer_new(loop, on_timer, t, &t->timer, NULL), JOBQ_OK);
    cr_assert_not(loop_timer_is_armed(t->timer));
    loop_timer_arm(t->timer, due_ms);
    cr_assert(loop_timer_is_armed(t->timer));
}

TestSuite(loop_timer, .init = make_loop, .fini = drop_loop);

Test(loop_timer, fires_once_when_due)
{
    struct timed a = {0};
    make_timer(&a, 'a', 1100);
    turn_at(1099);
    cr_assert_str_eq(fired, "");
    turn_at(1100);
    turn_at(1200);
    cr_assert_str_eq(fired, "a");
    cr_assert_eq(a.seen_ms, 1100);
    cr_assert_not(loop_timer_is_armed(a.timer));
}

Test(loop_timer, fires_in_order_of_time_then_of_arming)
{
    struct timed t[6] = {0};
    static const int64_t due[] = {1005, 1003, 1005, 900, 1003, 1004};
    for (size_t i = 0; i < 6; i++)
        make_timer(&t[i], (char)('a' + i), due[i]);
    turn_at(1004);
    cr_assert_str_eq(fired, "dbef");
    turn_at(1005);
    cr_assert_str_eq(fired, "dbefac");
}

Test(loop_timer, arming_again_replaces_the_time)
{
    struct timed a = {0};
    make_timer(&a, 'a', 1100);
    loop_timer_arm(a.timer, 1300);
    turn_at(1200);
    cr_assert_str_eq(fired, "");
    loop_timer_arm(a.timer, 1150);
    turn_at(1200);
    cr_assert_str_eq(fired, "a");
    loop_timer_arm(a.timer, 1150);
    loop_timer_disarm(a.timer);
    loop_timer_disarm(a.timer);
    turn_at(1300);
    cr_assert_str_eq(fired, "a");
}

Test(loop_timer, armed_again_by_itself_waits_for_the_next_turn)
{
    struct timed a = {.action = ARM_NOW};
    make_timer(&a, 'a', 1100);
    turn_at(1100);
    cr_assert_str_eq(fired, "a");
    turn_at(1100);
    cr_assert_str_eq(fired, "aa");
}

Test(loop_timer, disarms_one_that_is_due_in_the_same_turn)
{
    struct timed a = {.action = DISARM_OTHER};
    struct timed b = {0};
    a.other = &b;
    make_timer(&a, 'a', 1100);
    make_timer(&b, 'b', 1100);
    turn_at(1100);
    turn_at(1200);
    cr_assert_str_eq(fired, "a");
    cr_assert_not(loop_timer_is_armed(b.timer));
}

Test(loop_timer, puts_off_one_that_is_due_in_the_same_turn)
{
    struct timed a = {.action = ARM_OTHER_LATER};
    struct timed b = {0};
    a.other = &b;
    make_timer(&a, 'a', 1100);
    make_timer(&b, 'b', 1100);
    turn_at(1100);
    cr_assert_str_eq(fired, "a");
    cr_assert(loop_timer_is_armed(b.timer));
    turn_at(1110);
    cr_assert_str_eq(fired, "ab");
}

Test(loop_timer, may_free_itself_and_others)
{
    struct timed a = {.action = FREE_OTHER};
    struct timed b = {0};
    struct timed c = {.action = FREE_SELF};
    a.other = &b;
    make_timer(&a, 'a', 1100);
    make_timer(&b, 'b', 1100);
    make_timer(&c, 'c', 1100);
    turn_at(1100);
    turn_at(1200);
    cr_assert_str_eq(fired, "ac");
    cr_assert_null(b.timer);
    cr_assert_null(c.timer);
    loop_timer_free(a.timer);
}

Test(loop_timer, a_real_wait_ends_at_the_next_timer)
{
    struct timed a = {0};
    clock_fake_off();
    int64_t due = clock_mono_ms() + 30;
    make_timer(&a, 'a', due);
    /* One turn: woken neither too early nor in several steps. */
    cr_assert_eq(loop_turn(loop, -1, NULL), JOBQ_OK);
    cr_assert_str_eq(fired, "a");
    cr_assert_geq(clock_mono_ms(), due);
    /* A far one does not stretch a shorter wait, nor overflow it. */
    loop_timer_arm(a.timer, INT64_MAX);
    cr_assert_eq(loop_turn(loop, 5, NULL), JOBQ_OK);
    loop_timer_arm(a.timer, INT64_MIN);
    cr_assert_eq(loop_turn(loop, -1, NULL), JOBQ_OK);
    cr_assert_str_eq(fired, "aa");
}

#define MANY 200
static struct timed many[MANY];
static int64_t due_ms[MANY]; /* -1: not armed */
static int64_t last_due_ms;

static void on_one_of_many(void *ctx, int64_t now_ms)
{
    size_t i = (size_t)((struct timed *)ctx - many);
    cr_assert(due_ms[i] >= 0 && due_ms[i] <= now_ms, "timer %zu was not due", i);
    cr_assert_geq(due_ms[i], last_due_ms, "out of order");
    last_due_ms = due_ms[i];
    due_ms[i] = -1;
}

Test(loop_timer, agrees_with_a_plain_list_of_times)
{
    uint64_t seed = 17;
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_eq(loop_timer_new(loop, on_one_of_many, &many[i], &many[i].timer, NULL), JOBQ_OK);
        due_ms[i] = -1;
    }
    for (int64_t now = 1000; now < 6000; now++) {
        for (int k = 0; k < 10; k++) {
            size_t i = prng(&seed) % MANY;
            if (prng(&seed) % 4 == 0) {
                loop_timer_disarm(many[i].timer);
                due_ms[i] = -1;
            } else {
                due_ms[i] = now + (int64_t)(prng(&seed) % 50) - 5;
                loop_timer_arm(many[i].timer, due_ms[i]);
            }
        }
        last_due_ms = 0;
        turn_at(now);
        for (size_t i = 0; i < MANY; i++) {
            cr_assert(due_ms[i] < 0 || due_ms[i] > now, "timer %zu was forgotten", i);
            cr_assert_eq(loop_timer_is_armed(many[i].timer), due_ms[i] >= 0);
        }
    }
}
