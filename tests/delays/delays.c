/* SPDX-License-Identifier: MIT */
/*
 * delays: lets processes stand still now and then, as a machine with more to do than it can lets
 * them: at their start, after a fork, around what they say to others. A test that looks before what
 * it looks for has come about fails sooner so.
 *
 * By LD_PRELOAD, also into all that is started from there. By a link delays-of-A,B.so only those
 * whose names begin with A or B (a variable of ours would not reach executors). A process stands
 * still for a fifth of its life at most. Threads: each draws for itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CALLS 200 /* one of so many is delayed */
#define LONGEST_MS 150
#define LONGEST_START_MS 500
#define SHARE 5
#define ENVIRONMENT_MAX 1000

/* They drive a test, and are not what it tests. */
static const char *const never[] = {"sh", "bash", "ctest", "cmake", "initdb", "psql"};

static bool chosen;
static int64_t born_ms;
static char preload[4096]; /* LD_PRELOAD=…: this library */
static atomic_llong stood_ms;

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static unsigned draw(unsigned below)
{
    static __thread uint64_t state;
    static __thread pid_t drawn_by;

    if (drawn_by != getpid()) { /* also after a fork */
        drawn_by = getpid();
        if (getrandom(&state, sizeof(state), 0) != sizeof(state) || state == 0)
            state = (uint64_t)drawn_by;
    }
    /* xorshift64 (Marsaglia, Xorshift RNGs, 2003) */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 32) % below);
}

static void stand_still(unsigned ms)
{
    int saved = errno;

    atomic_fetch_add(&stood_ms, ms);
    (void)poll(NULL, 0, (int)ms);
    errno = saved;
}

static void maybe_stand_still(void)
{
    if (chosen && draw(CALLS) == 0 &&
        atomic_load(&stood_ms) * SHARE <= now_ms() - born_ms + LONGEST_MS)
        stand_still(draw(LONGEST_MS));
}

static bool begins_with_one(const char *name, const char *words)
{
    for (size_t len; *words; words += len + (words[len] == ',')) {
        len = strcspn(words, ",.");
        if (words[len] == '.')
            return len > 0 && strncmp(name, words, len) == 0;
        if (len > 0 && strncmp(name, words, len) == 0)
            return true;
    }
    return false;
}

__attribute__((constructor)) static void begin(void)
{
    Dl_info library;
    const char *of = NULL;

    if (dladdr(&chosen, &library)) {
        of = strstr(library.dli_fname, "delays-of-");
        (void)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library.dli_fname);
    }
    born_ms = now_ms();
    chosen =
        of == NULL || begins_with_one(program_invocation_short_name, of + strlen("delays-of-"));
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        chosen = chosen && strcmp(program_invocation_short_name, never[i]) != 0;
    if (chosen && draw(2) == 0)
        stand_still(draw(LONGEST_START_MS));
}

/* jobd does not let LD_PRELOAD pass to its executors: it is put back on the way. */
int execve(const char *path, char *const argv[], char *const envp[])
{
    static int (*next)(const char *, char *const[], char *const[]);
    char *with[ENVIRONMENT_MAX + 1];
    size_t n = 0;

    if (next == NULL)
        next = (int (*)(const char *, char *const[], char *const[]))(intptr_t)dlsym(RTLD_NEXT,
                                                                                    "execve");
    with[n++] = preload;
    for (size_t i = 0; envp[i] != NULL && n < ENVIRONMENT_MAX; i++)
        if (strncmp(envp[i], "LD_PRELOAD=", strlen("LD_PRELOAD=")) != 0)
            with[n++] = envp[i];
    with[n] = NULL;
    return next(path, argv, with);
}

/* The next one of that name, with a pause before and after. */
#define DELAYED(type, name, parameters, ...)                                                       \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*_Atomic next) parameters;                                                     \
        if (next == NULL)                                                                          \
            next = (type(*) parameters)(intptr_t)dlsym(RTLD_NEXT, #name);                          \
        maybe_stand_still();                                                                       \
        type result = next(__VA_ARGS__);                                                           \
        maybe_stand_still();                                                                       \
        return result;                                                                             \
    }

DELAYED(ssize_t, read, (int fd, void *to, size_t n), fd, to, n)
DELAYED(ssize_t, write, (int fd, const void *from, size_t n), fd, from, n)
DELAYED(ssize_t, recv, (int fd, void *to, size_t n, int flags), fd, to, n, flags)
DELAYED(ssize_t, send, (int fd, const void *from, size_t n, int flags), fd, from, n, flags)
DELAYED(ssize_t, recvmsg, (int fd, struct msghdr *to, int flags), fd, to, flags)
DELAYED(ssize_t, sendmsg, (int fd, const struct msghdr *from, int flags), fd, from, flags)
DELAYED(int, epoll_wait, (int fd, struct epoll_event *to, int n, int ms), fd, to, n, ms)
DELAYED(int, connect, (int fd, const struct sockaddr *to, socklen_t n), fd, to, n)
DELAYED(int, close, (int fd), fd)
DELAYED(int, rename, (const char *from, const char *to), from, to)
DELAYED(int, unlink, (const char *path), path)
DELAYED(int, kill, (pid_t pid, int signal), pid, signal)
DELAYED(pid_t, fork, (void))
