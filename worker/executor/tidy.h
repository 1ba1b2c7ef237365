/* SPDX-License-Identifier: MIT */
/*
 * tidy: puts the process back as it was before a job, so that nothing of one job reaches the next.
 *
 * Undone: signal mask and handlers, timers, umask, working directory, locale, descriptors and child
 * processes left behind (orphaned grandchildren too: the executor is their subreaper). Not undone:
 * memory, threads, the environment and resource limits; recycling is for those.
 *
 * The whole look costs about 20 us, so it is taken after a type's first jobs, after every job that
 * ran long or belongs to a type once seen to leave something, and after each 64th; all others get
 * the cheap one (about 0.5 us: signal mask, umask, directory, locale, children, and the lowest free
 * descriptor), which asks for the whole one when it finds anything.
 *
 * One per process. Single thread.
 */
#ifndef WORKER_EXECUTOR_TIDY_H
#define WORKER_EXECUTOR_TIDY_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jobq/error.h>

#include "base/base.h"

#define TIDY_FD_MAX 1024 /* higher descriptors are never kept */
#define TIDY_CHILDREN_MAX 64

struct handler;

struct tidy {
    sigset_t mask;
    struct sigaction actions[_NSIG];
    mode_t umask;
    int cwd_fd;
    char *locale;
    uint8_t kept[TIDY_FD_MAX / 8]; /* descriptors open at the snapshot */
    int runtime_fd;                /* the runtime's own connection: kept too; -1: none */
    int lowest_free;
    pid_t children[TIDY_CHILDREN_MAX]; /* started by the modules' start() */
    size_t child_count;
};

/* Once, before modules are opened: locale, subreaper. */
void tidy_prepare(void);
/* Remembers how things are now. JOBQ_EINTERNAL, JOBQ_ENOMEM. Free with tidy_done(). */
MUST_CHECK int tidy_snapshot(struct tidy *t, jobq_err *err);
void tidy_done(struct tidy *t);

/* What was put right, in words, for a log line. */
struct tidy_report {
    char text[256]; /* empty: nothing */
};

/*
 * After a job of h that ran run_us. runtime_fd: a descriptor of the runtime that stays open, or -1.
 * true: something was found that is worth telling (report).
 */
bool tidy_up(struct tidy *t, struct handler *h, uint32_t run_us, int runtime_fd,
             struct tidy_report *report);

#endif
