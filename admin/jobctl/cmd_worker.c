/* SPDX-License-Identifier: MIT */
/* cmd_worker: jobctl worker list and worker show. What workers say is read in worker_info.c. */
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "admin/jobctl/worker_info.h"
#include "base/error.h"
#include "base/text.h"

static int read_workers(struct session *s, const char *queue, struct worker_rows *out,
                        jobq_err *err)
{
    struct inspect in;
    struct session_shards shards = {0};
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    if (rc == JOBQ_OK)
        rc = worker_rows_read(&in, &shards, out, err);
    session_shards_free(&shards);
    return rc;
}

/* ---- list ---- */

#define WIDE_COLUMNS 132

int cmd_worker_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"worker", "WORKER", OUT_TEXT},
        {"state", "STATE", OUT_STATE},
        {"work", "WORK", OUT_STATE},
        {"host", "HOST", OUT_TEXT},
        {"pid", "PID", OUT_NUMBER},
        {"up_ms", "UP", OUT_DURATION},
        {"executors_busy", "BUSY", OUT_NUMBER},
        {"executors", "EXECUTORS", OUT_NUMBER},
        {"claimed", "CLAIMED", OUT_NUMBER},
        {"succeeded_per_minute", "DONE/MIN", OUT_NUMBER},
        {"failed_per_minute", "FAIL/MIN", OUT_NUMBER},
        {"memory_bytes", "MEMORY", OUT_SIZE},
        {"idle_ms", "IDLE", OUT_DURATION},
    };
    /* What 80 columns have room for. */
    static const struct out_column few[] = {
        {"worker", "WORKER", OUT_TEXT},       {"state", "STATE", OUT_STATE},
        {"work", "WORK", OUT_STATE},          {"executors_busy", "BUSY", OUT_NUMBER},
        {"executors", "OF", OUT_NUMBER},      {"succeeded_per_minute", "DONE/MIN", OUT_NUMBER},
        {"memory_bytes", "MEMORY", OUT_SIZE},
    };
    static const struct out_section sections[] = {
        {"workers", columns, ARRAY_LEN(columns), "no workers"},
        {"workers", few, ARRAY_LEN(few), "no workers"},
    };
    bool narrow = s->out.columns > 0 && s->out.columns < WIDE_COLUMNS;
    struct worker_rows w = {0};
    int rc = read_workers(s, args_value(a, "queue"), &w, err);
    if (rc != JOBQ_OK)
        return rc;
    for (size_t i = 0; i < json_array_size(w.rows); i++) {
        json_t *row = json_array_get(w.rows, i);
        json_int_t n = (json_int_t)json_array_size(json_object_get(row, "running")) +
                       json_integer_value(json_object_get(row, "running_more"));
        json_object_set_new(row, "running", json_integer(n));
        json_object_del(row, "running_more");
    }
    return out_show(&s->out, json_pack("{s:o}", "workers", w.rows), &sections[narrow], 1, err);
}

/* ---- show ---- */

/* The worker of that name, or the only one whose name begins so. */
static int find_worker(const json_t *rows, const char *name, json_t **out, jobq_err *err)
{
    char shown[80];
    size_t hits = 0;
    text_sanitize(name, strlen(name), shown, sizeof(shown));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *full = json_string_value(json_object_get(row, "worker"));
        if (strcmp(full, name) == 0) {
            *out = row;
            return JOBQ_OK;
        }
        if (strncmp(full, name, strlen(name)) == 0) {
            *out = row;
            hits++;
        }
    }
    if (hits == 0)
        return error_set(err, JOBQ_ENOTFOUND, "there is no worker %s; see jobctl worker list",
                         shown);
    if (hits > 1)
        return error_set(err, JOBQ_EINVAL, "%zu workers begin with %s; see jobctl worker list",
                         hits, shown);
    return JOBQ_OK;
}

static int show(struct session *s, json_t *row, jobq_err *err)
{
    static const struct out_column fields[] = {
        {"worker", "worker", OUT_TEXT},
        {"state", "state", OUT_STATE},
        {"work", "work", OUT_STATE},
        {"why", "why", OUT_TEXT},
        {"host", "host", OUT_TEXT},
        {"pid", "pid", OUT_NUMBER},
        {"instance", "instance", OUT_TEXT},
        {"version", "version", OUT_TEXT},
        {"since_ms", "since", OUT_TIME},
        {"up_ms", "up", OUT_DURATION},
        {"executors", "executors", OUT_NUMBER},
        {"executors_alive", "executors there", OUT_NUMBER},
        {"executors_busy", "executors busy", OUT_NUMBER},
        {"held", "jobs held", OUT_NUMBER},
        {"claimed", "jobs claimed", OUT_NUMBER},
        {"idle_ms", "last asked for jobs", OUT_DURATION},
        {"succeeded_per_minute", "succeeded/min", OUT_NUMBER},
        {"failed_per_minute", "failed/min", OUT_NUMBER},
        {"mean_run_ms", "mean run", OUT_DURATION},
        {"mean_wait_ms", "mean wait", OUT_DURATION},
        {"jobd_memory_bytes", "memory of jobd", OUT_SIZE},
        {"executors_memory_bytes", "memory of executors", OUT_SIZE},
        {"partitions", "partitions", OUT_NUMBER},
        {"types", "types", OUT_TEXT},
        {"running_more", "running, not shown", OUT_COUNT},
    };
    static const struct out_column jobs[] = {
        {"id", "RUNNING", OUT_TEXT},     {"type", "TYPE", OUT_TEXT},
        {"age_ms", "AGE", OUT_DURATION}, {"attempt", "ATTEMPT", OUT_NUMBER},
        {"queue", "QUEUE", OUT_TEXT},    {"partition", "PARTITION", OUT_NUMBER},
        {"lane", "LANE", OUT_TEXT},      {"pid", "PID", OUT_NUMBER},
    };
    static const struct out_section sections[] = {
        {"worker", fields, ARRAY_LEN(fields), NULL},
        {"running", jobs, ARRAY_LEN(jobs), "no job runs"},
    };
    const char *why = json_string_value(json_object_get(row, "why"));
    json_t *running = json_incref(json_object_get(row, "running"));
    if (why != NULL && *why == '\0')
        json_object_set_new(row, "why", json_null());
    json_object_del(row, "running");
    json_t *root = json_pack("{s:O, s:o}", "worker", row, "running", running);
    return out_show(&s->out, root, sections, ARRAY_LEN(sections), err);
}

int cmd_worker_show(struct session *s, const struct args *a, jobq_err *err)
{
    struct worker_rows w = {0};
    json_t *row = NULL;
    int rc = read_workers(s, NULL, &w, err);
    if (rc == JOBQ_OK)
        rc = find_worker(w.rows, a->operands[0], &row, err);
    if (rc == JOBQ_OK)
        rc = show(s, row, err);
    worker_rows_free(&w);
    return rc;
}
