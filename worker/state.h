/* SPDX-License-Identifier: MIT */
/*
 * state: what the parts of the supervisor share: supervisor.c (its life), intake.c (entries become
 * jobs), outcome.c (jobs become acknowledgements), watch.c (the partition's upkeep).
 *
 * Single thread. The supervisor owns everything here; nothing in this header is seen outside these
 * files.
 */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "broker/claim.h"
#include "broker/keys.h"
#include "worker/dispatch.h"
#include "worker/drain.h"
#include "worker/job.h"
#include "worker/letters.h"
#include "worker/metrics.h"
#include "worker/publish.h"
#include "worker/readiness.h"

struct identity;
struct lease;
struct link;
struct loop;
struct loop_timer;
struct map;
struct pool;
struct redisReply;
struct supervisor;
struct web;
struct worker_config;

#define INCARNATION_SIZE 128
#define FLUSH_COUNT 64    /* outcomes sent at the latest when so many wait */
#define FLUSH_MS 2        /* … or so long */
#define BATCH_MAX 256     /* outcomes in one script call */
#define FAIL_BATCH_BYTES 65536
#define RETRY_PAUSE_MS 200 /* after an error of Redis that waiting may heal */

/* One lane of a partition: where its outcomes gather. */
struct shard_lane {
    struct shard *shard;
    enum lane lane;
    struct dispatch_source *source;
    struct list ending; /* jobs whose outcome is decided and not sent */
    size_t ending_count;
    int64_t ending_since_ms;
    int64_t not_before_ms; /* after an error */
    /* audit: pending in Redis, not known here, at the last look */
    struct entry_id *suspects;
    size_t suspect_count, suspect_cap;
    size_t old_suspects; /* the first so many are of the look before */
    bool auditing;
};

enum shard_state { SHARD_NEW, SHARD_REGISTERING, SHARD_ALIVE };

/* One partition of one queue. */
struct shard {
    struct supervisor *sup;
    struct shard_keys keys;
    struct shard_lane lanes[LANE_COUNT];
    enum shard_state state;
    bool claims; /* its queue is one of ours */
    bool subscribed;
    struct lease *lease;
    struct map *held; /* by struct held_key */
    bool moving, sweeping, walking, creating_groups;
    int64_t move_due_ms, sweep_due_ms, audit_due_ms, park_due_ms, register_due_ms;
    unsigned quick_audits; /* still to do after a broken link */
    struct entry_id parked_cursor;
    struct shard_letters letters;
    struct shard_published published;
    struct shard_numbers numbers;
};

struct held_key {
    uint64_t ms, seq;
    uint64_t lane;
};

struct queue {
    char name[JOBQ_NAME_MAX + 1];
    unsigned partitions;
    int weight;  /* 0: not one of ours */
    struct shard **shards;
};

/* A connection of ours that broke: to be ended in Redis too, by CLIENT KILL, before the audit. */
struct lost_client {
    int64_t id; /* 0: none */
    char run_id[48];
};

enum sent_now { SENT_ACK = 1, SENT_FAIL = 2, SENT_REAP = 4 };

enum link_index { LINK_COMMAND, LINK_READER, LINK_COUNT };

struct supervisor {
    struct loop *loop;
    struct worker_config *config;
    struct identity *identity;
    char incarnation[INCARNATION_SIZE];
    char predecessor[INCARNATION_SIZE]; /* of this instance, dead for certain; "" when there is
                                         * none */
    uint64_t generation;                /* of the incarnation: answers to an older one are
                                         * ignored */
    bool fenced;                        /* and not yet started anew */
    int64_t anew_due_ms;
    struct drain drain;
    int exit_status;

    struct link *command, *reader, *subscriber;
    bool presence_off; /* behind a proxy */
    int64_t client_ids[LINK_COUNT];      /* of the connections that read */
    struct lost_client lost_clients[LINK_COUNT];
    struct pool *pool;
    struct dispatch *dispatch;
    struct loop_timer *timer;

    struct map *queues; /* struct queue by name */
    struct shard **shards;
    size_t shard_count;

    struct map *types;  /* known type names; the value is itself */
    char *types_text;   /* space-separated; NULL until the first executor was ready */

    bool clock_known;
    int64_t redis_offset_ms; /* Redis's clock less the monotonic one */

    /* reading */
    struct shard_lane *read_lane; /* non-blocking read under way */
    bool blocked; /* the blocking reader is armed */
    int64_t block_ends_ms;
    const struct shard_keys **block_keys;
    struct shard **block_shards;
    size_t block_count;
    bool block_by_poll; /* the reader is down: ask again by the command connection */
    int64_t read_pause_until_ms;
    int64_t not_writable_until_ms;
    char not_writable[192];
    int64_t no_reading_until_ms; /* Redis does not let this user claim */
    char no_reading[192];
    char refusal[192]; /* the newest error answer, for the status */
    int64_t refusal_until_ms;

    struct list children_waiting; /* jobs whose children could not be sent yet */
    int64_t children_due_ms;

    int64_t queues_due_ms;
    bool asking_queues;
    bool scripts_loading;
    int64_t scripts_due_ms; /* not before, after a refusal */

    int64_t started_ms; /* monotonic */
    struct published published;
    struct metrics metrics;
    struct web *web;

    size_t leaving; /* partitions whose leave is not answered */
    unsigned sent;  /* enum sent_now: what this turn writes, for the crash points after the
                     * writing */

    /* readiness */
    bool ready;
    bool ready_sent;
    char why_not[256];
    enum readiness_part not_ready_part; /* means something while not ready */
    int64_t said_ms;
    int64_t watchdog_ms, watchdog_due_ms;
    char database_text[192];
};

/* ---- supervisor.c ---- */
/* We were declared dead: at the end of the turn drop everything, start anew under a new name. */
void supervisor_fenced(struct supervisor *s, const char *how);
/* Reads what an error reply means: FENCED, NOSCRIPT, not writable… true: it was an error. */
bool supervisor_judge(struct supervisor *s, const struct redisReply *r);
void supervisor_load_scripts(struct supervisor *s);
/* Gives a claimed job back to Redis: no budget. */
void supervisor_release(struct supervisor *s, struct dispatch_job *turn);
int64_t supervisor_redis_ms(
    const struct supervisor *s); /* Redis's clock now; 0 when not known yet */
int64_t supervisor_minute(const struct supervisor *s);
/* NULL: asked for, try again later. */
const struct queue *supervisor_queue(struct supervisor *s, const char *name);
MUST_CHECK int supervisor_add_queue(struct supervisor *s, const char *name, unsigned partitions,
                                    jobq_err *err);
bool supervisor_knows_type(const struct supervisor *s, const char *type, size_t len);

/* ---- intake.c ---- */
/* A claimed entry: a job for dispatch, or at once an outcome (corrupt, newer, unknown, expired,
 * exhausted). */
void intake_entry(struct supervisor *s, struct shard *shard, const struct claim_entry *e);
struct job *intake_find(const struct shard *shard, enum lane lane, const struct entry_id *id);
void intake_forget(struct job *j); /* removes from the registry and frees */
void intake_forget_all(struct supervisor *s);
size_t intake_held(const struct supervisor *s);

/* ---- outcome.c ---- */
void outcome_succeeded(struct supervisor *s, struct job *j);
/* text: of the failure, or NULL. delay_ms -1: none asked for. */
void outcome_failed(struct supervisor *s, struct job *j, enum retry_event event, int64_t delay_ms,
                    const char *text, size_t text_len);
/* What the handler said. */
void outcome_verdict(struct supervisor *s, struct executor *x, struct job *j);
/* Sends what is due (all: whatever waits). */
void outcome_flush(struct supervisor *s, bool all);
int64_t outcome_due_ms(const struct supervisor *s);
size_t outcome_unsettled(const struct supervisor *s); /* decided and not yet answered */
/* ---- outcome_children.c ---- */
/* It is done: stores its children, then it has succeeded. */
void outcome_send_children(struct supervisor *s, struct job *j);
void outcome_retry_children(struct supervisor *s);

#endif
