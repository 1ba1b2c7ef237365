/* SPDX-License-Identifier: MIT */
/*
 * publish_events: what happens to jobs, as lines for who listens. Costs one look at a flag where
 * nobody does.
 */
#include <string.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/text.h"
#include "worker/job.h"
#include "worker/link.h"
#include "worker/publish.h"
#include "worker/state.h"

#define EVENTS_A_SECOND 1000
#define EVENTS_BYTES 65536 /* of a partition between two messages */
#define EVENTS_MS 20       /* gathered so long */

/* Whether one more may be told; a line for it begins. */
static struct buf *begin(struct shard *shard, const char *word)
{
    struct supervisor *s = shard->sup;
    struct shard_published *p = &shard->published;
    int64_t now = loop_now(s->loop);
    if (!p->heard)
        return NULL;
    if (now / 1000 != s->published.second) {
        s->published.second = now / 1000;
        s->published.events_in_second = 0;
    }
    if (s->published.events_in_second >= EVENTS_A_SECOND || p->events.len > EVENTS_BYTES) {
        p->skipped++;
        return NULL;
    }
    s->published.events_in_second++;
    p->events.max = 2 * EVENTS_BYTES;
    if (p->events.len)
        buf_append_char(&p->events, '\n');
    if (!s->published.flush_ms)
        s->published.flush_ms = now + EVENTS_MS;
    buf_appendf(&p->events, "{\"at\":%lld,\"event\":\"%s\"", (long long)supervisor_redis_ms(s),
                word);
    return &p->events;
}

static void put_text(struct buf *b, const char *name, const char *text, size_t len)
{
    buf_appendf(b, ",\"%s\":", name);
    text_append_json(b, text, len);
}

static void put_number(struct buf *b, const char *name, int64_t n)
{
    if (n >= 0)
        buf_appendf(b, ",\"%s\":%lld", name, (long long)n);
}

static void end(struct buf *b, const struct shard *shard)
{
    put_text(b, "worker", shard->sup->incarnation, strlen(shard->sup->incarnation));
    buf_append_char(b, '}');
}

void publish_job_event(const struct job *j, const struct publish_event *e)
{
    struct buf *b = begin(j->shard, e->word);
    char id[JOBQ_ID_TEXT_SIZE];
    if (!b)
        return;
    if (j->header_valid) {
        jobq_id_format(&j->header.id, id);
        put_text(b, "id", id, strlen(id));
        put_text(b, "type", j->header.type, j->header.type_len);
        put_number(b, "attempt", j->header.attempts + 1);
    }
    buf_appendf(b, ",\"lane\":\"%s\"", keys_lane_name(j->lane));
    put_number(b, "wait_ms", e->wait_ms);
    put_number(b, "run_ms", e->run_ms);
    put_number(b, "delay_ms", e->delay_ms);
    if (e->reason)
        put_text(b, "reason", e->reason, strlen(e->reason));
    if (e->text_len)
        put_text(b, "text", e->text, text_cut(e->text, e->text_len, CODEC_ERROR_MAX));
    end(b, j->shard);
}

void publish_shard_event(struct shard *shard, const char *word, const char *victim, int64_t jobs)
{
    struct buf *b = begin(shard, word);
    if (!b)
        return;
    if (victim)
        put_text(b, "victim", victim, strlen(victim));
    put_number(b, "jobs", jobs);
    end(b, shard);
}

static void flush_shard(struct supervisor *s, struct shard *shard)
{
    struct shard_published *p = &shard->published;
    if (p->skipped && p->heard) {
        if (p->events.len)
            buf_append_char(&p->events, '\n');
        buf_appendf(&p->events, "{\"at\":%lld,\"event\":\"skipped\",\"events\":%llu",
                    (long long)supervisor_redis_ms(s), (unsigned long long)p->skipped);
        end(&p->events, shard);
    }
    if (p->events.len && !p->events.failed && p->heard) {
        publish_append_events(link_out(s->command), &shard->keys, p->events.data, p->events.len);
        link_expect(s->command, NULL, NULL, NULL);
    }
    p->skipped = 0;
    buf_clear(&p->events);
}

void publish_flush_events(struct supervisor *s)
{
    s->published.flush_ms = 0;
    for (size_t i = 0; i < s->shard_count; i++)
        if (s->shards[i]->published.events.len || s->shards[i]->published.skipped)
            flush_shard(s, s->shards[i]);
}
