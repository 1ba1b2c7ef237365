/* SPDX-License-Identifier: MIT */
/* secrecy: no core file, and no look inside for others. */
#include <criterion/criterion.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secrecy.h"

/* In a process of its own: the limit cannot be raised again. */
Test(secrecy, leaves_no_core_and_lets_nobody_look)
{
    struct rlimit limit;
    int status = 0;
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        secrecy_begin();
        bool kept = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 &&
                    limit.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
        if (!kept)
            _exit(1);
        abort(); /* and would leave one */
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status), "%d",
              status);
}
