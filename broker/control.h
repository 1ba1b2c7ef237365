/* SPDX-License-Identifier: MIT */
/*
 * control: acts on jobs for an operator: dead letters back to their lanes, and jobs taken out of
 * where they wait. What a worker holds is never touched.
 *
 * Every act is one short script for at most 64 jobs or 64 KiB: done whole or not at all, and done
 * once, whoever repeats it. Between two of them everybody else is served. Blocking, within the
 * deadline of struct inspect; one thread.
 */
#ifndef BROKER_CONTROL_H
#define BROKER_CONTROL_H

#include "broker/inspect.h"

enum control_fate {
    CONTROL_OPEN, /* not answered: not tried, or not known */
    CONTROL_DONE,
    CONTROL_GONE,       /* it was not there any more */
    CONTROL_HELD,       /* a living job stands in its way */
    CONTROL_UNREADABLE, /* its header or payload cannot be read: nothing could run it */
};

struct control_result {
    enum control_fate fate;
    bool has_holder; /* CONTROL_HELD, unless its id was not readable */
    jobq_id holder;
};

/*
 * Dead letters of one partition back to their own lanes, under their ids, with all counts at 0 and
 * their expiry counted from now. payload NULL: as it was; else of a checked JSON object, for all of
 * them. results: n of them. JOBQ_EUNKNOWN: the answer to some was lost; those are CONTROL_OPEN.
 */
MUST_CHECK int control_revive(const struct inspect *in, const struct shard_keys *k,
                              const struct inspect_job *const *jobs, size_t n, const char *payload,
                              size_t payload_len, struct control_result *results, jobq_err *err);
/*
 * Takes jobs of one place of one partition out for good, and frees their unique keys; of a lane
 * only those nobody has claimed. *done counts those taken out. JOBQ_EUNKNOWN: the answer to the
 * last *open of them was lost.
 */
MUST_CHECK int control_purge(const struct inspect *in, const struct shard_keys *k, int where,
                             const struct inspect_job *const *jobs, size_t n, size_t *done,
                             size_t *open, jobq_err *err);

#endif
