/* SPDX-License-Identifier: MIT */
/*
 * scene: a whole deployment for an end-to-end test: Redis, PostgreSQL, jobd of several instances, a
 * producer; and the checker that compares what was acknowledged with what happened.
 *
 * Everybody has only the rights that contrib/redis/users.conf and contrib/postgres/roles.sql give:
 * jobd those of jobq-worker and jobq_worker, the producer those of jobq-producer. The test itself
 * looks as administrator.
 *
 * The types `effect`, `effect_slow` and `parent` of module test_pg write one row into table effects
 * in the runtime's transaction, so: acknowledged ids = ids in effects, none missing, none twice,
 * none that nobody enqueued.
 */
#ifndef TESTS_E2E_SCENE_H
#define TESTS_E2E_SCENE_H

#include <jobq/jobq.h>

#include "tests/support/support.h"

#define SCENE_JOBD_MAX 6

struct scene {
    struct redis *redis;
    struct postgres *postgres; /* NULL without SCENE_PG */
    char worker_conninfo[400]; /* of postgres, as the role that jobd has */
    struct jobd *jobd[SCENE_JOBD_MAX];
    jobq_client *client;
    jobq_id *acked; /* ids that enqueue acknowledged */
    size_t acked_count, acked_cap;
    size_t unknown;  /* answers UNKNOWN: may or may not be stored */
    size_t children; /* that acknowledged parents have: effects under ids that nobody was told */
    char last_type[64];
    char last_payload[256];
    size_t last_count; /* of scene_enqueue_many() */
};

enum { SCENE_PG = 1, SCENE_AOF = 2 };

/* Starts the servers; with SCENE_PG also schema jobq and the test module's tables. */
struct scene *scene_new(int flags);
/* Kills everything that is left. */
void scene_free(struct scene *s);

/* Starts jobd number i as instance "a", "b", …; fields of o that are NULL or 0 get the scene's
 * (redis, postgres, the test module). */
struct jobd *scene_jobd(struct scene *s, size_t i, struct jobd_options o);
/* Drains jobd i, asserts exit status 0, frees it. */
void scene_drain(struct scene *s, size_t i);
/* kill -9 of jobd i alone; frees it. Its state directory is kept for a successor: see
 * scene_state_dir(). */
void scene_kill(struct scene *s, size_t i);
const char *scene_state_dir(struct scene *s, size_t i);

/* Enqueues; on OK or DUPLICATE the id is noted as acknowledged. Fails the test on REJECTED. */
jobq_id scene_enqueue(struct scene *s, const char *type, const char *payload);
void scene_enqueue_many(struct scene *s, const char *type, const char *payload, size_t n);
/* The same with options; payload and type set by the caller. */
jobq_answer scene_enqueue_job(struct scene *s, const jobq_job *job);

/* Notes an answer that another client of the test got. */
void scene_note(struct scene *s, const jobq_answer *a);

/*
 * n jobs that run until scene_let_go(), however long the test takes; each has one effect (without
 * SCENE_PG: none). What is held when something happens is so by construction.
 */
void scene_enqueue_held(struct scene *s, size_t n);
/* Until so many of them were started, in all: a rerun counts again. */
void scene_wait_held(struct scene *s, size_t at_least, int64_t timeout_ms);
size_t scene_held(struct scene *s);
/* They end, and those that come later end at once, unless they are to be held again. */
void scene_let_go(struct scene *s);
void scene_hold_again(struct scene *s);

long long scene_effects(struct scene *s); /* rows in effects */
/* Jobs delivered and not yet acknowledged, over the four lanes of queue default, partition 0. */
long long scene_pending(struct scene *s);
/* Jobs that wait in lanes (delivered or not), in later, in dead, in parked. */
long long scene_queued(struct scene *s);
long long scene_later(struct scene *s);
long long scene_dead(struct scene *s);
long long scene_parked(struct scene *s);
/* Until condition: the number of effects, of jobs running (rows in started less ended; see the test
 * module), of dead… */
void scene_wait_effects(struct scene *s, long long at_least, int64_t timeout_ms);
/* So many more than now. Where all is done before, it enqueues as many again as
 * scene_enqueue_many() did last. */
void scene_wait_more(struct scene *s, long long more, int64_t timeout_ms);
void scene_wait_dead(struct scene *s, long long at_least, int64_t timeout_ms);
/* Claimed and not settled. Where all are done before that many were seen at once, because the test
 * had no time to look, it enqueues as many again as scene_enqueue_many() did last. */
void scene_wait_pending(struct scene *s, long long at_least, int64_t timeout_ms);
/* Nothing waits or runs anywhere (lanes have no pending and nothing undelivered, later is
 * empty). */
void scene_wait_drained(struct scene *s, int64_t timeout_ms);

/*
 * The checker: after scene_wait_drained(). Every acknowledged id has exactly one effect; no effect
 * of an id that was not enqueued (unless UNKNOWN, or as many as there are children); nothing
 * pending of anybody; `alive` names only living jobd.
 */
void scene_check_effects(struct scene *s);
/* Header field of the only dead letter, "reason" or "error"; caller frees. */
char *scene_dead_field(struct scene *s, const char *field);

#endif
