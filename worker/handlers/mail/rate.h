/* SPDX-License-Identifier: MIT */
/*
 * rate: how fast mails may leave, and when to leave a mail server alone, for all executors of one
 * jobd together.
 *
 * Each keeps one 64-bit word that the executors share and change by compare-and-swap only, so that
 * whichever of them dies, nothing is left locked. Times are microseconds of a clock that all of
 * them read alike (CLOCK_MONOTONIC). A word of 0 is a beginning.
 *
 * No other state, no clock of its own, no I/O. Any thread, any process.
 */
#ifndef WORKER_HANDLERS_MAIL_RATE_H
#define WORKER_HANDLERS_MAIL_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- a limit: one every interval_us ---- */

#define RATE_HORIZON_US ((int64_t)300 * 1000000)

struct rate {
    _Atomic uint64_t *next;     /* the earliest time of the next one */
    _Atomic uint64_t *promised; /* the last time told to somebody who was refused */
};

/*
 * "10/s", "300/m", "2000/h", "500/d" as an interval. False: none of these, or not 1 to 1,000,000.
 */
bool rate_parse(const char *text, int64_t *interval_us);

/*
 * 0: go. Otherwise how long to wait: those who are refused are given different times, one interval
 * apart, so that they do not come back together; that far ahead at most RATE_HORIZON_US, then from
 * the start again.
 */
int64_t rate_take(const struct rate *r, int64_t interval_us, int64_t now_us);

/* From least_ms to twice that, and over a second at least: those who wait for the same thing come
 * back one by one, also when little of the wait is left. random: any number. */
int64_t wait_about(int64_t least_ms, uint32_t random);

/* ---- a brake: a server that is out of order is asked by one mail at a time, ever more rarely ----
 */

#define BRAKE_FIRST_US ((int64_t)1000 * 1000)
#define BRAKE_LONGEST_US ((int64_t)300 * 1000000)

/*
 * 0: go. Otherwise how long to wait. After a pause the first to ask goes to look; until he has
 * found out, for probe_us at most, the others are told to ask again soon: after a quarter of the
 * last pause, or as long as it has taken him so far. *ticket is for brake_pull().
 */
int64_t brake_ask(_Atomic uint64_t *brake, int64_t probe_us, int64_t now_us, uint64_t *ticket);

/* What brake_ask() would say, for one who may not go yet. */
int64_t brake_look(_Atomic uint64_t *brake, int64_t probe_us, int64_t now_us);

/*
 * The server was out of order: how long the pause that begins now takes, each time twice as long.
 * Of several who went on the same ticket only the first one counts.
 */
int64_t brake_pull(_Atomic uint64_t *brake, uint64_t ticket, int64_t now_us);

/* Whether who got this ticket went while nothing was known to be wrong. */
bool brake_was_free(uint64_t ticket);

/* It took a mail, or refused one: it works. */
void brake_release(_Atomic uint64_t *brake);

#endif
