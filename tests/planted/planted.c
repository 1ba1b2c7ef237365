/* SPDX-License-Identifier: MIT */
/*
 * planted: faults that must turn a run red. Each test here is run alone, under AddressSanitizer,
 * and has to fail: see must_fail.sh. A test that passes means that a leak or an overflow would go
 * unseen.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include <jobq/jobq.h>

#include "tests/support/support.h"

static void *volatile lost;

Test(planted, leak_in_a_test)
{
    lost = malloc(40);
    lost = NULL;
}

Test(planted, leak_in_a_program)
{
    const char *argv[] = {PROGRAM, "leak", NULL};
    struct process *p = process_start("program", argv, NULL);

    cr_assert(WIFEXITED(process_wait(p, patience_ms(10000))));
}

Test(planted, overflow_in_a_program)
{
    const char *argv[] = {PROGRAM, "overflow", NULL};

    run_command(NULL, NULL, argv);
}

Test(planted, overflow_in_a_program_that_closed_its_stderr)
{
    const char *argv[] = {PROGRAM, "quiet-overflow", NULL};
    struct process *p = process_start("program", argv, NULL);

    process_wait(p, patience_ms(10000));
    process_free(p);
}

/* One job of module test runs in an executor of a jobd that is then drained. */
static void run_job(const char *type)
{
    struct redis *redis = redis_start(NULL);
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_job job = JOBQ_JOB_INIT;
    jobq_err err = {0};
    struct jobd_options o = {
        .redis = redis->url,
        .modules = fmt("\"%s\"", lib_path("jobq-test/test.so")),
        .executors = 1,
        .extra = "log_level = \"debug\"; crash_budget = 1;",
    };

    options.redis = redis->url;
    cr_assert_eq(jobq_client_open(&options, &client, &err), JOBQ_OK, "%s", err.msg);
    job.type = type;
    cr_assert_eq(jobq_enqueue(client, &job, NULL, &err), JOBQ_OK, "%s", err.msg);
    jobq_client_close(client);
    struct jobd *jobd = jobd_start(&o);
    /* Whatever became of it. */
    cr_assert(process_wait_log(jobd->process, type, NULL, patience_ms(20000)));
    cr_assert(process_wait_log(jobd->process, " job.", NULL, patience_ms(20000)));
    jobd_drain(jobd, patience_ms(60000));
    jobd_free(jobd);
    redis_stop(redis);
}

Test(planted, leak_in_an_executor)
{
    run_job("leakplant");
}

Test(planted, overflow_in_an_executor)
{
    run_job("overflow");
}
