/* SPDX-License-Identifier: MIT */
/*
 * filter: which dead letters are meant: by type, reason, text of the error, age, members of the
 * payload. All that is asked must hold. Borrows from the command line.
 */
#ifndef ADMIN_JOBCTL_FILTER_H
#define ADMIN_JOBCTL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct args;
struct inspect_job;
struct inspect_walk;

#define FILTER_FIELDS 16

struct filter {
    const char *type, *reason, *error; /* NULL: any */
    int64_t older_ms, newer_ms;        /* -1: any */
    const char *fields[FILTER_FIELDS]; /* path=value */
    size_t field_count;
    bool any;           /* asks for something */
    int64_t unreadable; /* payloads that could not be looked into, so far */
};

/* JOBQ_EINVAL. */
MUST_CHECK int filter_read(const struct args *a, struct filter *out, jobq_err *err);
/* Narrows a walk over dead letters to those of the right age; now_ms is Redis's clock. */
void filter_narrow(const struct filter *f, int64_t now_ms, struct inspect_walk *w);
/* Whether the rest holds. */
bool filter_matches(struct filter *f, const struct inspect_job *job);

#endif
