/* SPDX-License-Identifier: MIT */
/*
 * term: the terminal of a full-screen view: its alternate screen, keys without echo, its size; and
 * all of it undone however the program ends: by return, by a signal, by a crash.
 *
 * One at a time in a process. One thread.
 */
#ifndef ADMIN_JOBCTL_TERM_H
#define ADMIN_JOBCTL_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"

/* Takes the terminal of stdin and stdout over. JOBQ_EINTERNAL when it does not let us. */
MUST_CHECK int term_enter(jobq_err *err);
/* Gives it back as it was; harmless when it was not taken. Safe in a signal handler. */
void term_leave(void);
/* Of the terminal at a descriptor; else $COLUMNS and $LINES, else 80 and 24. */
void term_size(int fd, unsigned *columns, unsigned *lines);
/* Keys that were pressed, as far as they fit; arrows are 'k' and 'j'. 0: none; -1: the terminal is
 * gone. */
int term_keys(char *keys, size_t size);
/* Writes all of it; false: the terminal is gone. */
bool term_write(const char *bytes, size_t len);

#endif
