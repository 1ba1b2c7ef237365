/* SPDX-License-Identifier: MIT */
/*
 * id: UUIDv7 (RFC 9562 section 5.7) job ids, incarnation names, random numbers. The public
 * jobq_id_* functions of <jobq/job.h> are defined here too.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/job.h>

#include "base/base.h"

/* The Unix ms inside a version 7 id; -1 for other versions. */
int64_t id_time_ms(const jobq_id *id);
int id_compare(const jobq_id *a, const jobq_id *b);
/* Deterministic id of the n-th child of a run: the parent's time, other bits from a hash of
 * (parent, n). */
void id_derive(const jobq_id *parent, uint32_t n, jobq_id *out);
/* The part of a version 7 id that counts: its time, then 12 and 62 bits. */
struct id_counter {
    int64_t time_ms;
    uint32_t high;
    uint64_t low;
};
/* Adds step (1 to 2^62) to it as one number; the time moves on when the bits below it are used
 * up. */
void id_counter_add(struct id_counter *c, uint64_t step);
/* Random bytes from the kernel. JOBQ_OK or JOBQ_EINTERNAL. */
MUST_CHECK int id_random(void *out, size_t len);
/* Uniform in [0, below), below > 0, from a fast per-process generator seeded by the kernel; not for
 * secrets. */
uint64_t id_random_below(uint64_t below);

#endif
