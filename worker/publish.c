/* SPDX-License-Identifier: MIT */
#include "worker/publish.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/loop.h"
#include "base/text.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "config/config.h"
#include "worker/job.h"
#include "worker/link.h"
#include "worker/pool.h"
#include "worker/process_info.h"
#include "worker/state.h"

#define SECOND_MS 1000
#define JOBS_SHOWN 64
#define INFO_MAX 65536
#define MIB (1024 * 1024)

/* ---- the last minute ---- */

struct publish_slot *publish_slot_now(struct supervisor *s)
{
    struct published *p = &s->published;
    int64_t now = loop_now(s->loop), number = now / PUBLISH_SLOT_MS;
    if (p->slot && p->slot_ms == now) /* thousands of times a turn */
        return p->slot;
    p->slot_ms = now;
    p->slot = &p->slots[number % PUBLISH_SLOTS];
    if (p->slot->number != number)
        *p->slot = (struct publish_slot){.number = number};
    return p->slot;
}

static struct publish_slot sum_of_minute(const struct supervisor *s)
{
    struct publish_slot sum = {.number = loop_now(s->loop) / PUBLISH_SLOT_MS};
    for (size_t i = 0; i < PUBLISH_SLOTS; i++) {
        const struct publish_slot *slot = &s->published.slots[i];
        if (slot->number + PUBLISH_SLOTS <= sum.number)
            continue;
        sum.succeeded += slot->succeeded;
        sum.failed += slot->failed;
        sum.runs += slot->runs;
        sum.run_us += slot->run_us;
        sum.wait_us += slot->wait_us;
    }
    return sum;
}

/* ---- who works on what ---- */

struct gathered {
    struct shard *shard;
    int64_t now;
    size_t alive, busy;
    int64_t memory_bytes;
    struct pool_view jobs[JOBS_SHOWN]; /* of this partition, oldest first */
    size_t job_count, more;
};

static void keep_oldest(struct gathered *g, const struct pool_view *v)
{
    size_t at = g->job_count;
    while (at > 0 && g->jobs[at - 1].started_ms > v->started_ms)
        at--;
    if (g->job_count == JOBS_SHOWN)
        g->more++;
    if (at == JOBS_SHOWN)
        return;
    size_t kept = MIN(g->job_count, (size_t)JOBS_SHOWN - 1);
    memmove(&g->jobs[at + 1], &g->jobs[at], (kept - at) * sizeof(g->jobs[0]));
    g->jobs[at] = *v;
    g->job_count = kept + 1;
}

static void gather(void *ctx, const struct pool_view *v)
{
    struct gathered *g = ctx;
    g->alive++;
    g->memory_bytes += v->memory_bytes;
    if (!v->running)
        return;
    g->busy++;
    if (v->running->shard == g->shard)
        keep_oldest(g, v);
}

static void put_job(struct buf *b, struct supervisor *s, const struct pool_view *v)
{
    char id[JOBQ_ID_TEXT_SIZE];
    struct job *j = v->running;
    /* Once, so that a clock that is corrected does not make news of it. */
    if (!j->started_redis_ms)
        j->started_redis_ms = v->started_ms + s->redis_offset_ms;
    jobq_id_format(&j->header.id, id);
    buf_appendf(b, "{\"id\":\"%s\",\"type\":", id);
    text_append_json(b, j->header.type, j->header.type_len);
    buf_appendf(b, ",\"attempt\":%d,\"lane\":\"%s\",\"started\":%lld,\"pid\":%d}",
                j->header.attempts + 1, keys_lane_name(j->lane), (long long)j->started_redis_ms,
                v->pid);
}

static void put_text(struct buf *b, const char *name, const char *text)
{
    buf_appendf(b, ",\"%s\":", name);
    text_append_json(b, text, strlen(text));
}

static long long whole_mib(int64_t bytes)
{
    return (long long)((bytes + MIB / 2) / MIB * MIB);
}

static void put_numbers(struct buf *b, const struct supervisor *s, const struct gathered *g)
{
    struct publish_slot minute = sum_of_minute(s);
    buf_appendf(b, ",\"executors\":%d,\"alive\":%zu,\"busy\":%zu,\"held\":%zu",
                s->config->executors, g->alive, g->busy, intake_held(s));
    buf_appendf(b, ",\"rss\":%lld,\"executors_rss\":%lld", whole_mib(process_info_now()->rss_bytes),
                whole_mib(g->memory_bytes));
    buf_appendf(b,
                ",\"minute\":{\"succeeded\":%lld,\"failed\":%lld,\"run_ms\":%lld,\"wait_ms\":%lld,"
                "\"runs\":%lld}",
                (long long)minute.succeeded, (long long)minute.failed,
                (long long)(minute.run_us / 1000), (long long)(minute.wait_us / 1000),
                (long long)minute.runs);
}

/* All but its last member and its end. */
static void put_document(struct supervisor *s, const struct gathered *g)
{
    struct buf *b = &s->published.text;
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1))
        host[0] = '\0';
    bool draining = s->drain.phase != DRAIN_NOT;
    buf_clear(b);
    b->max = INFO_MAX;
    buf_append_str(b, "{\"v\":1");
    put_text(b, "host", host);
    buf_appendf(b, ",\"pid\":%d,\"version\":\"%s\"", (int)getpid(), JOBQ_VERSION);
    put_text(b, "instance", s->config->instance);
    buf_appendf(b, ",\"since\":%lld", (long long)s->published.since_ms);
    put_text(b, "state", draining ? "draining" : s->ready ? "ready" : "not ready");
    put_text(b, "why", s->ready ? "" : s->why_not);
    put_numbers(b, s, g);
    buf_append_str(b, ",\"jobs\":[");
    for (size_t i = 0; i < g->job_count; i++) {
        if (i)
            buf_append_char(b, ',');
        put_job(b, s, &g->jobs[i]);
    }
    buf_appendf(b, "],\"jobs_more\":%zu", g->more);
}

const char *publish_info(struct shard *shard, int64_t now_ms, size_t *len)
{
    struct supervisor *s = shard->sup;
    struct buf *b = &s->published.text;
    struct gathered g = {.shard = shard, .now = now_ms};
    if (!shard->claims || now_ms < shard->published.info_due_ms || !s->clock_known)
        return NULL;
    shard->published.info_due_ms = now_ms + SECOND_MS;
    if (!s->published.since_ms)
        s->published.since_ms = s->started_ms + s->redis_offset_ms;
    pool_each(s->pool, gather, &g);
    put_document(s, &g);
    uint64_t hash = b->failed ? 0 : hash_sip13(b->data, b->len, 0, 0) | 1;
    buf_appendf(b, ",\"at\":%lld}", (long long)supervisor_redis_ms(s));
    if (b->failed || hash == shard->published.info_hash)
        return NULL;
    shard->published.info_hash = hash;
    *len = b->len;
    return b->data;
}

/* ---- who listens ---- */

static void on_listeners(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    (void)data;
    s->published.asking = false;
    size_t at = 0;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        int64_t n = publish_listeners(r, at, &shard->keys);
        shard->published.heard = n > 0;
        at += n >= 0; /* the answer is in the order of the question */
    }
}

static void ask_for_listeners(struct supervisor *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->shard_count; i++)
        n += s->shards[i]->claims;
    if (!n || s->published.asking)
        return;
    s->published.asking = true;
    struct buf *b = link_out(s->command);
    resp_begin(b, 2 + n);
    resp_str(b, "PUBSUB");
    resp_str(b, "NUMSUB");
    for (size_t i = 0; i < s->shard_count; i++)
        if (s->shards[i]->claims)
            resp_str(b, s->shards[i]->keys.events);
    link_expect(s->command, on_listeners, s, NULL);
}

/* ---- durations ---- */

static void send_times(struct supervisor *s)
{
    int64_t minute = supervisor_minute(s);
    if (!minute)
        return;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        size_t replies = publish_append_times(link_out(s->command), &shard->keys, minute,
                                              &shard->published.times);
        while (replies-- > 0)
            link_expect(s->command, NULL, NULL, NULL);
    }
}

/* ---- all of it ---- */

void publish_run(struct supervisor *s, int64_t now_ms)
{
    if (s->published.flush_ms && now_ms >= s->published.flush_ms)
        publish_flush_events(s);
    if (now_ms < s->published.due_ms)
        return;
    s->published.due_ms = now_ms + SECOND_MS;
    send_times(s);
    ask_for_listeners(s);
}

int64_t publish_due_ms(const struct supervisor *s)
{
    if (!link_is_up(s->command))
        return INT64_MAX;
    return s->published.flush_ms ? MIN(s->published.flush_ms, s->published.due_ms)
                                 : s->published.due_ms;
}

void publish_down(struct supervisor *s)
{
    s->published.asking = false;
    s->published.flush_ms = 0;
    for (size_t i = 0; i < s->shard_count; i++) {
        s->shards[i]->published.heard = false;
        buf_clear(&s->shards[i]->published.events);
    }
}

void publish_free(struct supervisor *s)
{
    buf_done(&s->published.text);
}
