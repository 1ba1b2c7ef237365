/* SPDX-License-Identifier: MIT */
#include "worker/observe.h"

#include <string.h>

#include "base/loop.h"
#include "base/map.h"
#include "worker/job.h"
#include "worker/metrics.h"
#include "worker/publish.h"
#include "worker/state.h"

/* NULL: no memory for the numbers of a type that is new here. */
static struct metrics_series *series_of(struct supervisor *s, struct job *j)
{
    struct shard_numbers *n = &j->shard->numbers;
    const char *type = j->header.type;
    size_t len = j->header_valid ? j->header.type_len : 0;
    if (j->series)
        return j->series;
    if (!n->newest || n->newest->type_len != len || memcmp(n->newest->type, type, len) != 0)
        n->newest = metrics_series_of(s, j->shard->keys.queue, type, len);
    j->series = n->newest;
    return j->series;
}

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
    struct metrics_series *series = series_of(s, j);
    if (series)
        histogram_note(&series->wait, wait_ms * 1000);
    if (j->shard->published.heard)
        publish_job_event(j,
                          &(struct publish_event){
                              .word = "started", .wait_ms = wait_ms, .run_ms = -1, .delay_ms = -1});
}

void observe_ran(struct supervisor *s, struct job *j)
{
    struct publish_slot *slot = publish_slot_now(s);
    publish_add(&j->shard->published.times.run, j->run_us);
    slot->runs++;
    slot->run_us += j->run_us;
    struct metrics_series *series = series_of(s, j);
    if (series)
        histogram_note(&series->run, j->run_us);
}

static enum metrics_outcome outcome_of(const struct job *j)
{
    static const enum metrics_outcome outcomes[] = {
        [CLAIM_COUNT_RETRIED] = OUTCOME_RETRIED, [CLAIM_COUNT_SNOOZED] = OUTCOME_SNOOZED,
        [CLAIM_COUNT_CRASHED] = OUTCOME_CRASHED, [CLAIM_COUNT_RELEASED] = OUTCOME_RELEASED,
        [CLAIM_COUNT_DEAD] = OUTCOME_DEAD,       [CLAIM_COUNT_EXPIRED] = OUTCOME_EXPIRED,
        [CLAIM_COUNT_CORRUPT] = OUTCOME_CORRUPT, [CLAIM_COUNT_PARKED] = OUTCOME_PARKED,
    };
    return j->succeeded ? OUTCOME_SUCCEEDED : outcomes[j->failed.count];
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
        j, &(struct publish_event){.word = metrics_outcome_word(outcome_of(j)),
                                   .reason = f->action == CLAIM_DEAD ? reasons[f->reason] : NULL,
                                   .text = text,
                                   .text_len = text_len,
                                   .wait_ms = -1,
                                   .run_ms = run_ms(j),
                                   .delay_ms = f->action == CLAIM_LATER ? f->delay_ms : -1});
}

void observe_settled(struct supervisor *s, struct job *j, enum claim_fate fate)
{
    struct shard_numbers *n = &j->shard->numbers;
    /* One that was sent twice may be stale because the first call did it. */
    if (fate == CLAIM_STALE && !j->in_doubt) {
        n->stale++;
        return;
    }
    n->merged += fate == CLAIM_MERGED;
    struct metrics_series *series = series_of(s, j);
    if (series)
        series->outcomes[outcome_of(j)]++;
}

void observe_abandoned(struct supervisor *s)
{
    for (size_t i = 0; i < s->shard_count; i++)
        s->shards[i]->numbers.abandoned += map_size(s->shards[i]->held);
}

void observe_child(struct supervisor *s, bool duplicate)
{
    if (duplicate)
        s->metrics.children_duplicate++;
    else
        s->metrics.children_stored++;
}

void observe_round_trip(struct supervisor *s, int64_t us)
{
    histogram_note(&s->metrics.round_trip, us);
}

void observe_peer_fenced(struct shard *shard, const char *victim)
{
    shard->numbers.peers_fenced++;
    publish_shard_event(shard, "fenced", victim, -1);
}

void observe_reaped(struct shard *shard, const char *victim, int64_t jobs)
{
    shard->numbers.reaped += (uint64_t)jobs;
    publish_shard_event(shard, "reaped", victim, jobs);
}

void observe_unparked(struct shard *shard, int64_t jobs)
{
    shard->numbers.unparked += (uint64_t)jobs;
    publish_shard_event(shard, "unparked", NULL, jobs);
}

void observe_dropped(struct shard *shard, int64_t letters)
{
    shard->numbers.dropped += (uint64_t)letters;
    publish_shard_event(shard, "dropped", NULL, letters);
}
