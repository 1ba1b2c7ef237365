/* SPDX-License-Identifier: MIT */
/*
 * relay: a link to Redis that a test can freeze (SIGSTOP), cut (SIGKILL) and mend: relay
 * LISTEN_PATH TARGET_PATH. Frozen, it takes what Redis sends and passes nothing on: an answer that
 * is lost when it is cut.
 *
 * Single thread; lives until it is killed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PAIRS 32
#define CHUNK 65536

static struct pollfd
    fds[1 + 2 * PAIRS]; /* the listener, then both ends of each pair; fd -1: free */

static int open_socket(const char *path,
                       int (*use)(int fd, const struct sockaddr *address, socklen_t size))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd >= 0 && use(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void take_connection(const char *target)
{
    int from = accept(fds[0].fd, NULL, NULL), to = open_socket(target, connect);

    for (int i = 1; from >= 0 && to >= 0 && i < 1 + 2 * PAIRS; i += 2) {
        if (fds[i].fd >= 0)
            continue;
        fds[i] = (struct pollfd){.fd = from, .events = POLLIN};
        fds[i + 1] = (struct pollfd){.fd = to, .events = POLLIN};
        return;
    }
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
}

/* false: one end is closed. */
static int pass_on(int from, int to)
{
    static char bytes[CHUNK];
    ssize_t n = read(from, bytes, sizeof(bytes));

    for (ssize_t done = 0; done < n;) {
        ssize_t put = send(to, bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR)
            return 0;
        done += put > 0 ? put : 0;
    }
    return n > 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    unlink(argv[1]);
    for (int i = 0; i < 1 + 2 * PAIRS; i++)
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    fds[0].fd = open_socket(argv[1], bind);
    if (fds[0].fd < 0 || listen(fds[0].fd, 64) != 0) {
        perror(argv[1]);
        return 69;
    }
    while (poll(fds, 1 + 2 * PAIRS, -1) >= 0 || errno == EINTR) {
        for (int i = 1; i < 1 + 2 * PAIRS; i += 2) {
            int open = (!fds[i].revents || pass_on(fds[i].fd, fds[i + 1].fd)) &&
                       (!fds[i + 1].revents || pass_on(fds[i + 1].fd, fds[i].fd));
            if (fds[i].fd >= 0 && !open) {
                close(fds[i].fd);
                close(fds[i + 1].fd);
                fds[i].fd = fds[i + 1].fd = -1;
            }
        }
        if (fds[0].revents)
            take_connection(argv[2]);
    }
    return 70;
}
