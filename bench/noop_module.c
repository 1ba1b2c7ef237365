/* SPDX-License-Identifier: MIT */
/*
 * noop_module: handlers that do nothing, so that what is measured is jobq.
 *
 *   bench.noop   returns at once
 *   bench.stamp  appends "slot pid ns" to a file, ns the moment it started (CLOCK_REALTIME)
 *   bench.hold   the same, and runs on until jobd asks it to stop: its executor or jobd is killed
 *                meanwhile
 *
 * Payload of the latter two: {"file":"/path","slot":"name"}. A module is opened once an executor,
 * on one thread.
 */
#include <jobq/handler.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Copies the text of a member; the payload is ours, so nothing in it is escaped. 0, or -1. */
static int read_member(const jobq_job_view *job, const char *key, char *out, size_t out_size)
{
    const char *at = strstr(job->payload, key);
    size_t len = at != NULL ? strcspn(at + strlen(key), "\"") : 0;
    if (at == NULL || len == 0 || len >= out_size)
        return -1;
    memcpy(out, at + strlen(key), len);
    out[len] = '\0';
    return 0;
}

static int append_stamp(const jobq_job_view *job, const struct timespec *now)
{
    char path[256], slot[64], line[128];
    if (read_member(job, "\"file\":\"", path, sizeof(path)) != 0 ||
        read_member(job, "\"slot\":\"", slot, sizeof(slot)) != 0)
        return -1;
    int len = snprintf(line, sizeof(line), "%s %d %lld%09ld\n", slot, (int)getpid(),
                       (long long)now->tv_sec, now->tv_nsec);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, line, (size_t)len);
    close(fd);
    return written == len ? 0 : -1;
}

static int run_noop(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    return JOBQ_DONE;
}

static int run_stamp(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    (void)host;
    (void)state;
    return append_stamp(job, &now) == 0 ? JOBQ_DONE : JOBQ_DEAD;
}

static int run_hold(const jobq_job_view *job, const jobq_host *host, void *state)
{
    const struct timespec step = {0, 5000000};
    int verdict = run_stamp(job, host, state);
    while (verdict == JOBQ_DONE && !host->should_stop(host->ctx))
        nanosleep(&step, NULL);
    return verdict;
}

static const jobq_handler handlers[] = {
    {"bench.noop", run_noop, 0},
    {"bench.stamp", run_stamp, 0},
    {"bench.hold", run_hold, 0},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {
    .size = sizeof(jobq_module),
    .name = "bench",
    .handlers = handlers,
};
