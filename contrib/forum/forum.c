/* SPDX-License-Identifier: MIT */
/*
 * forum: hands over the slow work of a forum, as the forum itself would: after a reply, a new
 * private thread, an upload of an avatar, a moderation action.
 *
 * An application like any other: it knows the installed libjobq by <jobq/jobq.h> and nothing else
 * of jobq. It is also the example to start from: open a client, describe a job, enqueue, look at
 * the answer. usage() says what it takes; ids come from stdin, one a line.
 *
 * Exit status: 0 every job is stored, 1 one is not, or a line is not what it should be, 2 usage.
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
    fputs("usage: forum [-r URL] [-q QUEUE] [-b N] COMMAND...\n"
          "  all KIND...                 recount every row of that kind, chunk by chunk\n"
          "  ids KIND < IDS              recount these rows; -b N: that many in a job (100)\n"
          "  replies < POST_IDS          tell who watches the thread of each new post\n"
          "  private ACTOR THREAD < IDS  tell the members that ACTOR added to a private thread\n"
          "  dedupe < THREAD_IDS         one watched row a user, after threads were merged\n"
          "  avatars < LINES             make avatars of uploads; a line: USER X Y ZOOM\n"
          "  sweep                       remove avatar files that nobody uses\n"
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

/* 1 and the next id of stdin, 0 at its end, -1 when a line is not an id. */
static int next_id(int64_t *id)
{
    char line[64];
    char *end;

    if (fgets(line, sizeof(line), stdin) == NULL)
        return 0;
    errno = 0;
    *id = strtoll(line, &end, 10);
    if (errno == 0 && end != line && (*end == '\n' || *end == '\0') && *id > 0)
        return 1;
    fprintf(stderr, "forum: not an id: %s", line);
    return -1;
}

/* Jobs of at most per_job ids each, written as a JSON array between head and "]}". */
static int with_ids(struct order *o, const char *type, const char *head, long per_job)
{
    char *payload = NULL;
    size_t used = 0;
    long in_job = 0;
    int64_t id;
    int more;

    while ((more = next_id(&id)) > 0) {
        if (payload == NULL) {
            payload = new_payload();
            used = (size_t)snprintf(payload, PAYLOAD_SIZE, "%s", head);
        }
        used += (size_t)snprintf(payload + used, PAYLOAD_SIZE - used, "%s%" PRId64,
                                 in_job > 0 ? "," : "", id);
        if (++in_job == per_job) {
            snprintf(payload + used, PAYLOAD_SIZE - used, "]}");
            add(o, type, payload);
            payload = NULL;
            in_job = 0;
        }
    }
    if (more == 0 && payload != NULL) {
        snprintf(payload + used, PAYLOAD_SIZE - used, "]}");
        add(o, type, payload);
        payload = NULL;
    }
    free(payload);
    return more;
}

/* A job for each id, {"NAME":ID}. */
static int one_each(struct order *o, const char *type, const char *name)
{
    int64_t id;
    int more;

    while ((more = next_id(&id)) > 0) {
        char *payload = new_payload();
        snprintf(payload, PAYLOAD_SIZE, "{\"%s\":%" PRId64 "}", name, id);
        add(o, type, payload);
    }
    return more;
}

/* A job for each upload: whose it is, and what part of it the user chose. */
static int avatars(struct order *o)
{
    char line[128];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        int64_t user;
        double x;
        double y;
        double zoom;
        if (sscanf(line, "%" SCNd64 " %lf %lf %lf", &user, &x, &y, &zoom) != 4) {
            fprintf(stderr, "forum: not USER X Y ZOOM: %s", line);
            return -1;
        }
        char *payload = new_payload();
        snprintf(payload, PAYLOAD_SIZE,
                 "{\"user_id\":%" PRId64
                 ",\"source\":\"tmp\",\"crop\":{\"x\":%.17g,\"y\":%.17g,\"zoom\":%.17g}}",
                 user, x, y, zoom);
        add(o, "avatar.resize", payload);
    }
    return 0;
}

static int sweep(struct order *o)
{
    char *payload = new_payload();

    snprintf(payload, PAYLOAD_SIZE, "{}");
    add(o, "avatar.sweep", payload);
    return 0;
}

static int private_thread(struct order *o, const char *actor, const char *thread)
{
    char head[128];

    snprintf(head, sizeof(head), "{\"actor_id\":%lld,\"thread_id\":%lld,\"members\":[",
             strtoll(actor, NULL, 10), strtoll(thread, NULL, 10));
    return with_ids(o, "notify.private_thread", head, MAX_BATCH);
}

static int ids_of(struct order *o, const char *kind, long batch)
{
    char head[64];

    snprintf(head, sizeof(head), "{\"kind\":\"%s\",\"ids\":[", kind);
    return with_ids(o, "stats.recount", head, batch);
}

/* What words ask for; -1 when stdin is not what it should be, 2 when the words are not. */
static int collect(struct order *o, long batch, int count, char **words)
{
    if (count == 2 && strcmp(words[0], "ids") == 0 && is_kind(words[1]))
        return ids_of(o, words[1], batch);
    if (count == 1 && strcmp(words[0], "replies") == 0)
        return one_each(o, "notify.reply", "post_id");
    if (count == 1 && strcmp(words[0], "dedupe") == 0)
        return one_each(o, "notify.dedupe_watched", "thread_id");
    if (count == 3 && strcmp(words[0], "private") == 0)
        return private_thread(o, words[1], words[2]);
    if (count == 1 && strcmp(words[0], "avatars") == 0)
        return avatars(o);
    if (count == 1 && strcmp(words[0], "sweep") == 0)
        return sweep(o);
    if (count < 2 || strcmp(words[0], "all") != 0)
        return usage();
    for (int i = 1; i < count; i++) {
        if (!is_kind(words[i]))
            return usage();
    }
    for (int i = 1; i < count; i++)
        recount_all(o, words[i]);
    return 0;
}

/* What was understood is sent, also before a line that was not. */
static int run(struct order *o, long batch, int count, char **words)
{
    int rc = collect(o, batch, count, words);

    flush(o);
    if (rc > 0)
        return rc;
    return rc == 0 && o->failed == 0 ? 0 : 1;
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
    if (optind >= argc || batch < 1 || batch > MAX_BATCH)
        return usage();
    options.name = "forum";
    if (jobq_client_open(&options, &order.client, &err) != JOBQ_OK) {
        fprintf(stderr, "forum: %s\n", err.msg);
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    int status = run(&order, batch, argc - optind, argv + optind);
    clock_gettime(CLOCK_MONOTONIC, &to);
    jobq_client_close(order.client);
    double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
    if (status != 2)
        printf("%zu jobs stored, %zu not, in %.1f ms\n", order.stored, order.failed, ms);
    return status;
}
