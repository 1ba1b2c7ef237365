/* SPDX-License-Identifier: MIT */
/*
 * inspect: looks at what is in Redis, for people. Reads only: no look changes, claims or moves
 * anything.
 *
 * Every look is bounded: streams are read in pages whose size follows the size of their entries,
 * keys are known from jobq:queues, and nothing here uses KEYS or SCAN. What is seen may be older
 * than the answer by one round trip; a job that moves meanwhile may be seen in neither place.
 *
 * Blocking, within the deadline of struct inspect. Single thread.
 */
#ifndef BROKER_INSPECT_H
#define BROKER_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/job.h>

#include "broker/codec.h"
#include "broker/keys.h"

struct conn;
struct redisReply;

/* How to look. Borrows both pointers. */
struct inspect {
    struct conn *conn;   /* ready */
    const char *prefix;  /* of every key; NULL: the default */
    int64_t deadline_ms; /* monotonic */
};

/* ---- the server ---- */

struct inspect_server {
    char version[32];
    int major, minor;
    char role[16]; /* "master", "slave" */
    char maxmemory_policy[32];
    bool aof_enabled;
    bool aof_failed, rdb_failed;    /* the last write of the file, the last snapshot */
    int64_t used_memory, maxmemory; /* bytes; 0: no limit */
    int replicas;                   /* that are connected */
    int replicas_behind;   /* of those: not online, or silent for more than INSPECT_LAG_S */
    bool replicas_lacking; /* min-replicas-to-write is set, and none is good: nothing is taken */
    int64_t clock_ms;      /* Redis's Unix time */
};
#define INSPECT_LAG_S 5
/* JOBQ_EPROTO: INFO misses one of these. */
MUST_CHECK int inspect_server(const struct inspect *in, struct inspect_server *out, jobq_err *err);

/* ---- queues ---- */

struct inspect_queue {
    char name[JOBQ_NAME_MAX + 1];
    unsigned partitions;
};
/* All queues of jobq:queues, by name. Caller frees *out with mem_free(). JOBQ_ESTATE: absurdly
 * many. */
MUST_CHECK int inspect_queues(const struct inspect *in, struct inspect_queue **out, size_t *n,
                              jobq_err *err);

struct inspect_lane {
    int64_t waiting;   /* not claimed yet */
    bool exact;        /* false: Redis cannot tell any more, waiting is an upper bound */
    int64_t claimed;   /* by a worker, not finished */
    int64_t oldest_ms; /* entry time of the oldest waiting job; -1: none */
};
struct inspect_shard {
    struct inspect_lane lanes[LANE_COUNT];
    int64_t delayed, dead, parked;
    int64_t workers;     /* registered and not fenced */
    int64_t next_due_ms; /* of the delayed ones; -1: none */
};
MUST_CHECK int inspect_shard(const struct inspect *in, const struct shard_keys *k,
                             struct inspect_shard *out, jobq_err *err);

/* ---- workers ---- */

struct inspect_worker {
    char *name;         /* the incarnation */
    char *types;        /* space-separated; NULL: not told */
    bool registered;    /* in `alive`; false: only a consumer, to be swept */
    bool fenced;        /* declared dead in at least one partition */
    bool subscribed;    /* its subscriber connection is there now */
    int64_t partitions; /* in which it was seen */
    int64_t claimed;    /* jobs it holds */
    int64_t idle_ms;    /* since it last asked for jobs; -1: never did */
};
/* Of the n partitions, by name. Caller frees with inspect_workers_free(). */
MUST_CHECK int inspect_workers(const struct inspect *in, const struct shard_keys *k, size_t n,
                               struct inspect_worker **out, size_t *count, jobq_err *err);
void inspect_workers_free(struct inspect_worker *w, size_t n);

/* What a worker says of itself in a partition: JSON (docs/protocol.md, "What jobd publishes"), as
 * hostile as anything from Redis. Bytes are valid during the call. */
typedef void (*inspect_info_fn)(void *ctx, const struct shard_keys *k, const char *worker,
                                size_t worker_len, const char *json, size_t json_len);
/* Gives each such document of the n partitions to fn. */
MUST_CHECK int inspect_infos(const struct inspect *in, const struct shard_keys *k, size_t n,
                             inspect_info_fn fn, void *ctx, jobq_err *err);

/* ---- counters ---- */

#define INSPECT_BUCKETS 25 /* as PUBLISH_BUCKETS: bucket k is at most 2^k ms */

/* Of one partition in one minute (docs/protocol.md). */
struct inspect_stats {
    int64_t succeeded;
    int64_t failed; /* retried, crashed or dead */
    int64_t run[INSPECT_BUCKETS], wait[INSPECT_BUCKETS];
};
/* Those of the minute (Redis's Unix time / 60,000) and of the one before. */
MUST_CHECK int inspect_stats(const struct inspect *in, const struct shard_keys *k, int64_t minute,
                             struct inspect_stats *before, struct inspect_stats *now,
                             jobq_err *err);

/* ---- jobs ---- */

/* Where a job can be: the lanes first, with the numbers of enum lane. */
enum inspect_where {
    INSPECT_LATER = LANE_COUNT,
    INSPECT_DEAD,
    INSPECT_PARKED,
    INSPECT_WHERE_COUNT
};

/* "queue/partition/lane/entry"; of a delayed job "queue/partition/later/id". */
struct inspect_place {
    char queue[JOBQ_NAME_MAX + 1];
    unsigned partition;
    int where;             /* enum lane or enum inspect_where */
    struct entry_id entry; /* unless where is INSPECT_LATER */
    jobq_id id;            /* if it is */
};
#define INSPECT_PLACE_SIZE 144
const char *inspect_where_name(int where);
/* JOBQ_EINVAL with what is wrong. */
MUST_CHECK int inspect_place_parse(const char *text, struct inspect_place *out, jobq_err *err);
void inspect_place_format(const struct inspect_place *p, char out[INSPECT_PLACE_SIZE]);

enum inspect_state {
    INSPECT_QUEUED,
    INSPECT_CLAIMED,  /* a worker holds it: about to run, or running */
    INSPECT_FINISHED, /* acknowledged; the entry is only not trimmed yet */
    INSPECT_DELAYED,
    INSPECT_IS_DEAD,
    INSPECT_IS_PARKED,
};
const char *inspect_state_name(enum inspect_state s);

/* A job as it was found. Bytes are borrowed from reply, are not NUL-terminated, and NULL when
 * absent. */
struct inspect_job {
    struct inspect_place place;
    enum inspect_state state;
    enum codec_result readable; /* of h; anything but CODEC_OK: only id may be known, header is
                                 * empty */
    struct job_header header;
    bool has_id;
    jobq_id id;
    const char *payload, *reason, *error, *by;
    size_t payload_len, reason_len, error_len, by_len;
    char owner[256]; /* INSPECT_CLAIMED */
    int64_t idle_ms; /* INSPECT_CLAIMED: since it was delivered; else -1 */
    int64_t due_ms;  /* INSPECT_DELAYED; else -1 */
    struct redisReply *reply;
};
void inspect_job_done(struct inspect_job *j);

/* The job at a place: exact, O(log n). */
MUST_CHECK int inspect_at(const struct inspect *in, const struct inspect_place *place,
                          struct inspect_job *out, bool *found, jobq_err *err);

/* How far a search went. */
struct inspect_looked {
    int64_t entries;   /* looked at */
    size_t partitions; /* in so many partitions */
    bool whole;        /* every entry of every one of them */
    int64_t around_ms; /* if not whole: only those of so many ms around the id's time were all
                        * looked at */
};
/*
 * Searches n partitions for an id: lane by lane in windows around the id's own time, then delayed,
 * dead, parked; then wider windows, until max_entries were looked at. A finished copy does not end
 * the search, as a later one may live. only is the one place to search (INSPECT_DEAD…), or -1.
 */
MUST_CHECK int inspect_find(const struct inspect *in, const struct shard_keys *k, size_t n,
                            const jobq_id *id, int only, int64_t max_entries,
                            struct inspect_job *out, bool *found, struct inspect_looked *looked,
                            jobq_err *err);

#endif
