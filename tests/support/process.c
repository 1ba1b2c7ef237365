/* SPDX-License-Identifier: MIT */
/*
 * process: programs that a test starts, and that never outlive it.
 *
 * Each leads its own process group, is watched by a pidfd, writes to a log of its own, and is
 * killed by the kernel when the test dies (PR_SET_PDEATHSIG). All are in one list, so that the end
 * of a test frees what it forgot. Single thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

extern char **environ;

struct entry {
    struct process process; /* first: what the test sees */
    struct entry *next;
    int end_signal; /* what ends it in good order; 0: nothing is as good as SIGKILL */
    bool reaped;
    int status;
};

static struct entry *all;

static struct entry *entry_of(struct process *p)
{
    return (struct entry *)(void *)p;
}

/* ---- starting ---- */

static void fail_in_child(const char *what)
{
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

static void become(struct process_user user)
{
    if (user.uid == 0)
        return;
    if (setgroups(0, NULL) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0)
        fail_in_child("cannot change the user");
    if (chdir("/") != 0)
        fail_in_child("chdir");
}

/* In the forked child: nothing of the test but the three standard descriptors goes on. */
static _Noreturn void run_child(const char *const *argv, struct process_user user, pid_t parent)
{
    sigset_t none;

    setpgid(0, 0);
    become(user);
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, user.death_signal != 0 ? user.death_signal : SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    close_range(3, ~0U, 0);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    fail_in_child(argv[0]);
    _exit(127);
}

static void set_extra_env(const char *const *extra)
{
    for (; extra != NULL && *extra != NULL; extra++) {
        if (strchr(*extra, '=') == NULL)
            unsetenv(*extra);
        else
            putenv((char *)(uintptr_t)*extra);
    }
}

/* Reports go to files, also of programs that close their stderr, and an error is no exit status of
 * ours. */
static const char *sanitizer_options(const char *variable)
{
    const char *given = getenv(variable);

    return fmt("%s=%s%sexitcode=99:handle_segv=0:log_path=%s/sanitizer", variable,
               given != NULL ? given : "", given != NULL ? ":" : "", tmp_dir());
}

struct process *process_start_as(const char *name, const char *const *argv,
                                 const char *const *extra_env, struct process_user user)
{
    static int count;
    struct entry *e = must_alloc(sizeof(*e));
    struct process *p = &e->process;
    const char *own_env[] = {sanitizer_options("ASAN_OPTIONS"), sanitizer_options("UBSAN_OPTIONS"),
                             NULL};

    e->end_signal = user.death_signal;
    snprintf(p->name, sizeof(p->name), "%s", name);
    snprintf(p->log, sizeof(p->log), "%s/%s-%d.log", tmp_dir(), name, ++count);
    int log = open(p->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0)
        fail_test("%s: %s", p->log, strerror(errno));
    pid_t parent = getpid();
    p->pid = fork();
    if (p->pid == 0) {
        dup2(null, STDIN_FILENO);
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        set_extra_env(own_env);
        set_extra_env(extra_env);
        run_child(argv, user, parent);
    }
    close(log);
    close(null);
    if (p->pid < 0)
        fail_test("fork: %s", strerror(errno));
    setpgid(p->pid, p->pid);
    p->pidfd = pidfd_open(p->pid, 0);
    if (p->pidfd < 0)
        fail_test("pidfd_open: %s", strerror(errno));
    fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
    e->next = all;
    all = e;
    return p;
}

struct process *process_start(const char *name, const char *const *argv,
                              const char *const *extra_env)
{
    return process_start_as(name, argv, extra_env, (struct process_user){0});
}

/* ---- watching and ending ---- */

/* True when it has ended within the time; then its status is kept. */
static bool reap(struct entry *e, int64_t timeout_ms)
{
    int64_t deadline = now_ms() + timeout_ms;

    while (!e->reaped) {
        int64_t left = deadline - now_ms();
        struct pollfd pfd = {.fd = e->process.pidfd, .events = POLLIN, .revents = 0};

        if (poll(&pfd, 1, left > 0 ? (int)left : 0) > 0) {
            if (waitpid(e->process.pid, &e->status, 0) < 0)
                fail_test("waitpid %s: %s", e->process.name, strerror(errno));
            e->reaped = true;
        } else if (left <= 0) {
            return false;
        }
    }
    return true;
}

/* Until it stands still, or has ended: what it was in the midst of is done then. */
static void wait_stopped(const struct process *p)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)p->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
}

void process_signal(struct process *p, int signal_number)
{
    if (entry_of(p)->reaped)
        return;
    pidfd_send_signal(p->pidfd, signal_number, NULL, 0);
    if (signal_number == SIGSTOP)
        wait_stopped(p);
}

void process_kill_group(struct process *p)
{
    struct entry *e = entry_of(p);

    if (e->reaped)
        return;
    /* Until it is reaped its pid names no other group. */
    kill(-p->pid, SIGKILL);
    kill(p->pid, SIGKILL);
    if (!reap(e, patience_ms(30000)))
        fail_test("%s (pid %d) does not die", p->name, (int)p->pid);
}

int process_wait(struct process *p, int64_t timeout_ms)
{
    if (!reap(entry_of(p), timeout_ms))
        fail_test("%s (pid %d) did not end within %lld ms", p->name, (int)p->pid,
                  (long long)timeout_ms);
    return entry_of(p)->status;
}

bool process_is_alive(struct process *p)
{
    return !reap(entry_of(p), 0);
}

void process_free(struct process *p)
{
    if (p == NULL)
        return;
    if (entry_of(p)->end_signal != 0) {
        process_signal(p, entry_of(p)->end_signal);
        process_signal(p, SIGCONT);
        reap(entry_of(p), patience_ms(10000));
    }
    process_kill_group(p);
    note_sanitizer_reports(p->log);
    for (struct entry **at = &all; *at != NULL; at = &(*at)->next) {
        if (*at == entry_of(p)) {
            *at = entry_of(p)->next;
            break;
        }
    }
    close(p->pidfd);
    free(p);
}

void process_free_all(void)
{
    while (all != NULL)
        process_free(&all->process);
}

/* ---- logs ---- */

static void print_tail(const char *text, int lines)
{
    const char *at = text + strlen(text);

    while (at > text && lines >= 0) {
        at--;
        if (*at == '\n')
            lines--;
    }
    fprintf(stderr, "%s\n", *at == '\n' ? at + 1 : at);
}

void process_print_logs(void)
{
    for (struct entry *e = all; e != NULL; e = e->next) {
        char *text = read_file(e->process.log);
        fprintf(stderr, "--- %s (pid %d%s), last lines of its log:\n", e->process.name,
                (int)e->process.pid, e->reaped ? ", ended" : "");
        if (text != NULL)
            print_tail(text, 50);
        free(text);
    }
}

char *process_log(struct process *p)
{
    bool alive = process_is_alive(p);
    char *log = read_file(p->log);
    char *end = log != NULL ? strrchr(log, '\n') : NULL;

    if (log != NULL && alive)
        log[end != NULL ? end - log + 1 : 0] = '\0';
    return log;
}

struct log_wait {
    struct process *process;
    const char *text;
    size_t from;
    bool found;
};

static bool log_has(void *ctx)
{
    struct log_wait *w = ctx;
    bool alive = process_is_alive(w->process);
    char *log = process_log(w->process);

    if (log != NULL && strlen(log) >= w->from) {
        char *at = strstr(log + w->from, w->text);
        if (at != NULL) {
            w->found = true;
            w->from = (size_t)(at - log) + strlen(w->text);
        }
    }
    free(log);
    return w->found || !alive;
}

bool process_wait_log(struct process *p, const char *text, size_t *from, int64_t timeout_ms)
{
    struct log_wait w = {p, text, from != NULL ? *from : 0, false};

    wait_until(now_ms() + timeout_ms, log_has, &w);
    if (w.found && from != NULL)
        *from = w.from;
    return w.found;
}

int process_count_log(struct process *p, const char *text)
{
    char *log = process_log(p);
    int count = 0;

    for (char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    free(log);
    return count;
}

/* ---- commands that run to their end ---- */

struct capture {
    int in;  /* write end of its stdin, or -1 */
    int out; /* read end of its stdout and stderr */
    const char *input;
    size_t input_left;
    char *text;
    size_t length;
};

static void feed(struct capture *c)
{
    ssize_t n = write(c->in, c->input, c->input_left);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        c->input += n;
        c->input_left -= (size_t)n;
    }
    if (n < 0 || c->input_left == 0) {
        close(c->in);
        c->in = -1;
    }
}

static bool drain(struct capture *c)
{
    c->text = realloc(c->text, c->length + 65537);
    if (c->text == NULL)
        abort();
    ssize_t n = read(c->out, c->text + c->length, 65536);
    if (n > 0)
        c->length += (size_t)n;
    c->text[c->length] = '\0';
    return n > 0 || (n < 0 && errno == EINTR);
}

static void exchange(struct capture *c)
{
    bool more = true;

    while (more) {
        struct pollfd fds[2] = {{.fd = c->out, .events = POLLIN, .revents = 0},
                                {.fd = c->in, .events = POLLOUT, .revents = 0}};
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents != 0)
            feed(c);
        if (fds[0].revents != 0)
            more = drain(c);
    }
    if (c->in >= 0)
        close(c->in);
    close(c->out);
}

int run_command_as(char **out, const char *input, const char *const *argv,
                   struct process_user user)
{
    int in[2];
    int from[2];
    int status = 0;
    struct capture c = {.input = input, .input_left = input != NULL ? strlen(input) : 0};
    const char *own_env[] = {sanitizer_options("ASAN_OPTIONS"), sanitizer_options("UBSAN_OPTIONS"),
                             NULL};

    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        fail_test("pipe: %s", strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        fail_test("fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        dup2(from[1], STDERR_FILENO);
        set_extra_env(own_env);
        run_child(argv, user, parent);
    }
    close(in[0]);
    close(from[1]);
    c.in = in[1];
    c.out = from[0];
    fcntl(c.in, F_SETFL, O_NONBLOCK);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    if (c.input_left == 0)
        feed(&c);
    exchange(&c);
    signal(SIGPIPE, before);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (out != NULL)
        *out = c.text;
    else
        free(c.text);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int run_command(char **out, const char *input, const char *const *argv)
{
    return run_command_as(out, input, argv, (struct process_user){0});
}
