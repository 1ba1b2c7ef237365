/* SPDX-License-Identifier: MIT */
#include "worker/retry.h"

static int64_t backoff(const struct retry_limits *limits, unsigned failures, uint64_t random)
{
    int64_t ceiling = limits->backoff_ms;
    for (unsigned i = 0; i < failures && ceiling > 0 && ceiling < limits->backoff_cap_ms; i++)
        ceiling = ceiling > INT64_MAX / 2 ? INT64_MAX : ceiling * 2;
    ceiling = MIN(ceiling, limits->backoff_cap_ms);
    return ceiling <= 0 ? 0 : (int64_t)(random % ((uint64_t)ceiling + 1));
}

static void decide_failed(struct retry_decision *d, const struct job_header *h, int64_t delay_ms,
                          const struct retry_limits *limits, uint64_t random)
{
    if (d->attempts < UINT16_MAX)
        d->attempts++;
    if (d->attempts >= limits->max_attempts) {
        d->action = CLAIM_DEAD;
        d->reason = CLAIM_EXHAUSTED;
        d->count = CLAIM_COUNT_DEAD;
        return;
    }
    d->action = CLAIM_LATER;
    d->count = CLAIM_COUNT_RETRIED;
    d->delay_ms = delay_ms >= 0 ? delay_ms : backoff(limits, h->attempts, random);
}

static void decide_crashed(struct retry_decision *d, const struct retry_limits *limits)
{
    if (d->crashes < UINT8_MAX)
        d->crashes++;
    if (d->crashes >= limits->crash_budget) {
        d->action = CLAIM_DEAD;
        d->reason = CLAIM_EXHAUSTED;
        d->count = CLAIM_COUNT_DEAD;
        return;
    }
    d->action = CLAIM_RECOVERED;
    d->count = CLAIM_COUNT_CRASHED;
}

static void decide_released(struct retry_decision *d, int64_t delay_ms)
{
    if (d->releases < UINT16_MAX)
        d->releases++;
    d->action = delay_ms > 0 ? CLAIM_LATER : CLAIM_RECOVERED;
    d->delay_ms = delay_ms > 0 ? delay_ms : 0;
    d->count = CLAIM_COUNT_RELEASED;
}

static void bury(struct retry_decision *d, enum claim_reason reason, enum claim_count count)
{
    d->action = CLAIM_DEAD;
    d->reason = reason;
    d->count = count;
}

struct retry_decision retry_decide(enum retry_event event, const struct job_header *h,
                                   int64_t delay_ms, const struct retry_limits *limits,
                                   uint64_t random)
{
    struct retry_decision d = {.attempts = h->attempts,
                               .crashes = h->crashes,
                               .releases = h->releases,
                               .action = CLAIM_DEAD};
    switch (event) {
    case RETRY_FAILED:
        decide_failed(&d, h, delay_ms, limits, random);
        break;
    case RETRY_SNOOZED:
        d.action = CLAIM_LATER;
        d.count = CLAIM_COUNT_SNOOZED;
        d.delay_ms = delay_ms >= 0 ? delay_ms : RETRY_SNOOZE_DEFAULT_MS;
        break;
    case RETRY_PERMANENT:
        if (d.attempts < UINT16_MAX)
            d.attempts++;
        bury(&d, CLAIM_PERMANENT, CLAIM_COUNT_DEAD);
        break;
    case RETRY_CRASHED:
        decide_crashed(&d, limits);
        break;
    case RETRY_RELEASED:
        decide_released(&d, delay_ms);
        break;
    case RETRY_EXPIRED:
        bury(&d, CLAIM_EXPIRED, CLAIM_COUNT_EXPIRED);
        break;
    case RETRY_EXHAUSTED:
        bury(&d, CLAIM_EXHAUSTED, CLAIM_COUNT_DEAD);
        break;
    case RETRY_CORRUPT:
        bury(&d, CLAIM_CORRUPT, CLAIM_COUNT_CORRUPT);
        break;
    case RETRY_UNKNOWN:
        d.action = CLAIM_PARKED;
        d.count = CLAIM_COUNT_PARKED;
        break;
    }
    return d;
}
