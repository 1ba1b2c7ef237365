/* SPDX-License-Identifier: MIT */
/*
 * chaos: a deployment, a stream of jobs, and a random sequence of faults that a seed decides.
 *
 * test_chaos.c is the run and the stream of jobs, faults.c breaks and mends, judge.c compares what
 * was promised with what happened. Faults overlap: what is broken is mended some time later, while
 * others are. Single thread.
 */
#ifndef TESTS_E2E_CHAOS_H
#define TESTS_E2E_CHAOS_H

#include "tests/e2e/scene.h"

#define CHAOS_JOBD 3
#define CHAOS_PARTITIONS_MAX 3
#define CHAOS_CHILDREN_MAX 3

enum job_kind { KIND_EFFECT, KIND_PARENT, KIND_POISON };
enum job_answer { ANSWER_STORED, ANSWER_UNKNOWN, ANSWER_REJECTED };

struct record {
    jobq_id id;
    enum job_kind kind;
    enum job_answer answer;
    unsigned children;
};

/* A jobd of one instance, through all its lives. */
struct worker {
    enum { WORKER_UP, WORKER_DOWN, WORKER_DRAINING } state;
    bool stopped;      /* SIGSTOP */
    int64_t resume_ms; /* when it goes on */
    int64_t start_ms;  /* WORKER_DOWN: when it is started again */
};

struct chaos {
    struct scene *scene;
    uint64_t seed, random;
    unsigned workers, partitions;
    struct worker worker[CHAOS_JOBD];
    bool redis_down, redis_stopped, postgres_down;
    int64_t redis_back_ms, postgres_back_ms;
    jobq_client *client; /* with a short deadline */
    struct record *records;
    size_t record_count, record_cap;
    unsigned faults, hits; /* hits: with jobs in flight */
    int64_t began_ms;
};

/* ---- test_chaos.c ---- */
uint64_t chaos_below(struct chaos *c, uint64_t n);
void chaos_note(struct chaos *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool chaos_redis_answers(const struct chaos *c);
void chaos_start_jobd(struct chaos *c, unsigned i);

/* ---- faults.c ---- */
void chaos_break_something(struct chaos *c);
/* What is due to be mended; all: everything, now. */
void chaos_mend(struct chaos *c, bool all);
/* Jobs delivered and not acknowledged, of all partitions; those that wait; those in later. */
long long chaos_in_flight(struct chaos *c);
long long chaos_waiting(struct chaos *c);
long long chaos_later(struct chaos *c);
/* Nothing waits, runs or is delayed anywhere. In one step: what moves from one place to another
 * between two looks is seen in neither. */
bool chaos_is_drained(struct chaos *c);

/* ---- judge.c ---- */
/* After everything is mended: waits until all work is done, drains, and fails the test if any
 * promise was broken. */
void chaos_judge(struct chaos *c);

#endif
