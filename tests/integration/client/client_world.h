/* SPDX-License-Identifier: MIT */
/*
 * client_world: what the tests of libjobq against a real Redis begin with.
 */
#ifndef TESTS_INTEGRATION_CLIENT_CLIENT_WORLD_H
#define TESTS_INTEGRATION_CLIENT_CLIENT_WORLD_H

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <string.h>

#include <jobq/jobq.h>

#include "tests/support/client.h"
#include "tests/support/support.h"

#define LANE "jobq:{default:0}:ready:normal"
#define LONG_MS 60000

static inline void must_enqueue(jobq_client *c, const jobq_job *job, jobq_answer *a)
{
    jobq_err err = {0};

    cr_assert_eq(jobq_enqueue(c, job, a, &err), JOBQ_OK, "%s", err.msg);
}

/* REJECTED for this cause; the text names the server and is the same in both places. */
static inline void must_reject(jobq_client *c, const jobq_job *job, jobq_cause cause)
{
    jobq_answer a;
    jobq_err err = {0};

    cr_assert_eq(jobq_enqueue(c, job, &a, &err), JOBQ_EREJECTED, "%s", err.msg);
    cr_assert_eq(a.status, JOBQ_STATUS_REJECTED);
    cr_assert_eq(a.cause, cause, "%s: %s", jobq_cause_name(a.cause), a.text);
    cr_assert_str_eq(a.text, err.msg);
    cr_assert_gt(strlen(a.text), 20u);
}

/* How many entries of a lane carry this id (at 6 in h). */
static inline int count_entries(struct redis *r, const char *lane, const jobq_id *id)
{
    redisReply *all = redis_do(r, "XRANGE %s - +", lane);
    int count = 0;

    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *h = all->element[i]->element[1]->element[1];
        count += h->len >= 22 && memcmp(h->str + 6, id->bytes, 16) == 0;
    }
    freeReplyObject(all);
    return count;
}

#endif
