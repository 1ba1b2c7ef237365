/* SPDX-License-Identifier: MIT */
#include "worker/reading.h"

#include <stdio.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/trouble.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/pace.h"
#include "worker/state.h"
#include "worker/watch.h"

#define LATE_MS 1000 /* beyond its BLOCK time, by our clock, a read is lost */
#define BLOCK_MAX_MS 5000
#define POLL_MS 50         /* without a reader */
#define NO_READING_MS 1000 /* not ready so long after a refused read was due again */

struct read_ticket {
    struct shard *shard; /* of a non-blocking read */
    struct shard_lane *lane;
    uint64_t generation;
    size_t got;
    struct supervisor *s;
};

/* A user without the right to claim is no reason to stop asking, but one to be not ready. */
static void pause_reading(struct supervisor *s, const struct redisReply *r)
{
    s->read_pause_until_ms = loop_now(s->loop) + pace_of(r);
    if (!r || reply_class_of(r) != REPLY_AUTH)
        return;
    snprintf(s->no_reading, sizeof(s->no_reading), "%.180s", reply_text(r));
    s->no_reading_until_ms = s->read_pause_until_ms + NO_READING_MS;
}

/* ---- without blocking ---- */

static void take_entry(void *ctx, const struct claim_entry *e)
{
    struct read_ticket *t = ctx;
    struct claim_entry copy = *e;
    copy.lane = t->lane->lane;
    t->got++;
    intake_entry(t->s, t->shard, &copy);
}

static void on_read(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct read_ticket *t = data;
    const struct shard_keys *keys = &t->shard->keys;
    jobq_err err;
    if (t->generation != s->generation)
        goto out;
    s->read_lane = NULL;
    if (r && claim_read_reply(r, &keys, 1, take_entry, t, &err)) {
        if (reply_class_of(r) == REPLY_LOST_DATA)
            watch_create_groups(t->shard);
        else if (!reply_is_error(r))
            trouble_event(LOG_ERROR, "read.unexpected", 1, LOG_STR("error", err.msg), LOG_END);
        pause_reading(s, r);
        supervisor_judge(s, r);
    } else if (r) {
        s->no_reading_until_ms = 0;
    }
    CRASH_POINT("claim.read");
    dispatch_read_answered(s->dispatch, t->lane->source, t->got, loop_now(s->loop));
out:
    mem_free(t);
}

void reading_read(struct supervisor *s, struct shard_lane *lane, size_t count)
{
    struct read_ticket *t = mem_zalloc(1, sizeof(*t));
    if (!t || !link_is_up(s->command)) {
        mem_free(t);
        pause_reading(s, NULL);
        dispatch_read_answered(s->dispatch, lane->source, 0, loop_now(s->loop));
        return;
    }
    *t = (struct read_ticket){
        .shard = lane->shard, .lane = lane, .generation = s->generation, .s = s};
    s->read_lane = lane;
    claim_read(link_out(s->command), &lane->shard->keys, lane->lane, s->incarnation, count);
    link_expect(s->command, on_read, s, t);
}

/* ---- blocking ---- */

static void end_block(struct supervisor *s)
{
    s->blocked = false;
    s->block_by_poll = false;
    dispatch_block_ended(s->dispatch);
}

static void take_blocked_entry(void *ctx, const struct claim_entry *e)
{
    struct supervisor *s = ctx;
    if (e->shard >= s->block_count)
        return;
    struct shard *shard = s->block_shards[e->shard];
    dispatch_source_woken(s->dispatch, shard->lanes[e->lane].source);
    intake_entry(s, shard, e);
}

static void recreate_all_groups(struct supervisor *s)
{
    for (size_t i = 0; i < s->block_count; i++)
        watch_create_groups(s->block_shards[i]);
}

static void on_blocked_read(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct read_ticket *t = data;
    jobq_err err;
    if (t->generation != s->generation) {
        /* Read under a name that is fenced: what it brought is swept and reaped, not run. */
        s->blocked = false;
        goto out;
    }
    if (r && claim_read_reply(r, s->block_keys, s->block_count, take_blocked_entry, s, &err)) {
        if (reply_class_of(r) == REPLY_LOST_DATA)
            recreate_all_groups(s);
        else if (!link_judge(s->reader, r))
            trouble_event(LOG_ERROR, "read.unexpected", 1, LOG_STR("error", err.msg), LOG_END);
        pause_reading(s, r);
    } else if (r) {
        s->no_reading_until_ms = 0;
    }
    CRASH_POINT("claim.read");
    end_block(s);
out:
    mem_free(t);
}

/* The partitions that are open for claiming now. */
static size_t gather_open(struct supervisor *s)
{
    s->block_count = 0;
    for (size_t i = 0; i < s->shard_count && s->block_count < KEYS_PARTITIONS_MAX; i++) {
        struct shard *shard = s->shards[i];
        if (!shard->claims || shard->state != SHARD_ALIVE)
            continue;
        s->block_shards[s->block_count] = shard;
        s->block_keys[s->block_count++] = &shard->keys;
    }
    return s->block_count;
}

static bool make_block_arrays(struct supervisor *s)
{
    if (!s->block_keys)
        s->block_keys = mem_zalloc(KEYS_PARTITIONS_MAX, sizeof(struct shard_keys *));
    if (!s->block_shards)
        s->block_shards = mem_zalloc(KEYS_PARTITIONS_MAX, sizeof(struct shard *));
    return s->block_keys && s->block_shards;
}

void reading_block(struct supervisor *s)
{
    int64_t now = loop_now(s->loop);
    struct read_ticket *t = NULL;
    if (link_is_up(s->reader) && !link_pending(s->reader) && make_block_arrays(s) && gather_open(s))
        t = mem_zalloc(1, sizeof(*t));
    if (!t) {
        s->block_by_poll = true;
        s->block_ends_ms = now + POLL_MS;
        return;
    }
    *t = (struct read_ticket){.generation = s->generation, .s = s};
    int64_t block_ms = MIN(MAX(s->config->lease_ms / LEASE_BEATS, 1), BLOCK_MAX_MS);
    s->blocked = true;
    s->block_ends_ms = now + block_ms + LATE_MS;
    claim_read_blocking(link_out(s->reader), s->block_keys, s->block_count, s->incarnation,
                        block_ms);
    link_expect(s->reader, on_blocked_read, s, t);
}

void reading_unblock(struct supervisor *s)
{
    if (!s->blocked || !link_is_up(s->command))
        return;
    resp_begin(link_out(s->command), 3);
    resp_str(link_out(s->command), "CLIENT");
    resp_str(link_out(s->command), "UNBLOCK");
    resp_int(link_out(s->command), link_client_id(s->reader));
    link_expect(s->command, NULL, NULL, NULL);
}

void reading_reader_down(struct supervisor *s)
{
    if (s->blocked || s->block_by_poll)
        end_block(s);
}

void reading_reset(struct supervisor *s)
{
    s->read_lane = NULL;
    s->read_pause_until_ms = 0;
    if (s->blocked) /* the old name's read must not deliver to us */
        link_break(s->reader, "starting anew under a new name");
    end_block(s);
}

void reading_check(struct supervisor *s, int64_t now_ms)
{
    if (s->block_by_poll && now_ms >= s->block_ends_ms) {
        for (size_t i = 0; i < dispatch_sources(s->dispatch); i++)
            dispatch_source_woken(s->dispatch, dispatch_source_at(s->dispatch, i));
        end_block(s);
    } else if (s->blocked && now_ms >= s->block_ends_ms) {
        link_break(s->reader, "a blocked read outlived its time");
    }
}

int64_t reading_due_ms(const struct supervisor *s)
{
    int64_t due = s->blocked || s->block_by_poll ? s->block_ends_ms : INT64_MAX;
    if (s->read_pause_until_ms > loop_now(s->loop))
        due = MIN(due, s->read_pause_until_ms);
    return due;
}

void reading_free(struct supervisor *s)
{
    mem_free(s->block_keys);
    mem_free(s->block_shards);
}
