/* SPDX-License-Identifier: MIT */
/* cells: see cells.h. */
#include "worker/cells.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int cells_new(int *fd, jobq_err *err)
{
    int made = memfd_create("jobq-cells", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return error_set(err, JOBQ_EINTERNAL, "memfd: %s", strerror(errno));
    /* Sealed: no executor can cut it off under the others. */
    if (ftruncate(made, sizeof(struct cells)) != 0 ||
        fcntl(made, F_ADD_SEALS, SEALS | F_SEAL_SEAL) != 0) {
        int why = errno;
        close(made);
        return error_set(err, JOBQ_EINTERNAL, "memfd: %s", strerror(why));
    }
    *fd = made;
    return JOBQ_OK;
}

struct cells *cells_map(int fd)
{
    void *p = MAP_FAILED;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 &&
        st.st_size == (off_t)sizeof(struct cells))
        p = mmap(NULL, sizeof(struct cells), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return p != MAP_FAILED ? p : NULL;
}

_Atomic uint64_t *cells_find(struct cells *c, const char *name)
{
    uint64_t hash = hash_sip13(name, strlen(name), 0, 0);
    uint64_t start = hash % CELLS_COUNT;

    hash = hash ? hash : 1;
    for (uint64_t i = 0; i < CELLS_COUNT; i++) {
        size_t at = (size_t)((start + i) % CELLS_COUNT);
        uint64_t there = atomic_load(&c->cell[at].name);

        if (there == 0 && atomic_compare_exchange_strong(&c->cell[at].name, &there, hash))
            there = hash;
        if (there == hash)
            return &c->cell[at].value;
    }
    return NULL;
}
