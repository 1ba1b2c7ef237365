/* SPDX-License-Identifier: MIT */
/*
 * histogram: how often something took how long, in buckets whose bounds double: at most 0.1 ms,
 * 0.2 ms, 0.4 ms … 14.9 h. Noting a time is a division, a count of bits and three additions. Pure.
 */
#ifndef WORKER_HISTOGRAM_H
#define WORKER_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 30 /* that have a bound; one more counts all above */
#define HISTOGRAM_FIRST_US 100

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS + 1]; /* each counts its own range only */
    uint64_t sum_us;
};

/* Inclusive upper bound of bucket i < HISTOGRAM_BUCKETS, in microseconds. */
static inline int64_t histogram_bound_us(unsigned i)
{
    return (int64_t)HISTOGRAM_FIRST_US << i;
}

/* A negative time counts as 0. */
static inline void histogram_note(struct histogram *h, int64_t us)
{
    uint64_t below = us > 0 ? ((uint64_t)us - 1) / HISTOGRAM_FIRST_US : 0;
    unsigned i = below ? 64u - (unsigned)__builtin_clzll(below) : 0;
    h->buckets[i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS]++;
    h->sum_us += us > 0 ? (uint64_t)us : 0;
}

#endif
