/* SPDX-License-Identifier: MIT */
/*
 * driver: runs a handler module in this process, with a host that writes down what it is told.
 *
 * It does what the executor does for a transactional type (BEGIN, run, COMMIT if and only if
 * DONE), and nothing else: children are kept, not sent. Strings belong to the driver until the
 * next run.
 */
#ifndef TESTS_INTEGRATION_RECOUNT_DRIVER_H
#define TESTS_INTEGRATION_RECOUNT_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include <jobq/handler.h>

#define DRIVER_CHILDREN_MAX 2048

struct driver {
    void *lib;
    const jobq_module *module;
    void *state;
    jobq_host host;
    PGconn *conn; /* NULL: the host has none to give */
    /* for the next runs; may be changed */
    uint32_t attempt;
    uint32_t max_attempts;
    const char *const *config; /* key, value, …, NULL: what the host answers; NULL: nothing */
    /* of the last run */
    char text[JOBQ_HANDLER_TEXT_MAX + 1];
    char result[1024];
    char log[4096]; /* lines */
    int64_t delay_ms; /* -1: not set */
    char child_type[DRIVER_CHILDREN_MAX][65];
    char child_payload[DRIVER_CHILDREN_MAX][512];
    char child_queue[DRIVER_CHILDREN_MAX][65]; /* empty: the parent's */
    char child_key[DRIVER_CHILDREN_MAX][256];  /* empty: none */
    uint32_t child_max_attempts;
    size_t children;
    long long checked; /* of the result; -1 without one */
    long long changed;
};

/* Opens the module and connects; NULL conninfo: no database. Aborts with a message when it
   cannot. */
struct driver *driver_open(const char *module_path, const char *conninfo);
void driver_close(struct driver *d);

/* One delivery. The verdict; committed if and only if JOBQ_DONE. */
int driver_run(struct driver *d, const char *type, const char *payload);

/* As driver_run(), then its child, and so on; stops at the first verdict that is not DONE. Sums
   up checked, changed. */
int driver_run_chain(struct driver *d, const char *type, const char *payload, long long *checked,
                     long long *changed, size_t *runs);

#endif
