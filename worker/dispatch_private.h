/* SPDX-License-Identifier: MIT */
/*
 * dispatch_private: what dispatch.c (events) and dispatch_decide.c (decisions) share.
 */
#ifndef WORKER_DISPATCH_PRIVATE_H
#define WORKER_DISPATCH_PRIVATE_H

#include "worker/dispatch.h"

#define DISPATCH_LANES 4
extern const unsigned dispatch_lane_weights[DISPATCH_LANES]; /* recovered, high, normal, low */

struct dispatch_source {
    void *ctx;
    unsigned lane;
    unsigned weight;
    bool open;
    bool halted; /* its claimed jobs must not start */
    bool empty; /* the last read found less than it asked for, or a blocked one nothing since */
    bool reading;
    int64_t rest_until_ms;
    uint64_t virtual_time;
    uint32_t est_us; /* moving average of what its jobs took; 0: not known */
};

struct dispatch_type {
    uint32_t est_us;
};

struct dispatch_executor {
    void *ctx;
    size_t index;
    unsigned held;
    unsigned unknown;  /* of those, how many of a type not yet measured */
    uint64_t held_us;  /* what the others are expected to take */
    bool usable;
    bool fresh;        /* has not been given a job yet */
    bool exclusive;    /* runs a job alone */
    bool recalling;
    bool recalled;     /* what could be taken back has been, since the job that runs was started */
    bool recycling;
    bool running;
    int64_t started_ms;
};

struct dispatch {
    struct dispatch_limits limits;
    struct dispatch_source **sources;
    size_t source_count;
    struct dispatch_executor **executors;
    size_t executor_count;
    struct map *types;
    struct list waiting;
    size_t waiting_count;
    size_t alone_waiting;
    struct dispatch_executor *reserved; /* to become idle for a job that runs alone; NULL: none */
    size_t reading_count; /* jobs asked for by the read under way */
    bool tried_empty;     /* the last read was of a source found empty before: now one that has
                           * work */
    bool reading;
    bool blocked;
    bool hold, hold_start;
    bool peers;
    uint64_t virtual_time;
};

/* Takes a job out of the local queue; counts one with an executor. */
void dispatch_unqueue(struct dispatch *d, struct dispatch_job *j);
void dispatch_count_held(struct dispatch_executor *x, struct dispatch_job *j);

#endif
