/* SPDX-License-Identifier: MIT */
#include "worker/connections.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "worker/audit.h"
#include "config/config.h"
#include "worker/lease.h"
#include "worker/link.h"
#include "worker/queues.h"
#include "worker/reading.h"
#include "worker/state.h"
#include "worker/watch.h"

static void on_client_info(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    (void)data;
    const char *local = link_local_address(s->command);
    if (!r || !local[0])
        return;
    const char *addr = strstr(reply_text(r), " addr=");
    size_t n = strlen(local);
    bool direct = addr && strncmp(addr + 6, local, n) == 0 && addr[6 + n] == ' ';
    if (!direct)
        log_event(LOG_INFO, "presence.off",
                  LOG_STR("why", "behind a proxy, or CLIENT INFO is not allowed"), LOG_END);
    s->presence_off = !direct;
    for (size_t i = 0; i < s->shard_count; i++)
        lease_use_presence(s->shards[i]->lease, direct);
}

static void lose_client(struct supervisor *s, enum link_index i, const struct link *l)
{
    s->lost_clients[i].id = s->client_ids[i];
    snprintf(s->lost_clients[i].run_id, sizeof(s->lost_clients[i].run_id), "%s", link_run_id(l));
    s->client_ids[i] = 0;
}

/*
 * A connection that broke on our side may live on in Redis with a read under way: end it, then
 * audit. A server that was started again counts from 1: there the number would be somebody else's.
 */
static void kill_lost_clients(struct supervisor *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->lost_clients); i++) {
        struct lost_client *lost = &s->lost_clients[i];
        if (!lost->id)
            continue;
        if (lost->run_id[0] && strcmp(lost->run_id, link_run_id(s->command)) == 0) {
            struct buf *b = link_out(s->command);
            resp_begin(b, 4);
            resp_str(b, "CLIENT");
            resp_str(b, "KILL");
            resp_str(b, "ID");
            resp_int(b, lost->id);
            link_expect(s->command, NULL, NULL, NULL);
        }
        lost->id = 0;
    }
}

static void on_command_up(void *ctx)
{
    struct supervisor *s = ctx;
    s->client_ids[LINK_COMMAND] = link_client_id(s->command);
    s->scripts_loading = false;
    s->scripts_due_ms = 0;
    supervisor_load_scripts(s);
    resp_command(link_out(s->command), "CLIENT", "INFO", NULL);
    link_expect(s->command, on_client_info, s, NULL);
    kill_lost_clients(s);
    for (size_t i = 0; i < s->shard_count; i++)
        lease_reconnected(s->shards[i]->lease);
    s->queues_due_ms = 0;
    audit_soon(s);
}

static void on_command_down(void *ctx, const char *why)
{
    struct supervisor *s = ctx;
    (void)why;
    lose_client(s, LINK_COMMAND, s->command);
    s->scripts_loading = false;
    s->asking_queues = false;
    publish_down(s);
    metrics_down(s);
    s->metrics.links_lost[0]++;
    for (size_t i = 0; i < s->shard_count; i++) {
        struct shard *shard = s->shards[i];
        shard->moving = shard->sweeping = shard->walking = shard->creating_groups = false;
        shard->letters.asking = false;
        for (size_t k = 0; k < LANE_COUNT; k++)
            shard->lanes[k].not_before_ms = 0;
    }
}

static void on_reader_up(void *ctx)
{
    struct supervisor *s = ctx;
    s->client_ids[LINK_READER] = link_client_id(s->reader);
    if (link_is_up(s->command))
        kill_lost_clients(s);
    audit_soon(s);
}

static void on_reader_down(void *ctx, const char *why)
{
    struct supervisor *s = ctx;
    (void)why;
    s->metrics.links_lost[1]++;
    lose_client(s, LINK_READER, s->reader);
    reading_reader_down(s);
}

static void on_subscriber_up(void *ctx)
{
    struct supervisor *s = ctx;
    char node[KEYS_MAX];
    keys_node(s->config->key_prefix, s->incarnation, node, sizeof(node));
    resp_command(link_out(s->subscriber), "SUBSCRIBE", node, NULL);
    link_expect(s->subscriber, NULL, NULL, NULL);
    for (size_t i = 0; i < s->shard_count; i++) {
        s->shards[i]->subscribed = false;
        lease_hidden(s->shards[i]->lease, false, loop_now(s->loop));
        s->shards[i]->move_due_ms = MIN(s->shards[i]->move_due_ms, loop_now(s->loop));
    }
    queues_subscribe(s);
}

/* Others may take our silence on that connection for death: beat at once. */
static void on_subscriber_down(void *ctx, const char *why)
{
    struct supervisor *s = ctx;
    (void)why;
    s->metrics.links_lost[2]++;
    for (size_t i = 0; i < s->shard_count; i++)
        lease_hidden(s->shards[i]->lease, true, loop_now(s->loop));
}

static void on_message(void *ctx, const char *channel, const char *message)
{
    watch_wake(ctx, channel, message);
}

int connections_make(struct supervisor *s, jobq_err *err)
{
    const struct redis_url *url = &s->config->redis;
    int64_t pause = s->config->lease_ms / 2;
    struct link_hooks command = {.ctx = s, .on_up = on_command_up, .on_down = on_command_down};
    struct link_hooks reader = {.ctx = s, .on_up = on_reader_up, .on_down = on_reader_down};
    struct link_hooks subscriber = {.ctx = s,
                                    .on_up = on_subscriber_up,
                                    .on_down = on_subscriber_down,
                                    .on_message = on_message};
    pause = MIN(pause, 2500); /* back within 5 s of healing, with jitter (G36) */
    int rc = link_new(s->loop, url, "jobd-command", "command", pause, &command, &s->command, err);
    if (!rc)
        rc = link_new(s->loop, url, "jobd-reader", "reader", pause, &reader, &s->reader, err);
    if (!rc)
        rc = link_new(s->loop, url, "jobd-subscriber", "subscriber", pause, &subscriber,
                      &s->subscriber, err);
    return rc;
}
