/* SPDX-License-Identifier: MIT */
/*
 * child: fork and exec, with a pipe that exec closes on success and that carries errno on failure.
 *
 * Between fork and exec the child only makes system calls. One thread of the parent starts, watches
 * and reaps.
 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define MAX_FDS 16
#define STD_FDS 3
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

enum stage { STAGE_PARENT, STAGE_GROUP, STAGE_FDS, STAGE_EXEC };

/* What a child that fails before exec tells its parent. */
struct failure {
    int stage;
    int error;
};

/* Everything the child needs, made before fork. */
struct plan {
    const struct child_spec *spec;
    pid_t parent;
    int failure_fd;
};

static _Noreturn void give_up(int failure_fd, enum stage stage)
{
    struct failure f = {(int)stage, errno};
    ssize_t written UNUSED = write(failure_fd, &f, sizeof(f));
    _exit(127);
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int s = 1; s < _NSIG; s++)
        sigaction(s, &action, NULL); /* refused for SIGKILL, SIGSTOP and libc's own */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Marks all descriptors from 3 on to be closed by exec. */
static bool close_all_at_exec(void)
{
    if (syscall(SYS_close_range, (unsigned)STD_FDS, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return true;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    for (int fd = STD_FDS; (rlim_t)fd < limit.rlim_cur; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

/* Leaves exactly the named descriptors and 0 to 2 to the program. *failure_fd moves out of their
 * way. */
static bool arrange_fds(const struct child_spec *spec, int *failure_fd)
{
    int copies[MAX_FDS];
    int above = STD_FDS;
    bool named[STD_FDS] = {false};
    for (size_t i = 0; i < spec->fd_count; i++)
        above = MAX(above, spec->fds[i][1] + 1);
    *failure_fd = fcntl(*failure_fd, F_DUPFD_CLOEXEC, above);
    if (*failure_fd < 0)
        return false;
    for (size_t i = 0; i < spec->fd_count; i++) {
        copies[i] = fcntl(spec->fds[i][0], F_DUPFD_CLOEXEC, above);
        if (copies[i] < 0)
            return false;
    }
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0 && null_fd < above)
        null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, above);
    if (null_fd < 0 || !close_all_at_exec())
        return false;
    for (size_t i = 0; i < spec->fd_count; i++) {
        int theirs = spec->fds[i][1];
        if (dup2(copies[i], theirs) < 0)
            return false;
        if (theirs < STD_FDS)
            named[theirs] = true;
    }
    for (int fd = 0; fd < STD_FDS; fd++) {
        if (!named[fd] && dup2(null_fd, fd) < 0)
            return false;
    }
    return true;
}

static _Noreturn void become_program(const struct plan *p)
{
    int failure_fd = p->failure_fd;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(failure_fd, STAGE_PARENT);
    if (getppid() != p->parent)
        _exit(127); /* it died before the line above: nobody is left to tell */
    if (setpgid(0, 0) != 0)
        give_up(failure_fd, STAGE_GROUP);
    if (p->spec->nice != 0 && nice(p->spec->nice) == -1)
        (void)0; /* also the answer of one who is at -1 now */
    if (!arrange_fds(p->spec, &failure_fd))
        give_up(failure_fd < 0 ? p->failure_fd : failure_fd, STAGE_FDS);
    reset_signals();
    /* execve takes pointers to non-const and changes nothing. */
    char *const *argv = (char *const *)(uintptr_t)p->spec->argv;
    char *const *env = (char *const *)(uintptr_t)p->spec->env;
    execve(p->spec->path, argv, env);
    give_up(failure_fd, STAGE_EXEC);
}

/* fork with all signals blocked, so that no handler of the parent runs in the child. */
static pid_t fork_program(const struct plan *p)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        become_program(p);
    int e = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    errno = e;
    return pid;
}

/* Waits until exec happened. true: it failed, and *f says why. */
static bool read_failure(int fd, struct failure *f)
{
    ssize_t n = 0;
    do {
        n = read(fd, f, sizeof(*f));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*f);
}

static void reap_now(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static int fail_start(const struct child_spec *spec, const struct failure *f, jobq_err *err)
{
    static const char *const doing[] = {
        [STAGE_PARENT] = "ask to die with its parent",
        [STAGE_GROUP] = "make a process group",
        [STAGE_FDS] = "arrange its descriptors",
        [STAGE_EXEC] = "run",
    };
    const char *what = (size_t)f->stage < ARRAY_LEN(doing) ? doing[f->stage] : "start";
    if (f->stage == STAGE_EXEC)
        return error_set(err, JOBQ_EINTERNAL, "cannot run %s: %s", spec->path, strerror(f->error));
    return error_set(err, JOBQ_EINTERNAL, "cannot run %s: it could not %s: %s", spec->path, what,
                     strerror(f->error));
}

static int check_spec(const struct child_spec *spec, jobq_err *err)
{
    if (!spec->path || spec->path[0] != '/')
        return error_set(err, JOBQ_EINVAL, "cannot run a program without an absolute path");
    if (spec->fd_count > MAX_FDS)
        return error_set(err, JOBQ_EINVAL, "cannot pass more than %d descriptors", MAX_FDS);
    for (size_t i = 0; i < spec->fd_count; i++) {
        if (spec->fds[i][0] < 0 || spec->fds[i][1] < 0)
            return error_set(err, JOBQ_EINVAL, "cannot pass a descriptor that is not open");
    }
    return JOBQ_OK;
}

int child_start(const struct child_spec *spec, struct child *out, jobq_err *err)
{
    int rc = check_spec(spec, err);
    int ends[2] = {-1, -1};
    pid_t pid = -1;
    int pidfd = -1;
    struct failure failure = {0, 0};
    struct plan plan = {.spec = spec, .parent = getpid()};
    if (rc != JOBQ_OK)
        return rc;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot make a pipe: %s", strerror(errno));
    plan.failure_fd = ends[1];
    pid = fork_program(&plan);
    if (pid < 0) {
        rc = error_set(err, JOBQ_EINTERNAL, "cannot fork: %s", strerror(errno));
        goto out;
    }
    close(ends[1]);
    ends[1] = -1;
    if (read_failure(ends[0], &failure)) {
        reap_now(pid);
        rc = fail_start(spec, &failure, err);
        goto out;
    }
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        rc = error_set(err, JOBQ_EINTERNAL, "cannot watch process %d: %s", (int)pid,
                       strerror(errno));
        kill(-pid, SIGKILL);
        reap_now(pid);
        goto out;
    }
    *out = (struct child){pid, pidfd};
out:
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return rc;
}

void child_signal(const struct child *c, int signal_number)
{
    /* Nobody else reaps it, so the number is its own until child_reap() forgets it. */
    if (c->pid > 0)
        kill(c->pid, signal_number);
}

void child_signal_group(const struct child *c, int signal_number)
{
    if (c->pid > 0)
        kill(-c->pid, signal_number);
}

int child_reap(struct child *c, int *ended, int *wait_status, jobq_err *err)
{
    siginfo_t info = {0};
    int status = 0;
    ASSERT(c->pid > 0);
    /* Only looks: until it is reaped nobody else can get its number, so the group killed is surely
     * its own. */
    if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot wait for process %d: %s", (int)c->pid,
                         strerror(errno));
    if (info.si_pid == 0) {
        *ended = 0;
        return JOBQ_OK;
    }
    kill(-c->pid, SIGKILL);
    if (waitpid(c->pid, &status, WNOHANG) != c->pid)
        return error_set(err, JOBQ_EINTERNAL, "cannot reap process %d: %s", (int)c->pid,
                         strerror(errno));
    close(c->pidfd);
    *c = (struct child){0, -1};
    *ended = 1;
    *wait_status = status;
    return JOBQ_OK;
}

void child_take_std_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd < STD_FDS);
    if (fd >= 0)
        close(fd);
}

void child_describe(int wait_status, char *out, size_t out_size)
{
    if (WIFEXITED(wait_status)) {
        snprintf(out, out_size, "exit status %d", WEXITSTATUS(wait_status));
    } else if (WIFSIGNALED(wait_status)) {
        int s = WTERMSIG(wait_status);
        const char *text = sigdescr_np(s);
        snprintf(out, out_size, "killed by signal %d (%s)", s, text ? text : "unknown");
    } else {
        snprintf(out, out_size, "wait status 0x%x", (unsigned)wait_status);
    }
}
