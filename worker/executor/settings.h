/* SPDX-License-Identifier: MIT */
/*
 * settings: the configuration that jobd hands to its executors, and what host->config() answers.
 *
 * May hold secrets: wiped when it is freed, never logged. Lives as long as the executor. Single
 * thread.
 */
#ifndef WORKER_EXECUTOR_SETTINGS_H
#define WORKER_EXECUTOR_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct frame;

struct settings {
    char **strings; /* key, value, key, value … */
    size_t count;
};

/* Reads FRAME_CONFIG into an empty *s. JOBQ_EPROTO, JOBQ_ENOMEM. Caller frees with settings_done(),
 * also on failure. */
MUST_CHECK int settings_read(struct settings *s, const struct frame *f, jobq_err *err);
void settings_done(struct settings *s);
/* NULL when not set. Borrowed from s. */
const char *settings_get(const struct settings *s, const char *key);
/* A duration or a size; fallback when it is not set or cannot be read. */
int64_t settings_ms(const struct settings *s, const char *key, int64_t fallback);
int64_t settings_bytes(const struct settings *s, const char *key, int64_t fallback);

#endif
