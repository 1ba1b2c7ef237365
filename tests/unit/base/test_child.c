/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "tests/support/support.h"

#define PATIENCE_MS 20000

static const char *const environment[] = {"PATH=/usr/bin:/bin", "A=b", NULL};
static char said[8192];

/* Readable means the process ended, whoever its parent is by now. */
static bool ends_soon(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, (int)patience_ms(PATIENCE_MS)) == 1;
}

static int open_pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    cr_assert_geq(fd, 0, "process %d: %s", (int)pid, strerror(errno));
    return fd;
}

static int wait_for_end(struct child *c)
{
    jobq_err err = {0};
    int ended = 0;
    int status = -1;
    cr_assert(ends_soon(c->pidfd));
    cr_assert_eq(child_reap(c, &ended, &status, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(ended, 1);
    return status;
}

static struct child start(const char *const *argv, const int (*fds)[2], size_t fd_count)
{
    struct child_spec spec = {
        .path = argv[0], .argv = argv, .env = environment, .fds = fds, .fd_count = fd_count};
    struct child c = {0, -1};
    jobq_err err = {0};
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_OK, "%s", err.msg);
    return c;
}

/* Reads until n lines came, or the end (n 0). */
static const char *read_lines(int fd, int n)
{
    size_t len = 0;
    int lines = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (len < sizeof(said) - 1 && (n == 0 || lines < n)) {
        cr_assert_eq(poll(&p, 1, (int)patience_ms(PATIENCE_MS)), 1, "nothing was written");
        ssize_t got = read(fd, said + len, 1);
        if (got <= 0)
            break;
        lines += said[len] == '\n';
        len += (size_t)got;
    }
    said[len] = '\0';
    return said;
}

/* Runs a program to its end; its output, and its wait status. */
static const char *output_of(const char *const *argv, int theirs, int *status)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const int fds[1][2] = {{ends[1], theirs}};
    struct child c = start(argv, fds, 1);
    close(ends[1]);
    read_lines(ends[0], 0);
    close(ends[0]);
    int s = wait_for_end(&c);
    if (status)
        *status = s;
    return said;
}

static const char *output_of_shell(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    return output_of(argv, 1, NULL);
}

static int count_open(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

Test(child, gets_the_descriptors_named_and_no_other)
{
    int leaked[2];
    cr_assert_eq(pipe(leaked), 0); /* without close-on-exec */
    cr_assert_geq(fcntl(leaked[0], F_DUPFD, 700), 700);
    const char *const argv[] = {"/bin/ls", "/proc/self/fd", NULL};
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const int fds[][2] = {{ends[1], 1}, {leaked[0], 9}};
    struct child c = start(argv, fds, 2);
    close(ends[1]);
    /* 3 is the directory that ls reads. */
    cr_assert_str_eq(read_lines(ends[0], 0), "0\n1\n2\n3\n9\n");
    wait_for_end(&c);
}

Test(child, has_dev_null_where_nothing_was_named)
{
    cr_assert_str_eq(output_of_shell("readlink /proc/$$/fd/0; readlink /proc/$$/fd/2"),
                     "/dev/null\n/dev/null\n");
    cr_assert_str_eq(output_of_shell("read x; echo \"end $?\"; echo y >&2 && echo ok"),
                     "end 1\nok\n");
}

Test(child, gets_descriptors_that_change_places)
{
    int a[2];
    int b[2];
    cr_assert_eq(pipe2(a, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(b, O_CLOEXEC), 0);
    /* What is x here is y there and the other way round. */
    int x = a[1];
    int y = b[1];
    const int fds[][2] = {{x, y}, {y, x}, {x, 1}, {y, 0}};
    const char *const argv[] = {
        "/bin/bash", "-c",
        fmt("echo to-a >&%d; echo to-b >&%d; echo also-a; echo also-b >&0", y, x), NULL};
    struct child c = start(argv, fds, 4);
    close(a[1]);
    close(b[1]);
    cr_assert_str_eq(read_lines(a[0], 0), "to-a\nalso-a\n");
    cr_assert_str_eq(read_lines(b[0], 0), "to-b\nalso-b\n");
    wait_for_end(&c);
}

/* Targets at the very numbers that copies made on the way would get. */
Test(child, gets_descriptors_at_the_lowest_free_numbers)
{
    int lines[2];
    int free_fds[4];
    int fds[4][2];
    cr_assert_eq(pipe2(lines, O_CLOEXEC), 0);
    for (int i = 0; i < 4; i++)
        free_fds[i] = dup(0);
    for (int i = 0; i < 4; i++) {
        close(free_fds[i]);
        fds[i][0] = lines[1];
        fds[i][1] = free_fds[3 - i];
    }
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, 300);
    close(free_fds[0]);
    fds[1][0] = null_fd;
    const char *const argv[] = {"/bin/bash", "-c",
                                fmt("for f in %d %d %d %d; do echo $f >&$f; done", free_fds[0],
                                    free_fds[1], free_fds[2], free_fds[3]),
                                NULL};
    struct child_spec spec = {.path = argv[0],
                              .argv = argv,
                              .env = environment,
                              .fds = (const int(*)[2])fds,
                              .fd_count = 4};
    struct child c;
    jobq_err err = {0};
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_OK, "%s", err.msg);
    close(lines[1]);
    cr_assert_str_eq(read_lines(lines[0], 0),
                     fmt("%d\n%d\n%d\n", free_fds[0], free_fds[1], free_fds[3]));
    wait_for_end(&c);
    fds[0][0] = fds[2][0] = fds[3][0] = null_fd;
    spec.path = "/nonexistent/program";
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_EINTERNAL,
                 "the way to tell of a failure is kept, too");
}

Test(child, starts_when_the_parent_has_no_standard_descriptors)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    int kept[3];
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
        close(fd);
    }
    const int fds[1][2] = {{ends[1], 1}};
    const char *const argv[] = {"/bin/ls", "/proc/self/fd", NULL};
    struct child_spec spec = {
        .path = argv[0], .argv = argv, .env = environment, .fds = fds, .fd_count = 1};
    struct child c = {0, -1};
    int rc = child_start(&spec, &c, NULL);
    /* The pidfd took one of the free numbers. */
    c.pidfd = fcntl(c.pidfd, F_DUPFD_CLOEXEC, 100);
    for (int fd = 0; fd < 3; fd++)
        dup2(kept[fd], fd);
    cr_assert_eq(rc, JOBQ_OK);
    close(ends[1]);
    cr_assert_str_eq(read_lines(ends[0], 0), "0\n1\n2\n3\n");
    wait_for_end(&c);
}

Test(child, has_exactly_the_environment_given)
{
    const char *const argv[] = {"/usr/bin/env", NULL};
    setenv("SECRET", "x", 1);
    cr_assert_str_eq(output_of(argv, 1, NULL), "PATH=/usr/bin:/bin\nA=b\n");
}

Test(child, starts_with_no_signal_blocked_or_ignored)
{
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    const char *const argv[] = {"/bin/grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status", NULL};
    cr_assert_str_eq(output_of(argv, 1, NULL),
                     "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    cr_assert(sigismember(&now, SIGTERM) && !sigismember(&now, SIGINT),
              "the parent's mask is as before");
}

Test(child, is_as_nice_as_asked)
{
    const char *const argv[] = {"/bin/sh", "-c", "exec cut -d' ' -f19 /proc/self/stat", NULL};
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const int fds[1][2] = {{ends[1], 1}};
    struct child_spec spec = {
        .path = argv[0], .argv = argv, .env = environment, .fds = fds, .fd_count = 1, .nice = 3};
    char wanted[16];
    struct child c;
    snprintf(wanted, sizeof(wanted), "%d\n", MIN(getpriority(PRIO_PROCESS, 0) + 3, 19));
    cr_assert_eq(child_start(&spec, &c, NULL), JOBQ_OK);
    close(ends[1]);
    cr_assert_str_eq(read_lines(ends[0], 0), wanted);
    wait_for_end(&c);
}

Test(child, leads_a_group_of_its_own)
{
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct child c = start(argv, NULL, 0);
    cr_assert_eq(getpgid(c.pid), c.pid);
    child_signal(&c, SIGKILL);
    wait_for_end(&c);
}

Test(child, says_what_is_wrong_with_the_program)
{
    static const struct {
        const char *path;
        const char *text;
        int rc;
    } cases[] = {
        {"/nonexistent/program", "cannot run /nonexistent/program: No such file or directory",
         JOBQ_EINTERNAL},
        {"/etc/passwd", "cannot run /etc/passwd: Permission denied", JOBQ_EINTERNAL},
        {"/", "cannot run /: Permission denied", JOBQ_EINTERNAL},
        {"bin/sh", "cannot run a program without an absolute path", JOBQ_EINVAL},
        {NULL, "cannot run a program without an absolute path", JOBQ_EINVAL},
    };
    const char *const argv[] = {"x", NULL};
    int before = count_open();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct child_spec spec = {.path = cases[i].path, .argv = argv, .env = environment};
        struct child c = {4711, 4712};
        jobq_err err = {0};
        cr_assert_eq(child_start(&spec, &c, &err), cases[i].rc);
        cr_assert_str_eq(err.msg, cases[i].text);
        cr_assert(c.pid == 4711 && c.pidfd == 4712, "nothing was written");
    }
    cr_assert_eq(count_open(), before, "no descriptor was forgotten");
    cr_assert(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "no process was forgotten");
}

Test(child, says_which_descriptors_cannot_be_passed)
{
    const char *const argv[] = {"/bin/true", NULL};
    int many[17][2];
    static const int closed[][2] = {{999, 5}};
    static const int negative[][2] = {{-1, 5}};
    struct child_spec spec = {
        .path = argv[0], .argv = argv, .env = environment, .fds = closed, .fd_count = 1};
    struct child c;
    jobq_err err = {0};
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_EINTERNAL);
    cr_assert_str_eq(
        err.msg, "cannot run /bin/true: it could not arrange its descriptors: Bad file descriptor");
    spec.fds = negative;
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_EINVAL);
    for (int i = 0; i < 17; i++) {
        many[i][0] = 0;
        many[i][1] = 10 + i;
    }
    spec.fds = (const int(*)[2])many;
    spec.fd_count = 17;
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_EINVAL);
    spec.fd_count = 16;
    cr_assert_eq(child_start(&spec, &c, &err), JOBQ_OK, "%s", err.msg);
    wait_for_end(&c);
}

/* Starts a sleeper in a process of its own; pidfd of that process in *starter, and of the
 * sleeper. */
static int start_by_another(pid_t *starter)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    *starter = fork();
    cr_assert_geq(*starter, 0);
    if (*starter == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *const argv[] = {"/bin/sleep", "1000", NULL};
        struct child_spec spec = {.path = argv[0], .argv = argv, .env = environment};
        struct child c = {0, -1};
        if (child_start(&spec, &c, NULL) != JOBQ_OK)
            c.pid = -1;
        if (write(ends[1], &c.pid, sizeof(c.pid)) != (ssize_t)sizeof(c.pid))
            _exit(1);
        for (;;)
            pause();
    }
    pid_t sleeper = 0;
    cr_assert_eq(read(ends[0], &sleeper, sizeof(sleeper)), (ssize_t)sizeof(sleeper));
    cr_assert_gt(sleeper, 0);
    close(ends[0]);
    close(ends[1]);
    return open_pidfd(sleeper);
}

Test(child, dies_with_the_process_that_started_it)
{
    pid_t starter = 0;
    int sleeper = start_by_another(&starter);
    struct pollfd p = {.fd = sleeper, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 0), 0, "it lives");
    kill(starter, SIGKILL);
    cr_assert_eq(waitpid(starter, NULL, 0), starter);
    cr_assert(ends_soon(sleeper));
    close(sleeper);
}

/* A shell whose own child sleeps; pidfd of that grandchild. then is what the shell does next. */
static int start_family(struct child *c, const char *then)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    const int fds[1][2] = {{ends[1], 1}};
    const char *const argv[] = {"/bin/sh", "-c", fmt("sleep 100 & echo $!; %s", then), NULL};
    *c = start(argv, fds, 1);
    pid_t grandchild = (pid_t)strtol(read_lines(ends[0], 1), NULL, 10);
    close(ends[0]);
    close(ends[1]);
    cr_assert_gt(grandchild, 0);
    return open_pidfd(grandchild);
}

Test(child, its_whole_group_is_killed_at_once)
{
    struct child c;
    int grandchild = start_family(&c, "wait");
    child_signal_group(&c, SIGKILL);
    cr_assert(ends_soon(grandchild));
    int status = wait_for_end(&c);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(grandchild);
}

Test(child, a_signal_to_it_spares_its_group)
{
    struct child c;
    int grandchild = start_family(&c, "trap 'echo x; exit 3' TERM; wait");
    struct pollfd p = {.fd = grandchild, .events = POLLIN};
    /* The trap may not be set yet: repeat until the shell has gone one way or the other. */
    child_signal(&c, SIGTERM);
    cr_assert(ends_soon(c.pidfd));
    cr_assert_eq(poll(&p, 1, 0), 0, "the grandchild lives");
    wait_for_end(&c);
    cr_assert(ends_soon(grandchild), "reaping kills what is left of the group");
    close(grandchild);
}

Test(child, what_is_left_of_its_group_dies_when_it_is_reaped)
{
    struct child c;
    int grandchild = start_family(&c, "exit 5");
    struct pollfd p = {.fd = grandchild, .events = POLLIN};
    cr_assert(ends_soon(c.pidfd));
    cr_assert_eq(poll(&p, 1, 0), 0, "the grandchild lives");
    int status = wait_for_end(&c);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    cr_assert(ends_soon(grandchild));
    close(grandchild);
}

Test(child, is_reaped_only_when_it_ended)
{
    const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct child c = start(argv, NULL, 0);
    int ended = 7;
    int status = 7;
    cr_assert_eq(child_reap(&c, &ended, &status, NULL), JOBQ_OK);
    cr_assert(ended == 0 && status == 7);
    cr_assert_gt(c.pid, 0);
    child_signal(&c, SIGTERM);
    status = wait_for_end(&c);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    cr_assert(c.pid == 0 && c.pidfd == -1);
    /* Nobody is left: these must not reach this test's own group or any process. */
    child_signal(&c, SIGKILL);
    child_signal_group(&c, SIGKILL);
}

Test(child, somebody_elses_reaping_is_an_error)
{
    const char *const argv[] = {"/bin/true", NULL};
    struct child c = start(argv, NULL, 0);
    int ended = 7;
    int status = 7;
    jobq_err err = {0};
    cr_assert_eq(waitpid(c.pid, NULL, 0), c.pid);
    cr_assert_eq(child_reap(&c, &ended, &status, &err), JOBQ_EINTERNAL);
    cr_assert_not_null(strstr(err.msg, "No child processes"));
    cr_assert_eq(ended, 7);
    close(c.pidfd);
}

Test(child, its_end_is_described)
{
    char text[64];
    int status = 0;
    const char *const argv[] = {"/bin/sh", "-c", "exit 7", NULL};
    output_of(argv, 1, &status);
    child_describe(status, text, sizeof(text));
    cr_assert_str_eq(text, "exit status 7");
    child_describe(SIGSEGV, text, sizeof(text));
    cr_assert_str_eq(text, "killed by signal 11 (Segmentation fault)");
    child_describe(SIGSEGV | 0x80, text, sizeof(text)); /* with a core */
    cr_assert_str_eq(text, "killed by signal 11 (Segmentation fault)");
    child_describe(50, text, sizeof(text));
    cr_assert_str_eq(text, "killed by signal 50 (unknown)");
    child_describe(0x137f, text, sizeof(text));
    cr_assert_str_eq(text, "wait status 0x137f");
}

/* Exit status 0: what is opened afterwards gets no number below 3, and 0-2 take no bytes. */
static _Noreturn void without_std_fds(void)
{
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    child_take_std_fds();
    int next = open("/dev/zero", O_RDWR);
    int wrong = next < 3;
    for (int fd = 0; fd < 3; fd++)
        wrong |= fcntl(fd, F_GETFD) != 0 || write(fd, "x", 1) == 1;
    _exit(wrong);
}

Test(child, a_program_started_without_std_fds_gives_their_numbers_to_nothing_of_its_own)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        without_std_fds();
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status 0x%x", (unsigned)status);
}
