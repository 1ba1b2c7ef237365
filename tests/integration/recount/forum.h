/* SPDX-License-Identifier: MIT */
/*
 * forum: a private PostgreSQL with the forum fixture in it, and the module opened beside it.
 *
 * The fixture's own verify.sql judges; it counts row by row and shares nothing with the module.
 */
#ifndef TESTS_INTEGRATION_RECOUNT_FORUM_H
#define TESTS_INTEGRATION_RECOUNT_FORUM_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/support/background.h"
#include "tests/support/fixture.h"
#include "tests/support/handler.h"
#include "tests/support/session.h"
#include "tests/support/support.h"

/* Those of the fixture, whatever its size. */
#define CATEGORIES 19

#define RECOUNT "stats.recount"
#define RECOUNT_ALL "stats.recount_all"

struct forum {
    struct postgres *pg;
    struct handler *handler;
    const char *version; /* NULL: there is no forum */
    bool is_040;
};

/* An empty database. */
struct forum *forum_start_empty(void);
/* 600 threads, 4000 posts, 450 users: more than a chunk of threads and of users. */
struct forum *forum_start(const char *version);
void forum_stop(struct forum *f);
/* The module alone: the host has no database to give. */
struct handler *recount_alone(void);

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

/* What the result of the last run says; both -1 without one. */
struct counted {
    long long checked, changed;
};
struct counted counted(const struct handler *h);
/* Runs the job, then its child, and so on; stops at the first verdict that is not DONE. Sums up
   what they counted. */
int run_chain(struct handler *h, const char *type, const char *payload, struct counted *sum,
              size_t *runs);
/* Runs to the end of the chain; fails the test unless DONE with these sums and this many runs (0:
   any). */
void must_recount_all(struct forum *f, const char *kind, long long checked, long long changed,
                      size_t runs);

#endif
