/* SPDX-License-Identifier: MIT */
#include <time.h>

#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, tells_the_kernels_time)
{
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int64_t ms = clock_mono_ms();
    int64_t us = clock_mono_us();
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_assert_geq(ms, (int64_t)before.tv_sec * 1000 + before.tv_nsec / 1000000);
    cr_assert_leq(ms, (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
    cr_assert_geq(us / 1000, ms);
    cr_assert_leq(us, (int64_t)after.tv_sec * 1000000 + after.tv_nsec / 1000);
    clock_gettime(CLOCK_REALTIME, &before);
    ms = clock_wall_ms();
    clock_gettime(CLOCK_REALTIME, &after);
    cr_assert_geq(ms, (int64_t)before.tv_sec * 1000 + before.tv_nsec / 1000000);
    cr_assert_leq(ms, (int64_t)after.tv_sec * 1000 + after.tv_nsec / 1000000);
}

Test(clock, stands_still_in_a_test_until_told)
{
    int64_t real = clock_mono_ms();
    clock_fake(1000, 2000);
    cr_assert_eq(clock_mono_ms(), 1000);
    cr_assert_eq(clock_mono_us(), 1000000);
    cr_assert_eq(clock_wall_ms(), 2000);
    clock_fake(1001, 1999);
    cr_assert_eq(clock_mono_ms(), 1001);
    cr_assert_eq(clock_wall_ms(), 1999);
    clock_fake_off();
    cr_assert_geq(clock_mono_ms(), real);
}
