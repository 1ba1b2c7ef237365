/* SPDX-License-Identifier: MIT */
/*
 * client_helpers: what the tests of libjobq begin with.
 */
#ifndef TESTS_UNIT_CLIENT_CLIENT_HELPERS_H
#define TESTS_UNIT_CLIENT_CLIENT_HELPERS_H

#include <criterion/criterion.h>
#include <stdint.h>

#include <jobq/jobq.h>

#include "tests/support/support.h"

#define LONG_MS 20000

static inline jobq_client *open_client(const char *url, int64_t deadline_ms)
{
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *c;
    jobq_err err = {0};

    o.redis = url;
    o.deadline_ms = deadline_ms;
    cr_assert_eq(jobq_client_open(&o, &c, &err), JOBQ_OK, "%s", err.msg);
    return c;
}

static inline jobq_job plain_job(void)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = "mail.send";
    job.payload = "{\"to\":1}";
    return job;
}

/* What must hold of every answer by itself. */
static inline void check_answer(int code, const jobq_answer *a, const jobq_err *err)
{
    switch (code) {
    case JOBQ_OK:
        cr_assert(a->status == JOBQ_STATUS_OK || a->status == JOBQ_STATUS_DUPLICATE);
        cr_assert_eq(a->cause, JOBQ_CAUSE_NONE);
        cr_assert_str_eq(a->text, "");
        return;
    case JOBQ_EREJECTED:
        cr_assert_eq(a->status, JOBQ_STATUS_REJECTED);
        cr_assert_neq(a->cause, JOBQ_CAUSE_NONE);
        break;
    case JOBQ_EUNKNOWN:
        cr_assert_eq(a->status, JOBQ_STATUS_UNKNOWN);
        break;
    default:
        cr_assert_fail("code %d", code);
    }
    cr_assert_gt(strlen(a->text), 10u);
    cr_assert_eq(err->code, code);
    cr_assert_str_eq(err->msg, a->text);
}

#endif
