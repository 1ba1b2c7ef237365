/* SPDX-License-Identifier: MIT */
/* top_model: see top_model.h. */
#include "admin/jobctl/top_model.h"

#include <string.h>

#include "admin/jobctl/worker_info.h"
#include "base/error.h"
#include "broker/conn.h"

#define MINUTE_MS 60000
#define RUNNING_MAX 200

int64_t top_model_percentile(const int64_t *buckets, int percent)
{
    int64_t total = 0, below = 0;
    for (int k = 0; k < INSPECT_BUCKETS; k++)
        total += buckets[k];
    if (total <= 0)
        return -1;
    double wanted = (double)total * percent / 100;
    for (int k = 0; k < INSPECT_BUCKETS; k++) {
        double low = k == 0 ? 0 : (double)(INT64_C(1) << (k - 1)), high = (double)(INT64_C(1) << k);
        if (buckets[k] > 0 && (double)(below + buckets[k]) >= wanted)
            return (int64_t)(low + (high - low) * (wanted - (double)below) / (double)buckets[k] +
                             0.5);
        below += buckets[k];
    }
    return INT64_C(1) << (INSPECT_BUCKETS - 1);
}

/* Sums of the partitions of one queue, or of all. */
struct sums {
    const char *queue;
    int64_t partitions, waiting, claimed, delayed, parked, dead, workers;
    int64_t oldest_ms; /* entry time; -1: none waits */
    bool exact;
    double succeeded, failed; /* in a minute */
    int64_t run[INSPECT_BUCKETS], wait[INSPECT_BUCKETS];
};

static void add_shard(struct sums *q, const struct inspect_shard *s)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        const struct inspect_lane *l = &s->lanes[lane];
        q->waiting += l->waiting;
        q->claimed += l->claimed;
        q->exact = q->exact && l->exact;
        if (l->oldest_ms >= 0 && (q->oldest_ms < 0 || l->oldest_ms < q->oldest_ms))
            q->oldest_ms = l->oldest_ms;
    }
    q->partitions++;
    q->delayed += s->delayed;
    q->parked += s->parked;
    q->dead += s->dead;
    q->workers = MAX(q->workers, s->workers);
}

static void add_stats(struct sums *q, const struct inspect_stats *before,
                      const struct inspect_stats *now, int64_t clock_ms)
{
    double part = 1 - (double)(clock_ms % MINUTE_MS) / MINUTE_MS;
    q->succeeded += (double)now->succeeded + part * (double)before->succeeded;
    q->failed += (double)now->failed + part * (double)before->failed;
    for (int k = 0; k < INSPECT_BUCKETS; k++) {
        q->run[k] += before->run[k] + now->run[k];
        q->wait[k] += before->wait[k] + now->wait[k];
    }
}

static json_t *sums_json(const struct sums *q, int64_t now_ms)
{
    return json_pack("{s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:o}",
                     "partitions", (json_int_t)q->partitions, "waiting", (json_int_t)q->waiting,
                     "waiting_exact", (int)q->exact, "claimed", (json_int_t)q->claimed, "delayed",
                     (json_int_t)q->delayed, "parked", (json_int_t)q->parked, "dead",
                     (json_int_t)q->dead, "workers", (json_int_t)q->workers, "oldest_ms",
                     out_time(q->oldest_ms < 0 ? -1 : MAX(now_ms - q->oldest_ms, INT64_C(0))),
                     "succeeded_per_minute", (json_int_t)(q->succeeded + 0.5), "failed_per_minute",
                     (json_int_t)(q->failed + 0.5), "run_p50_ms",
                     out_time(top_model_percentile(q->run, 50)), "run_p95_ms",
                     out_time(top_model_percentile(q->run, 95)), "wait_p50_ms",
                     out_time(top_model_percentile(q->wait, 50)), "wait_p95_ms",
                     out_time(top_model_percentile(q->wait, 95)));
}

static int read_queues(const struct inspect *in, const struct session_shards *shards,
                       int64_t now_ms, json_t *rows, struct sums *total, jobq_err *err)
{
    struct sums q;
    *total = (struct sums){.oldest_ms = -1, .exact = true};
    for (size_t i = 0; i < shards->n; i++) {
        const struct shard_keys *k = &shards->keys[i];
        struct inspect_shard shard;
        struct inspect_stats before, now;
        int rc = inspect_shard(in, k, &shard, err);
        if (rc == JOBQ_OK)
            rc = inspect_stats(in, k, now_ms / MINUTE_MS, &before, &now, err);
        if (rc != JOBQ_OK)
            return rc;
        if (k->partition == 0)
            q = (struct sums){.queue = k->queue, .oldest_ms = -1, .exact = true};
        add_shard(&q, &shard);
        add_shard(total, &shard);
        add_stats(&q, &before, &now, now_ms);
        add_stats(total, &before, &now, now_ms);
        if (i + 1 < shards->n && shards->keys[i + 1].partition != 0)
            continue;
        json_t *row = sums_json(&q, now_ms);
        json_object_set_new(row, "queue", json_string(q.queue));
        if (json_array_append_new(rows, row) != 0)
            return error_set(err, JOBQ_ENOMEM, "no memory for the queues");
    }
    return JOBQ_OK;
}

/* ---- workers ---- */

static void add_number(json_t *totals, const char *name, const json_t *row, const char *member)
{
    json_int_t n = json_integer_value(json_object_get(totals, name));
    json_int_t more = json_integer_value(json_object_get(row, member));
    json_object_set_new(totals, name, json_integer(n > INT64_MAX / 2 ? n : n + more));
}

/* Takes each worker's running jobs out of its row, into one list, each with its worker. */
static json_t *gather_running(json_t *rows, json_t *totals)
{
    json_t *running = json_array();
    json_object_set_new(totals, "workers_alive", json_integer(0));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i), *jobs = json_object_get(row, "running");
        const char *state = json_string_value(json_object_get(row, "state"));
        if (strcmp(state, "alive") == 0) {
            json_object_set_new(
                totals, "workers_alive",
                json_integer(json_integer_value(json_object_get(totals, "workers_alive")) + 1));
            add_number(totals, "executors", row, "executors");
            add_number(totals, "executors_busy", row, "executors_busy");
        }
        for (size_t j = 0; j < json_array_size(jobs) && json_array_size(running) < RUNNING_MAX;
             j++) {
            json_t *job = json_array_get(jobs, j);
            json_object_set(job, "worker", json_object_get(row, "worker"));
            json_array_append(running, job);
        }
        json_object_del(row, "running");
        json_object_del(row, "running_more");
    }
    return running;
}

static json_t *make_root(const struct session *s, const struct sums *total, json_t *queues,
                         json_t *workers, int64_t now_ms)
{
    json_t *totals = sums_json(total, now_ms);
    json_object_set_new(totals, "queues", json_integer((json_int_t)json_array_size(queues)));
    json_object_set_new(totals, "workers", json_integer((json_int_t)json_array_size(workers)));
    json_object_set_new(totals, "executors", json_integer(0));
    json_object_set_new(totals, "executors_busy", json_integer(0));
    json_t *running = gather_running(workers, totals);
    const char *where = conn_where(s->conn);
    return json_pack("{s:I, s:o, s:o, s:O, s:O, s:o}", "at_ms", (json_int_t)now_ms, "redis",
                     out_string(where, strlen(where)), "totals", totals, "queues", queues,
                     "workers", workers, "running", running);
}

int top_model_read(struct session *s, const char *queue, json_t **out, jobq_err *err)
{
    struct inspect in;
    struct inspect_server server;
    struct session_shards shards = {0};
    struct worker_rows w = {0};
    struct sums total;
    json_t *queues = json_array();
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    if (rc == JOBQ_OK)
        rc = read_queues(&in, &shards, server.clock_ms, queues, &total, err);
    if (rc == JOBQ_OK)
        rc = worker_rows_read(&in, &shards, &w, err);
    if (rc == JOBQ_OK)
        *out = make_root(s, &total, queues, w.rows, server.clock_ms);
    if (rc == JOBQ_OK && *out == NULL)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the view");
    worker_rows_free(&w);
    json_decref(queues);
    session_shards_free(&shards);
    return rc;
}
