/* SPDX-License-Identifier: MIT */
/*
 * background: a handler's run on a thread of its own, to be met by others' transactions.
 *
 * The run's text, result and children are in its handler, to be read after background_join(). A
 * struct background belongs to the test, from background_start() to background_join().
 */
#ifndef TESTS_SUPPORT_BACKGROUND_H
#define TESTS_SUPPORT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/handler.h"

struct postgres;

struct background {
    struct handler *handler;
    char *type;
    char *payload;
    pthread_t thread;
    int verdict;
    atomic_bool over;
};

/* handler_run(); takes copies of type and payload. */
void background_start(struct background *b, struct handler *h, const char *type,
                      const char *payload);
/* Its verdict. */
int background_join(struct background *b);
/*
 * Waits until its statement waits for a lock, or the run is over: it has waited too long and given
 * up. So a test whose run ends in SNOOZE sets its scene again.
 */
void background_wait_blocked(struct background *b, struct postgres *pg);

/*
 * The whole of it beside another session, whose transaction holds what the run needs: COMMIT once
 * the run waits for it. The run's verdict; JOBQ_SNOOZE: the machine was too slow for the job's
 * lock_timeout.
 */
int background_beside(PGconn *other, struct handler *h, struct postgres *pg, const char *type,
                      const char *payload);

/*
 * A job that locks the rows first, first + 1 and first + 2 in this order, and an update
 * ("TABLE SET …") that changes nothing, for others to lock one of them by.
 */
struct deadlock {
    const char *type;
    const char *payload;
    const char *update;
    long long first;
};
/*
 * Runs the job into a deadlock: another session holds first + 2 and waits for first, which the job
 * holds by then. Its verdict is JOBQ_SNOOZE only if it waited too long each of ten times. The
 * server finds deadlocks within 20 ms from then on.
 */
int background_deadlock(struct handler *h, struct postgres *pg, const struct deadlock *d);

#endif
