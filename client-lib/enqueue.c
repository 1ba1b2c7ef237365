/* SPDX-License-Identifier: MIT */
/*
 * enqueue: jobq_enqueue() and jobq_enqueue_many(). The work is send.c's; here are its memory and
 * its result.
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "client-lib/check.h"
#include "client-lib/client.h"
#include "client-lib/send.h"

/* The call's result: UNKNOWN outweighs REJECTED; the text is that of the first job that was not
 * stored. */
static int sum_up(const jobq_answer *answers, size_t n, jobq_err *err)
{
    int code = JOBQ_OK;
    size_t first = n;

    for (size_t i = 0; i < n; i++) {
        jobq_status status = answers[i].status;
        if (status != JOBQ_STATUS_REJECTED && status != JOBQ_STATUS_UNKNOWN)
            continue;
        if (first == n)
            first = i;
        if (code != JOBQ_EUNKNOWN)
            code = status == JOBQ_STATUS_UNKNOWN ? JOBQ_EUNKNOWN : JOBQ_EREJECTED;
    }
    if (code == JOBQ_OK)
        return JOBQ_OK;
    if (n == 1)
        return error_set(err, code, "%s", answers[first].text);
    return error_set(err, code, "job %zu: %s", first, answers[first].text);
}

/* Nothing is sent: every answer says why. */
static void refuse_all(const jobq_job *jobs, size_t n, jobq_answer *answers, jobq_cause cause,
                       const char *text)
{
    memset(answers, 0, n * sizeof(*answers));
    for (size_t i = 0; i < n; i++) {
        if (check_stride(jobs->size))
            answers[i].id =
                ((const jobq_job *)(const void *)((const char *)jobs + i * jobs->size))->id;
        answers[i].status = JOBQ_STATUS_REJECTED;
        answers[i].cause = cause;
        memcpy(answers[i].text, text, strlen(text) + 1);
    }
}

static void run(jobq_client *c, const jobq_job *jobs, size_t n, jobq_answer *answers,
                uint8_t *flags)
{
    struct sending s = {
        .c = c,
        .jobs = jobs,
        .stride = jobs->size,
        .n = n,
        .answers = answers,
        .flags = flags,
        .deadline_ms = clock_mono_ms() + c->deadline_ms,
    };

    if (!check_stride(jobs->size)) {
        refuse_all(jobs, n, answers, JOBQ_CAUSE_BAD_OPTION, CHECK_BAD_SIZE);
        return;
    }
    client_begin_call(c);
    memset(answers, 0, n * sizeof(*answers));
    send_all(&s);
}

int jobq_enqueue(jobq_client *client, const jobq_job *job, jobq_answer *out, jobq_err *err)
{
    jobq_answer answer;
    uint8_t flags = 0;

    run(client, job, 1, &answer, &flags);
    if (out != NULL)
        *out = answer;
    return sum_up(&answer, 1, err);
}

int jobq_enqueue_many(jobq_client *client, const jobq_job *jobs, size_t n, jobq_answer *out,
                      jobq_err *err)
{
    if (n == 0)
        return JOBQ_OK;
    if (out == NULL)
        return error_set(err, JOBQ_EINVAL, "out: NULL; every job needs room for its answer");
    uint8_t *flags = mem_zalloc(n, sizeof(*flags));
    if (flags != NULL)
        run(client, jobs, n, out, flags);
    else
        refuse_all(jobs, n, out, JOBQ_CAUSE_OUT_OF_MEMORY,
                   "no memory in this process for so many jobs: nothing was sent");
    mem_free(flags);
    return sum_up(out, n, err);
}
