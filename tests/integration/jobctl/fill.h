/* SPDX-License-Identifier: MIT */
/* fill: puts jobs into Redis as jobq would, many at once. For tests of one thread. */
#ifndef TESTS_INTEGRATION_JOBCTL_FILL_H
#define TESTS_INTEGRATION_JOBCTL_FILL_H

#include <stddef.h>

#include <jobq/job.h>

#include "tests/support/support.h"

struct fill {
    const char *queue;          /* NULL: mail; partition 0 */
    const char *stream;         /* NULL: dead; else parked, ready:high… */
    const char *type;           /* NULL: a.b */
    const char *payload;        /* NULL: {"n":<number>} */
    size_t payload_len;         /* 0: its strlen() */
    const char *reason, *error; /* of dead ones; NULL: permanent, no */
    size_t error_len;
    const char *unique;
    unsigned flags;    /* the lane */
    const char *entry; /* its id; NULL: * */
};

/* Registers the queue, and adds n of them; ids (if not NULL) gets their ids. */
void fill(struct redis *r, size_t n, const struct fill *f, jobq_id *ids);
/* The ids of all entries of a stream of queue mail, partition 0; the caller frees with free(). */
jobq_id *stream_ids(struct redis *r, const char *stream, size_t *n);
/* Fails the test unless both have the same ids, each of them once. Sorts both. */
void expect_same_ids(jobq_id *a, size_t n, jobq_id *b, size_t m);
const char *fill_id_text(const jobq_id *id); /* in a buffer of fmt() */

#endif
