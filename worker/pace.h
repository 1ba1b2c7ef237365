/* SPDX-License-Identifier: MIT */
/*
 * pace: how long what Redis refused is left alone before it is tried again, by how the error is to
 * be read. Never so long that jobd is not back within 5 s of healing. Pure.
 */
#ifndef WORKER_PACE_H
#define WORKER_PACE_H

#include <stdint.h>

#include "broker/reply.h"

#define PACE_SLOWEST_MS 4000

int64_t pace_of_class(enum reply_class c);
int64_t pace_of(const struct redisReply *r); /* NULL: the connection broke */

#endif
