/* SPDX-License-Identifier: MIT */
/*
 * settings: where Redis and PostgreSQL are, read as jobd reads it: default < file < env file <
 * environment < flag, the forum's own names where ours are not set. The config room reads; what
 * only jobd needs is jobd's to check and is passed over here.
 *
 * Read once; nothing changes afterwards.
 */
#ifndef ADMIN_JOBCTL_SETTINGS_H
#define ADMIN_JOBCTL_SETTINGS_H

#include <stdbool.h>

#include <jobq/error.h>

#include "base/base.h"

struct args;
struct redis_url;
struct settings;

#define SETTINGS_ARGV_MAX 14

/* The command line of a jobd that is told what we are, and its length; file, unless NULL, counts
 * before the -c of ours. */
int settings_argv(const struct args *a, const char *file,
                  const char *argv[static SETTINGS_ARGV_MAX]);

/* JOBQ_ECONFIG: something is malformed, or a file named cannot be read. Caller frees with
 * settings_free(). */
MUST_CHECK int settings_load(const struct args *a, const char *const *envp, struct settings **out,
                             jobq_err *err);
void settings_free(struct settings *s); /* wipes secrets; NULL is fine */

/* All borrowed from s. */
const struct redis_url *settings_redis(const struct settings *s);
/* A conninfo or URI, not checked, that may hold a password; NULL: none is configured. */
const char *settings_postgres(const struct settings *s);
const char *settings_key_prefix(const struct settings *s);
const char *settings_schema(const struct settings *s); /* of our tables in PostgreSQL */
/* Whether the configuration names that module of ours (recount, notify, mail, avatar), by name or
 * by path; whether it names any, so that this is the configuration of a jobd. */
bool settings_has_module(const struct settings *s, const char *name);
bool settings_has_modules(const struct settings *s);
/* state_dir, mail.url, mail.templates, forum.media_root; NULL when not set. */
const char *settings_text(const struct settings *s, const char *name);

#endif
