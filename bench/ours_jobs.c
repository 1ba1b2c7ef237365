/* SPDX-License-Identifier: MIT */
/*
 * ours_jobs: enqueues what it reads, as fast as an application can.
 *
 * ours_jobs REDIS-URL QUEUE < LINES
 * A line: a type, a space, a payload. Prints how many were stored.
 */
#include <stdio.h>
#include <string.h>

#include <jobq/jobq.h>

#define BATCH 64
#define LINE_BYTES 16384

static char lines[BATCH][LINE_BYTES];

/* The jobs of the next lines; 0 at the end, -1 when a line is not what it should be. */
static int read_jobs(jobq_job jobs[BATCH], const char *queue)
{
    int n = 0;
    while (n < BATCH && fgets(lines[n], LINE_BYTES, stdin) != NULL) {
        char *space = strchr(lines[n], ' ');
        char *end = strchr(lines[n], '\n');
        if (space == NULL || end == NULL)
            return -1;
        *space = *end = '\0';
        jobs[n] = (jobq_job)JOBQ_JOB_INIT;
        jobs[n].type = lines[n];
        jobs[n].queue = queue;
        jobs[n].payload = space + 1;
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    static jobq_job jobs[BATCH];
    static jobq_answer answers[BATCH];
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_err err = {0};
    long stored = 0;
    int n = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: ours_jobs REDIS-URL QUEUE < LINES\n");
        return 2;
    }
    options.redis = argv[1];
    int rc = jobq_client_open(&options, &client, &err);
    while (rc == JOBQ_OK && (n = read_jobs(jobs, argv[2])) > 0) {
        rc = jobq_enqueue_many(client, jobs, (size_t)n, answers, &err);
        stored += n;
    }
    jobq_client_close(client);
    if (rc != JOBQ_OK || n < 0) {
        fprintf(stderr, "ours_jobs: %s\n", n < 0 ? "a line is no job" : err.msg);
        return rc != JOBQ_OK ? jobq_exit_status(rc) : 2;
    }
    printf("%ld\n", stored);
    return 0;
}
