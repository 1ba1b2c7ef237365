/* SPDX-License-Identifier: MIT */
/*
 * model: what each job and each incarnation of test_model.c must be, and what the living do:
 * enqueue, read, audit, acknowledge, fail. Every answer of Redis is compared with it. Death, the
 * partition's care and the end are in test_model.c.
 */
#ifndef TESTS_SCRIPT_MODEL_H
#define TESTS_SCRIPT_MODEL_H

#include "tests/script/shard.h"

#define JOBS 20000
#define CASTS 600  /* incarnations in all */
#define CREW 6     /* of them at a time */
#define KEYS 24    /* unique keys */
#define BUDGET 2   /* losses */
#define KEPT 4096

enum state { ABSENT, WAITING, PENDING, SUCCEEDED, DEAD };
enum life { UNBORN, ALIVE, CRASHED, FENCED, LEAVING, GONE };

struct job {
    enum state state;
    int owner; /* while PENDING */
    enum lane lane; /* its own */
    unsigned attempts, crashes, losses, releases;
    int64_t enqueued_ms; /* 0 until it is seen */
    int key;             /* of KEYS; -1: none */
    bool runs_out;       /* failed by its handler for good when it runs next */
};

struct cast {
    enum life life;
    bool stalled;      /* fenced while its process lives: a zombie */
    bool is_back;      /* a late read re-created its consumer */
    int64_t to_move;   /* pending when it was fenced, and read since */
    struct held *table;
    size_t n, cap;
};

extern struct shard s;
extern struct taken t;
extern struct job *job; /* [1] to [next_job - 1] */
extern struct cast cast[CASTS];
extern int born;
extern uint64_t next_job;
extern uint64_t state_of_random;
extern uint64_t holder[KEYS];     /* job that lives under the key */
extern uint64_t last_ended[KEYS]; /* the last one that did */
extern struct seen {
    int64_t succeeded, dead, moved_by_reap, crashes, late, zombies, lost_answers, duplicates,
        walked;
} seen;

/* Deterministic, from state_of_random; below > 0. */
uint64_t any(uint64_t below);
const char *name_of(int who);
/* A new incarnation registers. */
int begin(void);
/* Somebody of this life, not the keeper (0); -1: nobody. */
int some(enum life life);
int count(enum life life);
/* It knows that it holds this entry. */
void remember(int who, const struct held *h);
/* A taker of jobs (reap, leave) copied this one before its consumer was deleted. */
void settle(struct job *j);
/* What a delivery must look like; the job is PENDING after it. */
void check_delivery(int who, const struct held *h);
void enqueue_plain(void);
void enqueue_special(void);
/* is_lost: nobody sees the answer, only the model does. */
void read_some(int who, bool is_lost);
/* Fetches what is pending but unknown: an answer that was lost. */
void audit(int who);
void end_job(uint64_t n, enum state how);
bool may_succeed(const struct held *h);
void ack_some(int who, size_t most);
void fail_some(int who);

#endif
