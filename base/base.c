/* SPDX-License-Identifier: MIT */
/*
 * base: what happens when an invariant is broken, and the crash points of test builds.
 */
#include "base/base.h"

#include <stdatomic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void base_assert_failed(const char *file, int line, const char *condition)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "%s:%d: broken invariant: %s\n", file, line, condition);
    if (len > 0) {
        size_t n = MIN((size_t)len, sizeof(text) - 1);
        ssize_t written UNUSED = write(STDERR_FILENO, text, n);
    }
    abort();
}

#ifdef JOBQ_CRASH_POINTS
void base_crash_point(const char *name)
{
    static atomic_long passed;
    const char *wanted = getenv("JOBQ_CRASH_AT");
    if (!wanted)
        return;
    size_t len = strlen(name);
    if (strncmp(wanted, name, len) != 0 || (wanted[len] != '\0' && wanted[len] != ':'))
        return;
    long nth = wanted[len] == ':' ? strtol(wanted + len + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == nth) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
}
#endif
