/* SPDX-License-Identifier: MIT */
/*
 * client: a client of libjobq and a plain job, for the tests that begin with them.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include <criterion/criterion.h>
#include <stdint.h>

#include <jobq/jobq.h>

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

#endif
