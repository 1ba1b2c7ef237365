/* SPDX-License-Identifier: MIT */
/*
 * ours_latency: from before jobq_enqueue() to the start of the handler in an executor of jobd. One
 * job at a time, so jobd is idle and its reader blocked, as in raw_latency.
 *
 * ours_latency REDIS-URL QUEUE COUNT PACE_MS FILE
 * The handler bench.stamp appends a line to FILE. Prints one latency per line, in microseconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jobq/jobq.h>

#define PATIENCE_MS 60000

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* the handler is in another process and tells the same
                                        * clock */
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* The next line of the file, "slot pid ns"; 0: none came. */
static int64_t next_stamp(FILE *file, long slot)
{
    char line[128];
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        long got = 0;
        long long pid = 0, ns = 0;
        if (fgets(line, sizeof(line), file) != NULL &&
            sscanf(line, "%ld %lld %lld", &got, &pid, &ns) == 3 && got == slot)
            return ns;
        clearerr(file);
        pause_ms(1);
    }
    return 0;
}

static int measure(jobq_client *client, jobq_job *job, long count, long pace, const char *path,
                   jobq_err *err)
{
    char payload[512];
    FILE *file = fopen(path, "a+");
    if (file == NULL)
        return JOBQ_EINTERNAL;
    for (long i = 1; i <= count; i++) {
        snprintf(payload, sizeof(payload), "{\"file\":\"%s\",\"slot\":\"%ld\"}", path, i);
        job->payload = payload;
        pause_ms(pace);
        int64_t sent = now_ns();
        int rc = jobq_enqueue(client, job, NULL, err);
        int64_t started = rc == JOBQ_OK ? next_stamp(file, i) : 0;
        if (started == 0) {
            fclose(file);
            return rc != JOBQ_OK ? rc : JOBQ_ETIMEDOUT;
        }
        printf("%.1f\n", (double)(started - sent) / 1e3);
    }
    fclose(file);
    return JOBQ_OK;
}

int main(int argc, char **argv)
{
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *client = NULL;
    jobq_job job = JOBQ_JOB_INIT;
    jobq_err err = {0};
    if (argc != 6) {
        fprintf(stderr, "usage: ours_latency REDIS-URL QUEUE COUNT PACE_MS FILE\n");
        return 2;
    }
    options.redis = argv[1];
    job.type = "bench.stamp";
    job.queue = argv[2];
    int rc = jobq_client_open(&options, &client, &err);
    if (rc == JOBQ_OK)
        rc = measure(client, &job, strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10), argv[5],
                     &err);
    if (rc != JOBQ_OK)
        fprintf(stderr, "ours_latency: %s\n", err.msg[0] != '\0' ? err.msg : jobq_strerror(rc));
    jobq_client_close(client);
    return jobq_exit_status(rc);
}
