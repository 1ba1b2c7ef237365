/* SPDX-License-Identifier: MIT */
/*
 * conf: options from a table. Default < file (libconfig) < env file < environment < flag; every
 * value remembers where it came from. Lists of groups (queues, types) come from the file only.
 *
 * A mistake gives one message: file, line, key, what is allowed, and the nearest name for an
 * unknown key.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jobq/error.h>

#include "base/base.h"

enum conf_type {
    CONF_STRING,
    CONF_SECRET,   /* a string that is never shown */
    CONF_INT,      /* between min and max */
    CONF_MS,       /* duration; between min and max, in ms */
    CONF_BYTES,    /* size; between min and max, in bytes */
    CONF_BOOL,
    CONF_CHOICE,   /* one of the words in choices */
    CONF_STRINGS,  /* list of strings, file only */
    CONF_GROUPS,   /* list of groups described by fields, file only */
};

/* When a changed value may take effect. */
enum conf_applies { CONF_LIVE, CONF_START };

/* One row of the table. A dotted name ("mail.url") is a member of a group in the file. */
struct conf_option {
    const char *name;                 /* "redis"; env is JOBQ_REDIS, flag --redis; "mail.url":
                                       * JOBQ_MAIL_URL, --mail-url */
    enum conf_type type;
    const char *fallback;             /* default as text; NULL: not set */
    enum conf_applies applies;
    int64_t min, max;                 /* INT, MS, BYTES; max 0: no limit */
    const char *choices;              /* "key-value json" */
    const struct conf_option *fields; /* CONF_GROUPS: ended by name NULL */
    const char *foreign_env;          /* name(s) another program's deployment already sets,
                                       * space-separated; read when ours are not set */
    bool is_address;                  /* STRING: a URL or connection string; what is neither may be
                                       * a password that lost its way, and is not shown */
    const char *help;                 /* one sentence */
};

struct conf;       /* a set of values */
struct conf_group; /* one element of a CONF_GROUPS list */

/* table is borrowed for life, ended by name NULL; all values are defaults. */
MUST_CHECK int conf_new(const struct conf_option *table, struct conf **out, jobq_err *err);
void conf_free(struct conf *c); /* wipes secrets; NULL is fine */
/* For a program that reads a few options of another one's file: from now on files may hold what the
 * table does not. */
void conf_ignore_unknown(struct conf *c);
/* JOBQ_OK when conf_set_flag() would know that name, else JOBQ_ECONFIG with the nearest one. */
MUST_CHECK int conf_check_flag(const struct conf_option *table, const char *name, jobq_err *err);
/*
 * JOBQ_ECONFIG with "FILE:LINE: key: …". Regular files only, at most 1 MiB; @include resolves
 * beside the file. A file that everybody may read must not hold a password, be it a CONF_SECRET or
 * inside a URL or conninfo string. "key_file" reads the value of a string or secret from the file
 * named.
 */
MUST_CHECK int conf_load_file(struct conf *c, const char *path, jobq_err *err);
/* KEY=VALUE lines, '#' comments, optional quotes; only names that the environment would give
 * count. */
MUST_CHECK int conf_load_env_file(struct conf *c, const char *path, jobq_err *err);
/* envp as in environ. NAME_FILE reads a string or secret from a file. An empty variable counts as
 * not there. */
MUST_CHECK int conf_load_env(struct conf *c, const char *const *envp, jobq_err *err);
/* One flag: name without "--" (dashes or dots), value text. JOBQ_ECONFIG also for an unknown
 * name. */
MUST_CHECK int conf_set_flag(struct conf *c, const char *name, const char *value, jobq_err *err);
/*
 * A value made of another program's variables (see foreign_env): counts only where ours is not set.
 * source is what conf_source() will say. JOBQ_ECONFIG when the option refuses it.
 */
MUST_CHECK int conf_set_foreign(struct conf *c, const char *name, const char *value,
                                const char *source, jobq_err *err);

/* Whether the table has that option. */
bool conf_knows(const struct conf *c, const char *name);
/* The name must be in the table with that type: anything else is a bug (asserts). Strings are
 * borrowed from c. */
const char *conf_string(const struct conf *c, const char *name); /* NULL when not set */
int64_t conf_int(const struct conf *c, const char *name); /* INT, MS, BYTES; 0 when not set */
bool conf_bool(const struct conf *c, const char *name);
bool conf_is_set(const struct conf *c, const char *name);
size_t conf_strings(const struct conf *c, const char *name, const char *const **out);
size_t conf_groups(const struct conf *c, const char *name);
const struct conf_group *conf_group_at(const struct conf *c, const char *name, size_t i);
const char *conf_group_string(const struct conf_group *g, const char *field);
int64_t conf_group_int(const struct conf_group *g, const char *field);
bool conf_group_is_set(const struct conf_group *g, const char *field);
const char *conf_group_source(const struct conf_group *g); /* "/etc/jobq/jobd.conf:12" */
/* "default", "/etc/jobq/jobd.conf:12", "environment JOBQ_REDIS", "flag --redis". */
const char *conf_source(const struct conf *c, const char *name);
/* Value as text for people; secrets, and passwords inside URLs and conninfo strings, as "***".
 * Borrowed from c until the next call. */
const char *conf_show(struct conf *c, const char *name);

/*
 * Compares a new set with the one in force: JOBQ_OK when only CONF_LIVE options differ, else
 * JOBQ_ECONFIG naming every option that needs a restart. In a list that needs one, fields that are
 * CONF_LIVE may differ. Changes nothing.
 */
MUST_CHECK int conf_check_reload(const struct conf *current, const struct conf *next,
                                 jobq_err *err);

/* Writes help for flags, an annotated sample file, a Markdown page, or the options of a manual page
 * for scdoc, from the table. */
enum conf_document { CONF_HELP, CONF_SAMPLE, CONF_MARKDOWN, CONF_MAN };
void conf_print(const struct conf_option *table, enum conf_document what, FILE *out);

#endif
