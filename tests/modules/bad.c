/* SPDX-License-Identifier: MIT */
/*
 * bad: a module with one fault, chosen by the build (BAD_…); each is opened as
 * lib/jobq-test/bad_….so.
 */
#include <jobq/handler.h>

static int run(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    return JOBQ_DONE;
}

#ifdef BAD_START
static int start(const jobq_host *host, void **state)
{
    (void)state;
    host->log(host->ctx, JOBQ_LOG_INFO, "about to begin");
    host->log(host->ctx, JOBQ_LOG_ERROR, "bad.key is not set");
    return host->config(host->ctx, "bad.key") != 0 ? 0 : -1;
}
#define START start
#else
#define START 0
#endif

#ifdef BAD_UNDEFINED
int nowhere_to_be_found(void);
int (*volatile pointer)(void) = nowhere_to_be_found;
#endif

#if defined(BAD_NAME)
#define TYPE "Not A Name"
#else
#define TYPE "bad"
#endif
#if defined(BAD_FLAGS)
#define FLAGS 0x40000000u
#elif defined(BAD_BOTH)
#define FLAGS (JOBQ_HANDLER_TRANSACTIONAL | JOBQ_HANDLER_MANUAL)
#else
#define FLAGS 0
#endif
#ifdef BAD_RUN
#define RUN 0
#else
#define RUN run
#endif
#ifdef BAD_SIZE
#define SIZE 8
#else
#define SIZE sizeof(jobq_module)
#endif

static const jobq_handler handlers[] = {
#ifndef BAD_EMPTY
    {TYPE, RUN, FLAGS},
#endif
    {0, run, 0},
};

#ifdef BAD_SYMBOL
const jobq_module jobq_module_v0 = {SIZE, "bad", handlers, START, 0};
#else
const jobq_module jobq_module_v1 = {SIZE, "bad", handlers, START, 0};
#endif
