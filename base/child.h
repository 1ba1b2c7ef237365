/* SPDX-License-Identifier: MIT */
/*
 * child: start a program with only the descriptors named, watch it by pidfd, kill its whole group.
 *
 * The child is fork + exec; it leads a new process group, has an empty signal mask and default
 * handlers, and dies (SIGKILL) when the thread that started it dies (PR_SET_PDEATHSIG).
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include <jobq/error.h>

#include "base/base.h"

struct child {
    pid_t pid;
    int pidfd; /* readable once the child ended */
};

struct child_spec {
    const char *path;              /* absolute */
    const char *const *argv;       /* NULL-ended */
    const char *const *env;        /* NULL-ended "NAME=value" list: the whole environment */
    const int (*fds)[2];           /* pairs: ours, theirs; 0-2 not named become /dev/null */
    size_t fd_count;               /* every other descriptor is closed */
    int nice;                      /* this much nicer than we are; failure ignored */
};

/* JOBQ_OK; JOBQ_EINTERNAL: fork or exec failed (exec's errno is reported through a pipe). */
MUST_CHECK int child_start(const struct child_spec *spec, struct child *out, jobq_err *err);
/* Signal to the process only, or to its whole group. Harmless when it is gone. */
void child_signal(const struct child *c, int signal_number);
void child_signal_group(const struct child *c, int signal_number);
/*
 * Reaps. true when it had ended: *exit_status as in waitpid. Then kills what is left of its group
 * and closes pidfd.
 */
MUST_CHECK int child_reap(struct child *c, int *ended, int *wait_status, jobq_err *err);
/*
 * For the start of main(): of 0-2, those we were started without are taken, so that no file or
 * connection of ours gets their number and with it what is meant for the log or the terminal. As on
 * a closed descriptor, writing to them fails.
 */
void child_take_std_fds(void);
/* "exit status 7", "killed by signal 11 (Segmentation fault)". */
void child_describe(int wait_status, char *out, size_t out_size);

#endif
