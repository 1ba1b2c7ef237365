/* SPDX-License-Identifier: MIT */
#include "base/secrecy.h"

#include <sys/prctl.h>
#include <sys/resource.h>

void secrecy_begin(void)
{
    const struct rlimit none = {0, 0};

    /* The one for what is started from here too; the other because a core_pattern that is a pipe
     * does not heed the limit. */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
