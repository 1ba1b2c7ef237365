/* SPDX-License-Identifier: MIT */
/* job_json: a job that was found, as JSON. Pure. */
#ifndef ADMIN_JOBCTL_JOB_JSON_H
#define ADMIN_JOBCTL_JOB_JSON_H

#include <jansson.h>

struct inspect_job;

/* Everything known; what is not known is null. NULL: out of memory. */
json_t *job_json(const struct inspect_job *j);
/* What a line of a list says of it: no payload. */
json_t *job_json_brief(const struct inspect_job *j);
/* The same with where it stands: its lane, who holds it and for how long, when it is due, since
 * when it is there. */
json_t *job_json_row(const struct inspect_job *j);

#endif
