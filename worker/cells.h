/* SPDX-License-Identifier: MIT */
/*
 * cells: 64-bit words that the executors of one jobd share, by name.
 *
 * For what its handlers must keep together, such as a limit on something all of them use. A sealed
 * memory file that jobd makes once and hands to each executor; it lives as long as jobd, so the
 * words outlive executors. Nobody needs a lock and nobody can leave one behind: words are found and
 * changed by atomic operations. jobd itself never reads them, for no executor is to be trusted.
 */
#ifndef WORKER_CELLS_H
#define WORKER_CELLS_H

#include <stdatomic.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

#define CELLS_COUNT 64u
#define CELLS_FD 5 /* in the executor */

struct cells {
    struct {
        _Atomic uint64_t name; /* its hash; 0: free */
        _Atomic uint64_t value;
    } cell[CELLS_COUNT];
};

/* JOBQ_EINTERNAL. Caller closes *fd. */
MUST_CHECK int cells_new(int *fd, jobq_err *err);
/* NULL: fd is no such file. Closes fd, whatever it is. Unmapped by the end of the process. */
struct cells *cells_map(int fd);
/* The word of that name, 0 at first; NULL: all are taken. */
_Atomic uint64_t *cells_find(struct cells *c, const char *name);

#endif
