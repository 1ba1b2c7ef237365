/* SPDX-License-Identifier: MIT */
#include "worker/letters.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/observe.h"
#include "worker/ticket.h"

#define STEP_MAX 500
#define AGAIN_MS 10 /* between two steps: others come to their turn at Redis */
#define ANNOUNCE_MS 3600000
#define AHEAD_MS (INT64_C(7) * 24 * 3600 * 1000) /* at most so long before age begins to drop */

static bool was_announced(const struct shard *shard, int64_t now)
{
    const struct shard_letters *l = &shard->letters;
    return l->announced && now - l->announced_ms < ANNOUNCE_MS;
}

static bool is_near(const struct worker_config *c, const struct claim_dropped *d)
{
    int64_t before = d->left + d->dropped;
    bool many = c->dead_max > 0 && before >= c->dead_max - c->dead_max / 10;
    return many || d->oldest_ms >= 0;
}

static void announce(struct shard *shard, const struct claim_dropped *d, int64_t now)
{
    const struct worker_config *c = shard->sup->config;
    shard->letters.announced = true;
    shard->letters.announced_ms = now;
    log_event(LOG_WARN, "dead.near_limit", LOG_STR("queue", shard->keys.queue),
              LOG_INT("partition", shard->keys.partition), LOG_INT("dead", d->left),
              LOG_INT("dead_max", c->dead_max), LOG_INT("oldest_s", MAX(d->oldest_ms, 0) / 1000),
              LOG_INT("dead_retention_s", c->dead_retention_ms / 1000), LOG_END);
}

static void on_dropped(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct shard *shard = t->shard;
    struct claim_dropped d;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    shard->letters.asking = false;
    int rc = r ? claim_drop_reply(r, &d, &err) : JOBQ_ECONN;
    if (rc) {
        if (r)
            ticket_accept(s, r, rc, "drop", &err);
        goto out;
    }
    int64_t now = ticket_now(shard);
    if (d.dropped) {
        observe_dropped(shard, d.dropped);
        log_event(LOG_WARN, "dead.dropped", LOG_STR("queue", shard->keys.queue),
                  LOG_INT("partition", shard->keys.partition), LOG_INT("count", d.dropped),
                  LOG_INT("left", d.left), LOG_END);
    }
    if (is_near(s->config, &d) && !was_announced(shard, now))
        announce(shard, &d, now);
    else if (d.more)
        shard->letters.due_ms = now + AGAIN_MS;
out:
    mem_free(t);
}

void letters_run(struct shard *shard, int64_t now_ms)
{
    const struct worker_config *c = shard->sup->config;
    struct shard_letters *l = &shard->letters;
    if (l->asking || now_ms < l->due_ms)
        return;
    l->due_ms = now_ms + c->lease_ms;
    if (lease_rank(shard->lease, now_ms) > 0 || (!c->dead_max && !c->dead_retention_ms))
        return;
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    int64_t ahead = MIN(AHEAD_MS, c->dead_retention_ms / 10);
    l->asking = true;
    claim_drop(ticket_out(shard), &shard->keys, shard->sup->incarnation,
               supervisor_minute(shard->sup),
               &(struct claim_drop){.keep = c->dead_max,
                                    .retention_ms = c->dead_retention_ms,
                                    .tell_ms = c->dead_retention_ms - ahead,
                                    .most = was_announced(shard, now_ms) ? STEP_MAX : 0});
    ticket_expect(shard, on_dropped, t);
}

int64_t letters_due_ms(const struct shard *shard)
{
    return shard->letters.asking ? INT64_MAX : shard->letters.due_ms;
}
