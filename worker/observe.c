/* SPDX-License-Identifier: MIT */
#include "worker/observe.h"

#include "base/loop.h"
#include "worker/job.h"
#include "worker/publish.h"
#include "worker/state.h"

/* Since the job lay ready in its lane: enqueued, due or given back. */
static int64_t waited_ms(const struct supervisor *s, const struct job *j)
{
    int64_t now = supervisor_redis_ms(s);
    uint64_t ready = j->entry.ms;
    return now > 0 && ready < (uint64_t)now ? now - (int64_t)ready : 0;
}

void observe_handed(struct supervisor *s, struct job *j)
{
    if (j->was_handed)
        return;
    j->was_handed = true;
    int64_t wait_ms = waited_ms(s, j);
    publish_add(&j->shard->published.times.wait, wait_ms * 1000);
    publish_slot_now(s)->wait_us += wait_ms * 1000;
    if (j->shard->published.heard)
        publish_job_event(j,
                          &(struct publish_event){
                              .word = "started", .wait_ms = wait_ms, .run_ms = -1, .delay_ms = -1});
}

void observe_ran(struct supervisor *s, const struct job *j)
{
    struct publish_slot *slot = publish_slot_now(s);
    publish_add(&j->shard->published.times.run, j->run_us);
    slot->runs++;
    slot->run_us += j->run_us;
}

static int64_t run_ms(const struct job *j)
{
    return j->run_us ? ((int64_t)j->run_us + 500) / 1000 : -1;
}

void observe_succeeded(struct supervisor *s, const struct job *j)
{
    publish_slot_now(s)->succeeded++;
    if (j->shard->published.heard)
        publish_job_event(j, &(struct publish_event){.word = "succeeded",
                                                     .text = j->text,
                                                     .text_len = j->text_len,
                                                     .wait_ms = -1,
                                                     .run_ms = run_ms(j),
                                                     .delay_ms = -1});
}

void observe_failed(struct supervisor *s, const struct job *j, const char *text, size_t text_len)
{
    static const char *const words[] = {
        [CLAIM_COUNT_RETRIED] = "retried", [CLAIM_COUNT_SNOOZED] = "snoozed",
        [CLAIM_COUNT_CRASHED] = "crashed", [CLAIM_COUNT_RELEASED] = "released",
        [CLAIM_COUNT_DEAD] = "dead",       [CLAIM_COUNT_EXPIRED] = "expired",
        [CLAIM_COUNT_CORRUPT] = "corrupt", [CLAIM_COUNT_PARKED] = "parked",
    };
    static const char *const reasons[] = {[CLAIM_PERMANENT] = "permanent",
                                          [CLAIM_EXHAUSTED] = "exhausted",
                                          [CLAIM_EXPIRED] = "expired",
                                          [CLAIM_CORRUPT] = "corrupt"};
    const struct claim_failed *f = &j->failed;
    publish_slot_now(s)->failed += f->count == CLAIM_COUNT_RETRIED ||
                                   f->count == CLAIM_COUNT_CRASHED || f->count == CLAIM_COUNT_DEAD;
    if (!j->shard->published.heard)
        return;
    publish_job_event(
        j, &(struct publish_event){.word = words[f->count],
                                   .reason = f->action == CLAIM_DEAD ? reasons[f->reason] : NULL,
                                   .text = text,
                                   .text_len = text_len,
                                   .wait_ms = -1,
                                   .run_ms = run_ms(j),
                                   .delay_ms = f->action == CLAIM_LATER ? f->delay_ms : -1});
}

void observe_peer_fenced(struct shard *shard, const char *victim)
{
    publish_shard_event(shard, "fenced", victim, -1);
}

void observe_reaped(struct shard *shard, const char *victim, int64_t jobs)
{
    publish_shard_event(shard, "reaped", victim, jobs);
}

void observe_unparked(struct shard *shard, int64_t jobs)
{
    publish_shard_event(shard, "unparked", NULL, jobs);
}
