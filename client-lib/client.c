/* SPDX-License-Identifier: MIT */
/*
 * client: see client.h.
 */
#include "client-lib/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/conn.h"
#include "broker/url.h"

#define URL_DEFAULT "redis://localhost:6379/0"
#define DEADLINE_DEFAULT_MS 2000
#define DEADLINE_MAX_MS 60000
#define NAME_DEFAULT "jobq-client"
#define NAME_MAX_BYTES 64
#define QUEUES_MAX 1024 /* queue names remembered between calls */

/* As the caller's, with every field this version knows. */
static int read_options(const jobq_client_options *from, jobq_client_options *out, jobq_err *err)
{
    *out = (jobq_client_options){0};
    if (from != NULL) {
        if (from->size == 0)
            return error_set(err, JOBQ_EINVAL,
                             "options: size is 0; start from JOBQ_CLIENT_OPTIONS_INIT");
        memcpy(out, from, MIN(from->size, sizeof(*out)));
    }
    if (out->redis == NULL || out->redis[0] == '\0')
        out->redis = secure_getenv("JOBQ_REDIS");
    if (out->redis == NULL || out->redis[0] == '\0')
        out->redis = URL_DEFAULT;
    if (out->deadline_ms == 0)
        out->deadline_ms = DEADLINE_DEFAULT_MS;
    if (out->max_payload_bytes == 0)
        out->max_payload_bytes = JOBQ_PAYLOAD_DEFAULT_MAX;
    if (out->name == NULL)
        out->name = NAME_DEFAULT;
    return JOBQ_OK;
}

/* What CLIENT SETNAME takes. */
static bool is_client_name(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);

    for (size_t i = 0; i < len; i++)
        if (name[i] < '!' || name[i] > '~')
            return false;
    return len > 0 && len <= NAME_MAX_BYTES;
}

static int check_options(const jobq_client_options *o, jobq_err *err)
{
    if (o->deadline_ms < 1 || o->deadline_ms > DEADLINE_MAX_MS)
        return error_set(err, JOBQ_EINVAL, "deadline_ms: must be from 1 to %d", DEADLINE_MAX_MS);
    if (o->max_payload_bytes > JOBQ_PAYLOAD_HARD_MAX)
        return error_set(err, JOBQ_EINVAL, "max_payload_bytes: at most %zu", JOBQ_PAYLOAD_HARD_MAX);
    if (o->key_prefix != NULL &&
        !text_is_name(o->key_prefix, strnlen(o->key_prefix, JOBQ_NAME_MAX + 1)))
        return error_set(err, JOBQ_EINVAL, "key_prefix: must be 1 to 64 of [a-z0-9_.:-]");
    if (!is_client_name(o->name))
        return error_set(err, JOBQ_EINVAL,
                         "name: must be 1 to %d printable characters without a space",
                         NAME_MAX_BYTES);
    return JOBQ_OK;
}

static int make_client(const jobq_client_options *o, const struct redis_url *url, jobq_client *c,
                       jobq_err *err)
{
    c->pid = getpid();
    c->deadline_ms = o->deadline_ms;
    c->max_payload_bytes = o->max_payload_bytes;
    c->queues = map_new();
    if (c->queues == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a client");
    if (o->key_prefix != NULL) {
        c->prefix = mem_strdup(o->key_prefix);
        if (c->prefix == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for a client");
    }
    return conn_new(url, o->name, &c->conn, err);
}

int jobq_client_open(const jobq_client_options *options, jobq_client **out, jobq_err *err)
{
    jobq_client_options o;
    struct redis_url url = {0};
    jobq_client *c = NULL;
    int code = read_options(options, &o, err);

    if (code == JOBQ_OK)
        code = check_options(&o, err);
    if (code == JOBQ_OK)
        code = url_parse(o.redis, &url, err);
    if (code != JOBQ_OK)
        return code;
    c = mem_zalloc(1, sizeof(*c));
    code = c == NULL ? error_set(err, JOBQ_ENOMEM, "no memory for a client")
                     : make_client(&o, &url, c, err);
    url_done(&url);
    if (code != JOBQ_OK) {
        jobq_client_close(c);
        return code;
    }
    *out = c;
    return JOBQ_OK;
}

static void free_shards(struct queue *q)
{
    for (unsigned i = 0; i < q->partitions; i++)
        keys_done(&q->shards[i]);
    mem_free(q->shards);
    q->shards = NULL;
    q->partitions = 0;
}

static void free_queues(struct jobq_client *c)
{
    size_t cursor = 0;
    struct queue *q;

    if (c->queues == NULL)
        return;
    while ((q = map_next(c->queues, &cursor, NULL, NULL)) != NULL) {
        (void)map_remove(c->queues, q->name, strlen(q->name));
        free_shards(q);
        mem_free(q);
    }
}

void jobq_client_close(jobq_client *client)
{
    if (client == NULL)
        return;
    if (client->conn != NULL && client->pid != getpid())
        conn_forget(client->conn);
    conn_free(client->conn);
    free_queues(client);
    map_free(client->queues);
    mem_free(client->prefix);
    mem_free(client);
}

void client_begin_call(struct jobq_client *c)
{
    pid_t now = getpid();

    if (now != c->pid) {
        conn_forget(c->conn);
        /* The parent may have been in a call: what it was asking is not ours to wait for. */
        free_queues(c);
        c->pid = now;
    }
    if (map_size(c->queues) > QUEUES_MAX)
        free_queues(c);
    c->calls++;
}

int client_queue(struct jobq_client *c, const char *name, struct queue **out, jobq_err *err)
{
    size_t len = strlen(name);
    struct queue *q = map_get(c->queues, name, len);

    if (q == NULL) {
        q = mem_zalloc(1, sizeof(*q));
        if (q == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for queue %s", name);
        memcpy(q->name, name, len + 1);
        int code = map_put(c->queues, name, len, q);
        if (code != JOBQ_OK) {
            mem_free(q);
            return error_set(err, code, "no memory for queue %s", name);
        }
    }
    *out = q;
    return JOBQ_OK;
}

int client_set_partitions(struct queue *q, unsigned partitions, jobq_err *err)
{
    if (partitions == q->partitions)
        return JOBQ_OK;
    struct shard_keys *shards = mem_zalloc(partitions, sizeof(*shards));
    if (shards == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for queue %s", q->name);
    free_shards(q);
    q->shards = shards;
    q->partitions = partitions;
    return JOBQ_OK;
}

int client_shard(struct jobq_client *c, struct queue *q, unsigned partition,
                 const struct shard_keys **out, jobq_err *err)
{
    struct shard_keys *k = &q->shards[partition];

    if (k->base == NULL) {
        int code = keys_init(k, c->prefix, q->name, partition, err);
        if (code != JOBQ_OK)
            return code;
    }
    *out = k;
    return JOBQ_OK;
}
