/* SPDX-License-Identifier: MIT */
/* inspect: the counters of a minute; see inspect.h. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/resp.h"

/* "run:7" is place 7 of the histogram named run. */
static void take_bucket(const struct redisReply *name, const struct redisReply *value,
                        const char *which, int64_t *buckets)
{
    int64_t k = -1;
    size_t len = strlen(which);
    if (name->len <= len + 1 || memcmp(name->str, which, len) != 0 || name->str[len] != ':')
        return;
    if (text_parse_int(name->str + len + 1, &k) == JOBQ_OK && k >= 0 && k < INSPECT_BUCKETS)
        buckets[k] = ask_count(value, 0);
}

static void take_stats(const struct redisReply *r, struct inspect_stats *out)
{
    out->succeeded = ask_field_count(r, "succeeded", 0);
    out->failed = ask_field_count(r, "retried", 0) + ask_field_count(r, "crashed", 0) +
                  ask_field_count(r, "dead", 0);
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        if (r->element[i]->type != REDIS_REPLY_STRING)
            continue;
        take_bucket(r->element[i], r->element[i + 1], "run", out->run);
        take_bucket(r->element[i], r->element[i + 1], "wait", out->wait);
    }
}

int inspect_stats(const struct inspect *in, const struct shard_keys *k, int64_t minute,
                  struct inspect_stats *before, struct inspect_stats *now, jobq_err *err)
{
    struct inspect_stats *out[2] = {before, now};
    struct redisReply *r[2];
    for (int i = 0; i < 2; i++) {
        char key[KEYS_MAX];
        keys_stats(k, minute - 1 + i, key, sizeof(key));
        resp_command(conn_out(in->conn), "HGETALL", key, NULL);
        memset(out[i], 0, sizeof(*out[i]));
    }
    int rc = ask_many(in->conn, in->deadline_ms, r, 2, err);
    if (rc != JOBQ_OK)
        return rc;
    for (int i = 0; rc == JOBQ_OK && i < 2; i++) {
        rc = ask_shape(r[i], REDIS_REPLY_ARRAY, "counters of a minute", err);
        if (rc == JOBQ_OK)
            take_stats(r[i], out[i]);
    }
    ask_free(r, 2);
    return rc;
}
