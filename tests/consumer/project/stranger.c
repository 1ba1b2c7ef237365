/* SPDX-License-Identifier: MIT */
/* What an application does with libjobq, as far as it can without a Redis. Also valid C++. */
#include <jobq/jobq.h>
#include <stdio.h>
#include <string.h>

/* Names that libjobq uses inside: it must not mind that an application uses them too. */
int buf_append(void);
int buf_append(void)
{
    return 1;
}
int conn_new(void);
int conn_new(void)
{
    return 2;
}

int main(void)
{
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_job job = JOBQ_JOB_INIT;
    jobq_client *client = NULL;
    jobq_answer answer;
    jobq_err err;

    if (strcmp(jobq_version(), JOBQ_VERSION) != 0)
        return 1;
    options.redis = "unix:///nonexistent/redis.sock";
    options.deadline_ms = 50;
    if (jobq_client_open(&options, &client, &err) != JOBQ_OK)
        return 2;
    job.type = "mail.send";
    job.payload = "{}";
    if (jobq_enqueue(client, &job, &answer, &err) != JOBQ_EREJECTED ||
        answer.cause != JOBQ_CAUSE_UNREACHABLE)
        return 3;
    jobq_client_close(client);
    if (buf_append() + conn_new() != 3)
        return 4;
    printf("%s: %s\n", jobq_cause_name(answer.cause), answer.text);
    return 0;
}
