/* SPDX-License-Identifier: MIT */
/* payload: what an operator gives as the payload of a job: text, a file, standard input. */
#ifndef ADMIN_JOBCTL_PAYLOAD_H
#define ADMIN_JOBCTL_PAYLOAD_H

#include <jobq/error.h>

#include "base/base.h"

struct buf;

/* Appends what text is or names: a JSON object, "-" or "@FILE". JOBQ_EINVAL, JOBQ_ETOOBIG (over
 * b->max). */
MUST_CHECK int payload_read(const char *text, struct buf *b, jobq_err *err);
/* Appends a file's bytes; "-" is standard input. */
MUST_CHECK int payload_read_file(const char *path, struct buf *b, jobq_err *err);

#endif
