/* SPDX-License-Identifier: MIT */
/* rate: see rate.h. */
#include "worker/handlers/mail/rate.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 1000000L
#define SLACK_US 1000000
#define SPREAD_MS 1000

bool rate_parse(const char *text, int64_t *interval_us)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {
        {"/s", 1000000},
        {"/m", 60000000},
        {"/h", 3600000000},
        {"/d", 86400000000},
    };
    char *end;
    long count;

    if (*text < '0' || *text > '9') {
        return false;
    }
    count = strtol(text, &end, 10);
    if (count < 1 || count > COUNT_MAX) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *interval_us = units[i].us / count;
            return true;
        }
    }
    return false;
}

/* A time of its own for one who is refused, after next. */
static int64_t promise(const struct rate *r, int64_t interval_us, int64_t next, int64_t now_us)
{
    uint64_t was = atomic_load(r->promised);
    int64_t at;

    do {
        at = (int64_t)was + interval_us;
        if ((int64_t)was < next || at > now_us + RATE_HORIZON_US) {
            at = next;
        }
    } while (!atomic_compare_exchange_weak(r->promised, &was, (uint64_t)at));
    return at;
}

int64_t rate_take(const struct rate *r, int64_t interval_us, int64_t now_us)
{
    uint64_t next = atomic_load(r->next);
    int64_t after;

    do {
        /* Later than that it was set under a lower limit, or by nobody we know. The slack is for
           those who read the clock a little before or after each other. */
        if ((int64_t)next > now_us && (int64_t)next <= now_us + interval_us + SLACK_US) {
            return promise(r, interval_us, (int64_t)next, now_us) - now_us;
        }
        after = now_us + interval_us;
    } while (!atomic_compare_exchange_weak(r->next, &next, (uint64_t)after));
    return 0;
}

int64_t wait_about(int64_t least_ms, uint32_t random)
{
    int64_t spread_ms = least_ms > SPREAD_MS ? least_ms : SPREAD_MS;

    return least_ms + (int64_t)(random % (uint32_t)(spread_ms + 1));
}

/* ---- the brake: until << 8 | somebody looks << 7 | times pulled ---- */

#define PULLS_MAX 0x7fu
#define PULLS(word) ((word)&PULLS_MAX)
#define LOOKING 0x80u
#define UNTIL(word) ((int64_t)((word) >> 8))

static uint64_t brake_word(int64_t until_us, uint64_t pulls)
{
    return (uint64_t)until_us << 8 | (pulls < PULLS_MAX ? pulls : PULLS_MAX);
}

static int64_t pause_of(uint64_t pulls)
{
    int64_t pause_us = pulls < 20 ? BRAKE_FIRST_US << pulls : BRAKE_LONGEST_US;

    return pause_us < BRAKE_LONGEST_US ? pause_us : BRAKE_LONGEST_US;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A pause longer than any we make is nobody's. */
static int64_t time_left(uint64_t word, int64_t probe_us, int64_t now_us)
{
    int64_t left_us = UNTIL(word) - now_us;
    int64_t soon_us = BRAKE_FIRST_US;

    if (PULLS(word) == 0 || left_us <= 0 || left_us > BRAKE_LONGEST_US + probe_us) {
        return 0;
    }
    soon_us = longer(soon_us, pause_of(PULLS(word) - 1) / 4);
    soon_us = longer(soon_us, probe_us - left_us);
    return (word & LOOKING) && left_us > soon_us ? soon_us : left_us;
}

int64_t brake_look(_Atomic uint64_t *brake, int64_t probe_us, int64_t now_us)
{
    return time_left(atomic_load(brake), probe_us, now_us);
}

int64_t brake_ask(_Atomic uint64_t *brake, int64_t probe_us, int64_t now_us, uint64_t *ticket)
{
    uint64_t was = atomic_load(brake);
    int64_t left_us;

    do {
        left_us = time_left(was, probe_us, now_us);
        if (left_us > 0) {
            return left_us;
        }
        *ticket = PULLS(was) == 0 ? was : brake_word(now_us + probe_us, PULLS(was)) | LOOKING;
    } while (*ticket != was && !atomic_compare_exchange_weak(brake, &was, *ticket));
    return 0;
}

int64_t brake_pull(_Atomic uint64_t *brake, uint64_t ticket, int64_t now_us)
{
    uint64_t was = ticket;
    uint64_t pulls = PULLS(ticket);
    int64_t pause_us = pause_of(pulls);

    if (!atomic_compare_exchange_strong(brake, &was, brake_word(now_us + pause_us, pulls + 1)) &&
        UNTIL(was) > now_us) {
        pause_us = UNTIL(was) - now_us;
    }
    return pause_us;
}

bool brake_was_free(uint64_t ticket)
{
    return PULLS(ticket) == 0;
}

void brake_release(_Atomic uint64_t *brake)
{
    if (atomic_load(brake) != 0) {
        atomic_store(brake, 0);
    }
}
