/* SPDX-License-Identifier: MIT */
/*
 * test: handlers that behave in every way a handler can, without a database. Opened as
 * lib/jobq-test/test.so.
 *
 *   noop                                  done
 *   mark      {"file"}                    appends "id attempt\n" to the file
 *   sleep     {"ms", "file", "gate"}      marks the file if there is one, then runs so long; done
 *                                         earlier if there is a file gate
 *   stoppable {"ms"}                      runs so long or until it should stop: then snoozes
 *   fail      {"text", "delay_ms"}        retry
 *   fail_n    {"n"}                       retry in the first n attempts
 *   dead, verdict {"verdict"}             dead; any number
 *   snooze    {"file", "ms"}              snoozes until the file exists
 *   say       {"text", "result", "percent"} logs, sets a result, tells progress
 *   told      {"key", "cell"}             logs what the configuration says, and adds 1 to that cell
 *   secrecy                               logs whether other processes may look into this one
 *   segv, abort, exit0, spin              dies; loops and ignores SIGTERM
 *   forkchild {"file"}                    leaves an orphan in a session of its own, its pid in file
 *   zombie                                leaves a child that has ended and was not waited for
 *   leak      {"bytes"}                   allocates and forgets
 *   leakfd    {"n"}                       leaves descriptors open
 *   keepfd                                the same, flagged JOBQ_HANDLER_KEEPS_FDS
 *   setstate, checkstate                  changes the process's state; dead if that is changed
 *   spawn     {"n", "type", "queue", "fail", "bad"} enqueues n jobs
 *   overflow, leakplant                   what a sanitizer must find
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/modules/payload.h"

#define GATE_MS 5 /* between two looks for the file */

struct state {
    int log_start;
    char cwd[4096];
};

static int64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void append_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
}

static void mark_file(const jobq_job_view *job)
{
    char path[4096], line[128];

    if (!payload_text(job, "file", path, sizeof(path)))
        return;
    snprintf(line, sizeof(line), "%s %u\n", job->id, job->attempt);
    append_file(path, line);
}

static int run_noop(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    return JOBQ_DONE;
}

static int run_mark(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)host;
    (void)state;
    mark_file(job);
    return JOBQ_DONE;
}

static int run_sleep(const jobq_job_view *job, const jobq_host *host, void *state)
{
    int64_t end = mono_ms() + payload_int(job, "ms", 0), left;
    char gate[4096];
    int gated = payload_text(job, "gate", gate, sizeof(gate));

    (void)host;
    (void)state;
    mark_file(job);
    while ((left = end - mono_ms()) > 0 && !(gated && access(gate, F_OK) == 0))
        poll(NULL, 0, gated ? GATE_MS : (int)left);
    return JOBQ_DONE;
}

static int run_stoppable(const jobq_job_view *job, const jobq_host *host, void *state)
{
    int64_t end = mono_ms() + payload_int(job, "ms", 0);

    (void)state;
    mark_file(job);
    while (mono_ms() < end) {
        if (host->should_stop(host->ctx)) {
            host->set_text(host->ctx, "told to stop");
            host->set_delay(host->ctx, 0);
            return JOBQ_SNOOZE;
        }
        poll(NULL, 0, 5);
    }
    return JOBQ_DONE;
}

static int run_fail(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char text[4096];
    long delay = payload_int(job, "delay_ms", -1);

    (void)state;
    host->set_text(host->ctx,
                   payload_text(job, "text", text, sizeof(text)) ? text : "told to fail");
    if (delay >= 0)
        host->set_delay(host->ctx, delay);
    return JOBQ_RETRY;
}

static int run_fail_n(const jobq_job_view *job, const jobq_host *host, void *state)
{
    return (long)job->attempt <= payload_int(job, "n", 1) ? run_fail(job, host, state) : JOBQ_DONE;
}

static int run_dead(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)state;
    host->set_text(host->ctx, "told to die");
    return JOBQ_DEAD;
}

static int run_verdict(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)host;
    (void)state;
    return (int)payload_int(job, "verdict", 0);
}

static int run_snooze(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char path[4096];
    long ms = payload_int(job, "ms", -1);

    (void)state;
    if (payload_text(job, "file", path, sizeof(path)) && access(path, F_OK) == 0)
        return JOBQ_DONE;
    if (ms >= 0)
        host->set_delay(host->ctx, ms);
    return JOBQ_SNOOZE;
}

static int run_say(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char text[4096];

    (void)state;
    if (payload_text(job, "text", text, sizeof(text)))
        host->log(host->ctx, JOBQ_LOG_INFO, text);
    host->progress(host->ctx, (int)payload_int(job, "percent", 50));
    if (payload_text(job, "result", text, sizeof(text)) &&
        host->set_result(host->ctx, text, strlen(text)) != 0) {
        host->set_text(host->ctx, "result refused");
        return JOBQ_DEAD;
    }
    return JOBQ_DONE;
}

static int run_told(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char key[64], name[64], text[512];
    uint64_t *cell;
    const char *value;

    (void)state;
    if (!payload_text(job, "key", key, sizeof(key)) ||
        !payload_text(job, "cell", name, sizeof(name)))
        return JOBQ_DEAD;
    value = host->config(host->ctx, key);
    cell = host->cell(host->ctx, name);
    snprintf(text, sizeof(text), "told %s, cell %lld", value != NULL ? value : "nothing",
             cell != NULL ? (long long)__atomic_add_fetch(cell, 1, __ATOMIC_SEQ_CST) : -1LL);
    host->log(host->ctx, JOBQ_LOG_INFO, text);
    return JOBQ_DONE;
}

static int run_secrecy(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)state;
    host->log(host->ctx, JOBQ_LOG_INFO,
              prctl(PR_GET_DUMPABLE) == 0 ? "nobody may look" : "others may look");
    return JOBQ_DONE;
}

static int run_segv(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    raise(SIGSEGV);
    return JOBQ_DONE;
}

static int run_abort(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    abort();
}

static int run_exit0(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)job;
    (void)host;
    (void)state;
    _exit(0);
}

static int run_spin(const jobq_job_view *job, const jobq_host *host, void *state)
{
    (void)host;
    (void)state;
    signal(SIGTERM, SIG_IGN);
    mark_file(job);
    while (mono_ms() >= 0)
        continue;
    return JOBQ_DONE;
}

static int run_forkchild(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char path[4096], text[32];
    pid_t child = fork();

    (void)host;
    (void)state;
    if (child == 0) {
        pid_t grandchild = fork();

        if (grandchild == 0) {
            setsid();
            for (;;)
                pause();
        }
        snprintf(text, sizeof(text), "%d\n", (int)grandchild);
        if (payload_text(job, "file", path, sizeof(path)))
            append_file(path, text);
        _exit(grandchild < 0);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child)
        return JOBQ_DEAD;
    return JOBQ_DONE;
}

static int run_zombie(const jobq_job_view *job, const jobq_host *host, void *state)
{
    siginfo_t info;
    pid_t child = fork();

    (void)job;
    (void)host;
    (void)state;
    if (child == 0)
        _exit(0);
    return child > 0 && waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 ? JOBQ_DONE
                                                                                  : JOBQ_DEAD;
}

static void *hidden;

static int run_leak(const jobq_job_view *job, const jobq_host *host, void *state)
{
    size_t bytes = (size_t)payload_int(job, "bytes", 1024 * 1024);
    char *p = malloc(bytes);

    (void)host;
    (void)state;
    if (p == NULL)
        return JOBQ_DEAD;
    for (size_t i = 0; i < bytes; i += 1024)
        p[i] = 1;
    /* Reachable through a chain: memory in use, not what a leak checker looks for. */
    if (bytes >= sizeof(void *))
        memcpy(p, &hidden, sizeof(void *));
    hidden = p;
    return JOBQ_DONE;
}

static int run_leakfd(const jobq_job_view *job, const jobq_host *host, void *state)
{
    long n = payload_int(job, "n", 1);

    (void)host;
    (void)state;
    for (long i = 0; i < n; i++) {
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
            return JOBQ_DEAD;
    }
    return JOBQ_DONE;
}

static void on_usr1(int signal_number)
{
    (void)signal_number;
}

static int run_setstate(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct itimerval soon = {.it_value = {.tv_sec = 3600}};
    sigset_t set;

    umask(0777);
    if (chdir("/") != 0 || setlocale(LC_ALL, "C") == NULL)
        return JOBQ_DEAD;
    uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, on_usr1);
    signal(SIGPIPE, SIG_DFL);
    setitimer(ITIMER_REAL, &soon, NULL);
    return run_leakfd(job, host, state);
}

static int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static const char *find_leftover(const struct state *state)
{
    static char text[128];
    struct itimerval timer;
    struct sigaction action;
    char cwd[4096];
    sigset_t set;
    mode_t mask = umask(022);

    umask(mask);
    if (mask == 0777)
        return "umask";
    if (getcwd(cwd, sizeof(cwd)) == NULL || strcmp(cwd, state->cwd) != 0)
        return "working directory";
    if (strcmp(setlocale(LC_ALL, NULL), "C.UTF-8") != 0 ||
        uselocale((locale_t)0) != LC_GLOBAL_LOCALE)
        return "locale";
    sigprocmask(SIG_SETMASK, NULL, &set);
    if (sigismember(&set, SIGTERM) || sigismember(&set, SIGUSR2))
        return "signal mask";
    sigaction(SIGTERM, NULL, &action);
    if (action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
        return "handler of SIGTERM";
    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        return "handler of SIGUSR1";
    sigaction(SIGPIPE, NULL, &action);
    if (action.sa_handler != SIG_IGN)
        return "handler of SIGPIPE";
    getitimer(ITIMER_REAL, &timer);
    if (timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0)
        return "timer";
    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        return "child process";
    if (count_fds() > state->log_start) {
        snprintf(text, sizeof(text), "descriptors: %d, at the start %d", count_fds(),
                 state->log_start);
        return text;
    }
    return NULL;
}

static int run_checkstate(const jobq_job_view *job, const jobq_host *host, void *state)
{
    const char *left = find_leftover(state);

    (void)job;
    if (left == NULL)
        return JOBQ_DONE;
    host->set_text(host->ctx, left);
    return JOBQ_DEAD;
}

static int run_spawn(const jobq_job_view *job, const jobq_host *host, void *state)
{
    char type[128], queue[128], payload[64];
    jobq_child child = {.size = sizeof(child)};
    long n = payload_int(job, "n", 1);

    (void)state;
    child.type = payload_text(job, "type", type, sizeof(type)) ? type : "noop";
    child.queue = payload_text(job, "queue", queue, sizeof(queue)) ? queue : NULL;
    for (long i = 0; i < n; i++) {
        snprintf(payload, sizeof(payload), payload_int(job, "bad", 0) ? "[%ld]" : "{\"i\":%ld}", i);
        child.payload = payload;
        child.delay_ms = payload_int(job, "delay_ms", 0);
        if (host->enqueue(host->ctx, &child) != 0)
            return JOBQ_DEAD;
    }
    return payload_int(job, "fail", 0) ? JOBQ_RETRY : JOBQ_DONE;
}

static int run_overflow(const jobq_job_view *job, const jobq_host *host, void *state)
{
    volatile char *p = malloc(8);
    volatile size_t past = 8;

    (void)job;
    (void)host;
    (void)state;
    if (p == NULL)
        return JOBQ_DEAD;
    p[past] = 1;
    free((void *)(uintptr_t)p);
    return JOBQ_DONE;
}

static int run_leakplant(const jobq_job_view *job, const jobq_host *host, void *state)
{
    void *volatile p = malloc(4242);

    (void)job;
    (void)host;
    (void)state;
    p = NULL;
    return p == NULL ? JOBQ_DONE : JOBQ_DEAD;
}

static int start(const jobq_host *host, void **state)
{
    static struct state here;

    (void)host;
    if (getcwd(here.cwd, sizeof(here.cwd)) == NULL)
        return -1;
    /* One more: the executor keeps its directory open once the modules have started. */
    here.log_start = count_fds() + 1;
    *state = &here;
    return 0;
}

static const jobq_handler handlers[] = {
    {"noop", run_noop, 0},
    {"mark", run_mark, 0},
    {"sleep", run_sleep, 0},
    {"stoppable", run_stoppable, 0},
    {"fail", run_fail, 0},
    {"fail_n", run_fail_n, 0},
    {"dead", run_dead, 0},
    {"verdict", run_verdict, 0},
    {"snooze", run_snooze, 0},
    {"say", run_say, 0},
    {"told", run_told, 0},
    {"secrecy", run_secrecy, 0},
    {"segv", run_segv, 0},
    {"abort", run_abort, 0},
    {"exit0", run_exit0, 0},
    {"spin", run_spin, 0},
    {"forkchild", run_forkchild, 0},
    {"zombie", run_zombie, 0},
    {"leak", run_leak, 0},
    {"leakfd", run_leakfd, 0},
    {"keepfd", run_leakfd, JOBQ_HANDLER_KEEPS_FDS},
    {"setstate", run_setstate, 0},
    {"checkstate", run_checkstate, 0},
    {"spawn", run_spawn, 0},
    {"overflow", run_overflow, 0},
    {"leakplant", run_leakplant, 0},
    {NULL, NULL, 0},
};

const jobq_module jobq_module_v1 = {sizeof(jobq_module), "test", handlers, start, NULL};
