/* SPDX-License-Identifier: MIT */
/*
 * conninfo: whether libpq would understand how to reach PostgreSQL, asked before libpq is: its own
 * messages repeat pieces of what it does not understand, and a password with a character that had
 * to be quoted is such a piece; and what it would read in it. Pure.
 */
#ifndef BASE_CONNINFO_H
#define BASE_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"

/* "key=value …" or postgresql://…; JOBQ_ECONFIG with a text that repeats nothing of it. Names of
 * keys are libpq's to judge. */
MUST_CHECK int conninfo_check(const char *text, jobq_err *err);

/* One key=value of a text that is no URI, where it stands in it. */
struct conninfo_pair {
    const char *key;
    size_t key_len;
    const char *value; /* with its quotes and backslashes */
    size_t value_len;
    bool is_closed; /* false: a quote is not, and the value reaches to the end of the text */
};
/* The pair at *text, which moves behind it; false: none is there, and unless *text is at its end
 * that is a mistake. */
MUST_CHECK bool conninfo_next(const char **text, struct conninfo_pair *out);

#endif
