/* SPDX-License-Identifier: MIT */
/*
 * jobq-executor: runs handlers for jobd, which starts it. Not for people.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <jobq/api.h>

#include "worker/executor/executor.h"
#include "worker/frame.h"

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
    return executor_run(FRAME_SOCKET_FD, FRAME_PAGE_FD, CELLS_FD);
}
