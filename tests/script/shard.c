/* SPDX-License-Identifier: MIT */
/* shard: see shard.h. Single thread. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/enqueue.h"
#include "broker/resp.h"
#include "broker/script.h"
#include "tests/script/shard.h"

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

/* ---- calls ---- */

int join(struct shard *s, const char *name)
{
    jobq_err err = {0};
    int64_t ms;
    redisReply *r;
    int rc;

    claim_register(&s->out, &s->k, name, "t");
    r = shard_call(s);
    rc = claim_register_reply(r, &ms, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_ESTATE, "%s", err.msg);
    cr_assert(rc != JOBQ_OK || ms > 1600000000000);
    freeReplyObject(r);
    return rc;
}

static int beat_with(struct shard *s, const char *name, const char *info, struct claim_beat *out)
{
    struct claim_beat b = {0};
    redisReply *r;
    int rc;

    claim_beat(&s->out, &s->k, name, info, info ? strlen(info) : 0);
    r = shard_call(s);
    rc = claim_beat_reply(r, &b, NULL);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED);
    freeReplyObject(r);
    b.reply = NULL;
    if (out)
        *out = b;
    return rc;
}

int beat(struct shard *s, const char *name, struct claim_beat *out)
{
    return beat_with(s, name, NULL, out);
}

int beat_saying(struct shard *s, const char *name, const char *info)
{
    return beat_with(s, name, info, NULL);
}

int64_t counter_of(struct shard *s, const char *name)
{
    return shard_int(s, "HGET %s %s", s->k.alive, name);
}

static void note_entry(void *ctx, const struct claim_entry *e)
{
    struct taken *t = ctx;
    struct held *job = &t->job[t->n];

    cr_assert_lt(t->n, TAKEN_MAX);
    memset(job, 0, sizeof(*job));
    job->lane = e->lane;
    job->entry = e->id;
    if (!e->h || e->h_len > sizeof(job->h)) {
        t->odd++;
        t->n++;
        return;
    }
    memcpy(job->h, e->h, e->h_len);
    job->h_len = e->h_len;
    memcpy(job->p, e->p, MIN(e->p_len, sizeof(job->p)));
    job->p_len = e->p_len;
    if (codec_decode(job->h, job->h_len, &job->header, NULL) != CODEC_OK)
        t->odd++;
    job->n = number_of(&job->header.id);
    t->n++;
}

void take(struct shard *s, const char *name, enum lane lane, size_t count, struct taken *out)
{
    const struct shard_keys *k = &s->k;
    jobq_err err = {0};
    redisReply *r;

    out->n = 0;
    out->odd = 0;
    claim_read(&s->out, k, lane, name, count);
    r = shard_call(s);
    cr_assert_eq(claim_read_reply(r, &k, 1, note_entry, out, &err), JOBQ_OK, "%s", err.msg);
    freeReplyObject(r);
}

static void count_entry(void *ctx, const struct claim_entry *e)
{
    (void)e;
    ++*(size_t *)ctx;
}

size_t take_and_lose(struct shard *s, const char *name, enum lane lane, size_t count)
{
    const struct shard_keys *k = &s->k;
    size_t n = 0;
    redisReply *r;

    claim_read(&s->out, k, lane, name, count);
    r = shard_call(s);
    cr_assert_eq(claim_read_reply(r, &k, 1, count_entry, &n, NULL), JOBQ_OK);
    freeReplyObject(r);
    return n;
}

/* Its unique key, inside job->h; NULL: none. */
static const char *unique_of(const struct held *job, size_t *len)
{
    struct job_header h = {0};

    (void)!codec_decode(job->h, job->h_len, &h, NULL);
    *len = h.unique_len;
    return h.unique;
}

int ack(struct shard *s, const char *name, const struct held *jobs, size_t n, int64_t *acked)
{
    struct claim_done *done = calloc(n, sizeof(*done));
    jobq_err err = {0};
    redisReply *r;
    int rc;

    for (size_t i = 0; i < n; i++) {
        done[i].entry = jobs[i].entry;
        done[i].id = jobs[i].header.id;
        done[i].unique = unique_of(&jobs[i], &done[i].unique_len);
    }
    claim_ack(&s->out, &s->k, jobs[0].lane, name, MINUTE, done, n);
    r = shard_call(s);
    rc = claim_ack_reply(r, acked, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED, "%s", err.msg);
    freeReplyObject(r);
    free(done);
    return rc;
}

int fail_one(struct shard *s, const char *name, const struct held *job, enum claim_action action,
             int64_t delay_ms, enum claim_fate *fate)
{
    static const enum claim_count counts[] = {CLAIM_COUNT_RETRIED, CLAIM_COUNT_DEAD,
                                              CLAIM_COUNT_PARKED, CLAIM_COUNT_CRASHED};
    struct claim_failed f = {.entry = job->entry,
                             .has_id = true,
                             .id = job->header.id,
                             .action = action,
                             .reason = CLAIM_PERMANENT,
                             .count = counts[action],
                             .delay_ms = delay_ms,
                             .error = "oops",
                             .error_len = 4,
                             .h = job->h,
                             .h_len = job->h_len,
                             .p = job->p,
                             .p_len = job->p_len};
    jobq_err err = {0};
    redisReply *r;
    int rc;

    f.unique = unique_of(job, &f.unique_len);
    claim_fail(&s->out, &s->k, job->lane, name, MINUTE, &f, 1);
    r = shard_call(s);
    rc = claim_fail_reply(r, fate, 1, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED || rc == JOBQ_EREDIS, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}

int fence(struct shard *s, const char *name, const char *victim, int64_t seen)
{
    redisReply *r;
    int rc;

    claim_fence(&s->out, &s->k, name, victim, seen);
    r = shard_call(s);
    rc = claim_fence_reply(r, NULL);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED || rc == JOBQ_ESTATE);
    freeReplyObject(r);
    return rc;
}

int reap(struct shard *s, const char *name, const char *victim, unsigned budget, bool *more,
         int64_t *moved)
{
    jobq_err err = {0};
    redisReply *r;
    int rc;

    claim_reap(&s->out, &s->k, name, victim, MINUTE, budget);
    r = shard_call(s);
    rc = claim_reap_reply(r, more, moved, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED || rc == JOBQ_ESTATE, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}

int64_t bury(struct shard *s, const char *name, const char *victim)
{
    int64_t sum = 0;
    int64_t moved;
    bool more = true;

    cr_assert_eq(fence(s, name, victim, counter_of(s, victim)), JOBQ_OK);
    while (more) {
        cr_assert_eq(reap(s, name, victim, 20, &more, &moved), JOBQ_OK);
        sum += moved;
    }
    return sum;
}

int leave(struct shard *s, const char *name, bool *more, int64_t *released)
{
    jobq_err err = {0};
    redisReply *r;
    int rc;

    claim_leave(&s->out, &s->k, name);
    r = shard_call(s);
    rc = claim_leave_reply(r, more, released, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}

int sweep(struct shard *s, const char *name, int64_t *fenced)
{
    jobq_err err = {0};
    redisReply *r;
    int rc;

    claim_sweep(&s->out, &s->k, name);
    r = shard_call(s);
    rc = claim_sweep_reply(r, fenced, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}

int move(struct shard *s, const char *name, struct claim_move *out)
{
    jobq_err err = {0};
    redisReply *r;
    int rc;

    claim_move(&s->out, &s->k, name, MINUTE);
    r = shard_call(s);
    rc = claim_move_reply(r, out, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}

int unpark(struct shard *s, const char *name, const struct entry_id *ids, size_t n, int64_t *moved)
{
    jobq_err err = {0};
    redisReply *r;
    int rc;

    claim_unpark(&s->out, &s->k, name, ids, n);
    r = shard_call(s);
    rc = claim_unpark_reply(r, moved, &err);
    cr_assert(rc == JOBQ_OK || rc == JOBQ_EFENCED, "%s", err.msg);
    freeReplyObject(r);
    return rc;
}
