/* SPDX-License-Identifier: MIT */
/*
 * executors: what the supervisor does when an executor is ready, moves on, ends a job, dies or
 * loses its database.
 */
#ifndef WORKER_EXECUTORS_H
#define WORKER_EXECUTORS_H

#include <jobq/error.h>

#include "base/base.h"

struct supervisor;

MUST_CHECK int executors_make_pool(struct supervisor *s, jobq_err *err);

#endif
