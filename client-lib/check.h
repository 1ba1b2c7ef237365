/* SPDX-License-Identifier: MIT */
/*
 * check: the part of send.h that needs no connection. Borrows everything from the sending it is
 * given.
 */
#ifndef CLIENT_LIB_CHECK_H
#define CLIENT_LIB_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "client-lib/send.h"

#define CHECK_BAD_SIZE "size: not that of a jobq_job; start from JOBQ_JOB_INIT (in every element)"

/* Whether an array of jobs may have elements of this size: below it nothing else of a job may be
 * looked at. */
bool check_stride(size_t stride);
const jobq_job *check_job_at(const struct sending *s, size_t i);
/* Checks job i and gives it its id. False: it was refused, its answer is final. */
bool check_job(struct sending *s, size_t i);
/* Final answer: REJECTED, or UNKNOWN when an earlier copy may be stored. */
void check_settle(struct sending *s, size_t i, jobq_cause cause, const char *text);
/* A final answer for every job that has none. */
void check_finish(struct sending *s);

#endif
