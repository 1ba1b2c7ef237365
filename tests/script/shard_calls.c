/* SPDX-License-Identifier: MIT */
/* shard_calls: the calls of broker/claim.h; see shard.h. Single thread. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/script/shard.h"

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
