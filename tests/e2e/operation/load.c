/* SPDX-License-Identifier: MIT */
#include "tests/e2e/operation/load.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PACE_MS 8     /* between two jobs */
#define AHEAD_MAX 300 /* jobs that wait or run: a slow machine must not be buried under them */
#define CHILDREN 2
#define GATED_MS 3600000

struct load {
    struct scene *scene;
    jobq_client *client;
    redisContext *redis; /* the thread's */
    pthread_t thread;
    int stop_fd;
    jobq_answer *answers;
    size_t room;
    size_t children;
    atomic_size_t count;
};

static const struct kind {
    const char *type, *payload;
    int64_t delay_ms;
    jobq_lane lane;
    size_t children;
} kinds[] = {
    {"effect", "{}", 0, JOBQ_LANE_NORMAL, 0},
    {"effect", "{}", 150, JOBQ_LANE_NORMAL, 0},
    {"effect", "{\"fail_n\":1}", 0, JOBQ_LANE_NORMAL, 0},
    {"effect", "{}", 0, JOBQ_LANE_HIGH, 0},
    {"parent", "{\"n\":2}", 0, JOBQ_LANE_NORMAL, CHILDREN},
    {"effect", "{}", 0, JOBQ_LANE_LOW, 0},
    {"effect_slow", "{\"ms\":40}", 0, JOBQ_LANE_NORMAL, 0},
};

static bool is_told_to_stop(const struct load *l)
{
    struct pollfd p = {.fd = l->stop_fd, .events = POLLIN};

    return poll(&p, 1, PACE_MS) != 0;
}

/* Nobody else looks at the answers before the thread has ended. */
static void make_room(struct load *l, size_t count)
{
    if (count < l->room)
        return;
    l->room = l->room ? l->room * 2 : 1024;
    if (!(l->answers = realloc(l->answers, l->room * sizeof(*l->answers))))
        abort();
}

static bool is_far_ahead(struct load *l)
{
    redisReply *r = redisCommand(l->redis, "XLEN jobq:{default:0}:ready:normal");
    bool is_far = r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer > AHEAD_MAX;

    freeReplyObject(r);
    return is_far;
}

static void *run(void *ctx)
{
    struct load *l = ctx;

    for (size_t i = 0; !is_told_to_stop(l);) {
        if (is_far_ahead(l))
            continue;
        make_room(l, i);
        l->answers[i] = (jobq_answer){0};
        const struct kind *k = &kinds[i % (sizeof(kinds) / sizeof(kinds[0]))];
        jobq_job job = JOBQ_JOB_INIT;
        jobq_err err;
        job.type = k->type;
        job.payload = k->payload;
        job.delay_ms = k->delay_ms;
        job.lane = k->lane;
        (void)!jobq_enqueue(l->client, &job, &l->answers[i], &err); /* the answer tells */
        l->children += k->children;
        atomic_store(&l->count, ++i);
    }
    return NULL;
}

struct load *load_start(struct scene *s)
{
    struct load *l = calloc(1, sizeof(*l));
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_err err;

    if (!l)
        abort();
    l->scene = s;
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    o.redis = s->redis->producer_url;
    o.deadline_ms = 10000;
    l->redis = redisConnectUnix(s->redis->socket);
    if (!l->redis || l->redis->err || l->stop_fd < 0 || jobq_client_open(&o, &l->client, &err))
        fail_test("no producer");
    if (pthread_create(&l->thread, NULL, run, l))
        fail_test("no thread");
    return l;
}

struct wanted {
    struct load *load;
    size_t count;
};

static bool has_enough(void *ctx)
{
    struct wanted *w = ctx;

    return atomic_load(&w->load->count) >= w->count;
}

void load_wait(struct load *l, size_t more)
{
    struct wanted w = {l, atomic_load(&l->count) + more};

    if (!wait_until(now_ms() + patience_ms(30000), has_enough, &w))
        fail_test("the producer stands still at %zu jobs", atomic_load(&l->count));
}

void load_stop(struct load *l)
{
    if (eventfd_write(l->stop_fd, 1) || pthread_join(l->thread, NULL))
        abort();
    size_t n = atomic_load(&l->count);
    for (size_t i = 0; i < n; i++)
        scene_note(l->scene, &l->answers[i]);
    l->scene->children += l->children;
    jobq_client_close(l->client);
    redisFree(l->redis);
    close(l->stop_fd);
    free(l->answers);
    free(l);
}

void load_gated(struct scene *s, const char *queue, const char *marks, const char *gate)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.queue = queue;
    job.type = "effect_slow";
    job.payload = fmt("{\"ms\":%d,\"file\":\"%s\",\"gate\":\"%s\"}", GATED_MS, marks, gate);
    job.soft_limit_ms = GATED_MS;
    job.hard_limit_ms = 2 * GATED_MS;
    scene_enqueue_job(s, &job);
}
