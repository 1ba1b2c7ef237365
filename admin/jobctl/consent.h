/* SPDX-License-Identifier: MIT */
/*
 * consent: what an operator says while a command runs: yes before many jobs are changed, and stop
 * in the middle. One thread.
 */
#ifndef ADMIN_JOBCTL_CONSENT_H
#define ADMIN_JOBCTL_CONSENT_H

#include <stdbool.h>

#include <jobq/error.h>

#include "base/base.h"

struct args;
struct session;

/* From now on the first SIGINT or SIGTERM is kept for consent_stopped(); the second one kills. */
void consent_watch(void);
/* The command is to end between two steps. Its exit status is then set. */
bool consent_stopped(struct session *s);

/* Whether there is somebody to ask: --yes, or a terminal. JOBQ_EINVAL: neither. */
MUST_CHECK int consent_needed(const struct args *a, bool *ask, jobq_err *err);
/* Asks "…? [y/N] " on the terminal. JOBQ_ESTATE: the answer was no. */
MUST_CHECK int consent_ask(const char *question, jobq_err *err);

#endif
