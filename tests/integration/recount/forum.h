/* SPDX-License-Identifier: MIT */
/*
 * forum: a private PostgreSQL with the forum fixture in it, and the module opened beside it.
 *
 * The fixture's own verify.sql judges; it counts row by row and shares nothing with the module.
 */
#ifndef TESTS_INTEGRATION_RECOUNT_FORUM_H
#define TESTS_INTEGRATION_RECOUNT_FORUM_H

#include <stdbool.h>
#include <stddef.h>

#include <pthread.h>

#include <libpq-fe.h>

#include "tests/integration/recount/driver.h"
#include "tests/support/support.h"

#define V039 "0.39"
#define V040 "0.40"

/* Those of the fixture, whatever its size. */
#define CATEGORIES 19

#define RECOUNT "stats.recount"
#define RECOUNT_ALL "stats.recount_all"

struct forum {
    struct postgres *pg;
    struct driver *driver;
    const char *version; /* NULL: there is no forum */
    bool is_040;
};

/* An empty database. */
struct forum *forum_start_empty(void);
/* 600 threads, 4000 posts, 450 users: more than a chunk of threads and of users. */
struct forum *forum_start(const char *version);
void forum_stop(struct forum *f);

/* psql -f of contrib/forum/fixture/FILE; fails the test when it fails. */
void forum_load(struct forum *f, const char *file);

/* Lines of verify.sql, "what|id|field|stored|expected"; caller frees. "" when all counters are
   right. */
char *forum_faults(struct forum *f);
/* Fails the test, with the first faults, unless all counters are right. */
void forum_must_be_right(struct forum *f);

/* Keeps a copy of the three tables; counts rows that are not as they were then. */
void forum_keep(struct forum *f);
long long forum_changed_rows(struct forum *f);
/* A text that changes when any row of the three tables is written, even with the values it had.
   */
char *forum_row_versions(struct forum *f);

/* Another connection; fails the test when a statement fails. */
PGconn *session_open(struct forum *f);
void session_do(PGconn *conn, const char *sql);

/* driver_run() on a thread of its own. */
struct background {
    struct driver *driver;
    const char *type;
    const char *payload;
    pthread_t thread;
    int verdict;
};
void background_start(struct background *b, struct forum *f, const char *type, const char *payload);
int background_join(struct background *b);
int background_over(void); /* how many came to an end and were not joined yet */
/* Waits until the driver's statement waits for a lock, or has waited too long and given up. */
void forum_wait_blocked(struct forum *f);

/* Runs to the end of the chain; fails the test unless DONE with these sums and this many runs (0:
   any). */
void must_recount_all(struct forum *f, const char *kind, long long checked, long long changed,
                      size_t runs);

#endif
