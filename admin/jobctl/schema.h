/* SPDX-License-Identifier: MIT */
/* schema: jobq's own tables in PostgreSQL: whether they are there, and making them. */
#ifndef ADMIN_JOBCTL_SCHEMA_H
#define ADMIN_JOBCTL_SCHEMA_H

#include <stdbool.h>

#include <jobq/error.h>

#include "base/base.h"

struct pg;

struct schema_state {
    bool exists;        /* the schema */
    bool complete;      /* both tables with all their columns */
    char missing[128];  /* what is not there or is of another type: "done.children bytea, …" */
    bool may_use;       /* complete, and this role may do all that a worker does there */
    char refused[192];  /* what it may not: "INSERT on done, …" */
    char role[64];      /* the role that asks */
};
/* Needs no privilege there. */
MUST_CHECK int schema_look(struct pg *p, const char *name, struct schema_state *out, jobq_err *err);
/* Makes what is missing, in one transaction. */
MUST_CHECK int schema_create(struct pg *p, const char *name, jobq_err *err);

#endif
