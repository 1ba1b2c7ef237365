/* SPDX-License-Identifier: MIT */
/*
 * tidy: puts the process back as it was before a job. See tidy.h. Single thread.
 */
#include "worker/executor/tidy.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <jobq/handler.h>

#include "base/error.h"
#include "base/mem.h"
#include "worker/executor/modules.h"
#include "worker/executor/tidy_proc.h"

#define FIRST_RUNS 16u
#define EVERY_RUNS 64u
#define LONG_RUN_US 200u

/* ---- the report ---- */

static void PRINTF_LIKE(2, 3) tell(struct tidy_report *r, const char *format, ...)
{
    size_t len = strlen(r->text);
    va_list args;

    if (len + 2 >= sizeof(r->text))
        return;
    if (len > 0) {
        memcpy(r->text + len, ", ", 3);
        len += 2;
    }
    va_start(args, format);
    (void)vsnprintf(r->text + len, sizeof(r->text) - len, format, args);
    va_end(args);
}

/* ---- descriptors ---- */

static bool is_kept(const struct tidy *t, int fd)
{
    if (fd == t->runtime_fd)
        return true;
    return fd < TIDY_FD_MAX && (t->kept[fd / 8] & (1u << (fd % 8))) != 0;
}

static void find_lowest_free(struct tidy *t)
{
    t->lowest_free = 0;
    while (is_kept(t, t->lowest_free))
        t->lowest_free++;
}

static void keep_fd(void *ctx, int fd)
{
    struct tidy *t = ctx;

    if (fd < TIDY_FD_MAX)
        t->kept[fd / 8] |= (uint8_t)(1u << (fd % 8));
}

struct closing {
    struct tidy *t;
    int fds[64];
    size_t count;
};

static void note_stray_fd(void *ctx, int fd)
{
    struct closing *c = ctx;

    if (!is_kept(c->t, fd) && c->count < ARRAY_LEN(c->fds))
        c->fds[c->count++] = fd;
}

static void close_strays(struct tidy *t, struct tidy_report *r)
{
    char what[64];
    unsigned closed = 0;
    struct closing c;

    /* A round closes as many as fit the array. */
    do {
        c = (struct closing){.t = t};
        if (!tidy_proc_each_fd(note_stray_fd, &c))
            return;
        if (closed == 0 && c.count > 0)
            tidy_proc_describe_fd(c.fds[0], what, sizeof(what));
        for (size_t i = 0; i < c.count; i++)
            closed += close(c.fds[i]) == 0;
    } while (c.count == ARRAY_LEN(c.fds));
    if (closed > 0)
        tell(r, "%u descriptors left open (%s)", closed, what);
}

/* ---- signals and timers ---- */

static bool is_ours_to_set(int signal_number)
{
    /* 32 and 33 belong to the C library's threads. */
    return signal_number != SIGKILL && signal_number != SIGSTOP && signal_number != 32 &&
           signal_number != 33;
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
    return a->sa_flags == b->sa_flags &&
           (void (*)(void))a->sa_handler == (void (*)(void))b->sa_handler &&
           memcmp(&a->sa_mask, &b->sa_mask, _NSIG / 8) == 0;
}

static void restore_handlers(const struct tidy *t, struct tidy_report *r)
{
    unsigned changed = 0;

    for (int s = 1; s < _NSIG; s++) {
        struct sigaction now;

        if (!is_ours_to_set(s) || sigaction(s, NULL, &now) != 0 ||
            same_action(&now, &t->actions[s]))
            continue;
        changed += sigaction(s, &t->actions[s], NULL) == 0;
    }
    if (changed > 0)
        tell(r, "%u signal handlers", changed);
}

static void stop_timers(struct tidy_report *r)
{
    static const __itimer_which_t timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    static const struct itimerval off;
    struct itimerval was;

    for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
        if (setitimer(timers[i], &off, &was) == 0 &&
            (was.it_value.tv_sec != 0 || was.it_value.tv_usec != 0))
            tell(r, "a running timer");
    }
}

/* ---- what every job pays for ---- */

static bool restore_locale(const struct tidy *t, struct tidy_report *r)
{
    bool changed = false;

    if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE) {
        (void)uselocale(LC_GLOBAL_LOCALE);
        changed = true;
    }
    if (strcmp(setlocale(LC_ALL, NULL), t->locale) != 0) {
        (void)setlocale(LC_ALL, t->locale);
        changed = true;
    }
    if (changed)
        tell(r, "the locale");
    return changed;
}

static bool restore_cheap(const struct tidy *t, struct tidy_report *r)
{
    sigset_t was;
    bool changed = false;

    if (sigprocmask(SIG_SETMASK, &t->mask, &was) == 0 && memcmp(&was, &t->mask, _NSIG / 8) != 0) {
        tell(r, "the signal mask");
        changed = true;
    }
    if (umask(t->umask) != t->umask) {
        tell(r, "the umask");
        changed = true;
    }
    /* Telling whether it changed would cost more than the call that puts it right. */
    if (fchdir(t->cwd_fd) != 0)
        tell(r, "the working directory could not be restored");
    return restore_locale(t, r) || changed;
}

static bool reap_strays(const struct tidy *t, struct tidy_report *r)
{
    unsigned killed = tidy_proc_kill_children(t->children, t->child_count);

    if (killed > 0)
        tell(r, "%u processes left behind", killed);
    return killed > 0;
}

bool tidy_up(struct tidy *t, struct handler *h, uint32_t run_us, int runtime_fd,
             struct tidy_report *report)
{
    bool keeps = (h->flags & JOBQ_HANDLER_KEEPS_FDS) != 0;
    bool found, whole;

    report->text[0] = '\0';
    if (runtime_fd != t->runtime_fd) {
        t->runtime_fd = runtime_fd;
        find_lowest_free(t);
    }
    found = restore_cheap(t, report);
    if (t->child_count == 0 && tidy_proc_has_children())
        found = reap_strays(t, report) || found;
    if (!keeps && fcntl(t->lowest_free, F_GETFD) >= 0)
        found = true;

    whole = found || h->untidy || run_us >= LONG_RUN_US || h->runs < FIRST_RUNS ||
            h->runs % EVERY_RUNS == 0;
    h->runs++;
    if (whole) {
        if (t->child_count > 0)
            (void)reap_strays(t, report);
        restore_handlers(t, report);
        stop_timers(report);
        if (!keeps)
            close_strays(t, report);
    }
    if (keeps) {
        memset(t->kept, 0, sizeof(t->kept));
        (void)tidy_proc_each_fd(keep_fd, t);
        find_lowest_free(t);
    }
    if (report->text[0] == '\0')
        return false;
    h->untidy = true;
    return true;
}

/* ---- the snapshot ---- */

void tidy_prepare(void)
{
    if (setlocale(LC_ALL, "C.UTF-8") == NULL)
        (void)setlocale(LC_ALL, "C");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int remember_signals(struct tidy *t, jobq_err *err)
{
    if (sigprocmask(SIG_SETMASK, NULL, &t->mask) != 0)
        return error_set(err, JOBQ_EINTERNAL, "sigprocmask: %s", strerror(errno));
    for (int s = 1; s < _NSIG; s++) {
        if (is_ours_to_set(s) && sigaction(s, NULL, &t->actions[s]) != 0)
            return error_set(err, JOBQ_EINTERNAL, "sigaction %d: %s", s, strerror(errno));
    }
    return JOBQ_OK;
}

int tidy_snapshot(struct tidy *t, jobq_err *err)
{
    int rc;

    *t = (struct tidy){.cwd_fd = -1, .runtime_fd = -1};
    rc = remember_signals(t, err);
    if (rc != JOBQ_OK)
        return rc;
    t->umask = umask(0);
    (void)umask(t->umask);
    t->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->cwd_fd < 0)
        return error_set(err, JOBQ_EINTERNAL, "working directory: %s", strerror(errno));
    t->locale = mem_strdup(setlocale(LC_ALL, NULL));
    if (t->locale == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the name of the locale");
    if (tidy_proc_has_children())
        t->child_count = tidy_proc_children(t->children, TIDY_CHILDREN_MAX);
    if (!tidy_proc_each_fd(keep_fd, t))
        return error_set(err, JOBQ_EINTERNAL, "/proc/self/fd: %s", strerror(errno));
    find_lowest_free(t);
    return JOBQ_OK;
}

void tidy_done(struct tidy *t)
{
    if (t->cwd_fd >= 0)
        (void)close(t->cwd_fd);
    mem_free(t->locale);
    *t = (struct tidy){.cwd_fd = -1, .runtime_fd = -1};
}
