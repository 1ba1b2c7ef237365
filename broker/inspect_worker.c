/* SPDX-License-Identifier: MIT */
/* inspect: who works; see inspect.h. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/reply.h"
#include "broker/resp.h"

/* Channels asked for in one PUBSUB NUMSUB. */
#define NUMSUB_BATCH 100

/* Workers gathered so far, and by which partition each was last counted. */
struct gathering {
    struct map *by_name;
    struct inspect_worker *list;
    int64_t *seen_in; /* of each: the number of the partition, so that it counts once a partition */
    size_t n, room;
};

static int grow(struct gathering *g)
{
    size_t room = g->room == 0 ? 16 : g->room * 2;
    struct inspect_worker *list = mem_realloc(g->list, room * sizeof(*list));
    if (list != NULL)
        g->list = list;
    int64_t *seen_in = mem_realloc(g->seen_in, room * sizeof(*seen_in));
    if (seen_in != NULL)
        g->seen_in = seen_in;
    if (list == NULL || seen_in == NULL)
        return JOBQ_ENOMEM;
    g->room = room;
    return JOBQ_OK;
}

/* The worker of that name, new or known, seen in that partition; NULL: no memory. */
static struct inspect_worker *meet(struct gathering *g, const char *name, size_t len,
                                   size_t partition)
{
    /* The map keeps index + 1, as the list moves when it grows. */
    size_t at = (size_t)(uintptr_t)map_get(g->by_name, name, len);
    if (at == 0) {
        if (g->n == g->room && grow(g) != JOBQ_OK)
            return NULL;
        char *copy = mem_strndup(name, len);
        if (copy == NULL ||
            map_put(g->by_name, name, len, (void *)(uintptr_t)(g->n + 1)) != JOBQ_OK) {
            mem_free(copy);
            return NULL;
        }
        g->list[g->n] = (struct inspect_worker){.name = copy, .idle_ms = -1};
        g->seen_in[g->n] = -1;
        at = ++g->n;
    }
    struct inspect_worker *w = &g->list[at - 1];
    if (g->seen_in[at - 1] != (int64_t)partition)
        w->partitions++;
    g->seen_in[at - 1] = (int64_t)partition;
    return w;
}

static int no_memory(jobq_err *err)
{
    return error_set(err, JOBQ_ENOMEM, "no memory for the list of workers");
}

static int gather_alive(struct gathering *g, const struct redisReply *r, size_t partition,
                        jobq_err *err)
{
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *name = NULL;
        size_t len = 0;
        if (!reply_bytes(r, i, &name, &len))
            continue;
        struct inspect_worker *w = meet(g, name, len, partition);
        if (w == NULL)
            return no_memory(err);
        w->registered = true;
        w->fenced = w->fenced || reply_is_word(r, i + 1, "F");
    }
    return JOBQ_OK;
}

static int gather_types(struct gathering *g, const struct redisReply *r, size_t partition,
                        jobq_err *err)
{
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *name = NULL, *types = NULL;
        size_t len = 0, types_len = 0;
        if (!reply_bytes(r, i, &name, &len) || !reply_bytes(r, i + 1, &types, &types_len))
            continue;
        struct inspect_worker *w = meet(g, name, len, partition);
        if (w == NULL)
            return no_memory(err);
        if (w->types == NULL && (w->types = mem_strndup(types, types_len)) == NULL)
            return no_memory(err);
    }
    return JOBQ_OK;
}

static int gather_consumers(struct gathering *g, const struct redisReply *r, size_t partition,
                            jobq_err *err)
{
    for (size_t i = 0; i < r->elements; i++) {
        const struct redisReply *name = ask_field(r->element[i], "name");
        if (name == NULL || name->type != REDIS_REPLY_STRING)
            continue;
        struct inspect_worker *w = meet(g, name->str, name->len, partition);
        if (w == NULL)
            return no_memory(err);
        int64_t idle = ask_field_count(r->element[i], "idle", -1);
        w->claimed += ask_field_count(r->element[i], "pending", 0);
        if (idle >= 0 && (w->idle_ms < 0 || idle < w->idle_ms))
            w->idle_ms = idle;
    }
    return JOBQ_OK;
}

/* No stream or no group yet: nobody consumes there. Anything else is a failure. */
static bool is_absent(const struct redisReply *r)
{
    return r->type == REDIS_REPLY_ERROR &&
           (strncmp(r->str, "ERR no such key", 15) == 0 || strncmp(r->str, "NOGROUP", 7) == 0);
}

static int gather_shard(const struct inspect *in, const struct shard_keys *k, size_t partition,
                        struct gathering *g, jobq_err *err)
{
    struct redisReply *r[2 + LANE_COUNT];
    struct buf *b = conn_out(in->conn);
    resp_command(b, "HGETALL", k->alive, NULL);
    resp_command(b, "HGETALL", k->types, NULL);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        resp_command(b, "XINFO", "CONSUMERS", k->lanes[lane], KEYS_GROUP, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, ARRAY_LEN(r), err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r[0], REDIS_REPLY_ARRAY, k->alive, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r[1], REDIS_REPLY_ARRAY, k->types, err);
    if (rc == JOBQ_OK)
        rc = gather_alive(g, r[0], partition, err);
    if (rc == JOBQ_OK)
        rc = gather_types(g, r[1], partition, err);
    for (int lane = 0; rc == JOBQ_OK && lane < LANE_COUNT; lane++) {
        if (is_absent(r[2 + lane]))
            continue;
        rc = ask_shape(r[2 + lane], REDIS_REPLY_ARRAY, k->lanes[lane], err);
        if (rc == JOBQ_OK)
            rc = gather_consumers(g, r[2 + lane], partition, err);
    }
    ask_free(r, ARRAY_LEN(r));
    return rc;
}

/* Which of them hold their subscriber connection right now. */
static int look_for_presence(const struct inspect *in, struct inspect_worker *list, size_t n,
                             jobq_err *err)
{
    for (size_t from = 0; from < n; from += NUMSUB_BATCH) {
        size_t count = MIN(n - from, (size_t)NUMSUB_BATCH);
        struct buf *b = conn_out(in->conn);
        struct redisReply *r = NULL;
        resp_begin(b, count + 2);
        resp_str(b, "PUBSUB");
        resp_str(b, "NUMSUB");
        for (size_t i = 0; i < count; i++) {
            char channel[KEYS_MAX];
            size_t len = keys_node(in->prefix, list[from + i].name, channel, sizeof(channel));
            resp_bytes(b, channel, len);
        }
        int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
        if (rc != JOBQ_OK)
            return rc;
        rc = ask_shape(r, REDIS_REPLY_ARRAY, "PUBSUB NUMSUB", err);
        for (size_t i = 0; rc == JOBQ_OK && i < count && 2 * i + 1 < r->elements; i++)
            list[from + i].subscribed = ask_int(r->element[2 * i + 1], 0) > 0;
        ask_free(&r, 1);
        if (rc != JOBQ_OK)
            return rc;
    }
    return JOBQ_OK;
}

static int compare_workers(const void *a, const void *b)
{
    return strcmp(((const struct inspect_worker *)a)->name,
                  ((const struct inspect_worker *)b)->name);
}

int inspect_workers(const struct inspect *in, const struct shard_keys *k, size_t n,
                    struct inspect_worker **out, size_t *count, jobq_err *err)
{
    struct gathering g = {.by_name = map_new()};
    int rc = g.by_name != NULL ? JOBQ_OK : no_memory(err);
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++)
        rc = gather_shard(in, &k[i], i, &g, err);
    if (rc == JOBQ_OK)
        rc = look_for_presence(in, g.list, g.n, err);
    if (rc == JOBQ_OK) {
        if (g.n > 0)
            qsort(g.list, g.n, sizeof(*g.list), compare_workers);
        *out = g.list;
        *count = g.n;
    } else {
        inspect_workers_free(g.list, g.n);
    }
    mem_free(g.seen_in);
    map_free(g.by_name);
    return rc;
}

void inspect_workers_free(struct inspect_worker *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(w[i].name);
        mem_free(w[i].types);
    }
    mem_free(w);
}
