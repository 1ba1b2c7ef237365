/* SPDX-License-Identifier: MIT */
/* find: the one job that an operator named, by its id or by its place. */
#ifndef ADMIN_JOBCTL_FIND_H
#define ADMIN_JOBCTL_FIND_H

#include <jansson.h>
#include <stdbool.h>

#include <jobq/error.h>

#include "base/base.h"

struct args;
struct inspect_job;
struct session;

/* How it was looked for. */
struct find_report {
    json_t *looked; /* the caller's; NULL: at a place, where there is nothing to search */
    bool whole;     /* there is nowhere else */
};

/*
 * text is an id or queue/partition/lane/entry; only is the one place to search (INSPECT_DEAD…), or
 * -1. Reads the flags --queue and --scan. The caller frees *out with inspect_job_done() when it was
 * found.
 */
MUST_CHECK int find_job(struct session *s, const struct args *a, const char *text, int only,
                        struct inspect_job *out, bool *found, struct find_report *report,
                        jobq_err *err);
/* The failure of not having found it: JOBQ_ENOTFOUND. none: what that means when all was searched.
 */
int find_none(const struct find_report *report, const char *text, const char *none, jobq_err *err);

#endif
