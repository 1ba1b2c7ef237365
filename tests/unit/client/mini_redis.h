/* SPDX-License-Identifier: MIT */
/*
 * mini_redis: as much of Redis as libjobq talks to, whose connections end at the byte a test wants,
 * and which remembers what it stored. On fake_redis.
 */
#ifndef TESTS_UNIT_CLIENT_MINI_REDIS_H
#define TESTS_UNIT_CLIENT_MINI_REDIS_H

#include <stdbool.h>
#include <stddef.h>

#include <jobq/job.h>

#define MINI_CONNECTIONS 8
#define MINI_STORED 65536

/* How one connection behaves after its greeting; all zero: like Redis. */
struct mini_link {
    size_t cut_request;   /* 1 + bytes of requests after which it ends; 0: never */
    size_t cut_reply;     /* 1 + bytes of replies after which it ends; 0: never */
    bool last;            /* nobody can connect any more */
    bool close_when_idle; /* it ends, in order, after the first job */
    const char *to_job;   /* the reply to XADD and EVALSHA instead of storing */
    int to_job_times;     /* how often; 0: always */
    const char *to_register;
    const char *to_partitions;
    const char *to_load;
    bool forgets_script;
};

struct mini {
    /* Filled in by the test; the last one is repeated. */
    struct mini_link links[MINI_CONNECTIONS];
    int link_count;

    /* To be looked at after mini_stop(). */
    int connections;
    size_t stored;
    jobq_id ids[MINI_STORED];
    char streams[4][96];   /* the first few streams jobs went to */
    size_t registrations, loads, script_calls;
    char order[64];        /* one letter for each of the last commands: R egister, P artitions, X
                            * add, S cript, L oad */

    struct fake *fake;
    bool has_script;
};

/* Returns the URL. */
const char *mini_start(struct mini *m);
void mini_stop(struct mini *m);
/* How often a job was stored. */
size_t mini_count(const struct mini *m, const jobq_id *id);

#endif
