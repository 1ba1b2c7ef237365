/* SPDX-License-Identifier: MIT */
/*
 * metrics_write: a scrape: what was counted, and what is so right now, as text.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/metrics.h"
#include "worker/pool.h"
#include "worker/process_info.h"
#include "worker/readiness.h"
#include "worker/state.h"

#define PUT(b, id, n) metrics_put_number(b, METRIC_##id, (int64_t)(n), NULL)
#define PUT1(b, id, n, label) metrics_put_number(b, METRIC_##id, (int64_t)(n), (label), NULL)

/* ---- by type ---- */

static void write_outcomes(struct supervisor *s, struct buf *b)
{
    size_t cursor = 0;
    const struct metrics_series *series;
    metrics_put_head(b, METRIC_JOBS);
    while ((series = map_next(s->metrics.by_name, &cursor, NULL, NULL)))
        for (enum metrics_outcome o = 0; o < OUTCOME_COUNT; o++)
            metrics_put_number(b, METRIC_JOBS, (int64_t)series->outcomes[o], series->queue,
                               series->type, metrics_outcome_word(o), NULL);
}

static void write_times(struct supervisor *s, struct buf *b, enum metric_id id)
{
    size_t cursor = 0;
    const struct metrics_series *series;
    metrics_put_head(b, id);
    while ((series = map_next(s->metrics.by_name, &cursor, NULL, NULL)))
        metrics_put_histogram(b, id, id == METRIC_JOB_WAIT ? &series->wait : &series->run,
                              series->queue, series->type, NULL);
}

/* ---- by queue ---- */

struct row {
    const char *queue;
    bool any; /* false: nothing to tell */
    size_t held;
    struct shard_numbers sum;
};

static void add_shard(struct row *row, const struct shard *shard)
{
    const struct shard_numbers *n = &shard->numbers;
    struct shard_numbers *sum = &row->sum;
    uint64_t claimed = 0;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        sum->claimed[lane] += n->claimed[lane];
        claimed += n->claimed[lane];
    }
    sum->merged += n->merged;
    sum->stale += n->stale;
    sum->abandoned += n->abandoned;
    sum->peers_fenced += n->peers_fenced;
    sum->reaped += n->reaped;
    sum->moved += n->moved;
    sum->unparked += n->unparked;
    sum->dropped += n->dropped;
    row->held += map_size(shard->held);
    row->any |= shard->claims || claimed || n->peers_fenced || n->reaped || n->moved ||
                n->unparked || n->dropped;
}

/* Queues of the configuration, then one for the upkeep of all others. */
static struct row *make_rows(struct supervisor *s, size_t *n)
{
    size_t cursor = 0;
    const struct queue *q;
    struct row *rows = mem_zalloc(map_size(s->queues) + 1, sizeof(*rows));
    if (!rows)
        return NULL;
    *n = 0;
    while ((q = map_next(s->queues, &cursor, NULL, NULL)))
        if (q->weight)
            rows[(*n)++] = (struct row){.queue = q->name, .any = true};
    struct row *other = &rows[(*n)++];
    other->queue = "other";
    cursor = 0;
    for (size_t own = 0; (q = map_next(s->queues, &cursor, NULL, NULL));) {
        struct row *row = q->weight ? &rows[own++] : other;
        for (unsigned i = 0; i < q->partitions; i++)
            add_shard(row, q->shards[i]);
    }
    return rows;
}

static void write_claimed(struct buf *b, const struct row *rows, size_t n)
{
    metrics_put_head(b, METRIC_CLAIMED);
    for (size_t i = 0; i < n; i++)
        for (enum lane lane = 0; rows[i].any && lane < LANE_COUNT; lane++)
            metrics_put_number(b, METRIC_CLAIMED, (int64_t)rows[i].sum.claimed[lane], rows[i].queue,
                               keys_lane_name(lane), NULL);
}

static void write_queues(struct supervisor *s, struct buf *b)
{
    static const struct {
        enum metric_id id;
        size_t at;
    } counters[] = {
        {METRIC_MERGED, offsetof(struct shard_numbers, merged)},
        {METRIC_STALE, offsetof(struct shard_numbers, stale)},
        {METRIC_ABANDONED, offsetof(struct shard_numbers, abandoned)},
        {METRIC_PEERS_FENCED, offsetof(struct shard_numbers, peers_fenced)},
        {METRIC_REAPED, offsetof(struct shard_numbers, reaped)},
        {METRIC_MOVED, offsetof(struct shard_numbers, moved)},
        {METRIC_UNPARKED, offsetof(struct shard_numbers, unparked)},
        {METRIC_DEAD_DROPPED, offsetof(struct shard_numbers, dropped)},
    };
    size_t n;
    struct row *rows = make_rows(s, &n);
    if (!rows) {
        b->failed = true;
        return;
    }
    write_claimed(b, rows, n);
    for (size_t c = 0; c < ARRAY_LEN(counters); c++) {
        metrics_put_head(b, counters[c].id);
        for (size_t i = 0; i < n; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&rows[i].sum + counters[c].at, sizeof(value));
            if (rows[i].any)
                metrics_put_number(b, counters[c].id, (int64_t)value, rows[i].queue, NULL);
        }
    }
    metrics_put_head(b, METRIC_HELD);
    for (size_t i = 0; i < n; i++)
        if (rows[i].any)
            PUT1(b, HELD, rows[i].held, rows[i].queue);
    mem_free(rows);
}

/* ---- by partition ---- */

static void put_depth(struct supervisor *s, struct buf *b, enum metric_id id,
                      const struct shard *shard)
{
    const struct publish_depth *d = &shard->numbers.depth;
    const char *queue = shard->keys.queue;
    char partition[16];
    snprintf(partition, sizeof(partition), "%u", shard->keys.partition);
    if (id == METRIC_QUEUE_READY) {
        for (enum lane lane = 0; lane < LANE_COUNT; lane++)
            metrics_put_number(b, id, d->ready[lane], queue, partition, keys_lane_name(lane), NULL);
        return;
    }
    int64_t oldest = -1, now = supervisor_redis_ms(s);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        if (d->oldest_ms[lane] >= 0 && (oldest < 0 || d->oldest_ms[lane] < oldest))
            oldest = d->oldest_ms[lane];
    if (id == METRIC_QUEUE_OLDEST)
        metrics_put_micro(b, id, oldest >= 0 && oldest < now ? (now - oldest) * 1000 : 0, queue,
                          partition, NULL);
    else
        metrics_put_number(b, id,
                           id == METRIC_QUEUE_DELAYED ? d->delayed
                           : id == METRIC_QUEUE_DEAD  ? d->dead
                                                      : d->parked,
                           queue, partition, NULL);
}

static void write_depths(struct supervisor *s, struct buf *b)
{
    static const enum metric_id ids[] = {METRIC_QUEUE_READY, METRIC_QUEUE_OLDEST,
                                         METRIC_QUEUE_DELAYED, METRIC_QUEUE_DEAD,
                                         METRIC_QUEUE_PARKED};
    for (size_t k = 0; k < ARRAY_LEN(ids); k++) {
        metrics_put_head(b, ids[k]);
        for (size_t i = 0; i < s->shard_count; i++)
            if (s->shards[i]->numbers.depth_known)
                put_depth(s, b, ids[k], s->shards[i]);
    }
}

/* ---- executors ---- */

struct census {
    size_t in_state[POOL_LEAVING + 1];
    int64_t memory_bytes;
};

static void take_census(void *ctx, const struct pool_view *v)
{
    struct census *c = ctx;
    c->in_state[v->state]++;
    c->memory_bytes += v->memory_bytes;
}

static void write_executors(struct supervisor *s, struct buf *b)
{
    static const char *const words[] = {[POOL_STARTING] = "starting",
                                        [POOL_IDLE] = "idle",
                                        [POOL_BUSY] = "busy",
                                        [POOL_LEAVING] = "leaving"};
    const struct pool_counts *counts = pool_counts(s->pool);
    struct census c = {.memory_bytes = 0};
    pool_each(s->pool, take_census, &c);
    metrics_put_head(b, METRIC_EXECUTORS);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        PUT1(b, EXECUTORS, c.in_state[i], words[i]);
    metrics_put_head(b, METRIC_EXECUTORS_WANTED);
    PUT(b, EXECUTORS_WANTED, s->config->executors);
    metrics_put_head(b, METRIC_EXECUTOR_CRASHES);
    PUT1(b, EXECUTOR_CRASHES, counts->failed_starts, "start");
    PUT1(b, EXECUTOR_CRASHES, counts->killed, "killed");
    PUT1(b, EXECUTOR_CRASHES, counts->died, "died");
    metrics_put_head(b, METRIC_EXECUTOR_RECYCLED);
    PUT(b, EXECUTOR_RECYCLED, counts->recycled);
    metrics_put_head(b, METRIC_EXECUTOR_MEMORY);
    PUT(b, EXECUTOR_MEMORY, c.memory_bytes);
    metrics_put_head(b, METRIC_EXECUTORS_NO_DATABASE);
    PUT(b, EXECUTORS_NO_DATABASE, pool_without_database(s->pool));
}

/* ---- what it depends on ---- */

static void write_readiness(struct supervisor *s, struct buf *b)
{
    metrics_put_head(b, METRIC_READY);
    PUT(b, READY, s->ready);
    metrics_put_head(b, METRIC_NOT_READY);
    for (enum readiness_part part = 0; part < NOT_READY_PARTS; part++)
        PUT1(b, NOT_READY, !s->ready && s->not_ready_part == part, readiness_word(part));
}

static void write_redis(struct supervisor *s, struct buf *b)
{
    static const char *const words[METRICS_LINKS] = {"command", "reader", "subscriber"};
    const struct link *links[METRICS_LINKS] = {s->command, s->reader, s->subscriber};
    const struct metrics *m = &s->metrics;
    metrics_put_head(b, METRIC_REDIS_UP);
    for (int i = 0; i < METRICS_LINKS; i++)
        PUT1(b, REDIS_UP, link_is_up(links[i]), words[i]);
    metrics_put_head(b, METRIC_REDIS_LOST);
    for (int i = 0; i < METRICS_LINKS; i++)
        PUT1(b, REDIS_LOST, m->links_lost[i], words[i]);
    metrics_put_head(b, METRIC_REDIS_ERRORS);
    PUT(b, REDIS_ERRORS, m->redis_errors);
    metrics_put_head(b, METRIC_REDIS_ROUND_TRIP);
    metrics_put_histogram(b, METRIC_REDIS_ROUND_TRIP, &m->round_trip, NULL);
    metrics_put_head(b, METRIC_FENCED);
    PUT(b, FENCED, m->fenced);
}

/* ---- jobd itself ---- */

static void write_self(struct supervisor *s, struct buf *b)
{
    const struct metrics *m = &s->metrics;
    metrics_put_head(b, METRIC_CHILDREN);
    PUT1(b, CHILDREN, m->children_stored, "stored");
    PUT1(b, CHILDREN, m->children_duplicate, "duplicate");
    metrics_put_head(b, METRIC_RELOADS);
    PUT1(b, RELOADS, m->reloads, "ok");
    PUT1(b, RELOADS, m->reloads_refused, "refused");
    metrics_put_head(b, METRIC_LOG_DROPPED);
    PUT(b, LOG_DROPPED, log_dropped());
    metrics_put_head(b, METRIC_BUILD_INFO);
    metrics_put_number(b, METRIC_BUILD_INFO, 1, JOBQ_VERSION, s->config->instance, NULL);
}

static void write_process(struct buf *b)
{
    const struct process_info *p = process_info_now();
    metrics_put_head(b, METRIC_CPU);
    metrics_put_micro(b, METRIC_CPU, p->cpu_us, NULL);
    metrics_put_head(b, METRIC_RSS);
    PUT(b, RSS, p->rss_bytes);
    metrics_put_head(b, METRIC_VIRTUAL);
    PUT(b, VIRTUAL, p->virtual_bytes);
    metrics_put_head(b, METRIC_OPEN_FDS);
    PUT(b, OPEN_FDS, p->open_fds);
    metrics_put_head(b, METRIC_MAX_FDS);
    PUT(b, MAX_FDS, p->max_fds);
    metrics_put_head(b, METRIC_START_TIME);
    metrics_put_micro(b, METRIC_START_TIME, p->start_wall_ms * 1000, NULL);
}

void metrics_write(struct supervisor *s, struct buf *out)
{
    struct metrics *m = &s->metrics;
    m->scraped_ms = loop_now(s->loop);
    if (!m->scraped)
        m->depths_due_ms = m->scraped_ms;
    m->scraped = true;
    write_outcomes(s, out);
    write_times(s, out, METRIC_JOB_WAIT);
    write_times(s, out, METRIC_JOB_RUN);
    write_queues(s, out);
    write_depths(s, out);
    write_executors(s, out);
    write_readiness(s, out);
    write_redis(s, out);
    write_self(s, out);
    write_process(out);
}
