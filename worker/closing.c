/* SPDX-License-Identifier: MIT */
#include "worker/closing.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "config/config.h"
#include "worker/identity.h"
#include "worker/link.h"
#include "worker/pool.h"
#include "worker/reading.h"
#include "worker/state.h"

void closing_begin(struct supervisor *s)
{
    bool first = s->drain.phase == DRAIN_NOT;
    drain_begin(&s->drain, s->config->drain_grace_ms, loop_now(s->loop));
    if (!first)
        return;
    log_event(LOG_INFO, "drain", LOG_INT("held", intake_held(s)), LOG_END);
    notify_send("STOPPING=1");
    reading_unblock(s);
    pool_drain(s->pool);
    struct dispatch_job *turn;
    while ((turn = dispatch_pop(s->dispatch)))
        supervisor_release(s, turn);
}

static void on_left(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct shard *shard = data;
    bool more = false;
    int64_t released;
    jobq_err err;
    if (!r || claim_leave_reply(r, &more, &released, &err)) {
        /* Fenced meanwhile, or Redis is gone: others give it back. */
        s->leaving--;
        return;
    }
    if (released)
        log_event(LOG_INFO, "leave", LOG_STR("queue", shard->keys.queue),
                  LOG_INT("released", released), LOG_END);
    if (more) {
        claim_leave(link_out(s->command), &shard->keys, s->incarnation);
        link_expect(s->command, on_left, s, shard);
        return;
    }
    shard->state = SHARD_NEW;
    s->leaving--;
}

static void leave(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        if (s->shards[i]->state != SHARD_ALIVE || !link_is_up(s->command))
            continue;
        s->leaving++;
        claim_leave(link_out(s->command), &s->shards[i]->keys, s->incarnation);
        link_expect(s->command, on_left, s, s->shards[i]);
    }
}

static void stop(struct supervisor *s)
{
    bool clean = true;
    for (size_t i = 0; i < s->shard_count; i++)
        clean &= s->shards[i]->state != SHARD_ALIVE;
    if (clean)
        identity_forget(s->identity);
    log_event(LOG_INFO, "drained",
              LOG_STR("left", clean ? "yes" : "no: leases give back what was held"), LOG_END);
    loop_stop(s->loop);
}

/* Partitions whose registration is not answered: what may be stored there has to be left too. */
static size_t registering(const struct supervisor *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->shard_count; i++)
        n += s->shards[i]->state == SHARD_REGISTERING;
    return n;
}

void closing_run(struct supervisor *s, int64_t now)
{
    /* What a read brought, or an executor gave back, after the drain began. */
    struct dispatch_job *turn;
    while ((turn = dispatch_pop(s->dispatch)))
        supervisor_release(s, turn);
    struct drain_view view = {
        .running = pool_held(s->pool),
        .reading = s->read_lane || s->blocked,
        .unsettled = outcome_unsettled(s) + registering(s),
        .leaving = s->leaving,
        .executors = pool_alive(s->pool),
    };
    switch (drain_next(&s->drain, &view, now)) {
    case DRAIN_WAIT:
        break;
    case DRAIN_ASK:
        pool_ask_to_stop(s->pool);
        break;
    case DRAIN_KILL:
        log_event(LOG_WARN, "drain.grace_over", LOG_INT("running", view.running), LOG_END);
        CRASH_POINT("drain.grace_over");
        pool_kill_all(s->pool);
        break;
    case DRAIN_LEAVE:
        leave(s);
        break;
    case DRAIN_STOP:
        stop(s);
        break;
    }
}
