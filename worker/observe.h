/* SPDX-License-Identifier: MIT */
/*
 * observe: the one place where what happens in jobd is noted for those who look: numbers of
 * /metrics (worker/metrics.h), durations and events in Redis (worker/publish.h). Nothing here
 * decides anything. Cheap: each call is a few additions. Single thread.
 */
#ifndef WORKER_OBSERVE_H
#define WORKER_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "broker/claim.h"

struct job;
struct shard;
struct supervisor;

/* A job goes to an executor. One that comes back and goes again counts once. */
void observe_handed(struct supervisor *s, struct job *j);
/* Its handler has come to an end, of its own will or not; run_us is set. */
void observe_ran(struct supervisor *s, struct job *j);
/* Its outcome is decided: it succeeded; or failed tells what becomes of it. */
void observe_succeeded(struct supervisor *s, const struct job *j);
void observe_failed(struct supervisor *s, const struct job *j, const char *text, size_t text_len);
/* Its outcome is stored. fate: what Redis said; a success has none of its own. */
void observe_settled(struct supervisor *s, struct job *j, enum claim_fate fate);
/* We were declared dead: what we hold is others' now. */
void observe_abandoned(struct supervisor *s);
void observe_child(struct supervisor *s, bool duplicate);
void observe_round_trip(struct supervisor *s, int64_t us);
/* What was done for others. */
void observe_peer_fenced(struct shard *shard, const char *victim);
void observe_reaped(struct shard *shard, const char *victim, int64_t jobs);
void observe_unparked(struct shard *shard, int64_t jobs);
void observe_dropped(struct shard *shard, int64_t letters);

#endif
