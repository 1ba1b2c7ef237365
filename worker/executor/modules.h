/* SPDX-License-Identifier: MIT */
/*
 * modules: handler modules, opened with dlopen(), and the types they serve.
 *
 * A module is never closed before the process ends: its handlers may have left threads and exit
 * functions behind, and a leak checker needs its symbols. Single thread.
 */
#ifndef WORKER_EXECUTOR_MODULES_H
#define WORKER_EXECUTOR_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/handler.h>

#include "base/base.h"

struct map;

/* A type and who serves it. */
struct handler {
    const char *type;
    jobq_run_fn run;
    unsigned flags; /* enum jobq_handler_flag */
    const struct module *module;
    uint32_t runs; /* so far; see tidy.h */
    bool untidy;   /* was seen to leave something behind */
};

struct module {
    char *path;
    const jobq_module *abi;
    void *state;
    bool started;
};

struct modules {
    struct module *list;
    size_t count;
    struct handler *handlers;
    size_t handler_count;
    struct map *by_type; /* to struct handler */
};

#define MODULES_ALL_FLAGS                                                                          \
    ((unsigned)JOBQ_HANDLER_PG | (unsigned)JOBQ_HANDLER_TRANSACTIONAL |                            \
     (unsigned)JOBQ_HANDLER_MANUAL | (unsigned)JOBQ_HANDLER_KEEPS_FDS)

/*
 * Opens and checks every module; starts none. JOBQ_ECONFIG with a text that names the file and what
 * is wrong with it; JOBQ_ENOMEM. Caller frees with modules_done(), also if it
 * fails. */
MUST_CHECK int modules_open(struct modules *m, const char *const *paths, size_t n, jobq_err *err);

/*
 * Calls start() of each. host is what they may use; said() gives what the module last logged as an
 * error, for the text of JOBQ_ECONFIG.
 */
MUST_CHECK int modules_start(struct modules *m, const jobq_host *host,
                             const char *(*said)(void *ctx), jobq_err *err);
/* Calls stop() of those started, last first. */
void modules_stop(struct modules *m);
void modules_done(struct modules *m);

/* NULL: nobody here serves it. */
struct handler *modules_find(const struct modules *m, const char *type, size_t len);
/* All flags of all types together. */
unsigned modules_flags(const struct modules *m);

#endif
