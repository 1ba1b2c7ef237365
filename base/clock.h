/* SPDX-License-Identifier: MIT */
/*
 * clock: monotonic and wall milliseconds. Unit tests set them by hand. Decisions use the monotonic
 * one; the wall clock is for log lines and new ids only.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void);

/* Tests only: from now on all three tell this time; clock_fake_off() ends it. */
void clock_fake(int64_t mono_ms, int64_t wall_ms);
void clock_fake_off(void);

#endif
