/* SPDX-License-Identifier: MIT */
/*
 * drain: how jobd comes to an end: nothing is claimed any more, what runs may finish within the
 * grace, near its end handlers are told, at its end they are killed; then everything still pending
 * is given back and jobd exits.
 *
 * Decision logic only: a view of the counts and a time go in, one action at a time comes out.
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRAIN_ASK_MS 5000   /* before the grace ends, running handlers are told (half of a grace
                             * shorter than twice that) */
#define DRAIN_LEAVE_MS 3000 /* to settle and to give back; then leases do it for us */

enum drain_phase { DRAIN_NOT, DRAIN_FINISHING, DRAIN_LEAVING, DRAIN_OVER };

struct drain {
    enum drain_phase phase;
    bool asked, killed;
    int64_t grace_ms;
    int64_t grace_ends_ms;
    int64_t gives_up_ms;
};

struct drain_view {
    size_t running;    /* jobs with executors */
    bool reading;      /* an answer to a read is still to come: what it brings must be released */
    size_t unsettled;  /* outcomes that Redis has not answered */
    size_t leaving;    /* partitions whose leave is not answered */
    size_t executors;  /* processes */
};

enum drain_act {
    DRAIN_WAIT,
    DRAIN_ASK,   /* tell running handlers to stop */
    DRAIN_KILL,  /* SIGKILL to all executors */
    DRAIN_LEAVE, /* give back what is pending, on every partition */
    DRAIN_STOP,  /* exit 0 */
};

/* The second call ends the grace now. */
void drain_begin(struct drain *d, int64_t grace_ms, int64_t now_ms);
enum drain_act drain_next(struct drain *d, const struct drain_view *v, int64_t now_ms);
/* When time alone may bring the next action. */
int64_t drain_due_ms(const struct drain *d);
/* Handlers were told, or killed, because of the drain and not of a limit of their own. */
bool drain_cuts_off(const struct drain *d);

#endif
