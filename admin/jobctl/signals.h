/* SPDX-License-Identifier: MIT */
/*
 * signals: for commands that go on until somebody stops them: signals as something to wait for,
 * beside descriptors, so that none is lost between a look and a wait.
 *
 * One thread; one struct at a time.
 */
#ifndef ADMIN_JOBCTL_SIGNALS_H
#define ADMIN_JOBCTL_SIGNALS_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct signals {
    int fd;
    sigset_t before; /* the mask to go back to */
};

/* Blocks these signals (ended by 0) and waits for them from now on. */
MUST_CHECK int signals_open(struct signals *s, const int *numbers, jobq_err *err);
void signals_close(struct signals *s);
/*
 * Waits for a descriptor (may be -1), for a signal, or for so many ms. The signal's number, or 0;
 * *ready tells what poll() said of the descriptor.
 */
int signals_wait(struct signals *s, int fd, short events, int64_t ms, short *ready);

#endif
