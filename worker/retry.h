/* SPDX-License-Identifier: MIT */
/*
 * retry: what becomes of a job that did not succeed. Pure: a verdict, the counts so far, the limits
 * and a random number go in; the new counts, where it goes and when come out.
 *
 * Backoff is exponential with full jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015): uniform in [0, min(cap, base * 2^failures)].
 */
#ifndef WORKER_RETRY_H
#define WORKER_RETRY_H

#include <stdint.h>

#include "broker/claim.h"
#include "broker/codec.h"

enum retry_event {
    RETRY_FAILED,    /* the handler said so */
    RETRY_SNOOZED,
    RETRY_PERMANENT, /* the handler said it will never work */
    RETRY_CRASHED,   /* its executor died under it, or was killed at the hard limit */
    RETRY_RELEASED,  /* given back: drain, no executor, a dependency is down */
    RETRY_EXPIRED,
    RETRY_EXHAUSTED, /* beyond the loss budget: reaped so often */
    RETRY_CORRUPT,
    RETRY_UNKNOWN,   /* a type nobody here knows, or a newer format */
};

struct retry_limits {
    int64_t backoff_ms;
    int64_t backoff_cap_ms;
    uint32_t max_attempts;
    unsigned crash_budget;
};

struct retry_decision {
    enum claim_action action;
    enum claim_reason reason;
    enum claim_count count;
    int64_t delay_ms;
    uint16_t attempts, releases;
    uint8_t crashes;
};

/* delay_ms: asked for by the handler, -1: none. random: any 64 bits. */
struct retry_decision retry_decide(enum retry_event event, const struct job_header *h,
                                   int64_t delay_ms, const struct retry_limits *limits,
                                   uint64_t random);

#define RETRY_SNOOZE_DEFAULT_MS 5000

#endif
