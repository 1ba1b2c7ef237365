/* SPDX-License-Identifier: MIT */
#include "worker/peers.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/observe.h"
#include "worker/ticket.h"

/* ---- beating and looking ---- */

static void on_beat(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct claim_beat beat;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    int64_t now = ticket_now(t->shard);
    int rc = r ? claim_beat_reply(r, &beat, &err) : JOBQ_ECONN;
    if (rc == JOBQ_OK) {
        s->redis_offset_ms = beat.redis_ms - now;
        s->clock_known = true;
        observe_round_trip(s, clock_mono_us() - t->sent_us);
        if (lease_beat_answered(t->shard->lease, &beat, t->sent_ms, now, &err))
            log_event(LOG_ERROR, "lease.no_memory", LOG_END);
    } else {
        lease_beat_failed(t->shard->lease, now);
        if (r)
            ticket_accept(s, r, rc, "beat", &err);
    }
out:
    mem_free(t);
}

static void send_beat(struct shard *shard)
{
    struct ticket *t = ticket_new(shard);
    if (!t) {
        lease_beat_failed(shard->lease, ticket_now(shard));
        return;
    }
    size_t info_len = 0;
    const char *info = publish_info(shard, ticket_now(shard), &info_len);
    claim_beat(ticket_out(shard), &shard->keys, shard->sup->incarnation, info, info_len);
    t->sent_us = clock_mono_us();
    ticket_expect(shard, on_beat, t);
}

static void on_look(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    struct lease *lease = t->shard->lease;
    int64_t now = ticket_now(t->shard);
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
    if (!ticket_is_current(t) || !r)
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
            lease_presence(t->shard->lease, channel + prefix_len, subscribers,
                           ticket_now(t->shard));
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
        lease_look_failed(shard->lease, ticket_now(shard));
        return;
    }
    resp_command(ticket_out(shard), "HGETALL", shard->keys.alive, NULL);
    ticket_expect(shard, on_look, look);
    while (lease_peer_name(shard->lease, names))
        names++;
    if (!names) {
        mem_free(numsub);
        return;
    }
    resp_begin(ticket_out(shard), 2 + names);
    resp_str(ticket_out(shard), "PUBSUB");
    resp_str(ticket_out(shard), "NUMSUB");
    for (size_t i = 0; i < names; i++) {
        char channel[KEYS_MAX];
        size_t n = keys_node(s->config->key_prefix, lease_peer_name(shard->lease, i), channel,
                             sizeof(channel));
        resp_bytes(ticket_out(shard), channel, n);
    }
    ticket_expect(shard, on_numsub, numsub);
}

/* ---- fencing and reaping ---- */

static void on_fence(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    int rc = r ? claim_fence_reply(r, &err) : JOBQ_ECONN;
    enum lease_result result = LEASE_ACT_RETRY;
    if (rc == JOBQ_OK)
        result = LEASE_ACT_FENCED;
    else if (rc == JOBQ_ESTATE)
        result = LEASE_ACT_DONE;
    else if (r && !ticket_accept(s, r, rc, "fence", &err) && !ticket_is_current(t))
        goto out;
    if (rc == JOBQ_OK)
        log_event(LOG_WARN, "fenced", LOG_STR("incarnation", t->victim),
                  LOG_STR("queue", t->shard->keys.queue),
                  LOG_INT("partition", t->shard->keys.partition), LOG_END);
    if (rc == JOBQ_OK)
        observe_peer_fenced(t->shard, t->victim);
    lease_act_answered(t->shard->lease, t->victim, result, ticket_now(t->shard));
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
    if (!ticket_is_current(t))
        goto out;
    int rc = r ? claim_reap_reply(r, &more, &moved, &err) : JOBQ_ECONN;
    enum lease_result result = LEASE_ACT_RETRY;
    if (rc == JOBQ_OK)
        result = more ? LEASE_ACT_MORE : LEASE_ACT_DONE;
    else if (rc == JOBQ_ESTATE)
        result = LEASE_ACT_DONE;
    else if (r && !ticket_accept(s, r, rc, "reap", &err) && !ticket_is_current(t))
        goto out;
    if (rc == JOBQ_OK)
        CRASH_POINT("reap.answered");
    if (rc == JOBQ_OK)
        observe_reaped(t->shard, t->victim, moved);
    if (rc == JOBQ_OK && (moved || !more))
        log_event(LOG_WARN, "reaped", LOG_STR("incarnation", t->victim), LOG_INT("jobs", moved),
                  LOG_STR("queue", t->shard->keys.queue),
                  LOG_INT("partition", t->shard->keys.partition), LOG_END);
    lease_act_answered(t->shard->lease, t->victim, result, ticket_now(t->shard));
out:
    mem_free(t);
}

static void act_on_peer(struct shard *shard, const struct lease_action *a)
{
    struct supervisor *s = shard->sup;
    struct ticket *t = ticket_new(shard);
    if (!t) {
        lease_act_answered(shard->lease, a->victim, LEASE_ACT_RETRY, ticket_now(shard));
        return;
    }
    snprintf(t->victim, sizeof(t->victim), "%s", a->victim);
    if (a->act == LEASE_SEND_FENCE) {
        claim_fence(ticket_out(shard), &shard->keys, s->incarnation, t->victim, a->counter);
        ticket_expect(shard, on_fence, t);
    } else {
        CRASH_POINT("reap.before");
        s->sent |= SENT_REAP;
        claim_reap(ticket_out(shard), &shard->keys, s->incarnation, t->victim, supervisor_minute(s),
                   (unsigned)s->config->loss_budget);
        ticket_expect(shard, on_reap, t);
    }
}

void peers_run(struct shard *shard, int64_t now)
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
