/* SPDX-License-Identifier: MIT */
#include "worker/watch.h"

#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/config.h"
#include "worker/audit.h"
#include "worker/lease.h"
#include "worker/letters.h"
#include "worker/observe.h"
#include "worker/pace.h"
#include "worker/peers.h"
#include "worker/ticket.h"

#define REGISTER_AGAIN_MS 500
#define PARKED_WALK 100
#define PARKED_AGAIN_MS 10 /* where some were known there may be more */
#define MOVE_RANKS 10
#define WAKE_MAX_MS                                                                                \
    3600000 /* the channel is open to anybody; what is due is asked for every second               \
             * anyway */

/* ---- registering ---- */

static void on_registered(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct shard *shard = t->shard;
    int64_t redis_ms;
    jobq_err err;
    if (!ticket_is_current(t))
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
    } else if (!ticket_accept(s, r, rc, "register", &err)) {
        if (ticket_is_current(t))
            shard->state = SHARD_NEW;
        shard->register_due_ms = ticket_now(shard) + MAX(pace_of(r), REGISTER_AGAIN_MS);
    } else {
        int64_t now = ticket_now(shard);
        shard->state = SHARD_ALIVE;
        lease_registered(shard->lease, t->sent_ms, now);
        if (s->predecessor[0])
            lease_declare_dead(shard->lease, s->predecessor);
        shard->move_due_ms = shard->sweep_due_ms = shard->park_due_ms = now;
        shard->audit_due_ms = now + s->config->lease_ms;
        shard->letters.due_ms = now + s->config->lease_ms; /* once it is known who is here */
        log_event(LOG_INFO, "registered", LOG_STR("queue", shard->keys.queue),
                  LOG_INT("partition", shard->keys.partition),
                  LOG_STR("incarnation", s->incarnation), LOG_END);
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
    claim_register(ticket_out(shard), &shard->keys, s->incarnation, s->types_text);
    ticket_expect(shard, on_registered, t);
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
    claim_create_groups(ticket_out(shard), &shard->keys);
    for (size_t i = 0; i < LANE_COUNT; i++)
        link_expect(s->command, on_groups, s, shard);
}

/* ---- moving what is due ---- */

static void on_move(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct shard *shard = t->shard;
    struct claim_move m;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    shard->moving = false;
    int64_t now = ticket_now(shard);
    int rc = r ? claim_move_reply(r, &m, &err) : JOBQ_ECONN;
    if (rc) {
        shard->move_due_ms = now + pace_of(r);
        if (r)
            ticket_accept(s, r, rc, "move", &err);
        goto out;
    }
    shard->numbers.moved += (uint64_t)m.moved;
    if (m.corrupt)
        log_event(LOG_ERROR, "later.corrupt", LOG_STR("queue", shard->keys.queue),
                  LOG_INT("count", m.corrupt), LOG_END);
    /* One of us moves on time, the others look a little later, in case it could not. */
    int64_t rank = MIN(lease_rank(shard->lease, now), MOVE_RANKS);
    int64_t longest = MIN(lease_beat_ms(shard->lease), 1000);
    shard->move_due_ms = now + longest + rank * LEASE_RANK_MS;
    if (m.more)
        shard->move_due_ms = now;
    else if (m.next_due_ms >= 0)
        shard->move_due_ms = MIN(shard->move_due_ms, now + MAX(m.next_due_ms - m.redis_ms, 0) + 1 +
                                                         rank * LEASE_RANK_MS);
out:
    mem_free(t);
}

static void send_move(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    shard->moving = true;
    claim_move(ticket_out(shard), &shard->keys, shard->sup->incarnation,
               supervisor_minute(shard->sup));
    ticket_expect(shard, on_move, t);
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
            at = now + MIN(MAX(due, redis) - redis, WAKE_MAX_MS) + 1 + rank * LEASE_RANK_MS;
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
    if (!ticket_is_current(t))
        goto out;
    t->shard->sweeping = false;
    int rc = r ? claim_sweep_reply(r, &fenced, &err) : JOBQ_ECONN;
    if (rc && r)
        ticket_accept(s, r, rc, "sweep", &err);
    else if (!rc && fenced)
        log_event(LOG_WARN, "swept", LOG_STR("queue", t->shard->keys.queue),
                  LOG_INT("consumers", fenced), LOG_END);
out:
    mem_free(t);
}

static void send_sweep(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    shard->sweeping = true;
    claim_sweep(ticket_out(shard), &shard->keys, shard->sup->incarnation);
    ticket_expect(shard, on_sweep, t);
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
    if (ticket_is_current(t) && r) {
        int rc = claim_unpark_reply(r, &moved, &err);
        if (ticket_accept(s, r, rc, "unpark", &err) && moved) {
            observe_unparked(t->shard, moved);
            log_event(LOG_INFO, "unparked", LOG_STR("queue", t->shard->keys.queue),
                      LOG_INT("jobs", moved), LOG_END);
            t->shard->park_due_ms = MIN(t->shard->park_due_ms, loop_now(s->loop) + PARKED_AGAIN_MS);
        }
    }
    mem_free(t);
}

static void on_parked(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct parked_walk w = {.shard = t->shard};
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    t->shard->walking = false;
    if (!r || claim_parked_reply(r, see_parked, &w, &err)) {
        supervisor_judge(s, r);
        goto out;
    }
    t->shard->parked_cursor = w.seen < PARKED_WALK ? (struct entry_id){0, 0} : w.last;
    struct ticket *unpark = w.count ? ticket_new(t->shard) : NULL;
    if (unpark) {
        claim_unpark(ticket_out(t->shard), &t->shard->keys, s->incarnation, w.known, w.count);
        ticket_expect(t->shard, on_unpark, unpark);
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
    claim_parked(ticket_out(shard), &shard->keys, from_start ? NULL : &shard->parked_cursor,
                 PARKED_WALK);
    ticket_expect(shard, on_parked, t);
}

/* ---- all of it ---- */

static void run_shard(struct shard *shard, int64_t now)
{
    struct supervisor *s = shard->sup;
    if (shard->state == SHARD_NEW && s->drain.phase == DRAIN_NOT && !s->fenced && s->types_text &&
        now >= shard->register_due_ms)
        register_shard(shard);
    if (shard->state != SHARD_ALIVE)
        return;
    uint64_t generation = s->generation;
    peers_run(shard, now);
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
        audit_run(shard, now);
    if (!shard->walking && now >= shard->park_due_ms) {
        shard->park_due_ms = now + s->config->lease_ms;
        walk_parked(shard);
    }
    letters_run(shard, now);
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
        if (shard->state == SHARD_NEW && s->types_text && s->drain.phase == DRAIN_NOT && !s->fenced)
            due = MIN(due, shard->register_due_ms);
        if (shard->state != SHARD_ALIVE)
            continue;
        due = MIN(due, lease_due_ms(shard->lease, now_ms));
        due = MIN(due, shard->sweeping ? INT64_MAX : shard->sweep_due_ms);
        due = MIN(due, shard->moving ? INT64_MAX : shard->move_due_ms);
        if (s->drain.phase == DRAIN_NOT) {
            due = MIN(due, shard->audit_due_ms);
            due = MIN(due, shard->walking ? INT64_MAX : shard->park_due_ms);
            due = MIN(due, letters_due_ms(shard));
        }
    }
    return due;
}
