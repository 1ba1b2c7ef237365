/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "tests/unit/base/prng.h"
#include "worker/retry.h"

static const struct retry_limits LIMITS = {
    .backoff_ms = 1000, .backoff_cap_ms = 60000, .max_attempts = 10, .crash_budget = 3};

static struct retry_decision decide(enum retry_event event, struct job_header h, int64_t delay_ms,
                                    uint64_t random)
{
    return retry_decide(event, &h, delay_ms, &LIMITS, random);
}

static int64_t ceiling_of(unsigned failures)
{
    int64_t ceiling = LIMITS.backoff_ms;
    while (failures-- && ceiling < LIMITS.backoff_cap_ms)
        ceiling *= 2;
    return MIN(ceiling, LIMITS.backoff_cap_ms);
}

Test(retry, a_failure_waits_anything_up_to_its_ceiling)
{
    uint64_t seed = 1;
    for (uint16_t failures = 0; failures < 9; failures++) {
        int64_t low = INT64_MAX, high = 0, sum = 0, ceiling = ceiling_of(failures);
        for (int i = 0; i < 20000; i++) {
            struct retry_decision d =
                decide(RETRY_FAILED, (struct job_header){.attempts = failures}, -1, prng(&seed));
            cr_assert_eq(d.action, CLAIM_LATER);
            cr_assert_eq(d.count, CLAIM_COUNT_RETRIED);
            cr_assert_eq(d.attempts, failures + 1);
            cr_assert(d.delay_ms >= 0 && d.delay_ms <= ceiling, "%lld", (long long)d.delay_ms);
            low = MIN(low, d.delay_ms);
            high = MAX(high, d.delay_ms);
            sum += d.delay_ms;
        }
        cr_assert_leq(low, ceiling / 100, "full jitter begins at nothing");
        cr_assert_geq(high, ceiling - ceiling / 100);
        cr_assert(sum / 20000 > ceiling * 48 / 100 && sum / 20000 < ceiling * 52 / 100, "evenly");
    }
}

Test(retry, a_failure_reaches_both_ends_of_its_range)
{
    struct job_header h = {.attempts = 3};
    cr_assert_eq(decide(RETRY_FAILED, h, -1, 0).delay_ms, 0);
    cr_assert_eq(decide(RETRY_FAILED, h, -1, 8000).delay_ms, 8000);
    cr_assert_eq(decide(RETRY_FAILED, h, -1, 8001).delay_ms, 0);
}

Test(retry, a_delay_asked_for_is_kept)
{
    cr_assert_eq(decide(RETRY_FAILED, (struct job_header){0}, 0, 77).delay_ms, 0);
    cr_assert_eq(decide(RETRY_FAILED, (struct job_header){0}, 123456789, 77).delay_ms, 123456789);
    cr_assert_eq(decide(RETRY_SNOOZED, (struct job_header){0}, 0, 77).delay_ms, 0);
    cr_assert_eq(decide(RETRY_SNOOZED, (struct job_header){0}, 5, 77).delay_ms, 5);
    cr_assert_eq(decide(RETRY_SNOOZED, (struct job_header){0}, -1, 77).delay_ms,
                 RETRY_SNOOZE_DEFAULT_MS);
}

Test(retry, no_limits_overflow)
{
    static const int64_t values[] = {
        0, 1, 3, INT64_MAX / 2, INT64_MAX / 2 + 1, INT64_MAX - 1, INT64_MAX};
    uint64_t seed = 9;
    for (size_t b = 0; b < ARRAY_LEN(values); b++) {
        for (size_t c = 0; c < ARRAY_LEN(values); c++) {
            struct retry_limits limits = {values[b], values[c], 65536, 3};
            for (uint32_t failures = 0; failures <= UINT16_MAX;
                 failures += failures < 70 ? 1 : 5000) {
                struct job_header h = {.attempts = (uint16_t)failures};
                struct retry_decision d = retry_decide(RETRY_FAILED, &h, -1, &limits, prng(&seed));
                cr_assert(d.delay_ms >= 0 && d.delay_ms <= limits.backoff_cap_ms);
                cr_assert(values[b] || !d.delay_ms);
            }
        }
    }
    struct retry_limits limits = {1, INT64_MAX, 65536, 3};
    struct job_header h = {.attempts = 1000};
    cr_assert_eq(retry_decide(RETRY_FAILED, &h, -1, &limits, INT64_MAX).delay_ms, INT64_MAX,
                 "the cap is reached");
}

Test(retry, the_last_allowed_failure_is_the_end)
{
    for (uint16_t attempts = 0; attempts < 20; attempts++) {
        struct retry_decision d =
            decide(RETRY_FAILED, (struct job_header){.attempts = attempts, .crashes = 2}, -1, 5);
        cr_assert_eq(d.action, attempts + 1 < 10 ? CLAIM_LATER : CLAIM_DEAD);
        cr_assert_eq(d.attempts, attempts + 1);
        cr_assert_eq(d.crashes, 2, "a failure is no crash");
        if (d.action == CLAIM_DEAD) {
            cr_assert_eq(d.reason, CLAIM_EXHAUSTED);
            cr_assert_eq(d.count, CLAIM_COUNT_DEAD);
            cr_assert_eq(d.delay_ms, 0);
        }
    }
}

Test(retry, crashes_have_a_budget_of_their_own)
{
    for (uint8_t crashes = 0; crashes < 6; crashes++) {
        struct retry_decision d =
            decide(RETRY_CRASHED, (struct job_header){.attempts = 9, .crashes = crashes}, -1, 5);
        cr_assert_eq(d.action, crashes + 1 < 3 ? CLAIM_RECOVERED : CLAIM_DEAD);
        cr_assert_eq(d.count, crashes + 1 < 3 ? CLAIM_COUNT_CRASHED : CLAIM_COUNT_DEAD);
        cr_assert_eq(d.crashes, crashes + 1);
        cr_assert_eq(d.attempts, 9, "a crash is no failure");
        cr_assert_eq(d.delay_ms, 0);
        cr_assert(d.action == CLAIM_RECOVERED || d.reason == CLAIM_EXHAUSTED);
    }
}

Test(retry, releases_and_snoozes_use_no_budget)
{
    struct job_header h = {.attempts = 9, .crashes = 2, .releases = 4000};
    struct retry_decision d = decide(RETRY_RELEASED, h, -1, 5);
    cr_assert_eq(d.action, CLAIM_RECOVERED);
    cr_assert_eq(d.count, CLAIM_COUNT_RELEASED);
    cr_assert(d.attempts == 9 && d.crashes == 2 && d.releases == 4001 && d.delay_ms == 0);
    d = decide(RETRY_RELEASED, h, 700, 5);
    cr_assert_eq(d.action, CLAIM_LATER);
    cr_assert(d.attempts == 9 && d.crashes == 2 && d.releases == 4001 && d.delay_ms == 700);
    cr_assert_eq(decide(RETRY_RELEASED, h, 0, 5).action, CLAIM_RECOVERED);
    d = decide(RETRY_SNOOZED, h, 3, 5);
    cr_assert_eq(d.action, CLAIM_LATER);
    cr_assert_eq(d.count, CLAIM_COUNT_SNOOZED);
    cr_assert(d.attempts == 9 && d.crashes == 2 && d.releases == 4000);
}

Test(retry, counts_stop_at_their_end)
{
    struct job_header h = {.attempts = UINT16_MAX, .crashes = UINT8_MAX, .releases = UINT16_MAX};
    struct retry_limits limits = {1, 1, 1u << 20, 1000};
    struct retry_decision d = retry_decide(RETRY_FAILED, &h, -1, &limits, 1);
    cr_assert(d.attempts == UINT16_MAX && d.action == CLAIM_LATER);
    d = retry_decide(RETRY_CRASHED, &h, -1, &limits, 1);
    cr_assert(d.crashes == UINT8_MAX && d.action == CLAIM_RECOVERED);
    cr_assert_eq(retry_decide(RETRY_RELEASED, &h, -1, &limits, 1).releases, UINT16_MAX);
    cr_assert_eq(retry_decide(RETRY_PERMANENT, &h, -1, &limits, 1).attempts, UINT16_MAX);
}

Test(retry, what_cannot_work_is_buried_with_its_reason)
{
    static const struct {
        enum retry_event event;
        enum claim_action action;
        enum claim_reason reason;
        enum claim_count count;
        uint16_t attempts;
    } rows[] = {
        {RETRY_PERMANENT, CLAIM_DEAD, CLAIM_PERMANENT, CLAIM_COUNT_DEAD, 5},
        {RETRY_EXPIRED, CLAIM_DEAD, CLAIM_EXPIRED, CLAIM_COUNT_EXPIRED, 4},
        {RETRY_EXHAUSTED, CLAIM_DEAD, CLAIM_EXHAUSTED, CLAIM_COUNT_DEAD, 4},
        {RETRY_CORRUPT, CLAIM_DEAD, CLAIM_CORRUPT, CLAIM_COUNT_CORRUPT, 4},
    };
    struct job_header h = {.attempts = 4, .crashes = 1, .releases = 2};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct retry_decision d = decide(rows[i].event, h, 999, 5);
        cr_assert_eq(d.action, rows[i].action);
        cr_assert_eq(d.reason, rows[i].reason);
        cr_assert_eq(d.count, rows[i].count);
        cr_assert(d.attempts == rows[i].attempts && d.crashes == 1 && d.releases == 2 &&
                  d.delay_ms == 0);
    }
    struct retry_decision d = decide(RETRY_UNKNOWN, h, 999, 5);
    cr_assert(d.action == CLAIM_PARKED && d.count == CLAIM_COUNT_PARKED);
    cr_assert(d.attempts == 4 && d.crashes == 1 && d.releases == 2 && d.delay_ms == 0);
}
