/* SPDX-License-Identifier: MIT */
#include "worker/process_info.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define FRESH_MS 1000

/* size, resident, shared in bytes of /proc/PID/statm; false: not known. */
static int read_statm(pid_t pid, int64_t out[3])
{
    char path[64], text[128];
    long pages[3];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (sscanf(text, "%ld %ld %ld", &pages[0], &pages[1], &pages[2]) != 3)
        return 0;
    for (int i = 0; i < 3; i++)
        out[i] = (int64_t)pages[i] * sysconf(_SC_PAGESIZE);
    return 1;
}

int64_t process_info_own_memory(pid_t pid)
{
    int64_t bytes[3];
    return read_statm(pid, bytes) ? bytes[1] - bytes[2] : 0;
}

static int64_t count_open_fds(void)
{
    int64_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

const struct process_info *process_info_now(void)
{
    static struct process_info info;
    static int64_t read_ms = -FRESH_MS;
    int64_t now = clock_mono_ms(), bytes[3];
    struct rusage usage;
    struct rlimit limit;
    if (now - read_ms < FRESH_MS)
        return &info;
    if (!info.start_wall_ms)
        info.start_wall_ms = clock_wall_ms();
    read_ms = now;
    if (read_statm(getpid(), bytes)) {
        info.virtual_bytes = bytes[0];
        info.rss_bytes = bytes[1];
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        info.cpu_us = ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                      usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        info.max_fds = limit.rlim_cur == RLIM_INFINITY ? 0 : (int64_t)limit.rlim_cur;
    info.open_fds = count_open_fds();
    return &info;
}
