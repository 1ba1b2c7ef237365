/* SPDX-License-Identifier: MIT */
#include "worker/readiness.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/notify.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/pool.h"
#include "worker/queues.h"
#include "worker/state.h"

#define SAY_AGAIN_MS 60000

static const struct shard *unproved_shard(const struct supervisor *s, int64_t now)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        const struct shard *shard = s->shards[i];
        if (shard->claims && (shard->state != SHARD_ALIVE || !lease_may_start(shard->lease, now)))
            return shard;
    }
    return NULL;
}

const char *readiness_word(enum readiness_part part)
{
    static const char *const words[] = {
        [NOT_READY_STARTING] = "starting",   [NOT_READY_DRAINING] = "draining",
        [NOT_READY_REDIS] = "redis",         [NOT_READY_LEASE] = "lease",
        [NOT_READY_EXECUTORS] = "executors", [NOT_READY_POSTGRES] = "postgres",
    };
    ASSERT((unsigned)part < ARRAY_LEN(words));
    return words[part];
}

/* The first reason that holds, "" when jobd is ready. */
static enum readiness_part find_reason(struct supervisor *s, int64_t now, char *out, size_t size)
{
    const struct shard *shard;
    const char *queue, *refusal = now < s->refusal_until_ms ? s->refusal : "";
    out[0] = '\0';
    if (s->drain.phase != DRAIN_NOT) {
        snprintf(out, size, "draining: %zu jobs left", intake_held(s));
        return NOT_READY_DRAINING;
    }
    if (!link_is_up(s->command)) {
        snprintf(out, size, "redis: %s: %s", link_where(s->command),
                 link_trouble(s->command)[0] ? link_trouble(s->command) : "connecting");
        return NOT_READY_REDIS;
    }
    if (!s->types_text) {
        snprintf(out, size, "executors: none is ready yet");
        return NOT_READY_STARTING;
    }
    if (now < s->not_writable_until_ms) {
        snprintf(out, size, "redis: %s: %s", link_where(s->command), s->not_writable);
        return NOT_READY_REDIS;
    }
    if (now < s->no_reading_until_ms) {
        snprintf(out, size, "redis: %s: %s", link_where(s->command), s->no_reading);
        return NOT_READY_REDIS;
    }
    if ((queue = queues_unknown(s))) {
        snprintf(out, size, "redis: queue %s is not registered yet%s%.100s", queue,
                 *refusal ? ": " : "", refusal);
        return NOT_READY_REDIS;
    }
    if ((shard = unproved_shard(s, now))) {
        snprintf(out, size, "lease: no accepted beat on queue %s partition %u%s%.100s",
                 shard->keys.queue, shard->keys.partition, *refusal ? ": " : "", refusal);
        return NOT_READY_LEASE;
    }
    if (pool_ready(s->pool) == 0) {
        snprintf(out, size, "executors: none is ready");
        return NOT_READY_EXECUTORS;
    }
    if (pool_without_database(s->pool) == pool_ready(s->pool)) {
        snprintf(out, size, "postgres: %s", s->database_text);
        return NOT_READY_POSTGRES;
    }
    return NOT_READY_PARTS;
}

static void say_ready(struct supervisor *s)
{
    log_event(LOG_INFO, "ready", LOG_STR("incarnation", s->incarnation),
              LOG_INT("executors", pool_ready(s->pool)), LOG_END);
    if (!s->ready_sent)
        notify_send("READY=1\nSTATUS=ready: %zu executors", pool_ready(s->pool));
    else
        notify_send("STATUS=ready: %zu executors", pool_ready(s->pool));
    s->ready_sent = true;
}

void readiness_update(struct supervisor *s, int64_t now_ms)
{
    char why[sizeof(s->why_not)];
    enum readiness_part part = find_reason(s, now_ms, why, sizeof(why));
    bool ready = !why[0];
    if (ready && !s->ready) {
        s->ready = true;
        s->why_not[0] = '\0';
        say_ready(s);
    } else if (!ready &&
               (s->ready || strcmp(why, s->why_not) != 0 || now_ms - s->said_ms >= SAY_AGAIN_MS)) {
        s->ready = false;
        s->not_ready_part = part;
        memcpy(s->why_not, why, sizeof(why));
        s->said_ms = now_ms;
        log_event(s->ready_sent && s->drain.phase == DRAIN_NOT ? LOG_WARN : LOG_INFO, "not_ready",
                  LOG_STR("why", why), LOG_END);
        notify_send("STATUS=not ready: %s", why);
    }
    if (s->watchdog_ms && now_ms >= s->watchdog_due_ms) {
        s->watchdog_due_ms = now_ms + s->watchdog_ms;
        notify_send("WATCHDOG=1");
    }
}
