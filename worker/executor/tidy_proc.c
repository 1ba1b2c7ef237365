/* SPDX-License-Identifier: MIT */
/*
 * tidy_proc: what /proc tells about this process. See tidy_proc.h.
 *
 * /proc/self/task/N/children would be shorter, but kernels are built without it. Single thread.
 */
#include "worker/executor/tidy_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 64 /* each kills one generation */

/* A decimal name of a directory entry, or -1. */
static long number_of(const char *name)
{
    char *end;
    long n;

    if (name[0] < '0' || name[0] > '9')
        return -1;
    n = strtol(name, &end, 10);
    return *end == '\0' ? n : -1;
}

bool tidy_proc_each_fd(void (*fn)(void *ctx, int fd), void *ctx)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;

    if (d == NULL)
        return false;
    while ((e = readdir(d)) != NULL) {
        long fd = number_of(e->d_name);

        if (fd >= 0 && fd != dirfd(d))
            fn(ctx, (int)fd);
    }
    (void)closedir(d);
    return true;
}

void tidy_proc_describe_fd(int fd, char *out, size_t out_size)
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, out, out_size - 1);
    out[n > 0 ? n : 0] = '\0';
}

bool tidy_proc_has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    const char *after;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    /* pid (name) state ppid: the name may hold anything, also parentheses */
    after = strrchr(text, ')');
    if (after == NULL || strlen(after) < 5)
        return -1;
    return (pid_t)strtol(after + 4, NULL, 10);
}

size_t tidy_proc_children(pid_t *out, size_t max)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    pid_t self = getpid();
    size_t n = 0;

    if (d == NULL)
        return 0;
    while (n < max && (e = readdir(d)) != NULL) {
        long pid = number_of(e->d_name);

        if (pid > 0 && parent_of((pid_t)pid) == self)
            out[n++] = (pid_t)pid;
    }
    (void)closedir(d);
    return n;
}

static bool contains(const pid_t *list, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == pid)
            return true;
    }
    return false;
}

unsigned tidy_proc_kill_children(const pid_t *spare, size_t n)
{
    unsigned killed = 0;

    for (int round = 0; round < ROUNDS_MAX && tidy_proc_has_children(); round++) {
        pid_t found[128];
        size_t count = tidy_proc_children(found, ARRAY_LEN(found));
        unsigned before = killed;

        for (size_t i = 0; i < count; i++) {
            if (contains(spare, n, found[i]))
                continue;
            (void)kill(found[i], SIGKILL);
            /* Waiting lets its own children come to us before the next round looks. */
            while (waitpid(found[i], NULL, __WALL) < 0 && errno == EINTR)
                continue;
            killed++;
        }
        if (killed == before)
            break;
    }
    return killed;
}
