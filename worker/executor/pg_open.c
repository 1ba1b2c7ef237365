/* SPDX-License-Identifier: MIT */
/*
 * pg_open: finds and opens runtime-pg.so. See pg_open.h. Single thread.
 */
#include "worker/executor/pg_open.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "worker/executor/runtime_pg.h"

/* From the directory of this program: as installed, and in the build tree. */
#ifndef JOBQ_RUNTIME_PG_INSTALLED
#define JOBQ_RUNTIME_PG_INSTALLED "../../lib/jobq/runtime-pg.so"
#endif
#define RUNTIME_PG_BUILT "../lib/jobq/runtime-pg.so"
/* Where it was meant to be installed, for when the kernel does not tell where this program is. */
#ifndef JOBQ_RUNTIME_PG_ABSOLUTE
#define JOBQ_RUNTIME_PG_ABSOLUTE "/usr/local/lib/jobq/runtime-pg.so"
#endif

static bool find_beside(const char *relative, char *out, size_t out_size)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    n = snprintf(out, out_size, "%s/%s", self, relative);
    return n > 0 && (size_t)n < out_size && access(out, R_OK) == 0;
}

int pg_open_runtime(const char *path, const struct runtime_pg **out, jobq_err *err)
{
    const struct runtime_pg *calls;
    char found[PATH_MAX];
    void *handle;

    if (path == NULL) {
        path = JOBQ_RUNTIME_PG_ABSOLUTE;
        if (find_beside(RUNTIME_PG_BUILT, found, sizeof(found)) ||
            find_beside(JOBQ_RUNTIME_PG_INSTALLED, found, sizeof(found)))
            path = found;
    }
    if (access(path, R_OK) != 0)
        return error_set(err, JOBQ_ECONFIG, "the PostgreSQL part of the executor, %s: %s", path,
                         strerror(errno));
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return error_set(err, JOBQ_ECONFIG, "the PostgreSQL part of the executor: %s", dlerror());
    calls = dlsym(handle, RUNTIME_PG_SYMBOL);
    if (calls == NULL || strcmp(calls->build, RUNTIME_PG_BUILD) != 0)
        return error_set(err, JOBQ_ECONFIG, "%s does not belong to this jobq-executor (%s)", path,
                         RUNTIME_PG_BUILD);
    *out = calls;
    return JOBQ_OK;
}
