/* SPDX-License-Identifier: MIT */
/* trouble: a handler module that goes wrong in the ways that docs/operations.md describes. */
#include <stdlib.h>
#include <unistd.h>

#include <jobq/handler.h>

static int fine(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job, (void)host, (void)state;
    return JOBQ_DONE;
}

static int crashes(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job, (void)host, (void)state;
    abort();
}

static int hangs(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job, (void)host, (void)state;
    for (;;)
        pause();
}

static int fails(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job, (void)state;
    host->set_text(host->ctx, "search.example.org: connection refused");
    return JOBQ_RETRY;
}

static const jobq_handler handlers[] = {
    {"report.send", fine, 0},      {"report.count", fine, JOBQ_HANDLER_TRANSACTIONAL},
    {"report.render", crashes, 0}, {"report.fetch", hangs, 0},
    {"search.index", fails, 0},    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {sizeof(jobq_module), "trouble", handlers, NULL, NULL};
