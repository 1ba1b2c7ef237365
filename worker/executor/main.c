/* SPDX-License-Identifier: MIT */
/*
 * jobq-executor: runs handlers for jobd, which starts it. Not for people.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jobq/api.h>

#include "base/base.h"
#include "base/secrecy.h"
#include "worker/executor/executor.h"
#include "worker/frame.h"

#define OOM_SCORE "300" /* the kernel takes an executor before its jobd */

static void raise_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t written UNUSED = write(fd, OOM_SCORE, strlen(OOM_SCORE));
    close(fd);
}

static int is_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("jobq-executor %s\n", JOBQ_VERSION);
        return 0;
    }
    if (!is_socket(FRAME_SOCKET_FD)) {
        fprintf(stderr, "jobq-executor: started by jobd, not by hand\n");
        return 2;
    }
    raise_oom_score(); /* before: what nobody may look into, only root may change there */
    secrecy_begin();
    return executor_run(FRAME_SOCKET_FD, FRAME_PAGE_FD, CELLS_FD);
}
