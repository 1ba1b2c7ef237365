/* SPDX-License-Identifier: MIT */
/* fill: see fill.h. */
#include "tests/integration/jobctl/fill.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/id.h"
#include "broker/codec.h"

#define PIPELINE 1000

static const char * or (const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

static void append(redisContext *c, const struct fill *f, size_t i, jobq_id *id)
{
    struct buf h;
    const char *type = or (f->type, "a.b");
    const char *payload = or (f->payload, fmt("{\"n\":%zu}", i));
    const char *error = or (f->error, "no");
    const char *queue = or (f->queue, "mail"), *stream = or (f->stream, "dead");
    struct job_header header = {.flags = (uint8_t)f->flags,
                                .attempts = 10,
                                .type = type,
                                .type_len = strlen(type),
                                .unique = f->unique,
                                .unique_len = strlen(or (f->unique, "")),
                                .enqueued_ms = 1700000000000};
    size_t payload_len = f->payload_len > 0 ? f->payload_len : strlen(payload);
    size_t error_len = f->error_len > 0 ? f->error_len : strlen(error);
    cr_assert(jobq_id_new(&header.id, NULL) == JOBQ_OK);
    *id = header.id;
    buf_init(&h, CODEC_HEADER_MAX);
    codec_encode(&header, &h);
    if (strcmp(stream, "dead") == 0)
        redisAppendCommand(c, "XADD jobq:{%s:0}:dead %s h %b p %b reason %s error %b by host-1-a",
                           queue, or (f->entry, "*"), h.data, h.len, payload, payload_len,
                           or (f->reason, "permanent"), error, error_len);
    else
        redisAppendCommand(c, "XADD jobq:{%s:0}:%s %s h %b p %b", queue, stream, or (f->entry, "*"),
                           h.data, h.len, payload, payload_len);
    buf_done(&h);
}

void fill(struct redis *r, size_t n, const struct fill *f, jobq_id *ids)
{
    static const struct fill plain;
    redisContext *c = redisConnectUnix(r->socket);
    redisReply *reply = NULL;
    f = f != NULL ? f : &plain;
    cr_assert(c != NULL && c->err == 0);
    reply = redisCommand(c, "HSETNX jobq:queues %s 1", or (f->queue, "mail"));
    cr_assert(reply != NULL);
    freeReplyObject(reply);
    for (size_t at = 0; at < n;) {
        size_t some = MIN(n - at, (size_t)PIPELINE);
        for (size_t i = 0; i < some; i++) {
            jobq_id id;
            append(c, f, at + i, &id);
            if (ids != NULL)
                ids[at + i] = id;
        }
        for (size_t i = 0; i < some; i++) {
            cr_assert(redisGetReply(c, (void **)&reply) == REDIS_OK);
            cr_assert(reply->type == REDIS_REPLY_STRING, "%s", reply->str);
            freeReplyObject(reply);
        }
        at += some;
    }
    redisFree(c);
}

jobq_id *stream_ids(struct redis *r, const char *stream, size_t *n)
{
    struct redisReply *all = redis_do(r, "XRANGE jobq:{mail:0}:%s - +", stream);
    cr_assert(all->type == REDIS_REPLY_ARRAY);
    jobq_id *ids = calloc(all->elements + 1, sizeof(*ids));
    *n = all->elements;
    for (size_t i = 0; i < all->elements; i++) {
        const struct redisReply *h = all->element[i]->element[1]->element[1];
        cr_assert(codec_peek_id(h->str, h->len, &ids[i]));
    }
    freeReplyObject(all);
    return ids;
}

static int compare_ids(const void *a, const void *b)
{
    return id_compare(a, b);
}

void expect_same_ids(jobq_id *a, size_t n, jobq_id *b, size_t m)
{
    qsort(a, n, sizeof(*a), compare_ids);
    qsort(b, m, sizeof(*b), compare_ids);
    for (size_t i = 0; i < MIN(n, m); i++) {
        int order = id_compare(&a[i], &b[i]);
        if (order != 0)
            fail_test("%s is %s", fill_id_text(order < 0 ? &a[i] : &b[i]),
                      order < 0 ? "missing" : "there twice, or from nowhere");
    }
    cr_assert(n == m, "%zu instead of %zu", m, n);
}

const char *fill_id_text(const jobq_id *id)
{
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id_format(id, text);
    return fmt("%s", text);
}
