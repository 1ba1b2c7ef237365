/* SPDX-License-Identifier: MIT */
/*
 * doctor: the checks of jobctl doctor, in three files: what Redis, PostgreSQL and this host must be
 * for jobd to work. Each check is one line that is ok, a fault with the way to mend it, or skipped
 * because what it needs is at fault already or not configured.
 *
 * A check exists only with a test that breaks exactly that.
 */
#ifndef ADMIN_JOBCTL_DOCTOR_H
#define ADMIN_JOBCTL_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct session;

/* Clocks this far apart are a fault: log lines and ages mislead, due times given as moments are
 * off. */
#define DOCTOR_CLOCK_MS 5000

enum doctor_verdict { DOCTOR_SKIPPED, DOCTOR_OK, DOCTOR_FAULT };

struct doctor {
    json_t *checks;
    int faults;
};

/* mend is for faults only. */
void doctor_add(struct doctor *d, const char *check, enum doctor_verdict verdict, const char *found,
                const char *mend);
void doctor_judge(struct doctor *d, const char *check, bool fine, const char *found,
                  const char *mend);
void doctor_skip(struct doctor *d, const char *const *checks, size_t n, const char *why);
/* A check of a clock that told this time some time between asked_ms, of this host's clock, and now.
 */
void doctor_clock(struct doctor *d, const char *check, int64_t asked_ms, int64_t clock_ms);

void doctor_redis(struct session *s, struct doctor *d);
void doctor_postgres(struct session *s, struct doctor *d);
void doctor_host(struct session *s, struct doctor *d);

#endif
