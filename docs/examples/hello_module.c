/* SPDX-License-Identifier: MIT */
/*
 * The smallest handler module: one type, "hello.greet", which logs a greeting.
 *
 *   cc -shared -fPIC -o hello.so hello_module.c $(pkg-config --cflags jobq)
 *
 * and in jobd.conf:  modules = ( "/path/to/hello.so" );
 */
#include <stdio.h>
#include <string.h>

#include <jobq/handler.h>

/* {"greet": "anna"} is JSON that enqueue has checked; a real module would use a JSON library. */
static int greet(const jobq_job_view *job, const jobq_host *host, void *state)
{
    const char *greeting = state;
    char line[200];

    if (strstr(job->payload, "\"greet\"") == NULL) {
        host->set_text(host->ctx, "no one to greet");
        return JOBQ_DEAD; /* will never work: keep it for a human */
    }
    snprintf(line, sizeof(line), "%s! (attempt %u of job %s)", greeting, (unsigned)job->attempt,
             job->id);
    host->log(host->ctx, JOBQ_LOG_INFO, line);

    /* Long work asks from time to time whether to stop. */
    if (host->should_stop(host->ctx))
        return JOBQ_SNOOZE;
    return JOBQ_DONE;
}

static int start(const jobq_host *host, void **state)
{
    static char greeting[] = "hello";

    (void)host;
    *state = greeting;
    return 0;
}

static const jobq_handler handlers[] = {
    {"hello.greet", greet, 0},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {sizeof(jobq_module), "hello", handlers, start, NULL};
