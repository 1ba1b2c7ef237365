/* SPDX-License-Identifier: MIT */
/*
 * claim_read: the part of claim that reads entries: XREADGROUP, XPENDING, XRANGE.
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "broker/claim.h"
#include "broker/reply.h"
#include "broker/resp.h"

static void put_entry_id(struct buf *out, const struct entry_id *id, bool after)
{
    char text[1 + ENTRY_ID_TEXT_SIZE] = "(";
    size_t len = entry_id_format(id, text + 1);

    resp_bytes(out, after ? text : text + 1, after ? len + 1 : len);
}

static bool is_array(const struct redisReply *r)
{
    return r && r->type == REDIS_REPLY_ARRAY;
}

/* ---- XREADGROUP ---- */

static void put_read_head(struct buf *out, size_t words, const char *name, size_t count)
{
    resp_begin(out, words);
    resp_str(out, "XREADGROUP");
    resp_str(out, "GROUP");
    resp_str(out, KEYS_GROUP);
    resp_str(out, name);
    resp_str(out, "COUNT");
    resp_int(out, (int64_t)count);
}

void claim_read(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                size_t count)
{
    ASSERT(count >= 1);
    put_read_head(out, 9, name, count);
    resp_str(out, "STREAMS");
    resp_str(out, k->lanes[lane]);
    resp_str(out, ">");
}

void claim_read_blocking(struct buf *out, const struct shard_keys *const *k, size_t n,
                         const char *name, int64_t block_ms)
{
    ASSERT(n >= 1 && block_ms > 0); /* BLOCK 0 would never return */
    put_read_head(out, 9 + 2 * LANE_COUNT * n, name, 1);
    resp_str(out, "BLOCK");
    resp_int(out, block_ms);
    resp_str(out, "STREAMS");
    for (size_t i = 0; i < n; i++)
        for (int lane = 0; lane < LANE_COUNT; lane++)
            resp_str(out, k[i]->lanes[lane]);
    for (size_t i = 0; i < n * LANE_COUNT; i++)
        resp_str(out, ">");
}

/* h and p, if the fields are exactly those. */
static void read_fields(const struct redisReply *fields, struct claim_entry *e)
{
    if (fields->elements != 4 || !reply_is_word(fields, 0, "h") || !reply_is_word(fields, 2, "p"))
        return;
    if (!reply_bytes(fields, 1, &e->h, &e->h_len) || !reply_bytes(fields, 3, &e->p, &e->p_len)) {
        e->h = NULL;
        e->h_len = 0;
    }
}

/* [id, [field, value, …]] or [id, nil]; sets all but shard and lane. */
static bool read_entry(const struct redisReply *r, struct claim_entry *e)
{
    const char *text;
    size_t len;

    if (!is_array(r) || r->elements != 2 || !reply_bytes(r, 0, &text, &len) ||
        entry_id_parse(text, len, &e->id) != JOBQ_OK)
        return false;
    if (r->element[1] && r->element[1]->type == REDIS_REPLY_NIL)
        return true;
    if (!is_array(r->element[1]))
        return false;
    e->fields = r->element[1];
    read_fields(e->fields, e);
    return true;
}

static bool read_entries(const struct redisReply *entries, size_t shard, enum lane lane,
                         void (*fn)(void *ctx, const struct claim_entry *e), void *ctx)
{
    if (!is_array(entries))
        return false;
    for (size_t i = 0; i < entries->elements; i++) {
        struct claim_entry e = {.shard = shard, .lane = lane};

        if (!read_entry(entries->element[i], &e))
            return false;
        fn(ctx, &e);
    }
    return true;
}

/* Streams come in the order in which they were named, some left out: so the search goes on where it
 * stopped. */
static bool find_lane(const struct shard_keys *const *k, size_t n, const char *key, size_t len,
                      size_t *at)
{
    for (; *at < n * LANE_COUNT; (*at)++) {
        const char *name = k[*at / LANE_COUNT]->lanes[*at % LANE_COUNT];

        if (strlen(name) == len && memcmp(name, key, len) == 0)
            return true;
    }
    return false;
}

int claim_read_reply(const struct redisReply *r, const struct shard_keys *const *k, size_t n,
                     void (*fn)(void *ctx, const struct claim_entry *e), void *ctx, jobq_err *err)
{
    size_t at = 0;
    int rc;

    if (r && r->type == REDIS_REPLY_NIL)
        return JOBQ_OK;
    rc = reply_expect_array(r, "read", err);
    if (rc != JOBQ_OK)
        return rc;
    for (size_t i = 0; i < r->elements; i++) {
        const struct redisReply *stream = r->element[i];
        const char *key;
        size_t len;

        if (!is_array(stream) || stream->elements != 2 || !reply_bytes(stream, 0, &key, &len) ||
            !find_lane(k, n, key, len, &at))
            return reply_refuse_shape("read", err);
        if (!read_entries(stream->element[1], at / LANE_COUNT, (enum lane)(at % LANE_COUNT), fn,
                          ctx))
            return reply_refuse_shape("read", err);
        at++;
    }
    return JOBQ_OK;
}

/* ---- the audit ---- */

void claim_pending(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                   size_t count, const struct entry_id *after)
{
    resp_begin(out, 7);
    resp_str(out, "XPENDING");
    resp_str(out, k->lanes[lane]);
    resp_str(out, KEYS_GROUP);
    if (after)
        put_entry_id(out, after, true);
    else
        resp_str(out, "-");
    resp_str(out, "+");
    resp_int(out, (int64_t)count);
    resp_str(out, name);
}

int claim_pending_reply(const struct redisReply *r,
                        void (*fn)(void *ctx, const struct entry_id *id), void *ctx, jobq_err *err)
{
    int rc = reply_expect_array(r, "pending", err);

    if (rc != JOBQ_OK)
        return rc;
    for (size_t i = 0; i < r->elements; i++) {
        struct entry_id id;
        const char *text;
        size_t len;

        if (!is_array(r->element[i]) || !reply_bytes(r->element[i], 0, &text, &len) ||
            entry_id_parse(text, len, &id) != JOBQ_OK)
            return reply_refuse_shape("pending", err);
        fn(ctx, &id);
    }
    return JOBQ_OK;
}

void claim_fetch(struct buf *out, const struct shard_keys *k, enum lane lane,
                 const struct entry_id *id)
{
    resp_begin(out, 4);
    resp_str(out, "XRANGE");
    resp_str(out, k->lanes[lane]);
    put_entry_id(out, id, false);
    put_entry_id(out, id, false);
}

int claim_fetch_reply(const struct redisReply *r, enum lane lane, struct claim_entry *out,
                      bool *found, jobq_err *err)
{
    struct claim_entry e = {.lane = lane};
    int rc = reply_expect_array(r, "fetch", err);

    if (rc != JOBQ_OK)
        return rc;
    if (r->elements > 1 || (r->elements == 1 && !read_entry(r->element[0], &e)))
        return reply_refuse_shape("fetch", err);
    *found = r->elements == 1;
    if (*found)
        *out = e;
    return JOBQ_OK;
}

void claim_parked(struct buf *out, const struct shard_keys *k, const struct entry_id *after,
                  size_t count)
{
    resp_begin(out, 6);
    resp_str(out, "XRANGE");
    resp_str(out, k->parked);
    if (after)
        put_entry_id(out, after, true);
    else
        resp_str(out, "-");
    resp_str(out, "+");
    resp_str(out, "COUNT");
    resp_int(out, (int64_t)count);
}

int claim_parked_reply(const struct redisReply *r,
                       void (*fn)(void *ctx, const struct claim_entry *e), void *ctx, jobq_err *err)
{
    int rc = reply_expect_array(r, "parked", err);

    if (rc != JOBQ_OK)
        return rc;
    if (!read_entries(r, 0, LANE_RECOVERED, fn, ctx))
        return reply_refuse_shape("parked", err);
    return JOBQ_OK;
}
