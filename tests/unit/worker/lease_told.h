/* SPDX-License-Identifier: MIT */
/*
 * lease_told: what Redis would have told a lease: `alive` as the answer to a beat or a look.
 */
#ifndef TESTS_UNIT_WORKER_LEASE_TOLD_H
#define TESTS_UNIT_WORKER_LEASE_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/lease.h"

#define PARTITION "jobq:{q:0}"
#define FENCED    (-1)

/* One field of `alive`: counter FENCED for "F". */
struct told {
    const char *name;
    int64_t counter;
};

struct lease *new_lease(const char *name, int64_t lease_ms);
/* The answer to a beat sent at sent_ms. */
int tell_beat(struct lease *l, const struct told *alive, size_t n, int64_t sent_ms, int64_t now_ms);
/* The answer to a look: HGETALL alive. */
void tell_look(struct lease *l, const struct told *alive, size_t n, int64_t now_ms);

#endif
