/* SPDX-License-Identifier: MIT */
/*
 * forum: asks for recounts of a forum's counters, as the forum itself would after a moderation
 * action.
 *
 * An application like any other: it knows the installed libjobq by <jobq/jobq.h> and nothing else
 * of jobq. It is also the example to start from: open a client, describe a job, enqueue, look at
 * the answer.
 *
 *   forum [-r URL] [-q QUEUE] all KIND... one job each: recount every row of that kind, chunk by
 *   chunk forum [-r URL] [-q QUEUE] [-b N] ids KIND ids from stdin, one a line; a job for every N
 *   of them
 *
 * KIND is threads, categories or users. Exit status: 0 every job is stored, 1 one is not, 2 usage.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jobq/jobq.h>

#define MAX_BATCH 1000
#define JOBS_PER_CALL 64
#define PAYLOAD_SIZE (64 + MAX_BATCH * 21)

struct order {
    jobq_client *client;
    const char *queue;
    jobq_job jobs[JOBS_PER_CALL];
    char *payloads[JOBS_PER_CALL];
    size_t count;
    size_t stored;
    size_t failed;
};

static int usage(void)
{
    fputs("usage: forum [-r URL] [-q QUEUE] all KIND...\n"
          "       forum [-r URL] [-q QUEUE] [-b N] ids KIND < IDS\n"
          "KIND: threads, categories, users\n",
          stderr);
    return 2;
}

static int is_kind(const char *text)
{
    return strcmp(text, "threads") == 0 || strcmp(text, "categories") == 0 ||
           strcmp(text, "users") == 0;
}

/* Sends what was collected, in one pipeline, and looks at each answer. */
static void flush(struct order *o)
{
    jobq_answer answers[JOBS_PER_CALL];
    jobq_err err = {0};

    if (o->count == 0)
        return;
    /* The verdict on each job is in its answer; this one sums them up. */
    int rc = jobq_enqueue_many(o->client, o->jobs, o->count, answers, &err);
    if (rc != JOBQ_OK)
        fprintf(stderr, "forum: %s\n", err.msg);
    for (size_t i = 0; i < o->count; i++) {
        if (answers[i].status == JOBQ_STATUS_OK || answers[i].status == JOBQ_STATUS_DUPLICATE)
            o->stored++;
        else
            o->failed++;
        free(o->payloads[i]);
    }
    o->count = 0;
}

/* Takes the payload. */
static void add(struct order *o, const char *type, char *payload)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = type;
    job.queue = o->queue;
    job.payload = payload;
    o->payloads[o->count] = payload;
    o->jobs[o->count++] = job;
    if (o->count == JOBS_PER_CALL)
        flush(o);
}

static char *new_payload(void)
{
    char *payload = malloc(PAYLOAD_SIZE);

    if (payload == NULL) {
        fputs("forum: out of memory\n", stderr);
        exit(1);
    }
    return payload;
}

static void recount_all(struct order *o, const char *kind)
{
    char *payload = new_payload();

    snprintf(payload, PAYLOAD_SIZE, "{\"kind\":\"%s\"}", kind);
    add(o, "stats.recount_all", payload);
}

/* 0, or -1 when a line is not an id. */
static int recount_ids(struct order *o, const char *kind, long batch)
{
    char line[64];
    char *payload = NULL;
    size_t used = 0;
    long in_job = 0;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *end;
        errno = 0;
        int64_t id = strtoll(line, &end, 10);
        if (errno != 0 || end == line || (*end != '\n' && *end != '\0') || id <= 0) {
            fprintf(stderr, "forum: not an id: %s", line);
            free(payload);
            return -1;
        }
        if (payload == NULL) {
            payload = new_payload();
            used = (size_t)snprintf(payload, PAYLOAD_SIZE, "{\"kind\":\"%s\",\"ids\":[", kind);
        }
        used += (size_t)snprintf(payload + used, PAYLOAD_SIZE - used, "%s%" PRId64,
                                 in_job > 0 ? "," : "", id);
        if (++in_job == batch) {
            snprintf(payload + used, PAYLOAD_SIZE - used, "]}");
            add(o, "stats.recount", payload);
            payload = NULL;
            in_job = 0;
        }
    }
    if (payload != NULL) {
        snprintf(payload + used, PAYLOAD_SIZE - used, "]}");
        add(o, "stats.recount", payload);
    }
    return 0;
}

static int run(struct order *o, long batch, char **words)
{
    if (strcmp(words[0], "ids") == 0) {
        if (words[1] == NULL || words[2] != NULL || !is_kind(words[1]))
            return usage();
        if (recount_ids(o, words[1], batch) != 0)
            return 1;
    } else {
        for (char **kind = words + 1; *kind != NULL; kind++)
            recount_all(o, *kind);
    }
    flush(o);
    return o->failed == 0 ? 0 : 1;
}

static int are_words(char **words)
{
    if (words[0] == NULL || words[1] == NULL)
        return 0;
    if (strcmp(words[0], "ids") == 0)
        return 1;
    for (char **kind = words + 1; *kind != NULL; kind++) {
        if (!is_kind(*kind))
            return 0;
    }
    return strcmp(words[0], "all") == 0;
}

int main(int argc, char **argv)
{
    jobq_client_options options = JOBQ_CLIENT_OPTIONS_INIT;
    static struct order order;
    jobq_err err = {0};
    struct timespec from;
    struct timespec to;
    long batch = 100;
    int option;

    while ((option = getopt(argc, argv, "r:q:b:")) != -1) {
        if (option == 'r')
            options.redis = optarg;
        else if (option == 'q')
            order.queue = optarg;
        else if (option == 'b')
            batch = strtol(optarg, NULL, 10);
        else
            return usage();
    }
    if (!are_words(argv + optind) || batch < 1 || batch > MAX_BATCH)
        return usage();
    options.name = "forum";
    if (jobq_client_open(&options, &order.client, &err) != JOBQ_OK) {
        fprintf(stderr, "forum: %s\n", err.msg);
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    int status = run(&order, batch, argv + optind);
    clock_gettime(CLOCK_MONOTONIC, &to);
    jobq_client_close(order.client);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    if (status != 2)
        printf("%zu jobs stored, %zu not, in %.1f ms\n", order.stored, order.failed, ms);
    return status;
}
