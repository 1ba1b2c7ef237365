/* SPDX-License-Identifier: MIT */
/*
 * control: acts on jobs for an operator: dead letters back to their lanes, and jobs taken out of
 * where they wait. What a worker holds is never touched.
 *
 * Every act is one short script for at most 64 jobs or 64 KiB: done whole or not at all, and done
 * once, whoever repeats it. Between two of them everybody else is served. Blocking, within the
 * deadline of struct inspect; one thread. The script that acts also records who acts, and counts.
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

#define CONTROL_TEXT_MAX 1024

/*
 * One act of an operator: of as many calls, and in as many partitions, as it takes. Each partition
 * keeps one record of it (broker/inspect_audit.h), true whenever the act stops; of an act that
 * changed nothing there is none.
 */
struct control_act {
    /* Valid UTF-8, at most CONTROL_TEXT_MAX bytes each; borrowed. note NULL: none. */
    const char *by, *user, *command, *note;
    jobq_id id;
    int64_t ahead_ms;       /* Redis's clock before clock_mono_ms() */
    char base[KEYS_MAX];    /* of the partition that it came to last */
    struct entry_id record; /* its record there; 0-0: none yet */
};
/* Asks for Redis's clock and gives the act its id; the texts are the caller's to set. */
MUST_CHECK int control_begin(const struct inspect *in, struct control_act *act, jobq_err *err);

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
                              struct control_act *act, const struct inspect_job *const *jobs,
                              size_t n, const char *payload, size_t payload_len,
                              struct control_result *results, jobq_err *err);
/*
 * Takes jobs of one place of one partition out for good, and frees their unique keys; of a lane
 * only those nobody has claimed. *done counts those taken out. JOBQ_EUNKNOWN: the answer to the
 * last *open of them was lost.
 */
MUST_CHECK int control_purge(const struct inspect *in, const struct shard_keys *k,
                             struct control_act *act, int where,
                             const struct inspect_job *const *jobs, size_t n, size_t *done,
                             size_t *open, jobq_err *err);

#endif
