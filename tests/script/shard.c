/* SPDX-License-Identifier: MIT */
/* shard: see shard.h. Single thread. */
#include "tests/script/shard.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/enqueue.h"
#include "broker/resp.h"
#include "broker/script.h"

void shard_open(struct shard *s, const char *const *extra)
{
    jobq_err err = {0};

    memset(s, 0, sizeof(*s));
    s->redis = redis_start(extra);
    s->c = redisConnectUnix(s->redis->socket);
    cr_assert(s->c && !s->c->err);
    cr_assert_eq(keys_init(&s->k, NULL, "q", 0, &err), JOBQ_OK, "%s", err.msg);
    buf_init(&s->out, (size_t)1 << 28);
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        redisReply *r;

        script_load(&s->out, (enum script_name)i);
        r = shard_call(s);
        cr_assert_str_eq(r->str, script_sha((enum script_name)i), "%s",
                         script_word((enum script_name)i));
        freeReplyObject(r);
    }
}

void shard_close(struct shard *s)
{
    buf_done(&s->out);
    keys_done(&s->k);
    redisFree(s->c);
    redis_stop(s->redis);
}

redisReply *shard_call(struct shard *s)
{
    void *reply = NULL;

    cr_assert_not(s->out.failed);
    cr_assert_eq(redisAppendFormattedCommand(s->c, s->out.data, s->out.len), REDIS_OK);
    buf_clear(&s->out);
    if (redisGetReply(s->c, &reply) != REDIS_OK)
        fail_test("the connection is lost: %s", s->c->errstr);
    return reply;
}

/* ---- raw commands ---- */

__attribute__((format(printf, 2, 0))) static redisReply *raw(struct shard *s, const char *format,
                                                             va_list args)
{
    char text[512];
    redisReply *r;

    vsnprintf(text, sizeof(text), format, args);
    r = redisCommand(s->c, text); /* the words of these tests have no space */
    if (!r || r->type == REDIS_REPLY_ERROR)
        fail_test("%s: %s", text, r ? r->str : "lost");
    return r;
}

long long shard_int(struct shard *s, const char *format, ...)
{
    va_list args;
    redisReply *r;
    long long n;

    va_start(args, format);
    r = raw(s, format, args);
    va_end(args);
    n = r->type == REDIS_REPLY_INTEGER  ? r->integer
        : r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10)
                                        : -1;
    freeReplyObject(r);
    return n;
}

const char *shard_text(struct shard *s, const char *format, ...)
{
    static char ring[8][512];
    static unsigned at;
    char *text = ring[at++ % 8];
    va_list args;
    redisReply *r;

    va_start(args, format);
    r = raw(s, format, args);
    va_end(args);
    snprintf(text, sizeof(ring[0]), "%s", r->str ? r->str : "");
    freeReplyObject(r);
    return text;
}

void shard_run(struct shard *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    freeReplyObject(raw(s, format, args));
    va_end(args);
}

int64_t shard_time_ms(struct shard *s)
{
    redisReply *r = redisCommand(s->c, "TIME");
    int64_t ms =
        strtoll(r->element[0]->str, NULL, 10) * 1000 + strtoll(r->element[1]->str, NULL, 10) / 1000;

    freeReplyObject(r);
    return ms;
}

long long shard_pending(struct shard *s, enum lane lane)
{
    redisReply *r = redisCommand(s->c, "XPENDING %s %s", s->k.lanes[lane], KEYS_GROUP);
    long long n = r->element[0]->integer;

    freeReplyObject(r);
    return n;
}

long long shard_stat(struct shard *s, const char *field)
{
    char key[KEYS_MAX];
    long long n;

    keys_stats(&s->k, MINUTE, key, sizeof(key));
    n = shard_int(s, "HGET %s %s", key, field);
    return n < 0 ? 0 : n;
}

/* ---- jobs ---- */

void id_of(uint64_t n, jobq_id *out)
{
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < 8; i++)
        out->bytes[15 - i] = (uint8_t)(n >> (8 * i));
}

uint64_t number_of(const jobq_id *id)
{
    uint64_t n = 0;

    for (int i = 8; i < 16; i++)
        n = n << 8 | id->bytes[i];
    return n;
}

const char *id_text(uint64_t n)
{
    static char ring[8][JOBQ_ID_TEXT_SIZE];
    static unsigned at;
    char *text = ring[at++ % 8];
    jobq_id id;

    id_of(n, &id);
    jobq_id_format(&id, text);
    return text;
}

static struct entry_id add(struct shard *s, enum lane lane, const struct job_header *h,
                           const char *p, size_t p_len)
{
    struct buf bytes;
    struct entry_id id;
    redisReply *r;

    buf_init(&bytes, CODEC_HEADER_MAX);
    codec_encode(h, &bytes);
    resp_begin(&s->out, 7);
    resp_str(&s->out, "XADD");
    resp_str(&s->out, s->k.lanes[lane]);
    resp_str(&s->out, "*");
    resp_str(&s->out, "h");
    resp_bytes(&s->out, bytes.data, bytes.len);
    resp_str(&s->out, "p");
    resp_bytes(&s->out, p, p_len);
    r = shard_call(s);
    cr_assert_eq(r->type, REDIS_REPLY_STRING, "%s", r->str);
    cr_assert_eq(entry_id_parse(r->str, r->len, &id), JOBQ_OK);
    freeReplyObject(r);
    buf_done(&bytes);
    return id;
}

struct entry_id add_job(struct shard *s, enum lane lane, uint64_t n, const struct job_header *like)
{
    static const uint8_t flags[] = {
        [LANE_HIGH] = 1, [LANE_LOW] = 2, [LANE_NORMAL] = 0, [LANE_RECOVERED] = 0};
    struct job_header h = {.flags = flags[lane]};
    char p[32];

    if (like)
        h = *like;
    h.type = "t";
    h.type_len = 1;
    id_of(n, &h.id);
    return add(s, lane, &h, p,
               (size_t)snprintf(p, sizeof(p), "{\"n\":%llu}", (unsigned long long)n));
}

struct entry_id add_job_of_size(struct shard *s, enum lane lane, uint64_t n, size_t p_len)
{
    struct job_header h = {.type = "t", .type_len = 1};
    char *p = calloc(1, p_len);
    struct entry_id id;

    id_of(n, &h.id);
    id = add(s, lane, &h, p, p_len);
    free(p);
    return id;
}

int enqueue_job(struct shard *s, uint64_t n, int64_t delay_ms, int64_t due_ms, const char *unique,
                uint64_t *holder)
{
    jobq_job job = JOBQ_JOB_INIT;
    jobq_answer answer;
    jobq_err err = {0};
    char p[32];
    redisReply *r;
    int rc;

    snprintf(p, sizeof(p), "{\"n\":%llu}", (unsigned long long)n);
    id_of(n, &job.id);
    job.type = "t";
    job.payload = p;
    job.delay_ms = MAX(delay_ms, 0);
    job.due_ms = due_ms;
    job.unique_key = unique;
    cr_assert_eq(enqueue_append(&s->out, &s->k, &job, &job.id, &err), JOBQ_OK, "%s", err.msg);
    r = shard_call(s);
    memset(&answer, 0, sizeof(answer));
    rc = enqueue_reply(r, "here", &answer, &err);
    freeReplyObject(r);
    if (holder)
        *holder =
            rc == JOBQ_OK && answer.status == JOBQ_STATUS_DUPLICATE ? number_of(&answer.holder) : 0;
    return rc;
}
