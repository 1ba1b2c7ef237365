/* SPDX-License-Identifier: MIT */
/* inspect: the server, queues and workers; see inspect.h. Jobs are in inspect_job.c. */
#include "broker/inspect.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/reply.h"
#include "broker/resp.h"

/* jobq:queues holds one small field a queue; more than this is not a deployment but a mistake. */
#define QUEUES_MAX 100000
/* Redis's clock, in Unix seconds: some ten thousand years. */
#define SECONDS_MAX (INT64_C(1) << 38)

/* ---- the server ---- */

/* Copies the value of "key:" from a reply of INFO; false: not there. */
static bool info_value(const char *info, const char *key, char *out, size_t out_size)
{
    size_t key_len = strlen(key);
    for (const char *line = info; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (strncmp(line, key, key_len) == 0 && line[key_len] == ':') {
            const char *value = line + key_len + 1;
            text_sanitize(value, strcspn(value, "\r\n"), out, out_size);
            return true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static int64_t info_number(const char *info, const char *key, int64_t otherwise)
{
    char text[24];
    return info_value(info, key, text, sizeof(text)) ? strtoll(text, NULL, 10) : otherwise;
}

/* Absent counts as well: not every version writes every line. */
static bool info_failed(const char *info, const char *key)
{
    char text[8];
    return info_value(info, key, text, sizeof(text)) && strcmp(text, "ok") != 0;
}

/* slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=0 */
static void read_replicas(const char *info, struct inspect_server *out)
{
    char key[24], line[160];
    out->replicas = (int)info_number(info, "connected_slaves", 0);
    out->replicas_lacking = info_number(info, "min_slaves_good_slaves", 1) == 0;
    for (int i = 0; i < out->replicas; i++) {
        snprintf(key, sizeof(key), "slave%d", i);
        if (!info_value(info, key, line, sizeof(line)))
            break;
        const char *lag = strstr(line, ",lag=");
        if (strstr(line, ",state=online") == NULL || lag == NULL ||
            strtoll(lag + 5, NULL, 10) > INSPECT_LAG_S)
            out->replicas_behind++;
    }
}

static int read_info(const struct redisReply *r, struct inspect_server *out, jobq_err *err)
{
    char aof[8];
    int rc = ask_shape(r, REDIS_REPLY_STRING, "INFO", err);
    if (rc != JOBQ_OK)
        return rc;
    if (!info_value(r->str, "redis_version", out->version, sizeof(out->version)) ||
        !info_value(r->str, "role", out->role, sizeof(out->role)) ||
        !info_value(r->str, "maxmemory_policy", out->maxmemory_policy,
                    sizeof(out->maxmemory_policy)) ||
        !info_value(r->str, "aof_enabled", aof, sizeof(aof)))
        return error_set(err, JOBQ_EPROTO,
                         "INFO misses redis_version, role, maxmemory_policy or aof_enabled");
    if (sscanf(out->version, "%d.%d", &out->major, &out->minor) != 2)
        return error_set(err, JOBQ_EPROTO, "redis_version is not a version: %s", out->version);
    out->aof_enabled = strcmp(aof, "1") == 0;
    out->aof_failed = info_failed(r->str, "aof_last_write_status");
    out->rdb_failed = info_failed(r->str, "rdb_last_bgsave_status");
    out->used_memory = info_number(r->str, "used_memory", 0);
    out->maxmemory = info_number(r->str, "maxmemory", 0);
    read_replicas(r->str, out);
    return JOBQ_OK;
}

int inspect_server(const struct inspect *in, struct inspect_server *out, jobq_err *err)
{
    struct inspect_server s = {0};
    struct redisReply *r[2];
    int64_t seconds = 0, us = 0;

    resp_command(conn_out(in->conn), "INFO", NULL);
    resp_command(conn_out(in->conn), "TIME", NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 2, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = read_info(r[0], &s, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r[1], REDIS_REPLY_ARRAY, "TIME", err);
    if (rc == JOBQ_OK && (!reply_int(r[1], 0, &seconds) || !reply_int(r[1], 1, &us) ||
                          seconds < 0 || seconds > SECONDS_MAX || us < 0 || us > 999999))
        rc = error_set(err, JOBQ_EPROTO, "TIME answered no time");
    if (rc == JOBQ_OK) {
        s.clock_ms = seconds * 1000 + us / 1000;
        *out = s;
    }
    ask_free(r, 2);
    return rc;
}

/* ---- queues ---- */

static int compare_queues(const void *a, const void *b)
{
    return strcmp(((const struct inspect_queue *)a)->name, ((const struct inspect_queue *)b)->name);
}

/* A field that is no queue of ours (another program's, a damaged one) is left out. */
static size_t read_queues(const struct redisReply *r, struct inspect_queue *out)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *name = NULL;
        size_t len = 0;
        int64_t partitions = ask_int(r->element[i + 1], 0);
        if (!reply_bytes(r, i, &name, &len) || !text_is_name(name, len) || partitions < 1 ||
            partitions > KEYS_PARTITIONS_MAX)
            continue;
        memcpy(out[n].name, name, len);
        out[n].name[len] = '\0';
        out[n++].partitions = (unsigned)partitions;
    }
    qsort(out, n, sizeof(*out), compare_queues);
    return n;
}

int inspect_queues(const struct inspect *in, struct inspect_queue **out, size_t *n, jobq_err *err)
{
    char key[KEYS_MAX];
    struct redisReply *r = NULL;
    struct inspect_queue *queues = NULL;

    keys_queues(in->prefix, key, sizeof(key));
    resp_command(conn_out(in->conn), "HLEN", key, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r, REDIS_REPLY_INTEGER, key, err);
    if (rc == JOBQ_OK && r->integer > QUEUES_MAX)
        rc = error_set(err, JOBQ_ESTATE, "%s holds %lld queues, more than %d", key, r->integer,
                       QUEUES_MAX);
    ask_free(&r, 1);
    if (rc != JOBQ_OK)
        return rc;

    resp_command(conn_out(in->conn), "HGETALL", key, NULL);
    rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r, REDIS_REPLY_ARRAY, key, err);
    if (rc != JOBQ_OK)
        goto out;
    queues = mem_zalloc(r->elements / 2 + 1, sizeof(*queues));
    if (queues == NULL) {
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the list of queues");
        goto out;
    }
    *n = read_queues(r, queues);
    *out = queues;
out:
    ask_free(&r, 1);
    return rc;
}

/* The lane's one group of XINFO GROUPS; NULL: there is none (no worker came yet). */
static const struct redisReply *find_group(const struct redisReply *groups)
{
    for (size_t i = 0; groups->type == REDIS_REPLY_ARRAY && i < groups->elements; i++) {
        const struct redisReply *name = ask_field(groups->element[i], "name");
        if (name != NULL && name->type == REDIS_REPLY_STRING && strcmp(name->str, KEYS_GROUP) == 0)
            return groups->element[i];
    }
    return NULL;
}

/* Counts of one lane, and from which entry on its jobs wait. */
static int read_lane(const struct redisReply *length, const struct redisReply *groups,
                     struct inspect_lane *out, struct entry_id *after, const char *key,
                     jobq_err *err)
{
    int rc = ask_shape(length, REDIS_REPLY_INTEGER, key, err);
    if (rc != JOBQ_OK)
        return rc;
    int64_t entries = ask_count(length, 0);
    *out = (struct inspect_lane){.waiting = entries, .exact = true, .oldest_ms = -1};
    *after = (struct entry_id){0, 0};
    if (groups->type == REDIS_REPLY_ERROR && entries == 0)
        return JOBQ_OK; /* no such key: an empty lane */
    rc = ask_shape(groups, REDIS_REPLY_ARRAY, key, err);
    if (rc != JOBQ_OK)
        return rc;
    const struct redisReply *group = find_group(groups);
    if (group == NULL)
        return JOBQ_OK;
    const struct redisReply *last = ask_field(group, "last-delivered-id");
    if (last == NULL || last->type != REDIS_REPLY_STRING ||
        entry_id_parse(last->str, last->len, after) != JOBQ_OK)
        return error_set(err, JOBQ_EPROTO, "XINFO GROUPS %s tells no last-delivered-id", key);
    out->claimed = ask_field_count(group, "pending", 0);
    int64_t most = MAX(entries - out->claimed, 0);
    int64_t lag = ask_field_count(group, "lag", -1);
    /* A Redis started again from its AOF, or once a replica, counts too many as not delivered. */
    bool known = lag >= 0 && lag <= most;
    out->waiting = known ? lag : most;
    out->exact = known || most == 0;
    return JOBQ_OK;
}

enum {
    SHARD_LATER = 2 * LANE_COUNT,
    SHARD_DUE,
    SHARD_DEAD,
    SHARD_PARKED,
    SHARD_ALIVE,
    SHARD_REPLIES
};

static void append_shard(struct buf *b, const struct shard_keys *k)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        resp_command(b, "XLEN", k->lanes[lane], NULL);
        resp_command(b, "XINFO", "GROUPS", k->lanes[lane], NULL);
    }
    resp_command(b, "ZCARD", k->later, NULL);
    resp_command(b, "ZRANGE", k->later, "0", "0", "WITHSCORES", NULL);
    resp_command(b, "XLEN", k->dead, NULL);
    resp_command(b, "XLEN", k->parked, NULL);
    resp_command(b, "HVALS", k->alive, NULL);
}

static int read_count(struct redisReply *const *r, int i, const char *key, int64_t *out,
                      jobq_err *err)
{
    int rc = ask_shape(r[i], REDIS_REPLY_INTEGER, key, err);
    if (rc == JOBQ_OK)
        *out = ask_count(r[i], 0);
    return rc;
}

static int read_shard(struct redisReply *const *r, const struct shard_keys *k,
                      struct inspect_shard *out, struct entry_id after[LANE_COUNT], jobq_err *err)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        int rc = read_lane(r[2 * lane], r[2 * lane + 1], &out->lanes[lane], &after[lane],
                           k->lanes[lane], err);
        if (rc != JOBQ_OK)
            return rc;
    }
    int rc = read_count(r, SHARD_LATER, k->later, &out->delayed, err);
    if (rc == JOBQ_OK)
        rc = read_count(r, SHARD_DEAD, k->dead, &out->dead, err);
    if (rc == JOBQ_OK)
        rc = read_count(r, SHARD_PARKED, k->parked, &out->parked, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r[SHARD_DUE], REDIS_REPLY_ARRAY, k->later, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r[SHARD_ALIVE], REDIS_REPLY_ARRAY, k->alive, err);
    if (rc != JOBQ_OK)
        return rc;
    out->next_due_ms = r[SHARD_DUE]->elements == 2 ? ask_int(r[SHARD_DUE]->element[1], -1) : -1;
    for (size_t i = 0; i < r[SHARD_ALIVE]->elements; i++) {
        if (!reply_is_word(r[SHARD_ALIVE], i, "F"))
            out->workers++;
    }
    return JOBQ_OK;
}

/* The age of a lane: the first entry behind the last one delivered. */
static int look_for_oldest(const struct inspect *in, const struct shard_keys *k,
                           struct inspect_lane *lane, int number, const struct entry_id *after,
                           jobq_err *err)
{
    char text[ENTRY_ID_TEXT_SIZE + 1] = "(";
    struct redisReply *r = NULL;
    const char *id = NULL;
    size_t len = 0;
    struct entry_id first;

    entry_id_format(after, text + 1);
    resp_command(conn_out(in->conn), "XRANGE", k->lanes[number], text, "+", "COUNT", "1", NULL);
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r, REDIS_REPLY_ARRAY, k->lanes[number], err);
    if (rc == JOBQ_OK && r->elements == 0 && !lane->exact)
        lane->waiting = 0; /* behind the last one delivered there is nothing: now it is exact */
    if (rc == JOBQ_OK && r->elements == 0)
        lane->exact = true;
    if (rc == JOBQ_OK && r->elements == 1 && reply_bytes(r->element[0], 0, &id, &len) &&
        entry_id_parse(id, len, &first) == JOBQ_OK)
        lane->oldest_ms = (int64_t)first.ms;
    ask_free(&r, 1);
    return rc;
}

int inspect_shard(const struct inspect *in, const struct shard_keys *k, struct inspect_shard *out,
                  jobq_err *err)
{
    struct redisReply *r[SHARD_REPLIES];
    struct entry_id after[LANE_COUNT];
    struct inspect_shard s = {0};

    append_shard(conn_out(in->conn), k);
    int rc = ask_many(in->conn, in->deadline_ms, r, SHARD_REPLIES, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = read_shard(r, k, &s, after, err);
    ask_free(r, SHARD_REPLIES);
    for (int lane = 0; rc == JOBQ_OK && lane < LANE_COUNT; lane++) {
        if (s.lanes[lane].waiting > 0)
            rc = look_for_oldest(in, k, &s.lanes[lane], lane, &after[lane], err);
    }
    if (rc == JOBQ_OK)
        *out = s;
    return rc;
}
