/* SPDX-License-Identifier: MIT */
#include "worker/executor_env.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/base.h"

/* Names end in '=', prefixes do not. libpq's own variables pass, but for the password. */
static const char *const allowed[] = {
    "PATH=", "HOME=", "LANG=", "LC_", "TZ=", "TMPDIR=", "LD_LIBRARY_PATH=", "JOBQ_CRASH_AT=",
    "ASAN_OPTIONS=", "LSAN_OPTIONS=", "UBSAN_OPTIONS=", "ASAN_SYMBOLIZER_PATH=",
    "PGPASSFILE=", "PGSERVICE=", "PGSERVICEFILE=", "PGSSL", "PGSYSCONFDIR=", "PGHOST=", "PGPORT=",
    "PGUSER=", "PGDATABASE=", "PGCONNECT_TIMEOUT=", "PGTARGETSESSIONATTRS=", "PGCHANNELBINDING=",
};

static bool is_allowed(const char *entry)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (strncmp(entry, allowed[i], strlen(allowed[i])) == 0)
            return true;
    return false;
}

void executor_env(const char *const *environment, const char *out[EXECUTOR_ENV_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; environment[i] && n < EXECUTOR_ENV_MAX; i++)
        if (is_allowed(environment[i]))
            out[n++] = environment[i];
    out[n] = NULL;
}
