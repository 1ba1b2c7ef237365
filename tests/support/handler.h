/* SPDX-License-Identifier: MIT */
/*
 * handler: runs a handler module in this process, with a host that writes down what it is told.
 *
 * For what can be seen without jobd: verdict, text, delay, log, children. It does what the executor
 * does for a type (BEGIN, run, COMMIT if and only if DONE, for a transactional one; afterwards the
 * session is as new) and nothing else: children are kept, not sent. Strings belong to the handler
 * until the next run; that one may still be given the payload of a child. Single thread, which may
 * be another one (background.h).
 */
#ifndef TESTS_SUPPORT_HANDLER_H
#define TESTS_SUPPORT_HANDLER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/handler.h>

#define HANDLER_SETTINGS_MAX 32
#define HANDLER_CELLS_MAX 8

/* A job that a run enqueued. */
struct handler_child {
    char *type;
    char *payload;
    char *queue; /* empty: the parent's */
    char *key;   /* empty: none */
    uint32_t max_attempts;
};

struct handler {
    void *lib;
    const jobq_module *module;
    void *state;
    bool started;
    jobq_host host;
    PGconn *conn;                                   /* NULL: the host has none to give */
    const char *settings[2 * HANDLER_SETTINGS_MAX]; /* key, value, …; borrowed */
    /* of the next runs */
    bool should_stop;
    uint32_t attempt;      /* 1 */
    uint32_t max_attempts; /* 7 */
    int64_t soft_ms;       /* from the start of the run; 60000 */
    int64_t enqueued_ms;
    bool keep_session; /* no DISCARD ALL after a run, so that what it left behind can be seen */
    /* of the last run */
    char text[JOBQ_HANDLER_TEXT_MAX + 1];
    char result[1024];
    char log[8192];   /* lines "level text" */
    int64_t delay_ms; /* -1: not set */
    char cell_name[HANDLER_CELLS_MAX][64];
    uint64_t cells[HANDLER_CELLS_MAX]; /* of this handler alone */
    struct handler_child *children;
    size_t child_count;
};

/*
 * Opens the module lib/jobq/NAME.so with these settings (key, value, …, NULL) and connects; NULL
 * conninfo: no database. Fails the test when it cannot; handler_try() gives NULL then, and the
 * text of the last error logged in *why (caller frees).
 */
struct handler *handler_open(const char *module, const char *conninfo, const char *const *settings);
struct handler *handler_try(const char *module, const char *conninfo, const char *const *settings,
                            char **why);
void handler_close(struct handler *h);

/* One delivery: the verdict. */
int handler_run(struct handler *h, const char *type, const char *payload);

#endif
