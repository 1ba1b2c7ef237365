/* SPDX-License-Identifier: MIT */
/*
 * outcome: decided jobs become acknowledgements and fails, in batches by lane. What Redis did not
 * answer is sent again: both scripts act only on what is still pending, so a repeat is harmless.
 */
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/trouble.h"
#include "worker/link.h"
#include "worker/observe.h"
#include "worker/pace.h"
#include "worker/state.h"

/* ---- logging ---- */

void job_log(const struct job *j, enum log_level level, const char *event, const char *key,
             const char *value)
{
    char id[JOBQ_ID_TEXT_SIZE];
    if (!log_is_enabled(level))
        return;
    if (!j || !j->header_valid) {
        log_event(level, event, LOG_STR(key, value), LOG_END);
        return;
    }
    jobq_id_format(&j->header.id, id);
    log_event(level, event, LOG_STR("job", id),
              LOG_BYTES("type", j->header.type, j->header.type_len),
              LOG_STR("queue", job_own_queue(j)), LOG_INT("attempt", j->header.attempts + 1),
              LOG_STR(key, value), LOG_END);
}

const char *job_own_queue(const struct job *j)
{
    return j->shard->keys.queue;
}

struct frame_str job_queue_name(const struct job *j)
{
    return (struct frame_str){job_own_queue(j), strlen(job_own_queue(j))};
}

static void log_done(const struct job *j)
{
    char id[JOBQ_ID_TEXT_SIZE];
    if (!log_is_enabled(LOG_INFO))
        return;
    jobq_id_format(&j->header.id, id);
    log_event(LOG_INFO, "job.done", LOG_STR("job", id),
              LOG_BYTES("type", j->header.type, j->header.type_len),
              LOG_STR("queue", job_own_queue(j)), LOG_INT("attempt", j->header.attempts + 1),
              LOG_INT("ms", (j->run_us + 500) / 1000), LOG_INT("us", j->run_us),
              LOG_INT("wait_ms", j->wait_ms), LOG_BYTES("text", j->text, j->text_len), LOG_END);
}

static const char *event_word(enum retry_event event)
{
    static const char *const words[] = {
        [RETRY_FAILED] = "job.failed",       [RETRY_SNOOZED] = "job.snoozed",
        [RETRY_PERMANENT] = "job.failed",    [RETRY_CRASHED] = "job.crashed",
        [RETRY_RELEASED] = "job.released",   [RETRY_EXPIRED] = "job.expired",
        [RETRY_EXHAUSTED] = "job.exhausted", [RETRY_CORRUPT] = "job.corrupt",
        [RETRY_UNKNOWN] = "job.parked",
    };
    return words[event];
}

static void log_failed(const struct job *j, enum retry_event event, const char *text,
                       size_t text_len)
{
    static const char *const fates[] = {[CLAIM_LATER] = "later",
                                        [CLAIM_DEAD] = "dead",
                                        [CLAIM_PARKED] = "parked",
                                        [CLAIM_RECOVERED] = "recovered"};
    char id[JOBQ_ID_TEXT_SIZE] = "", entry[ENTRY_ID_TEXT_SIZE];
    enum log_level level = event == RETRY_SNOOZED || event == RETRY_RELEASED ? LOG_INFO : LOG_WARN;
    if (j->failed.has_id)
        jobq_id_format(&j->failed.id, id);
    entry_id_format(&j->entry, entry);
    log_event(level, event_word(event), LOG_STR("job", id[0] ? id : NULL), LOG_STR("entry", entry),
              LOG_BYTES("type", j->header_valid ? j->header.type : NULL, j->header.type_len),
              LOG_STR("queue", job_own_queue(j)), LOG_STR("lane", keys_lane_name(j->lane)),
              LOG_INT("attempt", j->header.attempts + 1), LOG_STR("fate", fates[j->failed.action]),
              LOG_INT("delay_ms", j->failed.delay_ms), LOG_BYTES("error", text, text_len), LOG_END);
}

/* ---- decisions ---- */

static void put_ending(struct supervisor *s, struct job *j)
{
    struct shard_lane *lane = &j->shard->lanes[j->lane];
    j->stage = JOB_ENDING;
    list_remove(&j->node);
    if (lane->ending_count++ == 0)
        lane->ending_since_ms = loop_now(s->loop);
    list_push_back(&lane->ending, &j->node);
}

void outcome_succeeded(struct supervisor *s, struct job *j)
{
    j->succeeded = true;
    log_done(j);
    observe_succeeded(s, j);
    put_ending(s, j);
}

/* The header as the copy will carry it. JOBQ_ENOMEM leaves the old one: the counts are lost, the
 * job is not. */
static void make_new_header(struct job *j, const struct retry_decision *d, const char *text,
                            size_t text_len)
{
    struct job_header h = j->header;
    struct buf b;
    h.attempts = d->attempts;
    h.crashes = d->crashes;
    h.releases = d->releases;
    h.enqueued_ms = j->enqueued_ms;
    if (text_len) {
        h.error = text;
        h.error_len = text_cut(text, text_len, CODEC_ERROR_MAX);
    }
    buf_init(&b, CODEC_HEADER_MAX * 2);
    codec_encode(&h, &b);
    size_t len = 0;
    j->new_h = buf_steal(&b, &len);
    j->failed.h = j->new_h ? j->new_h : j->h;
    j->failed.h_len = j->new_h ? len : j->h_len;
}

void outcome_failed(struct supervisor *s, struct job *j, enum retry_event event, int64_t delay_ms,
                    const char *text, size_t text_len)
{
    struct retry_decision d =
        retry_decide(event, &j->header, delay_ms, &j->limits, id_random_below(UINT64_MAX));
    struct claim_failed *f = &j->failed;
    *f = (struct claim_failed){.entry = j->entry,
                               .action = d.action,
                               .reason = d.reason,
                               .count = d.count,
                               .delay_ms = d.delay_ms,
                               .h = j->h,
                               .h_len = j->h_len,
                               .p = j->p,
                               .p_len = j->p_len};
    if (j->header_valid) {
        f->has_id = true;
        f->id = j->header.id;
        f->unique = j->header.unique_len ? j->header.unique : NULL;
        f->unique_len = j->header.unique_len;
        if (event != RETRY_UNKNOWN)
            make_new_header(j, &d, text, text_len);
    } else {
        f->has_id = codec_peek_id(j->h, j->h_len, &f->id);
    }
    if (d.action == CLAIM_DEAD && text_len && !j->text) {
        j->text = mem_strndup(text, text_cut(text, text_len, CODEC_ERROR_MAX));
        j->text_len = j->text ? strlen(j->text) : 0;
    }
    f->error = j->text ? j->text : "";
    f->error_len = j->text_len;
    log_failed(j, event, text, text_len);
    observe_failed(s, j, text, text_len);
    put_ending(s, j);
}

/* ---- what the handler said ---- */

static void done(struct supervisor *s, struct executor *x, struct job *j)
{
    if (!j->children) {
        outcome_succeeded(s, j);
        return;
    }
    j->executor = x;
    outcome_send_children(s, j);
}

void outcome_verdict(struct supervisor *s, struct executor *x, struct job *j)
{
    /* Cut off by our drain, not by its own doing: no budget. */
    bool drained = drain_cuts_off(&s->drain) && j->run_us / 1000 < j->soft_ms;
    switch (j->verdict) {
    case FRAME_V_DONE:
        done(s, x, j);
        return;
    case FRAME_V_RETRY:
        outcome_failed(s, j, drained ? RETRY_RELEASED : RETRY_FAILED, j->delay_ms, j->text,
                       j->text_len);
        return;
    case FRAME_V_SNOOZE:
        outcome_failed(s, j, RETRY_SNOOZED, j->delay_ms, j->text, j->text_len);
        return;
    case FRAME_V_DEAD:
        outcome_failed(s, j, RETRY_PERMANENT, -1, j->text, j->text_len);
        return;
    case FRAME_V_RELEASE:
        outcome_failed(s, j, RETRY_RELEASED, j->delay_ms, j->text, j->text_len);
        return;
    default:
        outcome_failed(s, j, RETRY_CRASHED, -1, j->text, j->text_len);
    }
}

/* ---- sending ---- */

struct batch {
    struct supervisor *s;
    struct shard_lane *lane;
    uint64_t generation;
    bool succeeded; /* acknowledgements, or fails */
    size_t count;
    struct job *jobs[];
};

static void send_again(struct batch *b, int64_t pause_ms)
{
    struct supervisor *s = b->s;
    for (size_t i = b->count; i-- > 0;) {
        list_remove(&b->jobs[i]->node);
        list_push_front(&b->lane->ending, &b->jobs[i]->node);
        b->jobs[i]->in_doubt = true;
    }
    b->lane->ending_count += b->count;
    b->lane->ending_since_ms = loop_now(s->loop);
    b->lane->not_before_ms = loop_now(s->loop) + pause_ms;
}

static void settle(struct batch *b, const enum claim_fate *fates)
{
    for (size_t i = 0; i < b->count; i++) {
        observe_settled(b->s, b->jobs[i], fates[i]);
        intake_forget(b->jobs[i]);
    }
}

static int read_answer(const struct batch *b, const struct redisReply *r,
                       enum claim_fate fates[BATCH_MAX], jobq_err *err)
{
    int64_t acked;
    if (b->succeeded) {
        CRASH_POINT("finish.answered");
        for (size_t i = 0; i < b->count; i++)
            fates[i] = CLAIM_MOVED;
        return claim_ack_reply(r, &acked, err);
    }
    CRASH_POINT("fail.answered");
    return claim_fail_reply(r, fates, b->count, err);
}

static void on_batch_reply(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct batch *b = data;
    const char *what = b->succeeded ? "ack" : "fail";
    enum claim_fate fates[BATCH_MAX];
    jobq_err err;
    if (b->generation != s->generation)
        goto out;
    if (!r) {
        send_again(b, 0);
        goto out;
    }
    int rc = read_answer(b, r, fates, &err);
    if (rc == JOBQ_EFENCED) {
        supervisor_fenced(s, what);
    } else if (rc) {
        if (!supervisor_judge(s, r))
            trouble_event(LOG_ERROR, "redis.unexpected", 2, LOG_STR("answer_to", what),
                          LOG_STR("error", err.msg), LOG_END);
        send_again(b, pace_of(r));
    } else {
        settle(b, fates);
    }
out:
    mem_free(b);
}

/* Takes up to max jobs of the same kind (succeeded or not) off the head of the lane's list. */
static struct batch *take_batch(struct supervisor *s, struct shard_lane *lane, bool succeeded)
{
    struct batch *b =
        mem_alloc(sizeof(*b) + MIN(lane->ending_count, BATCH_MAX) * sizeof(b->jobs[0]));
    if (!b)
        return NULL;
    *b = (struct batch){.s = s, .lane = lane, .generation = s->generation, .succeeded = succeeded};
    size_t bytes = 0;
    LIST_FOR_EACH (node, &lane->ending) {
        struct job *j = LIST_ENTRY(node, struct job, node);
        if (j->succeeded != succeeded)
            continue;
        if (b->count == BATCH_MAX ||
            (!succeeded && b->count && bytes + j->p_len > FAIL_BATCH_BYTES))
            break;
        bytes += j->p_len;
        list_remove(&j->node);
        b->jobs[b->count++] = j;
    }
    lane->ending_count -= b->count;
    return b;
}

static void send_acks(struct supervisor *s, struct shard_lane *lane, struct batch *b)
{
    struct claim_done d[BATCH_MAX];
    for (size_t i = 0; i < b->count; i++) {
        const struct job *j = b->jobs[i];
        d[i] = (struct claim_done){.entry = j->entry,
                                   .id = j->header.id,
                                   .unique = j->header.unique_len ? j->header.unique : NULL,
                                   .unique_len = j->header.unique_len};
    }
    CRASH_POINT("finish.before_ack");
    s->sent |= SENT_ACK;
    claim_ack(link_out(s->command), &lane->shard->keys, lane->lane, s->incarnation,
              supervisor_minute(s), d, b->count);
    link_expect(s->command, on_batch_reply, s, b);
}

static void send_fails(struct supervisor *s, struct shard_lane *lane, struct batch *b)
{
    struct claim_failed f[BATCH_MAX];
    for (size_t i = 0; i < b->count; i++)
        f[i] = b->jobs[i]->failed;
    CRASH_POINT("fail.before_send");
    s->sent |= SENT_FAIL;
    claim_fail(link_out(s->command), &lane->shard->keys, lane->lane, s->incarnation,
               supervisor_minute(s), f, b->count);
    link_expect(s->command, on_batch_reply, s, b);
}

static void flush_lane(struct supervisor *s, struct shard_lane *lane)
{
    for (int succeeded = 1; succeeded >= 0; succeeded--) {
        while (lane->ending_count && link_is_up(s->command)) {
            struct batch *b = take_batch(s, lane, succeeded);
            if (!b)
                return; /* no memory: the next turn tries again */
            if (!b->count) {
                mem_free(b);
                break;
            }
            if (succeeded)
                send_acks(s, lane, b);
            else
                send_fails(s, lane, b);
        }
    }
}

void outcome_flush(struct supervisor *s, bool all)
{
    int64_t now = loop_now(s->loop);
    if (!link_is_up(s->command))
        return;
    for (size_t i = 0; i < s->shard_count; i++) {
        for (size_t k = 0; k < LANE_COUNT; k++) {
            struct shard_lane *lane = &s->shards[i]->lanes[k];
            if (!lane->ending_count || now < lane->not_before_ms)
                continue;
            if (all || lane->ending_count >= FLUSH_COUNT || now - lane->ending_since_ms >= FLUSH_MS)
                flush_lane(s, lane);
        }
    }
}

int64_t outcome_due_ms(const struct supervisor *s)
{
    int64_t due = list_is_empty(&s->children_waiting) ? INT64_MAX : s->children_due_ms;
    if (!link_is_up(s->command))
        return INT64_MAX;
    for (size_t i = 0; i < s->shard_count; i++)
        for (size_t k = 0; k < LANE_COUNT; k++) {
            const struct shard_lane *lane = &s->shards[i]->lanes[k];
            if (lane->ending_count)
                due = MIN(due, MAX(lane->ending_since_ms + FLUSH_MS, lane->not_before_ms));
        }
    return due;
}

size_t outcome_unsettled(const struct supervisor *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->shard_count; i++) {
        size_t cursor = 0;
        const struct job *j;
        while ((j = map_next(s->shards[i]->held, &cursor, NULL, NULL)))
            n += j->stage == JOB_ENDING || j->stage == JOB_CHILDREN;
    }
    return n;
}
