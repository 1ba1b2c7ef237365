/* SPDX-License-Identifier: MIT */
/*
 * conf_impl: what the files of conf share; nobody else includes it.
 *
 *   conf.c        the file, by libconfig     conf_text.c   bytes of files, @include
 *   conf_value.c  the set of values          conf_mask.c   passwords in URLs and conninfo strings
 *   conf_env.c    environment and flags      conf_print.c  values and tables for people
 */
#ifndef BASE_CONF_IMPL_H
#define BASE_CONF_IMPL_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/conf.h"

#define CONF_FILE_MAX ((size_t)1024 * 1024)
#define CONF_SECRET_FILE_MAX ((size_t)64 * 1024)
#define CONF_NAME_MAX 64 /* of a dotted name */
#define CONF_ALLOWED_MAX 160
#define CONF_WHERE_MAX 200 /* "FILE:LINE: key" */

/* A value replaces one from the same place or below. The names of other programs count only where
 * ours are not set. */
enum conf_level {
    CONF_FROM_DEFAULT,
    CONF_FROM_FOREIGN_ENV_FILE,
    CONF_FROM_FOREIGN_ENV,
    CONF_FROM_FILE,
    CONF_FROM_ENV_FILE,
    CONF_FROM_ENV,
    CONF_FROM_FLAG,
};

struct conf_value {
    bool is_set;
    enum conf_level level;
    char *source; /* NULL: "default" */
    char *text;   /* STRING, SECRET, CHOICE */
    int64_t number;
    char **strings;
    struct conf_group *groups;
    size_t count; /* of strings or groups */
};

struct conf_group {
    const struct conf_option *fields;
    struct conf_value *values; /* one a field */
    char *source;              /* "FILE:LINE" */
};

struct conf {
    const struct conf_option *table;
    struct conf_value *values; /* one a row */
    struct buf shown;
    bool ignore_unknown;
};

/* ---- conf_value.c ---- */
/* Row of a name of len bytes, or NULL. loose: '-', '.' and '_' are the same. */
const struct conf_option *conf_find(const struct conf_option *table, const char *name, size_t len,
                                    bool loose);
/* Row of a secret or string whose name followed by "_file" this is, or NULL. */
const struct conf_option *conf_find_file_form(const struct conf_option *table, const char *name,
                                              bool loose);
/* "JOBQ_MAIL_URL"; "--mail-url" */
void conf_env_name(const char *name, char out[static CONF_NAME_MAX + 8]);
void conf_flag_name(const char *name, char out[static CONF_NAME_MAX + 8]);
void conf_value_done(struct conf_value *v);
/* Both check and fill v (which is empty); an empty text means not set. where begins the message of
 * a refusal. */
MUST_CHECK int conf_value_from_text(const struct conf_option *o, const char *text,
                                    const char *where, struct conf_value *v, jobq_err *err);
MUST_CHECK int conf_value_from_number(const struct conf_option *o, int64_t number,
                                      const char *where, struct conf_value *v, jobq_err *err);
/* The first line of a file instead of a text. */
MUST_CHECK int conf_value_from_secret_file(const struct conf_option *o, const char *path,
                                           const char *where, struct conf_value *v, jobq_err *err);
/* JOBQ_ECONFIG "WHERE: must be …", with what was given unless it may be secret or is NULL. */
int conf_refuse(const struct conf_option *o, const char *where, const char *given, jobq_err *err);
/* Takes v, also on failure. Keeps the old value when it came from a higher place. */
MUST_CHECK int conf_put(struct conf_value *slot, struct conf_value *v, enum conf_level level,
                        const char *source, jobq_err *err);
/* Array with every default in it; freed with conf_values_free(). */
MUST_CHECK int conf_values_new(const struct conf_option *table, struct conf_value **out,
                               jobq_err *err);
void conf_values_free(const struct conf_option *table, struct conf_value *values);
int conf_no_memory(jobq_err *err);
/* JOBQ_ECONFIG "WHERE: unknown …", with the nearest of the table's names as spell() writes them
 * (NULL: as they are). */
int conf_unknown(const struct conf_option *table, const char *where, const char *what,
                 const char *name,
                 void (*spell)(const char *name, char out[static CONF_NAME_MAX + 8]),
                 jobq_err *err);

/* ---- conf_text.c ---- */
/*
 * A regular file of at most max bytes, without a NUL inside; caller frees *out with
 * mem_wipe_free(*out, *len). mode may be NULL. JOBQ_ECONFIG "cannot read …".
 */
MUST_CHECK int conf_read_file(const char *path, size_t max, char **out, size_t *len, mode_t *mode,
                              jobq_err *err);
/* The path, or its end when it is long: for messages. */
const char *conf_short_path(const char *path, char out[static 96]);

/* Lines of several files in one text. */
struct conf_text {
    struct buf text;
    size_t lines; /* the line being written, from 1 */
    struct conf_text_file *files;
    size_t file_count;
    struct conf_text_piece *pieces;
    size_t piece_count;
};
/* Reads path and what it includes. Freed with conf_text_done(), also after a failure. */
MUST_CHECK int conf_text_read(struct conf_text *t, const char *path, jobq_err *err);
void conf_text_done(struct conf_text *t); /* wipes */
/* Where a line of the text stands: path, line, and whether everybody may read that file. */
void conf_text_locate(const struct conf_text *t, size_t line, const char **path, size_t *path_line,
                      mode_t *mode);

/* ---- conf_mask.c ---- */
/* Appends text with every password in it replaced by "***". true: there was one. */
bool conf_mask(const char *text, struct buf *out);
bool conf_has_password(const char *text);

/* ---- conf_print.c ---- */
/* "a whole number from 1 to 1024" */
void conf_describe(const struct conf_option *o, char out[static CONF_ALLOWED_MAX]);

#endif
