/* SPDX-License-Identifier: MIT */
/*
 * conninfo: whether libpq would understand how to reach PostgreSQL, asked before libpq is: its own
 * messages repeat pieces of what it does not understand, and a password with a character that had
 * to be quoted is such a piece. Pure.
 */
#ifndef BASE_CONNINFO_H
#define BASE_CONNINFO_H

#include <jobq/error.h>

#include "base/base.h"

/* "key=value …" or postgresql://…; JOBQ_ECONFIG with a text that repeats nothing of it. Names of
 * keys are libpq's to judge. */
MUST_CHECK int conninfo_check(const char *text, jobq_err *err);

#endif
