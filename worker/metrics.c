/* SPDX-License-Identifier: MIT */
#include "worker/metrics.h"

#include <string.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/state.h"

#define WATCHED_MS 60000 /* so long after a scrape depths are kept fresh */
#define DEPTHS_MS 5000
#define DEPTH_RANKS 2 /* so many jobd of a partition tell of it: one may be missing */

#define OTHER "other"

int metrics_init(struct supervisor *s, jobq_err *err)
{
    s->metrics.by_name = map_new();
    return s->metrics.by_name ? JOBQ_OK : error_set(err, JOBQ_ENOMEM, "out of memory");
}

void metrics_done(struct supervisor *s)
{
    size_t cursor = 0;
    struct metrics_series *series;
    if (!s->metrics.by_name)
        return;
    while ((series = map_next(s->metrics.by_name, &cursor, NULL, NULL)))
        mem_free(series);
    map_free(s->metrics.by_name);
}

const char *metrics_outcome_word(enum metrics_outcome o)
{
    static const char *const words[OUTCOME_COUNT] = {
        [OUTCOME_RETRIED] = "retried",     [OUTCOME_SNOOZED] = "snoozed",
        [OUTCOME_CRASHED] = "crashed",     [OUTCOME_RELEASED] = "released",
        [OUTCOME_DEAD] = "dead",           [OUTCOME_EXPIRED] = "expired",
        [OUTCOME_CORRUPT] = "corrupt",     [OUTCOME_PARKED] = "parked",
        [OUTCOME_SUCCEEDED] = "succeeded",
    };
    ASSERT((unsigned)o < OUTCOME_COUNT);
    return words[o];
}

struct metrics_series *metrics_series_of(struct supervisor *s, const char *queue, const char *type,
                                         size_t type_len)
{
    char key[2 * JOBQ_NAME_MAX + 2];
    if (!type_len || !supervisor_knows_type(s, type, type_len)) {
        type = OTHER;
        type_len = strlen(OTHER);
    }
    size_t queue_len = strlen(queue);
    ASSERT(queue_len <= JOBQ_NAME_MAX && type_len <= JOBQ_NAME_MAX);
    memcpy(key, queue, queue_len + 1);
    memcpy(key + queue_len + 1, type, type_len);
    size_t key_len = queue_len + 1 + type_len;
    struct metrics_series *series = map_get(s->metrics.by_name, key, key_len);
    if (series)
        return series;
    series = mem_zalloc(1, sizeof(*series));
    if (!series)
        return NULL;
    memcpy(series->queue, queue, queue_len);
    memcpy(series->type, type, type_len);
    series->type_len = type_len;
    if (map_put(s->metrics.by_name, key, key_len, series)) {
        mem_free(series);
        return NULL;
    }
    return series;
}

/* ---- depths ---- */

static bool tells_depth(const struct shard *shard, int64_t now)
{
    return shard->claims && shard->state == SHARD_ALIVE &&
           lease_rank(shard->lease, now) < DEPTH_RANKS;
}

static void on_depth(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct shard *shard = data;
    jobq_err err;
    s->metrics.depths_asked = false;
    shard->numbers.depth_known =
        r && publish_depth_reply(r, &shard->numbers.depth, &err) == JOBQ_OK;
    if (r && !shard->numbers.depth_known)
        supervisor_judge(s, r);
}

void metrics_run(struct supervisor *s, int64_t now_ms)
{
    struct metrics *m = &s->metrics;
    if (!m->scraped || m->depths_asked || now_ms < m->depths_due_ms)
        return;
    m->depths_due_ms = now_ms + DEPTHS_MS;
    m->scraped = now_ms - m->scraped_ms < WATCHED_MS;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        if (!m->scraped || !tells_depth(shard, now_ms)) {
            shard->numbers.depth_known = false;
            continue;
        }
        m->depths_asked = true; /* until the last answer */
        publish_ask_depth(link_out(s->command), &shard->keys);
        link_expect(s->command, on_depth, s, shard);
    }
}

int64_t metrics_due_ms(const struct supervisor *s)
{
    const struct metrics *m = &s->metrics;
    if (!m->scraped || m->depths_asked || !link_is_up(s->command))
        return INT64_MAX;
    return m->depths_due_ms;
}

void metrics_down(struct supervisor *s)
{
    s->metrics.depths_asked = false;
    for (size_t i = 0; i < s->shard_count; i++)
        s->shards[i]->numbers.depth_known = false;
}
