/* SPDX-License-Identifier: MIT */
#include "worker/audit.h"

#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "config/config.h"
#include "worker/ticket.h"
#include "worker/watch.h"

#define AUDIT_PAGE 1000
#define AUDIT_AGAIN_MS 300 /* between the two audits after a broken link */

static void on_fetched(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    struct claim_entry e;
    bool found;
    jobq_err err;
    if (!ticket_is_current(t) || !r)
        goto out;
    if (claim_fetch_reply(r, t->lane, &e, &found, &err)) {
        supervisor_judge(s, r);
        goto out;
    }
    if (intake_find(t->shard, t->lane, &t->entry))
        goto out;
    char entry[ENTRY_ID_TEXT_SIZE];
    entry_id_format(&t->entry, entry);
    log_event(LOG_WARN, "audit.found", LOG_STR("queue", t->shard->keys.queue),
              LOG_STR("lane", keys_lane_name(t->lane)), LOG_STR("entry", entry),
              LOG_STR("fate", found ? "run" : "acknowledged"), LOG_END);
    if (found) {
        intake_entry(s, t->shard, &e);
    } else {
        /* Gone from the stream, still pending: nothing is left to run. XACK answers a number nobody
         * needs. */
        resp_command(ticket_out(t->shard), "XACK", t->shard->keys.lanes[t->lane], KEYS_GROUP, entry,
                     NULL);
        link_expect(s->command, NULL, NULL, NULL);
    }
out:
    mem_free(t);
}

static void fetch(struct shard *shard, enum lane lane, const struct entry_id *id)
{
    struct ticket *t = ticket_new(shard);
    if (!t)
        return;
    t->lane = lane;
    t->entry = *id;
    claim_fetch(ticket_out(shard), &shard->keys, lane, id);
    ticket_expect(shard, on_fetched, t);
}

struct audit {
    struct shard *shard;
    struct shard_lane *lane;
    size_t seen;
    struct entry_id last;
};

static void note_suspect(struct shard_lane *lane, const struct entry_id *id)
{
    if (lane->suspect_count == lane->suspect_cap) {
        size_t cap = lane->suspect_cap ? lane->suspect_cap * 2 : 16;
        struct entry_id *grown = mem_realloc(lane->suspects, cap * sizeof(*grown));
        if (!grown)
            return; /* the next audit sees it again */
        lane->suspects = grown;
        lane->suspect_cap = cap;
    }
    lane->suspects[lane->suspect_count++] = *id;
}

static void see_pending(void *ctx, const struct entry_id *id)
{
    struct audit *a = ctx;
    a->seen++;
    a->last = *id;
    if (intake_find(a->shard, a->lane->lane, id))
        return;
    for (size_t i = 0; i < a->lane->old_suspects; i++)
        if (entry_id_compare(&a->lane->suspects[i], id) == 0) {
            fetch(a->shard, a->lane->lane, id);
            return;
        }
    note_suspect(a->lane, id);
}

static void audit_lane(struct shard *shard, enum lane lane, const struct entry_id *after);

/* What was new in this look is what the next one knows. */
static void end_audit(struct shard_lane *lane)
{
    size_t fresh = lane->suspect_count - lane->old_suspects;
    if (fresh)
        memmove(lane->suspects, lane->suspects + lane->old_suspects,
                fresh * sizeof(lane->suspects[0]));
    lane->suspect_count = fresh;
    lane->old_suspects = fresh;
    lane->auditing = false;
}

static void on_pending(void *ctx, void *data, const struct redisReply *r)
{
    struct supervisor *s = ctx;
    struct ticket *t = data;
    jobq_err err;
    if (!ticket_is_current(t))
        goto out;
    struct audit a = {.shard = t->shard, .lane = &t->shard->lanes[t->lane]};
    if (!r || claim_pending_reply(r, see_pending, &a, &err)) {
        a.lane->auditing = false;
        a.lane->suspect_count = a.lane->old_suspects = 0;
        if (r && supervisor_judge(s, r) && reply_class_of(r) == REPLY_LOST_DATA)
            watch_create_groups(t->shard);
        goto out;
    }
    if (a.seen == AUDIT_PAGE)
        audit_lane(t->shard, t->lane, &a.last);
    else
        end_audit(a.lane);
out:
    mem_free(t);
}

static void audit_lane(struct shard *shard, enum lane lane, const struct entry_id *after)
{
    struct ticket *t = ticket_new(shard);
    if (!t) {
        shard->lanes[lane].auditing = false;
        return;
    }
    t->lane = lane;
    shard->lanes[lane].auditing = true;
    claim_pending(ticket_out(shard), &shard->keys, lane, shard->sup->incarnation, AUDIT_PAGE,
                  after);
    ticket_expect(shard, on_pending, t);
}

static void audit(struct shard *shard)
{
    for (enum lane lane = 0; lane < LANE_COUNT; lane++)
        if (!shard->lanes[lane].auditing)
            audit_lane(shard, lane, NULL);
}

void audit_soon(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        s->shards[i]->quick_audits = 2;
        s->shards[i]->audit_due_ms = loop_now(s->loop);
    }
}

void audit_run(struct shard *shard, int64_t now)
{
    shard->audit_due_ms = now + shard->sup->config->lease_ms;
    if (shard->quick_audits && --shard->quick_audits)
        shard->audit_due_ms = now + AUDIT_AGAIN_MS;
    audit(shard);
}
