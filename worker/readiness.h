/* SPDX-License-Identifier: MIT */
/*
 * readiness: whether jobd claims, and why not: told to the service manager (READY=1 once, STATUS=
 * always) when it changes, to the log when it changes and once a minute while it lasts, and by
 * /readyz. Single thread.
 */
#ifndef WORKER_READINESS_H
#define WORKER_READINESS_H

#include <stdint.h>

struct supervisor;

/* What stops claiming. */
enum readiness_part {
    NOT_READY_STARTING,
    NOT_READY_DRAINING,
    NOT_READY_REDIS,
    NOT_READY_LEASE,
    NOT_READY_EXECUTORS,
    NOT_READY_POSTGRES,
    NOT_READY_PARTS
};
const char *readiness_word(enum readiness_part part);
void readiness_update(struct supervisor *s, int64_t now_ms);

#endif
