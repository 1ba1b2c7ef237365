/* SPDX-License-Identifier: MIT */
/*
 * tidy_proc: what /proc tells about this process: its descriptors and its children. Single thread.
 */
#ifndef WORKER_EXECUTOR_TIDY_PROC_H
#define WORKER_EXECUTOR_TIDY_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/base.h"

/* Calls fn for every open descriptor, without the one used for looking. false: /proc cannot be read
 * (errno). */
bool tidy_proc_each_fd(void (*fn)(void *ctx, int fd), void *ctx);
/* "/path/of/file", "socket:[1234]". */
void tidy_proc_describe_fd(int fd, char *out, size_t out_size);

/* Any child, running or waiting to be reaped. Cheap; reaps nothing. */
bool tidy_proc_has_children(void);
/* Writes at most max pids of children and gives how many there are of them. */
size_t tidy_proc_children(pid_t *out, size_t max);
/* Kills and reaps all children but the n in spare, and the orphans these leave to us. Gives how
 * many. */
unsigned tidy_proc_kill_children(const pid_t *spare, size_t n);

#endif
