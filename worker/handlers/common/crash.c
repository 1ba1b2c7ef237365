/* SPDX-License-Identifier: MIT */
/* crash: see crash.h. */
#include "worker/handlers/common/crash.h"

#ifdef JOBQ_CRASH_POINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void crash_point(const char *name)
{
    static long passed;
    const char *wanted = getenv("JOBQ_CRASH_AT");
    size_t len = strlen(name);

    if (!wanted || strncmp(wanted, name, len) != 0 || (wanted[len] != '\0' && wanted[len] != ':')) {
        return;
    }
    if (++passed == (wanted[len] == ':' ? strtol(wanted + len + 1, NULL, 10) : 1)) {
        kill(getpid(), SIGKILL);
        for (;;) {
            pause();
        }
    }
}

#else
typedef int crash_has_nothing_to_compile;
#endif
