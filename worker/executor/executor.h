/* SPDX-License-Identifier: MIT */
/*
 * executor: the process in which handlers run, one job at a time.
 *
 * Started by jobd with a socketpair and a page of shared memory. Reads FRAME_CONFIG and
 * FRAME_START, opens the modules, says READY, then runs jobs in the order in which they come. It
 * knows no Redis, and PostgreSQL only through runtime-pg.so. It may die at any instruction: jobd
 * sees by the page which job that was.
 *
 * One per process. Single thread.
 */
#ifndef WORKER_EXECUTOR_EXECUTOR_H
#define WORKER_EXECUTOR_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/handler.h>

#include "base/base.h"
#include "worker/cells.h"
#include "worker/executor/channel.h"
#include "worker/executor/modules.h"
#include "worker/executor/run.h"
#include "worker/executor/runtime_pg.h"
#include "worker/executor/settings.h"
#include "worker/executor/tidy.h"

struct executor {
    struct channel channel;
    struct frame_page *page;
    struct cells *cells; /* NULL: there are none */
    struct settings settings;
    struct modules modules;
    struct tidy tidy;
    const struct runtime_pg *pg_calls; /* NULL: no type wants PostgreSQL */
    struct pg *pg;
    size_t max_payload_bytes;
    struct run run;
    bool draining;
};

enum {
    EXECUTOR_EXIT_OK = 0,
    EXECUTOR_EXIT_BUG = 70,    /* the supervisor and we do not understand each other */
    EXECUTOR_EXIT_CONFIG = 78, /* FRAME_FAILED was sent */
};

/*
 * Runs until the supervisor drains it or is gone. Takes the descriptors; cells_fd may be none. Gives
 * the exit status.
 */
int executor_run(int socket_fd, int page_fd, int cells_fd);

/* Sends a line for the log of job seq (0: of none). Text is made valid UTF-8 and cut. */
void executor_log(struct executor *ex, uint32_t seq, int level, const char *text);

#endif
