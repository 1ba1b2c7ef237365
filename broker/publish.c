/* SPDX-License-Identifier: MIT */
/* publish: see publish.h. */
#include "broker/publish.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "broker/script.h"

#define STATS_SECONDS "10800" /* as in lua/stats.lua */

void publish_add(struct publish_time *t, int64_t us)
{
    /* Whole milliseconds below it, one less at the bounds: up to 1 ms is 0, up to 2 ms is 1 … */
    uint64_t below = us > 0 ? ((uint64_t)us - 1) / 1000 : 0;
    unsigned k = below ? 64u - (unsigned)__builtin_clzll(below) : 0;

    t->count++;
    t->sum_us += MAX(us, 0);
    t->buckets[MIN(k, PUBLISH_BUCKETS - 1u)]++;
}

static void put_increment(struct buf *out, const char *key, const char *field, int64_t n)
{
    resp_begin(out, 4);
    resp_str(out, "HINCRBY");
    resp_str(out, key);
    resp_str(out, field);
    resp_int(out, n);
}

static size_t put_time(struct buf *out, const char *key, const char *word, struct publish_time *t)
{
    char field[24];
    size_t commands = 2;

    if (t->count == 0)
        return 0;
    snprintf(field, sizeof(field), "%ss", word);
    put_increment(out, key, field, t->count);
    snprintf(field, sizeof(field), "%s_ms", word);
    put_increment(out, key, field, t->sum_us / 1000);
    for (int k = 0; k < PUBLISH_BUCKETS; k++) {
        if (t->buckets[k] == 0)
            continue;
        snprintf(field, sizeof(field), "%s:%d", word, k);
        put_increment(out, key, field, t->buckets[k]);
        commands++;
    }
    *t = (struct publish_time){.sum_us = t->sum_us % 1000};
    return commands;
}

size_t publish_append_times(struct buf *out, const struct shard_keys *k, int64_t minute,
                            struct publish_times *t)
{
    char key[KEYS_MAX];

    keys_stats(k, minute, key, sizeof(key));
    size_t commands = put_time(out, key, "run", &t->run) + put_time(out, key, "wait", &t->wait);
    if (commands == 0)
        return 0;
    resp_command(out, "EXPIRE", key, STATS_SECONDS, NULL);
    return commands + 1;
}

void publish_append_events(struct buf *out, const struct shard_keys *k, const char *lines,
                           size_t len)
{
    resp_begin(out, 3);
    resp_str(out, "PUBLISH");
    resp_str(out, k->events);
    resp_bytes(out, lines, len);
}

int64_t publish_listeners(const struct redisReply *r, size_t i, const struct shard_keys *k)
{
    const char *channel;
    size_t len;
    int64_t n;

    if (!reply_bytes(r, 2 * i, &channel, &len) || !reply_int(r, 2 * i + 1, &n) ||
        len != strlen(k->events) || memcmp(channel, k->events, len) != 0)
        return -1;
    return MAX(n, 0);
}

void publish_ask_depth(struct buf *out, const struct shard_keys *k)
{
    script_call(out, SCRIPT_DEPTH, LANE_COUNT + 3, 0);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        resp_str(out, k->lanes[lane]);
    resp_str(out, k->later);
    resp_str(out, k->dead);
    resp_str(out, k->parked);
}

static bool count_at(const struct redisReply *r, size_t i, int64_t least, int64_t *out)
{
    return reply_int(r, i, out) && *out >= least;
}

int publish_depth_reply(const struct redisReply *r, struct publish_depth *out, jobq_err *err)
{
    struct publish_depth d;
    size_t at = 1;
    int rc = reply_expect_array(r, "depth", err);

    if (rc != JOBQ_OK)
        return rc;
    bool ok = reply_is_word(r, 0, "OK");
    for (int lane = 0; lane < LANE_COUNT; lane++, at += 2)
        ok =
            ok && count_at(r, at, 0, &d.ready[lane]) && count_at(r, at + 1, -1, &d.oldest_ms[lane]);
    ok = ok && count_at(r, at, 0, &d.delayed) && count_at(r, at + 1, 0, &d.dead) &&
         count_at(r, at + 2, 0, &d.parked);
    if (!ok)
        return reply_refuse_shape("depth", err);
    *out = d;
    return JOBQ_OK;
}
