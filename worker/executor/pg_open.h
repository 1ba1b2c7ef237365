/* SPDX-License-Identifier: MIT */
/*
 * pg_open: finds and opens runtime-pg.so. Single thread.
 */
#ifndef WORKER_EXECUTOR_PG_OPEN_H
#define WORKER_EXECUTOR_PG_OPEN_H

#include <jobq/error.h>

#include "base/base.h"

struct runtime_pg;

/*
 * path NULL: beside this program, in the build tree or where it was installed. JOBQ_ECONFIG: it is
 * not there, cannot be opened, or belongs to another build. Stays open until the process ends.
 */
MUST_CHECK int pg_open_runtime(const char *path, const struct runtime_pg **out, jobq_err *err);

#endif
