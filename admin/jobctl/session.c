/* SPDX-License-Identifier: MIT */
/* session: see session.h. */
#include "admin/jobctl/session.h"

#include <string.h>

#include "admin/jobctl/pg.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/conn.h"

/* Partitions of all queues together that one command looks at. */
#define SHARDS_MAX 65536

void session_done(struct session *s)
{
    conn_free(s->conn);
    pg_close(s->pg);
    settings_free(s->settings);
    s->conn = NULL;
    s->pg = NULL;
    s->settings = NULL;
}

int session_redis(struct session *s, struct inspect *out, jobq_err *err)
{
    int rc = JOBQ_OK;
    if (s->conn == NULL) {
        rc = conn_new(settings_redis(s->settings), "jobctl", &s->conn, err);
        if (rc == JOBQ_OK)
            rc = conn_connect(s->conn, s->deadline_ms, err);
        if (rc != JOBQ_OK) {
            conn_free(s->conn);
            s->conn = NULL;
            return rc;
        }
    }
    *out = (struct inspect){s->conn, settings_key_prefix(s->settings), s->deadline_ms};
    return JOBQ_OK;
}

void session_drop_redis(struct session *s)
{
    conn_free(s->conn);
    s->conn = NULL;
}

void session_renew(struct session *s, struct inspect *in)
{
    s->deadline_ms = clock_mono_ms() + s->timeout_ms;
    in->deadline_ms = s->deadline_ms;
}

int session_postgres(struct session *s, struct pg **out, jobq_err *err)
{
    if (s->pg == NULL) {
        int rc = pg_open(settings_postgres(s->settings), s->deadline_ms, &s->pg, err);
        if (rc != JOBQ_OK)
            return rc;
    }
    *out = s->pg;
    return JOBQ_OK;
}

static size_t count_shards(const struct inspect_queue *queues, size_t n, const char *only)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (only == NULL || strcmp(queues[i].name, only) == 0)
            sum += queues[i].partitions;
    }
    return sum;
}

static int add_shards(const struct inspect *in, const struct inspect_queue *q,
                      struct session_shards *out, jobq_err *err)
{
    for (unsigned p = 0; p < q->partitions; p++) {
        int rc = keys_init(&out->keys[out->n], in->prefix, q->name, p, err);
        if (rc != JOBQ_OK)
            return rc;
        out->n++;
    }
    return JOBQ_OK;
}

int session_shards(const struct inspect *in, const char *queue, struct session_shards *out,
                   jobq_err *err)
{
    struct inspect_queue *queues = NULL;
    struct session_shards shards = {0};
    size_t n = 0;
    int rc = inspect_queues(in, &queues, &n, err);
    if (rc != JOBQ_OK)
        return rc;
    size_t total = count_shards(queues, n, queue);
    if (queue != NULL && total == 0) {
        char shown[80];
        text_sanitize(queue, strlen(queue), shown, sizeof(shown));
        rc = error_set(err, JOBQ_ENOTFOUND, "there is no queue %s; see jobctl queue list", shown);
    } else if (total > SHARDS_MAX) {
        rc = error_set(err, JOBQ_ESTATE,
                       "%zu partitions are too many to look at; name one with --queue", total);
    } else {
        shards.keys = mem_zalloc(total + 1, sizeof(*shards.keys));
        if (shards.keys == NULL)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for %zu partitions", total);
    }
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        if (queue == NULL || strcmp(queues[i].name, queue) == 0)
            rc = add_shards(in, &queues[i], &shards, err);
    }
    mem_free(queues);
    if (rc == JOBQ_OK)
        *out = shards;
    else
        session_shards_free(&shards);
    return rc;
}

void session_shards_free(struct session_shards *s)
{
    for (size_t i = 0; i < s->n; i++)
        keys_done(&s->keys[i]);
    mem_free(s->keys);
    memset(s, 0, sizeof(*s));
}

void session_shards_likely_first(struct session_shards *s, const jobq_id *id)
{
    size_t front = 0;
    for (size_t i = 0; i < s->n;) {
        size_t end = i + 1;
        while (end < s->n && s->keys[end].partition != 0)
            end++;
        size_t likely = i + keys_partition(id, NULL, 0, (unsigned)(end - i));
        struct shard_keys swap = s->keys[front];
        s->keys[front] = s->keys[likely];
        s->keys[likely] = swap;
        front++;
        i = end;
    }
}
