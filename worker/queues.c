/* SPDX-License-Identifier: MIT */
#include "worker/queues.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/enqueue.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/pace.h"
#include "worker/state.h"

#define STORE_AGAIN_MS 500
#define QUEUES_MAX 4096 /* of one deployment: what a stranger can write into jobq:queues is
                         * bounded */

static void free_shard(struct shard *shard)
{
    if (!shard)
        return;
    for (size_t k = 0; k < LANE_COUNT; k++)
        mem_free(shard->lanes[k].suspects);
    buf_done(&shard->published.events);
    lease_free(shard->lease);
    map_free(shard->held);
    keys_done(&shard->keys);
    mem_free(shard);
}

static int make_lanes(struct supervisor *s, struct shard *shard, jobq_err *err)
{
    for (enum lane k = 0; k < LANE_COUNT; k++) {
        struct shard_lane *lane = &shard->lanes[k];
        lane->shard = shard;
        lane->lane = k;
        list_init(&lane->ending);
        int rc = dispatch_add_source(s->dispatch, k, 1, lane, &lane->source, err);
        if (rc)
            return rc;
    }
    return JOBQ_OK;
}

int queues_reset_shard(struct shard *shard, jobq_err *err)
{
    struct supervisor *s = shard->sup;
    struct lease *lease = NULL;
    int rc = lease_new(shard->keys.base, s->incarnation, s->config->lease_ms, &lease, err);
    if (rc)
        return rc;
    lease_free(shard->lease);
    lease_use_presence(lease, !s->presence_off);
    shard->lease = lease;
    shard->state = SHARD_NEW;
    shard->register_due_ms = 0;
    shard->moving = shard->sweeping = shard->walking = false;
    shard->letters.asking = false;
    shard->quick_audits = 0;
    shard->published.info_hash = 0;
    shard->published.info_due_ms = 0;
    return JOBQ_OK;
}

static int add_shard(struct supervisor *s, const char *queue, unsigned partition,
                     struct shard **out, jobq_err *err)
{
    int rc;
    struct shard **grown = mem_realloc(s->shards, (s->shard_count + 1) * sizeof(*grown));
    if (!grown)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    s->shards = grown;
    struct shard *shard = mem_zalloc(1, sizeof(*shard));
    if (!shard)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    shard->sup = s;
    buf_init(&shard->published.events, 0);
    if (!(shard->held = map_new())) {
        rc = error_set(err, JOBQ_ENOMEM, "out of memory");
        goto out;
    }
    if ((rc = keys_init(&shard->keys, s->config->key_prefix, queue, partition, err)))
        goto out;
    if ((rc = queues_reset_shard(shard, err)))
        goto out;
    /* Last: sources stay with dispatch for life. */
    if ((rc = make_lanes(s, shard, err)))
        goto out;
    s->shards[s->shard_count++] = shard;
    *out = shard;
out:
    if (rc)
        free_shard(shard);
    return rc;
}

static struct queue *find_queue(const struct supervisor *s, const char *name)
{
    return map_get(s->queues, name, strlen(name));
}

static int add_partitions(struct supervisor *s, struct queue *q, unsigned partitions, jobq_err *err)
{
    if (partitions <= q->partitions)
        return JOBQ_OK;
    struct shard **grown = mem_realloc(q->shards, partitions * sizeof(*grown));
    if (!grown)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    q->shards = grown;
    while (q->partitions < partitions) {
        int rc = add_shard(s, q->name, q->partitions, &q->shards[q->partitions], err);
        if (rc)
            return rc;
        q->partitions++;
    }
    return JOBQ_OK;
}

static void apply_weight(struct queue *q)
{
    for (unsigned i = 0; i < q->partitions; i++) {
        struct shard *shard = q->shards[i];
        shard->claims = q->weight > 0;
        for (size_t k = 0; k < LANE_COUNT; k++)
            dispatch_source_weight(shard->lanes[k].source, (unsigned)MAX(q->weight, 1));
    }
}

int supervisor_add_queue(struct supervisor *s, const char *name, unsigned partitions, jobq_err *err)
{
    struct queue *q = find_queue(s, name);
    if (!q) {
        if (map_size(s->queues) >= QUEUES_MAX)
            return error_set(err, JOBQ_ETOOBIG, "more than %d queues", QUEUES_MAX);
        q = mem_zalloc(1, sizeof(*q));
        if (!q)
            return error_set(err, JOBQ_ENOMEM, "out of memory");
        memcpy(q->name, name, strlen(name) + 1);
        if (map_put(s->queues, name, strlen(name), q)) {
            mem_free(q);
            return error_set(err, JOBQ_ENOMEM, "out of memory");
        }
    }
    int rc = add_partitions(s, q, partitions, err);
    apply_weight(q);
    return rc;
}

const struct queue *supervisor_queue(struct supervisor *s, const char *name)
{
    const struct queue *q = find_queue(s, name);
    if (q && q->partitions)
        return q;
    /* One partition until jobq:queues says otherwise: ask at once, the caller tries again. */
    if (link_is_up(s->command) && !s->asking_queues) {
        enqueue_register_queue(link_out(s->command), s->config->key_prefix, name, 1);
        link_expect(s->command, NULL, NULL, NULL);
        link_expect(s->command, NULL, NULL, NULL);
        s->queues_due_ms = 0;
    }
    return NULL;
}

/* ---- asking ---- */

const char *queues_unknown(const struct supervisor *s)
{
    size_t cursor = 0;
    const struct queue *q;
    while ((q = map_next(s->queues, &cursor, NULL, NULL)))
        if (q->weight && !q->partitions)
            return q->name;
    return NULL;
}

/* A refusal is told; while we lack the queue for it, we try again soon, however long the lease. */
static void on_queue_stored(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    (void)data;
    if (supervisor_judge(s, r) && queues_unknown(s))
        s->queues_due_ms = MIN(s->queues_due_ms, loop_now(s->loop) + MAX(pace_of(r), STORE_AGAIN_MS));
}

static void on_queues(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    (void)data;
    jobq_err err;
    s->asking_queues = false;
    if (!reply_is_array(r)) {
        supervisor_judge(s, r);
        return;
    }
    for (size_t i = 0; i + 1 < reply_count(r); i += 2) {
        const char *name;
        size_t n;
        int64_t partitions;
        if (!reply_bytes(r, i, &name, &n) || !reply_int(r, i + 1, &partitions) ||
            !text_is_name(name, n) || partitions < 1 || partitions > KEYS_PARTITIONS_MAX) {
            log_event(LOG_WARN, "queues.ignored", LOG_BYTES("queue", name, n), LOG_END);
            continue;
        }
        if (supervisor_add_queue(s, name, (unsigned)partitions, &err))
            log_event(LOG_ERROR, "queues.failed", LOG_STR("queue", name), LOG_STR("error", err.msg),
                      LOG_END);
    }
    queues_subscribe(s);
}

void queues_ask(struct supervisor *s, int64_t now_ms)
{
    char key[KEYS_MAX];
    if (s->asking_queues || now_ms < s->queues_due_ms)
        return;
    s->asking_queues = true;
    s->queues_due_ms = now_ms + s->config->lease_ms;
    for (size_t i = 0; i < s->config->queue_count; i++) {
        const struct worker_queue *q = &s->config->queues[i];
        enqueue_register_queue(link_out(s->command), s->config->key_prefix, q->name,
                               (unsigned)q->partitions);
        link_expect(s->command, on_queue_stored, s, NULL);
        link_expect(s->command, NULL, NULL, NULL);
    }
    keys_queues(s->config->key_prefix, key, sizeof(key));
    resp_command(link_out(s->command), "HGETALL", key, NULL);
    link_expect(s->command, on_queues, s, NULL);
}

void queues_subscribe(struct supervisor *s)
{
    if (!link_is_up(s->subscriber))
        return;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        if (shard->subscribed)
            continue;
        shard->subscribed = true;
        resp_command(link_out(s->subscriber), "SUBSCRIBE", shard->keys.wake, NULL);
        link_expect(s->subscriber, NULL, NULL, NULL);
    }
}

/* ---- configuration ---- */

int queues_configure(struct supervisor *s, jobq_err *err)
{
    size_t cursor = 0;
    struct queue *q;
    while ((q = map_next(s->queues, &cursor, NULL, NULL))) {
        q->weight = 0;
        apply_weight(q);
    }
    for (size_t i = 0; i < s->config->queue_count; i++) {
        const struct worker_queue *wanted = &s->config->queues[i];
        /* How many partitions there are is for jobq:queues to say; none is claimed from before it
         * has. */
        int rc = supervisor_add_queue(s, wanted->name, 0, err);
        if (rc)
            return rc;
        q = find_queue(s, wanted->name);
        q->weight = wanted->weight;
        apply_weight(q);
    }
    s->queues_due_ms = 0;
    return JOBQ_OK;
}

void queues_free(struct supervisor *s)
{
    size_t cursor = 0;
    struct queue *q;
    for (size_t i = 0; i < s->shard_count; i++)
        free_shard(s->shards[i]);
    mem_free(s->shards);
    while (s->queues && (q = map_next(s->queues, &cursor, NULL, NULL))) {
        mem_free(q->shards);
        mem_free(q);
    }
    map_free(s->queues);
}
