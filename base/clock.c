/* SPDX-License-Identifier: MIT */
/*
 * clock: clock_gettime by the vDSO, so no system call; replaced as a whole while a test holds it by
 * hand.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "base/base.h"

static atomic_bool faked;
static _Atomic int64_t fake_mono_ms;
static _Atomic int64_t fake_wall_ms;

static bool is_faked(void)
{
    return __builtin_expect(atomic_load_explicit(&faked, memory_order_relaxed), 0);
}

static struct timespec read_clock(clockid_t which)
{
    struct timespec t;
    /* Cannot fail for these two clocks. */
    ASSERT(clock_gettime(which, &t) == 0);
    return t;
}

int64_t clock_mono_ms(void)
{
    if (is_faked())
        return fake_mono_ms;
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_us(void)
{
    if (is_faked())
        return fake_mono_ms * 1000;
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    if (is_faked())
        return fake_wall_ms;
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void clock_fake(int64_t mono_ms, int64_t wall_ms)
{
    fake_mono_ms = mono_ms;
    fake_wall_ms = wall_ms;
    atomic_store(&faked, true);
}

void clock_fake_off(void)
{
    atomic_store(&faked, false);
}
