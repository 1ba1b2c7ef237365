/* SPDX-License-Identifier: MIT */
/*
 * watch: the upkeep of every partition that exists, whether we claim from it or not: registering, beating, watching
 * others, fencing and reaping the dead, moving due jobs, sweeping, auditing what Redis says we hold, and walking the
 * parked. What to do about others is lease.c's decision; this file carries it out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "worker/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/state.h"

#define REGISTER_AGAIN_MS 500
#define PARKED_WALK 100
#define AUDIT_PAGE 1000
#define MOVE_RANKS 10

/* What an answer belongs to; answers to an older incarnation are ignored. */
struct ticket {
    struct shard *shard;
    uint64_t generation;
    int64_t sent_ms;
    enum lane lane;
    struct entry_id entry;
    char victim[INCARNATION_SIZE];
};

static struct ticket *ticket_new(struct shard *shard)
{
    struct ticket *t = mem_zalloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->shard = shard;
    t->generation = shard->sup->generation;
    t->sent_ms = loop_now(shard->sup->loop);
    return t;
}

static bool is_current(const struct ticket *t)
{
    return t->generation == t->shard->sup->generation;
}

static struct buf *out(struct shard *shard)
{
    return link_out(shard->sup->command);
}

static void expect(struct shard *shard, link_reply_fn fn, struct ticket *t)
{
    link_expect(shard->sup->command, fn, shard->sup, t);
}

static int64_t now_of(const struct shard *shard)
{
    return loop_now(shard->sup->loop);
}

/* An answer's return code: fenced and errors are dealt with; true: go on. */
static bool accept_answer(struct supervisor *s, const struct redisReply *r, int rc, const char *what,
                          const jobq_err *err)
{
    if (rc == JOBQ_OK || rc == JOBQ_ESTATE)
        return true;
    if (rc == JOBQ_EFENCED)
        supervisor_fenced(s, what);
    else if (!supervisor_judge(s, r))
        log_event(LOG_ERROR, "redis.unexpected", LOG_STR("answer_to", what), LOG_STR("error", err->msg),
                  LOG_END);
    return false;
}

/* ---- registering ---- */

static void on_registered(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct shard *shard = t->shard;
    int64_t redis_ms;
    jobq_err err;
    if (!is_current(t))
        goto out;
    if (!r) {
        /* It may have been stored: the name is spent. */
        shard->state = SHARD_NEW;
        supervisor_fenced(s, "registration unanswered");
        goto out;
    }
    int rc = claim_register_reply(r, &redis_ms, &err);
    if (rc == JOBQ_ESTATE) {
        supervisor_fenced(s, "name exists");
    } else if (!accept_answer(s, r, rc, "register", &err)) {
        if (is_current(t))
            shard->state = SHARD_NEW;
        shard->register_due_ms = now_of(shard) + REGISTER_AGAIN_MS;
    } else {
        int64_t now = now_of(shard);
        shard->state = SHARD_ALIVE;
        lease_registered(shard->lease, t->sent_ms, now);
        if (s->predecessor[0])
            lease_declare_dead(shard->lease, s->predecessor);
        shard->move_due_ms = shard->sweep_due_ms = shard->park_due_ms = now;
        shard->audit_due_ms = now + s->config->lease_ms;
        log_event(LOG_INFO, "registered", LOG_STR("queue", shard->keys.queue),
                  LOG_INT("partition", shard->keys.partition), LOG_STR("incarnation", s->incarnation), LOG_END);
    }
out:
    mem_free(t);
}

static void register_shard(struct shard *shard)
{
    struct supervisor *s = shard->sup;
    struct ticket *t = ticket_new(shard);
    if (!t || !s->types_text) {
        mem_free(t);
        return;
    }
    shard->state = SHARD_REGISTERING;
    claim_register(out(shard), &shard->keys, s->incarnation, s->types_text);
    expect(shard, on_registered, t);
}

static void on_groups(void *ctx, void *data, const struct redisReply *r)
{
    struct shard *shard = data;
    (void)ctx;
    (void)r; /* BUSYGROUP is fine; what is not shows at the next read */
    shard->creating_groups = false;
}

void watch_create_groups(struct shard *shard)
{
    struct supervisor *s = shard->sup;
    if (shard->creating_groups || !link_is_up(s->command))
        return;
    shard->creating_groups = true;
    claim_create_groups(out(shard), &shard->keys);
    for (size_t i = 0; i < LANE_COUNT; i++)
        link_expect(s->command, on_groups, s, shard);
}

/* ---- beating and looking ---- */

static void on_beat(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct claim_beat beat;
    jobq_err err;
    if (!is_current(t))
        goto out;
    int64_t now = now_of(t->shard);
    int rc = r ? claim_beat_reply(r, &beat, &err) : JOBQ_ECONN;
    if (rc == JOBQ_OK) {
        s->redis_offset_ms = beat.redis_ms - now;
        s->clock_known = true;
        if (lease_beat_answered(t->shard->lease, &beat, t->sent_ms, now, &err))
            log_event(LOG_ERROR, "lease.no_memory", LOG_END);
    } else {
        lease_beat_failed(t->shard->lease, now);
        if (r)
            accept_answer(s, r, rc, "beat", &err);
    }
out:
    mem_free(t);
}

static void send_beat(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t) {
        lease_beat_failed(shard->lease, now_of(shard));
        return;
    }
    claim_beat(out(shard), &shard->keys, shard->sup->incarnation);
    expect(shard, on_beat, t);
}

static void on_look(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!is_current(t))
        goto out;
    struct lease *lease = t->shard->lease;
    int64_t now = now_of(t->shard);
    if (!reply_is_array(r)) {
        lease_look_failed(lease, now);
        supervisor_judge(s, r);
        goto out;
    }
    for (size_t i = 0; i + 1 < reply_count(r); i += 2) {
        const char *name, *value;
        size_t n, value_len;
        int64_t counter = -1;
        if (!reply_bytes(r, i, &name, &n) || !reply_bytes(r, i + 1, &value, &value_len))
            continue;
        bool fenced = value_len == 1 && value[0] == 'F';
        if (!fenced && !reply_int(r, i + 1, &counter))
            continue;
        if (lease_look_peer(lease, name, fenced, counter, now, &err))
            log_event(LOG_ERROR, "lease.no_memory", LOG_END);
    }
    lease_look_done(lease, now);
out:
    mem_free(t);
}

static void on_numsub(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    if (!is_current(t) || !r)
        goto out;
    if (!reply_is_array(r)) {
        if (reply_class_of(r) == REPLY_AUTH)
            lease_use_presence(t->shard->lease, false);
        goto out;
    }
    char prefix[KEYS_MAX];
    size_t prefix_len = keys_node(s->config->key_prefix, "", prefix, sizeof(prefix));
    for (size_t i = 0; i + 1 < reply_count(r); i += 2) {
        const char *channel;
        size_t n;
        int64_t subscribers;
        if (reply_bytes(r, i, &channel, &n) && n > prefix_len && reply_int(r, i + 1, &subscribers))
            lease_presence(t->shard->lease, channel + prefix_len, subscribers, now_of(t->shard));
    }
out:
    mem_free(t);
}

static void send_look(struct shard *shard)
{
    struct supervisor *s = shard->sup;
    struct ticket *look = ticket_new(shard), *numsub = ticket_new(shard);
    size_t names = 0;
    if (!look || !numsub) {
        mem_free(look);
        mem_free(numsub);
        lease_look_failed(shard->lease, now_of(shard));
        return;
    }
    resp_command(out(shard), "HGETALL", shard->keys.alive, NULL);
    expect(shard, on_look, look);
    while (lease_peer_name(shard->lease, names))
        names++;
    if (!names) {
        mem_free(numsub);
        return;
    }
    resp_begin(out(shard), 2 + names);
    resp_str(out(shard), "PUBSUB");
    resp_str(out(shard), "NUMSUB");
    for (size_t i = 0; i < names; i++) {
        char channel[KEYS_MAX];
        size_t n = keys_node(s->config->key_prefix, lease_peer_name(shard->lease, i), channel, sizeof(channel));
        resp_bytes(out(shard), channel, n);
    }
    expect(shard, on_numsub, numsub);
}

/* ---- fencing and reaping ---- */

static void on_fence(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!is_current(t))
        goto out;
    int rc = r ? claim_fence_reply(r, &err) : JOBQ_ECONN;
    enum lease_result result = LEASE_ACT_RETRY;
    if (rc == JOBQ_OK || rc == JOBQ_ESTATE)
        result = LEASE_ACT_DONE;
    else if (r && !accept_answer(s, r, rc, "fence", &err) && !is_current(t))
        goto out;
    if (rc == JOBQ_OK)
        log_event(LOG_WARN, "fenced", LOG_STR("incarnation", t->victim),
                  LOG_STR("queue", t->shard->keys.queue), LOG_INT("partition", t->shard->keys.partition),
                  LOG_END);
    lease_act_answered(t->shard->lease, t->victim, result, now_of(t->shard));
out:
    mem_free(t);
}

static void on_reap(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    bool more = false;
    int64_t moved = 0;
    jobq_err err;
    if (!is_current(t))
        goto out;
    int rc = r ? claim_reap_reply(r, &more, &moved, &err) : JOBQ_ECONN;
    enum lease_result result = LEASE_ACT_RETRY;
    if (rc == JOBQ_OK)
        result = more ? LEASE_ACT_MORE : LEASE_ACT_DONE;
    else if (rc == JOBQ_ESTATE)
        result = LEASE_ACT_DONE;
    else if (r && !accept_answer(s, r, rc, "reap", &err) && !is_current(t))
        goto out;
    if (rc == JOBQ_OK && (moved || !more))
        log_event(LOG_WARN, "reaped", LOG_STR("incarnation", t->victim), LOG_INT("jobs", moved),
                  LOG_STR("queue", t->shard->keys.queue), LOG_INT("partition", t->shard->keys.partition),
                  LOG_END);
    lease_act_answered(t->shard->lease, t->victim, result, now_of(t->shard));
out:
    mem_free(t);
}

static void act_on_peer(struct shard *shard, const struct lease_action *a)
{
    struct supervisor *s = shard->sup;
    struct ticket *t = ticket_new(shard);
    if (!t) {
        lease_act_answered(shard->lease, a->victim, LEASE_ACT_RETRY, now_of(shard));
        return;
    }
    snprintf(t->victim, sizeof(t->victim), "%s", a->victim);
    if (a->act == LEASE_SEND_FENCE) {
        claim_fence(out(shard), &shard->keys, s->incarnation, t->victim, a->counter);
        expect(shard, on_fence, t);
    } else {
        CRASH_POINT("reap.before");
        claim_reap(out(shard), &shard->keys, s->incarnation, t->victim, supervisor_minute(s),
                   (unsigned)s->config->loss_budget);
        expect(shard, on_reap, t);
    }
}

static void run_lease(struct shard *shard, int64_t now)
{
    for (;;) {
        struct lease_action a = lease_next(shard->lease, now);
        switch (a.act) {
        case LEASE_NOTHING:
            return;
        case LEASE_SEND_BEAT:
            send_beat(shard);
            break;
        case LEASE_SEND_LOOK:
            send_look(shard);
            break;
        case LEASE_SEND_FENCE:
        case LEASE_SEND_REAP:
            act_on_peer(shard, &a);
            break;
        }
    }
}

/* ---- moving what is due ---- */

static void on_move(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct shard *shard = t->shard;
    struct claim_move m;
    jobq_err err;
    if (!is_current(t))
        goto out;
    shard->moving = false;
    int64_t now = now_of(shard);
    int rc = r ? claim_move_reply(r, &m, &err) : JOBQ_ECONN;
    if (rc) {
        shard->move_due_ms = now + RETRY_PAUSE_MS;
        if (r)
            accept_answer(s, r, rc, "move", &err);
        goto out;
    }
    if (m.corrupt)
        log_event(LOG_ERROR, "later.corrupt", LOG_STR("queue", shard->keys.queue), LOG_INT("count", m.corrupt),
                  LOG_END);
    /* One of us moves on time, the others look a little later, in case it could not. */
    int64_t rank = MIN(lease_rank(shard->lease, now), MOVE_RANKS);
    int64_t longest = MIN(lease_beat_ms(shard->lease), 1000);
    shard->move_due_ms = now + longest + rank * LEASE_RANK_MS;
    if (m.more)
        shard->move_due_ms = now;
    else if (m.next_due_ms >= 0)
        shard->move_due_ms = MIN(shard->move_due_ms,
                                 now + MAX(m.next_due_ms - m.redis_ms, 0) + 1 + rank * LEASE_RANK_MS);
out:
    mem_free(t);
}

static void send_move(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    shard->moving = true;
    claim_move(out(shard), &shard->keys, shard->sup->incarnation, supervisor_minute(shard->sup));
    expect(shard, on_move, t);
}

void watch_wake(struct supervisor *s, const char *channel, const char *message)
{
    int64_t due, redis = supervisor_redis_ms(s), now = loop_now(s->loop);
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        if (strcmp(shard->keys.wake, channel) != 0)
            continue;
        int64_t rank = MIN(lease_rank(shard->lease, now), MOVE_RANKS);
        int64_t at = now;
        if (redis && text_parse_int(message, &due) == JOBQ_OK)
            at = now + MAX(due - redis, 0) + 1 + rank * LEASE_RANK_MS;
        shard->move_due_ms = MIN(shard->move_due_ms, at);
    }
}

/* ---- sweeping ---- */

static void on_sweep(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    int64_t fenced;
    jobq_err err;
    if (!is_current(t))
        goto out;
    t->shard->sweeping = false;
    int rc = r ? claim_sweep_reply(r, &fenced, &err) : JOBQ_ECONN;
    if (rc && r)
        accept_answer(s, r, rc, "sweep", &err);
    else if (!rc && fenced)
        log_event(LOG_WARN, "swept", LOG_STR("queue", t->shard->keys.queue), LOG_INT("consumers", fenced),
                  LOG_END);
out:
    mem_free(t);
}

static void send_sweep(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    shard->sweeping = true;
    claim_sweep(out(shard), &shard->keys, shard->sup->incarnation);
    expect(shard, on_sweep, t);
}

/* ---- the parked: types and formats that somebody here may know by now ---- */

struct parked_walk {
    struct shard *shard;
    struct entry_id known[PARKED_WALK];
    size_t count, seen;
    struct entry_id last;
};

static void see_parked(void *ctx, const struct claim_entry *e)
{
    struct parked_walk *w = ctx;
    struct job_header h;
    w->seen++;
    w->last = e->id;
    if (e->h && codec_decode(e->h, e->h_len, &h, NULL) == CODEC_OK && w->count < PARKED_WALK &&
        supervisor_knows_type(w->shard->sup, h.type, h.type_len))
        w->known[w->count++] = e->id;
}

static void on_unpark(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    int64_t moved;
    jobq_err err;
    if (is_current(t) && r) {
        int rc = claim_unpark_reply(r, &moved, &err);
        if (accept_answer(s, r, rc, "unpark", &err) && moved)
            log_event(LOG_INFO, "unparked", LOG_STR("queue", t->shard->keys.queue), LOG_INT("jobs", moved),
                      LOG_END);
    }
    mem_free(t);
}

static void on_parked(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct parked_walk w = {.shard = t->shard};
    jobq_err err;
    if (!is_current(t))
        goto out;
    t->shard->walking = false;
    if (!r || claim_parked_reply(r, see_parked, &w, &err)) {
        supervisor_judge(s, r);
        goto out;
    }
    t->shard->parked_cursor = w.seen < PARKED_WALK ? (struct entry_id){0, 0} : w.last;
    struct ticket *unpark = w.count ? ticket_new(t->shard) : NULL;
    if (unpark) {
        claim_unpark(out(t->shard), &t->shard->keys, s->incarnation, w.known, w.count);
        expect(t->shard, on_unpark, unpark);
    }
out:
    mem_free(t);
}

static void walk_parked(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    bool from_start = shard->parked_cursor.ms == 0 && shard->parked_cursor.seq == 0;
    shard->walking = true;
    claim_parked(out(shard), &shard->keys, from_start ? NULL : &shard->parked_cursor, PARKED_WALK);
    expect(shard, on_parked, t);
}

/* ---- the audit: what Redis says we hold must be what we hold ---- */

static void on_fetched(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct claim_entry e;
    bool found;
    jobq_err err;
    if (!is_current(t) || !r)
        goto out;
    if (claim_fetch_reply(r, t->lane, &e, &found, &err)) {
        supervisor_judge(s, r);
        goto out;
    }
    if (intake_find(t->shard, t->lane, &t->entry))
        goto out;
    char entry[ENTRY_ID_TEXT_SIZE];
    entry_id_format(&t->entry, entry);
    log_event(LOG_WARN, "audit.found", LOG_STR("queue", t->shard->keys.queue),
              LOG_STR("lane", keys_lane_name(t->lane)), LOG_STR("entry", entry),
              LOG_STR("fate", found ? "run" : "acknowledged"), LOG_END);
    if (found) {
        intake_entry(s, t->shard, &e);
    } else {
        /* Gone from the stream, still pending: nothing is left to run. XACK answers a number nobody needs. */
        resp_command(out(t->shard), "XACK", t->shard->keys.lanes[t->lane], KEYS_GROUP, entry, NULL);
        link_expect(s->command, on_groups, s, t->shard);
    }
out:
    mem_free(t);
}

static void fetch(struct shard *shard, enum lane lane, const struct entry_id *id)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    t->lane = lane;
    t->entry = *id;
    claim_fetch(out(shard), &shard->keys, lane, id);
    expect(shard, on_fetched, t);
}

struct audit {
    struct shard *shard;
    struct shard_lane *lane;
    size_t seen;
    struct entry_id last;
};

static void note_suspect(struct shard_lane *lane, const struct entry_id *id)
{
    if (lane->suspect_count == lane->suspect_cap) {
        size_t cap = lane->suspect_cap ? lane->suspect_cap * 2 : 16;
        struct entry_id *grown = mem_realloc(lane->suspects, cap * sizeof(*grown));
        if (!grown)
            return; /* the next audit sees it again */
        lane->suspects = grown;
        lane->suspect_cap = cap;
    }
    lane->suspects[lane->suspect_count++] = *id;
}

static void see_pending(void *ctx, const struct entry_id *id)
{
    struct audit *a = ctx;
    a->seen++;
    a->last = *id;
    if (intake_find(a->shard, a->lane->lane, id))
        return;
    for (size_t i = 0; i < a->lane->old_suspects; i++)
        if (entry_id_compare(&a->lane->suspects[i], id) == 0) {
            fetch(a->shard, a->lane->lane, id);
            return;
        }
    note_suspect(a->lane, id);
}

static void audit_lane(struct shard *shard, enum lane lane, const struct entry_id *after);

/* What was new in this look is what the next one knows. */
static void end_audit(struct shard_lane *lane)
{
    size_t fresh = lane->suspect_count - lane->old_suspects;
    if (fresh)
        memmove(lane->suspects, lane->suspects + lane->old_suspects, fresh * sizeof(lane->suspects[0]));
    lane->suspect_count = fresh;
    lane->old_suspects = fresh;
    lane->auditing = false;
}

static void on_pending(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!is_current(t))
        goto out;
    struct audit a = {.shard = t->shard, .lane = &t->shard->lanes[t->lane]};
    if (!r || claim_pending_reply(r, see_pending, &a, &err)) {
        a.lane->auditing = false;
        a.lane->suspect_count = a.lane->old_suspects = 0;
        if (r && supervisor_judge(s, r) && reply_class_of(r) == REPLY_LOST_DATA)
            watch_create_groups(t->shard);
        goto out;
    }
    if (a.seen == AUDIT_PAGE)
        audit_lane(t->shard, t->lane, &a.last);
    else
        end_audit(a.lane);
out:
    mem_free(t);
}

static void audit_lane(struct shard *shard, enum lane lane, const struct entry_id *after)
{
    struct ticket *t = ticket_new(shard);
    if (!t) {
        shard->lanes[lane].auditing = false;
        return;
    }
    t->lane = lane;
    shard->lanes[lane].auditing = true;
    claim_pending(out(shard), &shard->keys, lane, shard->sup->incarnation, AUDIT_PAGE, after);
    expect(shard, on_pending, t);
}

static void audit(struct shard *shard)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (!shard->lanes[lane].auditing)
            audit_lane(shard, lane, NULL);
}

void watch_link_broke(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        s->shards[i]->quick_audits = 2;
        s->shards[i]->audit_due_ms = loop_now(s->loop);
    }
}

static void run_audit(struct shard *shard, int64_t now)
{
    shard->audit_due_ms = now + shard->sup->config->lease_ms;
    if (shard->quick_audits && --shard->quick_audits)
        shard->audit_due_ms = now + AUDIT_AGAIN_MS;
    audit(shard);
}

/* ---- all of it ---- */

static void run_shard(struct shard *shard, int64_t now)
{
    struct supervisor *s = shard->sup;
    if (shard->state == SHARD_NEW && s->drain.phase == DRAIN_NOT && s->types_text &&
        now >= shard->register_due_ms)
        register_shard(shard);
    if (shard->state != SHARD_ALIVE)
        return;
    uint64_t generation = s->generation;
    run_lease(shard, now);
    if (s->generation != generation || !link_is_up(s->command))
        return;
    if (!shard->moving && now >= shard->move_due_ms)
        send_move(shard);
    if (!shard->sweeping && now >= shard->sweep_due_ms) {
        shard->sweep_due_ms = now + s->config->lease_ms;
        send_sweep(shard);
    }
    if (s->drain.phase != DRAIN_NOT)
        return;
    if (now >= shard->audit_due_ms)
        run_audit(shard, now);
    if (!shard->walking && now >= shard->park_due_ms) {
        shard->park_due_ms = now + s->config->lease_ms;
        walk_parked(shard);
    }
}

void watch_run(struct supervisor *s, int64_t now_ms)
{
    for (size_t i = 0; i < s->shard_count && link_is_up(s->command); i++)
        run_shard(s->shards[i], now_ms);
}

int64_t watch_due_ms(const struct supervisor *s, int64_t now_ms)
{
    int64_t due = INT64_MAX;
    if (!link_is_up(s->command))
        return due;
    for (size_t i = 0; i < s->shard_count; i++) {
        const struct shard *shard = s->shards[i];
        if (shard->state == SHARD_NEW && s->types_text)
            due = MIN(due, shard->register_due_ms);
        if (shard->state != SHARD_ALIVE)
            continue;
        due = MIN(due, lease_due_ms(shard->lease, now_ms));
        due = MIN(due, shard->sweeping ? INT64_MAX : shard->sweep_due_ms);
        due = MIN(due, shard->moving ? INT64_MAX : shard->move_due_ms);
        if (s->drain.phase == DRAIN_NOT) {
            due = MIN(due, shard->audit_due_ms);
            due = MIN(due, shard->walking ? INT64_MAX : shard->park_due_ms);
        }
    }
    return due;
}
