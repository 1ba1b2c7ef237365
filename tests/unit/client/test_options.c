/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/mem.h"
#include "tests/unit/client/client_helpers.h"
#include "tests/unit/client/mini_redis.h"

static void refuses(const jobq_client_options *o, const char *text)
{
    jobq_client *c = NULL;
    jobq_err err = {0};

    cr_expect_eq(jobq_client_open(o, &c, &err), JOBQ_EINVAL, "%s", text);
    cr_expect_eq(err.code, JOBQ_EINVAL);
    cr_expect_not_null(strstr(err.msg, text), "%s: %s", text, err.msg);
    cr_expect_null(c);
    cr_expect_null(strstr(err.msg, "sesame"), "%s", err.msg);
}

#define REFUSES(field, value, text)                                                                \
    do {                                                                                           \
        jobq_client_options o_ = JOBQ_CLIENT_OPTIONS_INIT;                                         \
        o_.field = value;                                                                          \
        refuses(&o_, text);                                                                        \
    } while (0)

Test(options, are_checked_when_the_client_is_opened)
{
    char *name = calloc(1, 100);

    memset(name, 'a', 65);
    REFUSES(size, 0, "JOBQ_CLIENT_OPTIONS_INIT");
    REFUSES(redis, "rediss://:sesame@h", "TLS");
    REFUSES(redis, "redis+sentinel://:sesame@h", "Sentinel");
    REFUSES(redis, "redis+cluster://:sesame@h", "Cluster");
    REFUSES(redis, "h:6379", "redis://");
    REFUSES(redis, "redis://:sesame@h:x", "port");
    REFUSES(deadline_ms, -1, "deadline_ms");
    REFUSES(deadline_ms, 60001, "deadline_ms");
    REFUSES(max_payload_bytes, JOBQ_PAYLOAD_HARD_MAX + 1, "max_payload_bytes");
    REFUSES(key_prefix, "", "key_prefix");
    REFUSES(key_prefix, "a{b}", "key_prefix");
    REFUSES(key_prefix, name, "key_prefix");
    REFUSES(name, "", "name");
    REFUSES(name, "a b", "name");
    REFUSES(name, "a\n", "name");
    REFUSES(name, name, "name");
    free(name);
}

Test(options, have_defaults)
{
    jobq_client *c;

    unsetenv("JOBQ_REDIS");
    cr_assert_eq(jobq_client_open(NULL, &c, NULL), JOBQ_OK);
    jobq_client_close(c);
    jobq_client_close(NULL);
    setenv("JOBQ_REDIS", "", 1);
    cr_assert_eq(jobq_client_open(NULL, &c, NULL), JOBQ_OK);
    jobq_client_close(c);
    setenv("JOBQ_REDIS", "nonsense", 1);
    cr_assert_eq(jobq_client_open(NULL, &c, NULL), JOBQ_EINVAL);
    cr_assert_str_eq(jobq_version(), JOBQ_VERSION);
}

Test(options, are_those_that_the_caller_knew)
{
    static struct mini m;
    jobq_client_options o;
    jobq_client *c;
    jobq_job job = plain_job();

    /* An older caller's struct ends early; what lies behind it is not ours to read. */
    memset(&o, 0xff, sizeof(o));
    o.size = offsetof(jobq_client_options, deadline_ms);
    o.redis = mini_start(&m);
    cr_assert_eq(jobq_client_open(&o, &c, NULL), JOBQ_OK);
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_str_eq(m.streams[0], "jobq:{default:0}:ready:normal");
}

Test(options, choose_the_prefix_of_every_key)
{
    static struct mini m;
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *c;
    jobq_job job = plain_job();

    o.redis = mini_start(&m);
    o.key_prefix = "shop";
    cr_assert_eq(jobq_client_open(&o, &c, NULL), JOBQ_OK);
    cr_assert_eq(jobq_enqueue(c, &job, NULL, NULL), JOBQ_OK);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_str_eq(m.streams[0], "shop:{default:0}:ready:normal");
}

/* A job of a version that has more fields. */
struct later_job {
    jobq_job job;
    const char *more;
};

Test(options, let_the_job_struct_grow)
{
    static struct mini m;
    struct later_job jobs[3];
    jobq_answer answers[3];
    jobq_client *c;

    memset(jobs, 0, sizeof(jobs));
    for (int i = 0; i < 3; i++) {
        jobs[i].job = plain_job();
        jobs[i].job.size = sizeof(jobs[i]);
    }
    jobs[1].more = "set";
    c = open_client(mini_start(&m), LONG_MS);
    cr_assert_eq(jobq_enqueue_many(c, &jobs[0].job, 3, answers, NULL), JOBQ_EREJECTED);
    jobq_client_close(c);
    mini_stop(&m);
    cr_assert_eq(answers[0].status, JOBQ_STATUS_OK);
    cr_assert_eq(answers[1].cause, JOBQ_CAUSE_BAD_OPTION,
                 "a field we do not know must not be ignored");
    cr_assert_eq(answers[2].status, JOBQ_STATUS_OK);
    cr_assert_eq(m.stored, 2u);
}

Test(options, refuse_a_job_without_its_size)
{
    static const size_t sizes[] = {0, 1, sizeof(jobq_job) - 8, sizeof(jobq_job) + 1,
                                   SIZE_MAX / 8 * 8};
    jobq_client *c = open_client("unix:///nonexistent", 50);
    jobq_answer answers[2];
    jobq_err err = {0};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        jobq_job jobs[2] = {plain_job(), plain_job()};
        jobs[0].size = sizes[i];
        cr_assert_eq(jobq_enqueue_many(c, jobs, 2, answers, &err), JOBQ_EREJECTED);
        cr_assert_eq(answers[0].cause, JOBQ_CAUSE_BAD_OPTION);
        cr_assert_eq(answers[1].cause, JOBQ_CAUSE_BAD_OPTION);
        cr_assert_not_null(strstr(err.msg, "JOBQ_JOB_INIT"), "%s", err.msg);
    }
    jobq_client_close(c);
}

Test(options, survive_every_refused_allocation)
{
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *c;
    int code = JOBQ_ENOMEM;
    long nth;

    o.redis = "redis://u:p@h:1/2";
    o.key_prefix = "shop";
    for (nth = 1; code == JOBQ_ENOMEM; nth++) {
        mem_fail_at(nth, 0);
        code = jobq_client_open(&o, &c, NULL);
        mem_fail_at(0, 0);
    }
    cr_assert_eq(code, JOBQ_OK);
    cr_assert_gt(nth, 8);
    jobq_client_close(c);
}
