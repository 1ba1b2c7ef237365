/* SPDX-License-Identifier: MIT */
/* inspect: what workers say of themselves; see inspect.h. */
#include <hiredis/hiredis.h>

#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/reply.h"
#include "broker/resp.h"

/* Partitions asked for in one write. */
#define INFO_BATCH 32

static void give(const struct redisReply *r, const struct shard_keys *k, inspect_info_fn fn,
                 void *ctx)
{
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *worker = NULL, *json = NULL;
        size_t worker_len = 0, json_len = 0;
        if (reply_bytes(r, i, &worker, &worker_len) && reply_bytes(r, i + 1, &json, &json_len))
            fn(ctx, k, worker, worker_len, json, json_len);
    }
}

int inspect_infos(const struct inspect *in, const struct shard_keys *k, size_t n,
                  inspect_info_fn fn, void *ctx, jobq_err *err)
{
    int rc = JOBQ_OK;
    for (size_t from = 0; rc == JOBQ_OK && from < n; from += INFO_BATCH) {
        struct redisReply *r[INFO_BATCH];
        size_t count = MIN(n - from, (size_t)INFO_BATCH);
        for (size_t i = 0; i < count; i++)
            resp_command(conn_out(in->conn), "HGETALL", k[from + i].info, NULL);
        rc = ask_many(in->conn, in->deadline_ms, r, count, err);
        if (rc != JOBQ_OK)
            return rc;
        for (size_t i = 0; rc == JOBQ_OK && i < count; i++) {
            rc = ask_shape(r[i], REDIS_REPLY_ARRAY, k[from + i].info, err);
            if (rc == JOBQ_OK)
                give(r[i], &k[from + i], fn, ctx);
        }
        ask_free(r, count);
    }
    return rc;
}
