/* SPDX-License-Identifier: MIT */
/*
 * connections: the three Redis connections of a jobd and what happens when each comes and goes:
 * command (beats, scripts, reads that do not block), reader (the one blocked read), subscriber
 * (presence and wake-ups; RESP2 allows neither a subscriber nor a blocked reader to do anything
 * else).
 */
#ifndef WORKER_CONNECTIONS_H
#define WORKER_CONNECTIONS_H

#include <jobq/error.h>

#include "base/base.h"

struct supervisor;

/* Makes them; link_start() starts each. */
MUST_CHECK int connections_make(struct supervisor *s, jobq_err *err);

#endif
