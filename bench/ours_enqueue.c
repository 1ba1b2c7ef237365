/* SPDX-License-Identifier: MIT */
/*
 * ours_enqueue: what libjobq does of what raw_enqueue does: jobs of 100 bytes, one a call or many a
 * call.
 *
 * ours_enqueue REDIS-URL QUEUE COUNT BATCH
 * BATCH 1 calls jobq_enqueue(), more jobq_enqueue_many(). Prints "COUNT SECONDS".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jobq/jobq.h>

#define PAYLOAD_BYTES 100
#define BATCH_MAX 1024

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill_payload(char payload[PAYLOAD_BYTES])
{
    memset(payload, 'x', PAYLOAD_BYTES);
    memcpy(payload, "{\"k\":\"", 6);
    memcpy(payload + PAYLOAD_BYTES - 2, "\"}", 2);
}

static int enqueue_all(jobq_client *client, const jobq_job *jobs, long count, long batch,
                       jobq_err *err)
{
    static jobq_answer answers[BATCH_MAX];
    for (long sent = 0; sent < count;) {
        long n = count - sent < batch ? count - sent : batch;
        int rc = batch == 1 ? jobq_enqueue(client, jobs, answers, err)
                            : jobq_enqueue_many(client, jobs, (size_t)n, answers, err);
        if (rc != JOBQ_OK)
            return rc;
        sent += n;
    }
    return JOBQ_OK;
}

int main(int argc, char **argv)
{
    static jobq_job jobs[BATCH_MAX];
    char payload[PAYLOAD_BYTES];
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_err err = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: ours_enqueue REDIS-URL QUEUE COUNT BATCH\n");
        return 2;
    }
    long count = strtol(argv[3], NULL, 10);
    long batch = strtol(argv[4], NULL, 10);
    if (count < 1 || batch < 1 || batch > BATCH_MAX)
        return 2;
    fill_payload(payload);
    for (size_t i = 0; i < BATCH_MAX; i++) {
        jobs[i] = (jobq_job)JOBQ_JOB_INIT;
        jobs[i].type = "bench.noop";
        jobs[i].queue = argv[2];
        jobs[i].payload = payload;
        jobs[i].payload_len = PAYLOAD_BYTES;
    }
    options.redis = argv[1];
    int rc = jobq_client_open(&options, &client, &err);
    double begin = seconds_now();
    if (rc == JOBQ_OK)
        rc = enqueue_all(client, jobs, count, batch, &err);
    double seconds = seconds_now() - begin;
    jobq_client_close(client);
    if (rc != JOBQ_OK) {
        fprintf(stderr, "ours_enqueue: %s\n", err.msg);
        return jobq_exit_status(rc);
    }
    printf("%ld %.6f\n", count, seconds);
    return 0;
}
