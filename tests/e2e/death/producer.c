/* SPDX-License-Identifier: MIT */
/*
 * producer: an application in a process of its own, that a test can kill: enqueues one job of type
 *   effect. producer REDIS-URL JOB-ID
 */
#include <stdio.h>

#include <jobq/jobq.h>

int main(int argc, char **argv)
{
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_job job = JOBQ_JOB_INIT;
    jobq_err err = {0};

    if (argc != 3)
        return 2;
    options.redis = argv[1];
    options.deadline_ms = 60000; /* an answer that is late is none that is lost */
    job.type = "effect";
    int rc = jobq_id_parse(argv[2], &job.id, &err);
    if (rc == JOBQ_OK)
        rc = jobq_client_open(&options, &client, &err);
    if (rc == JOBQ_OK)
        rc = jobq_enqueue(client, &job, NULL, &err);
    if (rc != JOBQ_OK)
        fprintf(stderr, "producer: %s\n", err.msg);
    jobq_client_close(client);
    return jobq_exit_status(rc);
}
