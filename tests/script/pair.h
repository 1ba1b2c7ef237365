/* SPDX-License-Identifier: MIT */
/*
 * pair: two workers, "a" and "b", on one partition: what most tests of scripts begin with.
 *
 * Each test file that includes it has a partition of its own; PAIR_SUITE(name) opens it before
 * every test and closes it after.
 */
#ifndef TESTS_SCRIPT_PAIR_H
#define TESTS_SCRIPT_PAIR_H

#include <criterion/criterion.h>

#include "tests/script/shard.h"

static struct shard s;
static struct taken t;

static inline void pair_open(void)
{
    shard_open(&s, NULL);
    cr_assert_eq(join(&s, "a"), JOBQ_OK);
    cr_assert_eq(join(&s, "b"), JOBQ_OK);
}

static inline void pair_close(void)
{
    shard_close(&s);
}

#define PAIR_SUITE(name) TestSuite(name, .init = pair_open, .fini = pair_close)

static inline long long length(enum lane lane)
{
    return shard_int(&s, "XLEN %s", s.k.lanes[lane]);
}

/* How many consumers its group knows. */
static inline long long consumers(enum lane lane)
{
    redisReply *r = redisCommand(s.c, "XINFO CONSUMERS %s jobq", s.k.lanes[lane]);
    long long n = (long long)r->elements;

    cr_assert_eq(r->type, REDIS_REPLY_ARRAY);
    freeReplyObject(r);
    return n;
}

static inline void add_many(enum lane lane, uint64_t first, uint64_t count)
{
    for (uint64_t n = first; n < first + count; n++)
        add_job(&s, lane, n, NULL);
}

static inline void ack_all(const char *name, const struct taken *jobs)
{
    int64_t acked;

    cr_assert_eq(ack(&s, name, jobs->job, jobs->n, &acked), JOBQ_OK);
    cr_assert_eq((size_t)acked, jobs->n);
}

#endif
