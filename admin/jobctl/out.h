/* SPDX-License-Identifier: MIT */
/*
 * out: one model, two renderings. A command builds a JSON object; out prints it as it is (--json),
 * or the sections of it that people read as tables and lists of fields. Bytes from outside never
 * reach a terminal raw: control characters and bad UTF-8 are made visible.
 *
 * Tables are aligned by the columns that text takes on a terminal, as far as the locale (LC_CTYPE)
 * knows; a root with a member "next" is a list that was cut, and how to go on is printed below it.
 *
 * One thread. Lives as long as the program.
 */
#ifndef ADMIN_JOBCTL_OUT_H
#define ADMIN_JOBCTL_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jobq/error.h>

#include "base/base.h"

struct buf;

struct out {
    FILE *file;
    bool json;
    bool colour;
    unsigned columns; /* of the terminal that is written to; 0: it is none */
};

/* How a value is shown to people; JSON has it plain (ms, bytes, true). */
enum out_kind {
    OUT_TEXT,
    OUT_NUMBER,   /* with "~" before it when the member KEY_exact is false */
    OUT_COUNT,    /* a number that a list of fields leaves out when it is 0 */
    OUT_TIME,     /* Unix ms */
    OUT_DURATION, /* ms */
    OUT_SIZE,     /* bytes */
    OUT_STATE,    /* a word, coloured by what it means */
};

struct out_column {
    const char *key; /* in the JSON object */
    const char *header;
    enum out_kind kind;
};

/* A member of the root object: an array of objects (a table), or one object (a list of fields). */
struct out_section {
    const char *key;
    const struct out_column *columns;
    size_t column_count;
    const char *empty; /* printed for an empty array; for an object that is null */
};

/* Takes root. JOBQ_EREJECTED: cannot write (exit status 73); JOBQ_ENOMEM, also when root is
 * NULL. */
MUST_CHECK int out_show(struct out *o, json_t *root, const struct out_section *sections, size_t n,
                        jobq_err *err);

/* Bytes as a JSON string; bad UTF-8 becomes '?'. NULL bytes: null. NULL when out of memory. */
json_t *out_string(const char *bytes, size_t len);
/* null for a negative number. */
json_t *out_time(int64_t ms);
/* Appends text for a terminal: control characters as \n, \x1b, \u0085; bad UTF-8 as \xNN. */
void out_visible(struct buf *b, const char *bytes, size_t len);
/* What people see of a member of the object, cut to so many bytes. */
void out_value(struct buf *b, const json_t *object, const struct out_column *column, size_t max);
/* The colour that a word of OUT_STATE has, as a terminal's sequence; NULL: none. */
const char *out_colour(const char *word, size_t len);
/* Columns on a terminal of text that is safe to show. */
size_t out_width(const char *bytes, size_t len);

#endif
