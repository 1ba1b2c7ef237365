/* SPDX-License-Identifier: MIT */
/* ask: see ask.h. */
#include "broker/ask.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "broker/conn.h"
#include "broker/reply.h"

static void keep_reply(void *ctx, size_t i, struct redisReply *reply)
{
    struct redisReply **replies = ctx;
    replies[i] = reply;
}

#define COUNT_MAX (INT64_C(1) << 40)

int ask_many(struct conn *c, int64_t deadline_ms, struct redisReply **replies, size_t n,
             jobq_err *err)
{
    size_t done = 0;
    memset(replies, 0, n * sizeof(struct redisReply *));
    int rc = conn_call_many(c, deadline_ms, n, keep_reply, replies, &done, err);
    if (rc != JOBQ_OK)
        ask_free(replies, n);
    return rc;
}

void ask_free(struct redisReply **replies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (replies[i] != NULL)
            freeReplyObject(replies[i]);
        replies[i] = NULL;
    }
}

static int check_error(const struct redisReply *r, const char *what, jobq_err *err)
{
    if (r->type != REDIS_REPLY_ERROR)
        return JOBQ_OK;
    char text[160];
    text_sanitize(r->str, r->len, text, sizeof(text));
    int code = reply_class_of(r) == REPLY_AUTH ? JOBQ_EAUTH : JOBQ_EREDIS;
    return error_set(err, code, "%s: Redis answered: %s", what, text);
}

int ask_shape(const struct redisReply *r, int type, const char *what, jobq_err *err)
{
    int rc = check_error(r, what, err);
    if (rc == JOBQ_OK && r->type != type)
        rc = error_set(err, JOBQ_EPROTO, "%s: Redis answered with a reply of type %d instead of %d",
                       what, r->type, type);
    return rc;
}

const struct redisReply *ask_field(const struct redisReply *flat, const char *name)
{
    if (flat == NULL || flat->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < flat->elements; i += 2) {
        if (reply_is_word(flat, i, name))
            return flat->element[i + 1];
    }
    return NULL;
}

int64_t ask_int(const struct redisReply *r, int64_t otherwise)
{
    int64_t n = 0;
    if (r != NULL && r->type == REDIS_REPLY_INTEGER)
        return r->integer;
    if (r != NULL && r->type == REDIS_REPLY_STRING && text_parse_int(r->str, &n) == JOBQ_OK)
        return n;
    return otherwise;
}

int64_t ask_count(const struct redisReply *r, int64_t otherwise)
{
    int64_t n = ask_int(r, INT64_MIN);
    return n == INT64_MIN ? otherwise : MIN(MAX(n, 0), COUNT_MAX);
}

int64_t ask_field_count(const struct redisReply *flat, const char *name, int64_t otherwise)
{
    return ask_count(ask_field(flat, name), otherwise);
}

bool ask_bytes(const struct redisReply *r, const char **bytes, size_t *len)
{
    if (r == NULL || r->type != REDIS_REPLY_STRING)
        return false;
    *bytes = r->str;
    *len = r->len;
    return true;
}
