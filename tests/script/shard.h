/* SPDX-License-Identifier: MIT */
/*
 * shard: one partition on a private Redis, and every call of broker/claim.h as one line of a test.
 *
 * A call that gets a reply no parser knows fails the test. Ids of jobs are small numbers here.
 */
#ifndef TESTS_SCRIPT_SHARD_H
#define TESTS_SCRIPT_SHARD_H

#include <hiredis/hiredis.h>
#include <stdbool.h>

#include "base/buf.h"
#include "broker/claim.h"
#include "tests/support/support.h"

#define MINUTE 29000000 /* of all stats in these tests */
#define TAKEN_MAX 1024

struct shard {
    struct redis *redis;
    redisContext *c;
    struct shard_keys k;
    struct buf out;
};

/* An entry that was read. */
struct held {
    enum lane lane;
    struct entry_id entry;
    uint64_t n; /* the job's number */
    struct job_header header;
    char h[256];
    size_t h_len;
    char p[64]; /* cut off here */
    size_t p_len;
};
struct taken {
    size_t n;
    size_t odd; /* entries that are no job */
    struct held job[TAKEN_MAX];
};

/* extra: more redis.conf arguments or NULL. */
void shard_open(struct shard *s, const char *const *extra);
void shard_close(struct shard *s);
/* Sends what is in out, one command, and gives its reply. */
redisReply *shard_call(struct shard *s);
/* Number, or text of a raw command; "" for nil. */
long long shard_int(struct shard *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *shard_text(struct shard *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void shard_run(struct shard *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
int64_t shard_time_ms(struct shard *s);
long long shard_pending(struct shard *s, enum lane lane);
/* A field of the stats of MINUTE. */
long long shard_stat(struct shard *s, const char *field);

void id_of(uint64_t n, jobq_id *out);
uint64_t number_of(const jobq_id *id);
const char *id_text(uint64_t n); /* ring of 8 */

/* A plain job: header as given but for id and type. Gives its entry. */
struct entry_id add_job(struct shard *s, enum lane lane, uint64_t n, const struct job_header *like);
struct entry_id add_job_of_size(struct shard *s, enum lane lane, uint64_t n, size_t p_len);
/* By the enqueue script; delay_ms < 0: due_ms is given. JOBQ_… ; *holder: 0 unless DUPLICATE. */
int enqueue_job(struct shard *s, uint64_t n, int64_t delay_ms, int64_t due_ms, const char *unique,
                uint64_t *holder);

/* ---- the calls: shard_calls.c ---- */
int join(struct shard *s, const char *name);
int beat(struct shard *s, const char *name,
         struct claim_beat *out); /* out may be NULL; no peers then */
int beat_saying(struct shard *s, const char *name,
                const char *info);                     /* beat with that for `info` */
int64_t counter_of(struct shard *s, const char *name); /* of a living one */
void take(struct shard *s, const char *name, enum lane lane, size_t count, struct taken *out);
/* XREADGROUP whose answer nobody sees; how many entries it brought. */
size_t take_and_lose(struct shard *s, const char *name, enum lane lane, size_t count);
int ack(struct shard *s, const char *name, const struct held *jobs, size_t n, int64_t *acked);
/* As claim_fail() for one job; the copy is made of job->h and "p". */
int fail_one(struct shard *s, const char *name, const struct held *job, enum claim_action action,
             int64_t delay_ms, enum claim_fate *fate);
int fence(struct shard *s, const char *name, const char *victim, int64_t seen);
int reap(struct shard *s, const char *name, const char *victim, unsigned budget, bool *more,
         int64_t *moved);
/* Fences and reaps to the end; how many were moved. */
int64_t bury(struct shard *s, const char *name, const char *victim);
int leave(struct shard *s, const char *name, bool *more, int64_t *released);
int sweep(struct shard *s, const char *name, int64_t *fenced);
int move(struct shard *s, const char *name, struct claim_move *out);
int unpark(struct shard *s, const char *name, const struct entry_id *ids, size_t n, int64_t *moved);

#endif
