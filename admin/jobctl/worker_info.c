/* SPDX-License-Identifier: MIT */
/* worker_info: see worker_info.h. */
#include "admin/jobctl/worker_info.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define INFO_VERSION 1

/* ---- what they say ---- */

struct hearing {
    json_t *by_name; /* incarnation → {newest document, "running": all its jobs} */
    bool no_memory;
};

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    int64_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    return MAX(n, INT64_C(-1));
}

/* A copy of a text; null when there is none. */
static json_t *text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? out_string(json_string_value(value), json_string_length(value))
                                 : json_null();
}

static json_t *job_json(const json_t *job, const struct shard_keys *k)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:I, s:o, s:o, s:o}", "id", text(job, "id"), "type",
                     text(job, "type"), "attempt", out_time(number(job, "attempt")), "queue",
                     k->queue, "partition", (json_int_t)k->partition, "lane", text(job, "lane"),
                     "started_ms", out_time(number(job, "started")), "pid",
                     out_time(number(job, "pid")));
}

static bool keep_jobs(json_t *running, const json_t *doc, const struct shard_keys *k)
{
    const json_t *jobs = json_object_get(doc, "jobs");
    bool kept = true;
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        if (json_is_object(json_array_get(jobs, i)))
            kept =
                json_array_append_new(running, job_json(json_array_get(jobs, i), k)) == 0 && kept;
    }
    return kept;
}

static void hear(void *ctx, const struct shard_keys *k, const char *worker, size_t worker_len,
                 const char *bytes, size_t len)
{
    struct hearing *h = ctx;
    json_t *doc = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(doc) || number(doc, "v") != INFO_VERSION || strlen(worker) != worker_len ||
        !text_is_utf8(worker, worker_len, NULL)) {
        json_decref(doc);
        return;
    }
    json_t *before = json_object_get(h->by_name, worker);
    json_t *running =
        before != NULL ? json_incref(json_object_get(before, "running")) : json_array();
    int64_t more = before != NULL ? number(before, "more") : 0;
    more += MAX(number(doc, "jobs_more"), INT64_C(0));
    bool kept = keep_jobs(running, doc, k);
    bool newer = before == NULL || number(doc, "at") >= number(before, "at");
    json_t *best = json_incref(newer ? doc : before);
    kept = json_object_set_new(best, "running", running) == 0 && kept;
    kept = json_object_set_new(best, "more", json_integer(more)) == 0 && kept;
    kept = json_object_set_new(h->by_name, worker, best) == 0 && kept;
    h->no_memory = h->no_memory || !kept;
    json_decref(doc);
}

/* ---- rows ---- */

static const char *state_of(const struct inspect_worker *w)
{
    if (w->fenced)
        return "fenced";
    if (!w->registered)
        return "gone";
    return w->subscribed ? "alive" : "silent";
}

/*
 * An incarnation is host-boot-pid-random: read from the right, as a host's name may hold hyphens.
 * *host_len is 0 when it is not of that form.
 */
static int64_t split_name(const char *name, size_t *host_len)
{
    size_t cut[3], len = strlen(name);
    char digits[24];
    int64_t pid = -1;
    *host_len = 0;
    for (int i = 2; i >= 0; i--) {
        while (len > 0 && name[len - 1] != '-')
            len--;
        if (len < 2)
            return -1;
        cut[i] = len--;
    }
    size_t n = cut[2] - 1 - cut[1];
    if (n == 0 || n >= sizeof(digits))
        return -1;
    memcpy(digits, name + cut[1], n);
    digits[n] = '\0';
    if (text_parse_int(digits, &pid) != JOBQ_OK || pid < 1)
        return -1;
    *host_len = cut[0] - 1;
    return pid;
}

/* Of the last minute, of one jobd. Means are null when nothing ran. */
static void add_rates(json_t *row, const json_t *doc)
{
    const json_t *minute = json_object_get(doc, "minute");
    int64_t runs = number(minute, "runs");
    json_object_set_new(row, "succeeded_per_minute", out_time(number(minute, "succeeded")));
    json_object_set_new(row, "failed_per_minute", out_time(number(minute, "failed")));
    json_object_set_new(row, "mean_run_ms",
                        out_time(runs > 0 ? number(minute, "run_ms") / runs : -1));
    json_object_set_new(row, "mean_wait_ms",
                        out_time(runs > 0 ? number(minute, "wait_ms") / runs : -1));
}

static void add_memory(json_t *row, const json_t *doc)
{
    int64_t own = number(doc, "rss"), executors = number(doc, "executors_rss");
    bool known = own >= 0 && executors >= 0 && own < INT64_MAX / 2 && executors < INT64_MAX / 2;
    json_object_set_new(row, "memory_bytes", out_time(known ? own + executors : -1));
    json_object_set_new(row, "jobd_memory_bytes", out_time(own));
    json_object_set_new(row, "executors_memory_bytes", out_time(executors));
}

static int compare_started(const void *a, const void *b)
{
    int64_t x = number(*(json_t *const *)a, "started_ms");
    int64_t y = number(*(json_t *const *)b, "started_ms");
    return (x > y) - (x < y);
}

/* Oldest first, each with its age. */
static json_t *sorted_jobs(const json_t *doc, int64_t now_ms)
{
    const json_t *running = json_object_get(doc, "running");
    size_t n = json_array_size(running);
    json_t *sorted = json_array();
    json_t **jobs = mem_zalloc(n + 1, sizeof(*jobs));
    for (size_t i = 0; jobs != NULL && i < n; i++)
        jobs[i] = json_array_get(running, i);
    if (jobs != NULL && n > 0)
        qsort(jobs, n, sizeof(json_t *), compare_started);
    for (size_t i = 0; jobs != NULL && i < n; i++) {
        int64_t started = number(jobs[i], "started_ms");
        json_object_set_new(jobs[i], "age_ms",
                            out_time(started < 0 ? -1 : MAX(now_ms - started, INT64_C(0))));
        json_array_append(sorted, jobs[i]);
    }
    mem_free(jobs);
    return sorted;
}

static void add_told(json_t *row, const json_t *doc, int64_t now_ms)
{
    int64_t since = number(doc, "since");
    json_object_set_new(row, "work", text(doc, "state"));
    json_object_set_new(row, "why", text(doc, "why"));
    json_object_set_new(row, "version", text(doc, "version"));
    json_object_set_new(row, "instance", text(doc, "instance"));
    json_object_set_new(row, "since_ms", out_time(since));
    json_object_set_new(row, "up_ms", out_time(since < 0 ? -1 : MAX(now_ms - since, INT64_C(0))));
    json_object_set_new(row, "executors", out_time(number(doc, "executors")));
    json_object_set_new(row, "executors_alive", out_time(number(doc, "alive")));
    json_object_set_new(row, "executors_busy", out_time(number(doc, "busy")));
    json_object_set_new(row, "held", out_time(number(doc, "held")));
    add_rates(row, doc);
    add_memory(row, doc);
    json_object_set_new(row, "running", sorted_jobs(doc, now_ms));
    json_object_set_new(row, "running_more", json_integer(MAX(number(doc, "more"), INT64_C(0))));
}

static json_t *row_json(const struct inspect_worker *w, const json_t *doc, int64_t now_ms)
{
    size_t host_len = 0;
    int64_t pid = split_name(w->name, &host_len);
    json_t *host = text(doc, "host");
    if (json_is_null(host))
        host = out_string(host_len > 0 ? w->name : NULL, host_len);
    json_t *row =
        json_pack("{s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:o}", "worker",
                  out_string(w->name, strlen(w->name)), "state", state_of(w), "host", host, "pid",
                  out_time(number(doc, "pid") > 0 ? number(doc, "pid") : pid), "partitions",
                  (json_int_t)w->partitions, "claimed", (json_int_t)w->claimed, "idle_ms",
                  out_time(w->idle_ms), "types",
                  out_string(w->types, w->types != NULL ? strlen(w->types) : 0));
    if (row != NULL)
        add_told(row, doc, now_ms);
    return row;
}

/* ---- all of it ---- */

static int read_all(const struct inspect *in, const struct session_shards *shards,
                    struct hearing *h, struct worker_rows *out, jobq_err *err)
{
    struct inspect_server server;
    struct inspect_worker *workers = NULL;
    size_t n = 0;
    int rc = inspect_server(in, &server, err);
    if (rc == JOBQ_OK)
        rc = inspect_infos(in, shards->keys, shards->n, hear, h, err);
    if (rc == JOBQ_OK)
        rc = inspect_workers(in, shards->keys, shards->n, &workers, &n, err);
    out->now_ms = rc == JOBQ_OK ? server.clock_ms : 0;
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        const json_t *doc = json_object_get(h->by_name, workers[i].name);
        json_t *row = row_json(&workers[i], doc, server.clock_ms);
        if (h->no_memory || json_array_append_new(out->rows, row) != 0)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for the list of workers");
    }
    inspect_workers_free(workers, n);
    return rc;
}

int worker_rows_read(const struct inspect *in, const struct session_shards *shards,
                     struct worker_rows *out, jobq_err *err)
{
    struct hearing h = {.by_name = json_object()};
    *out = (struct worker_rows){.rows = json_array()};
    int rc = h.by_name != NULL && out->rows != NULL
                 ? read_all(in, shards, &h, out, err)
                 : error_set(err, JOBQ_ENOMEM, "no memory for the list of workers");
    json_decref(h.by_name);
    if (rc != JOBQ_OK)
        worker_rows_free(out);
    return rc;
}

void worker_rows_free(struct worker_rows *w)
{
    json_decref(w->rows);
    w->rows = NULL;
}
