/* SPDX-License-Identifier: MIT */
/*
 * intake: claimed entries become jobs: registered by lane and entry id, checked, and given to
 * dispatch; or decided at once: corrupt, of a newer format, of a type nobody here knows, expired,
 * exhausted by losses.
 */
#include <string.h>


#include "base/buf.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "broker/reply.h"
#include "config/config.h"
#include "worker/state.h"

#define HARD_AFTER_SOFT_MS 10000
#define RAW_MAX (32 * 1024 * 1024)

static struct held_key held_key(enum lane lane, const struct entry_id *id)
{
    return (struct held_key){.ms = id->ms, .seq = id->seq, .lane = (uint64_t)lane};
}

struct job *intake_find(const struct shard *shard, enum lane lane, const struct entry_id *id)
{
    struct held_key key = held_key(lane, id);
    return map_get(shard->held, &key, sizeof(key));
}

void intake_forget(struct job *j)
{
    struct held_key key = held_key(j->lane, &j->entry);
    map_remove(j->shard->held, &key, sizeof(key));
    list_remove(&j->node);
    job_free(j);
}

void intake_forget_all(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        size_t cursor = 0;
        struct job *j;
        while ((j = map_next(shard->held, &cursor, NULL, NULL)))
            intake_forget(j);
        for (size_t lane = 0; lane < LANE_COUNT; lane++) {
            list_init(&shard->lanes[lane].ending);
            shard->lanes[lane].ending_count = 0;
            shard->lanes[lane].suspect_count = 0;
            shard->lanes[lane].old_suspects = 0;
            shard->lanes[lane].auditing = false;
        }
    }
    list_init(&s->children_waiting);
}

size_t intake_held(const struct supervisor *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->shard_count; i++)
        n += map_size(s->shards[i]->held);
    return n;
}

/* The fields of an entry that is not ours, flattened: name=value lines, so that nothing of it is
 * lost. */
static void flatten(const struct redisReply *fields, struct buf *out)
{
    buf_init(out, RAW_MAX);
    for (size_t i = 0; i < reply_count(fields); i++) {
        const char *bytes;
        size_t n;
        if (reply_bytes(fields, i, &bytes, &n))
            buf_append(out, bytes, n);
        buf_append_char(out, i % 2 ? '\n' : '=');
    }
}

static struct job *register_entry(struct shard *shard, const struct claim_entry *e)
{
    struct claim_entry copy = *e;
    struct buf raw;
    buf_init(&raw, RAW_MAX);
    if (!e->h) {
        flatten(e->fields, &raw);
        copy.h = "";
        copy.h_len = 0;
        copy.p = raw.data ? raw.data : "";
        copy.p_len = raw.len;
    }
    struct job *j = job_new(shard, &copy);
    buf_done(&raw);
    if (!j)
        return NULL;
    struct held_key key = held_key(e->lane, &e->id);
    if (map_put(shard->held, &key, sizeof(key), j)) {
        job_free(j);
        return NULL;
    }
    return j;
}

static uint32_t clamp_ms(int64_t ms)
{
    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static void set_limits(struct supervisor *s, struct job *j)
{
    const struct job_header *h = &j->header;
    const struct worker_limits *l = worker_config_limits(s->config, h->type, h->type_len);
    j->limits = (struct retry_limits){
        .backoff_ms = l->backoff_ms,
        .backoff_cap_ms = l->backoff_cap_ms,
        .max_attempts = h->max_attempts ? h->max_attempts : (uint32_t)l->max_attempts,
        .crash_budget = (unsigned)s->config->crash_budget,
    };
    int64_t soft = h->soft_limit_ms ? h->soft_limit_ms : l->soft_limit_ms;
    int64_t hard = h->hard_limit_ms   ? h->hard_limit_ms
                   : h->soft_limit_ms ? soft + HARD_AFTER_SOFT_MS
                                      : l->hard_limit_ms;
    j->soft_ms = clamp_ms(soft);
    j->hard_ms = clamp_ms(MAX(hard, soft));
}

static bool has_expired(struct supervisor *s, const struct job *j)
{
    int64_t now = supervisor_redis_ms(s);
    return j->header.expires_ms > 0 && now > 0 && now - j->enqueued_ms >= j->header.expires_ms;
}

static void decide(struct supervisor *s, struct job *j)
{
    jobq_err err;
    enum codec_result result = codec_decode(j->h, j->h_len, &j->header, &err);
    j->limits.max_attempts = 1;
    if (result == CODEC_CORRUPT) {
        outcome_failed(s, j, RETRY_CORRUPT, -1, err.msg, strlen(err.msg));
        return;
    }
    if (result == CODEC_NEWER) {
        outcome_failed(s, j, RETRY_UNKNOWN, -1, NULL, 0);
        return;
    }
    j->header_valid = true;
    int64_t added_ms = (int64_t)MIN(j->entry.ms, (uint64_t)INT64_MAX);
    j->enqueued_ms = j->header.enqueued_ms ? j->header.enqueued_ms : added_ms;
    j->wait_ms = MAX(supervisor_redis_ms(s) - j->enqueued_ms, 0);
    set_limits(s, j);
    /* What is not to be run needs nobody who knows its type: it ends here, instead of waiting
     * parked. */
    if (j->header.flags & CODEC_FLAG_EXHAUSTED) {
        static const char lost[] = "its workers were declared dead too often";
        outcome_failed(s, j, RETRY_EXHAUSTED, -1, lost, sizeof(lost) - 1);
    } else if (has_expired(s, j)) {
        static const char expired[] = "expired before it was started";
        outcome_failed(s, j, RETRY_EXPIRED, -1, expired, sizeof(expired) - 1);
    } else if (!supervisor_knows_type(s, j->header.type, j->header.type_len)) {
        outcome_failed(s, j, RETRY_UNKNOWN, -1, NULL, 0);
    } else {
        j->turn.source = j->shard->lanes[j->lane].source;
        j->turn.type = dispatch_type_of(s->dispatch, j->header.type, j->header.type_len);
        j->turn.alone = j->header.losses >= DISPATCH_ALONE_LOSSES;
        j->stage = JOB_WAITING;
        dispatch_claimed(s->dispatch, &j->turn, j->claimed_ms);
    }
}

void intake_entry(struct supervisor *s, struct shard *shard, const struct claim_entry *e)
{
    if (intake_find(shard, e->lane, &e->id))
        return; /* the audit was faster than the answer */
    struct job *j = register_entry(shard, e);
    if (!j) {
        /* It stays pending under our name: the audit fetches it when there is memory again. */
        log_event(LOG_ERROR, "claim.no_memory", LOG_STR("queue", shard->keys.queue), LOG_END);
        return;
    }
    j->claimed_ms = loop_now(s->loop);
    shard->numbers.claimed[e->lane]++;
    if (e->h) {
        decide(s, j);
        return;
    }
    static const char foreign[] = "the entry does not have exactly the fields h and p";
    outcome_failed(s, j, RETRY_CORRUPT, -1, foreign, sizeof(foreign) - 1);
}
