/* SPDX-License-Identifier: MIT */
/*
 * lease_world: a lease in a world of its peers and a Redis, with a clock that the test turns.
 *
 * What the lease asks for is done at once unless Redis is frozen. A world lives in its test; single
 * thread.
 */
#ifndef TESTS_UNIT_WORKER_LEASE_WORLD_H
#define TESTS_UNIT_WORKER_LEASE_WORLD_H

#include "tests/unit/worker/lease_told.h"

#define LEASE 5000
#define BEAT (LEASE / LEASE_BEATS)
#define STEP 10
#define PEERS 8

struct world {
    struct lease *l;
    struct told alive[PEERS + 1]; /* [0] is the observer */
    bool beats[PEERS + 1];
    bool subscribed[PEERS + 1];
    size_t n;
    int64_t now;
    bool frozen;           /* Redis does not answer */
    bool beating, looking; /* asked while it was frozen */
    int64_t beat_sent;
    int fences, refused, reaps, reap_parts; /* reap_parts: how often a reap says that there is
                                             * more */
    enum lease_result reap_result;
    int64_t first_fence_ms, last_reap_ms;
    char victim[64];
};

extern const char *const NAMES[PEERS + 1]; /* "me", "p1", … */

/* The observer "me" and so many peers, all beating and subscribed. */
void open_world(struct world *w, size_t peers);
void close_world(struct world *w);
/* Everybody lives on for so long; Redis takes beats unless it is frozen. */
void live(struct world *w, int64_t ms);
/* Answers what was asked; what peers sent meanwhile was taken first. */
void thaw(struct world *w);
/* One answer each, for tests that ask lease_next() themselves. */
void answer_beat(struct world *w);
void answer_look(struct world *w);
void fence(struct world *w, const struct lease_action *a);

#endif
