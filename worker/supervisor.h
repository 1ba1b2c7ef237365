/* SPDX-License-Identifier: MIT */
/*
 * supervisor: jobd's one thread: owns the Redis connections, the executors and every claimed job;
 * starts, reloads, drains, starts anew when fenced, stops.
 *
 * It stays through everything that waiting can heal. Never blocks.
 */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include <jobq/error.h>

#include "base/base.h"

struct worker_config;

/*
 * Runs until drained. Takes config. *exit_status: 0 drained, 70 a bug, 78 executors that cannot
 * start. JOBQ_ECONFIG: the state directory or its lock (exit 78); JOBQ_ENOMEM, JOBQ_EINTERNAL.
 */
MUST_CHECK int supervisor_run(struct worker_config *config, int *exit_status, jobq_err *err);

#endif
