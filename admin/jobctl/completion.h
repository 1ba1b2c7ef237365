/* SPDX-License-Identifier: MIT */
/*
 * completion: scripts by which shells complete jobctl, written from the table of commands. Pure but
 * for writing.
 *
 * A script knows the words, flags and choices of the table by itself; the names of queues and
 * workers it asks jobctl for, for a second at most.
 */
#ifndef ADMIN_JOBCTL_COMPLETION_H
#define ADMIN_JOBCTL_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct buf;

void completion_bash(struct buf *b);
void completion_zsh(struct buf *b);
void completion_fish(struct buf *b);

/* ---- what they share ---- */
struct command;
struct command_flag;

/* "words a b c", "file", "queue", "worker", "command", "text"; "none" of a switch. */
void completion_put_kind(struct buf *b, int kind, const char *choices);
/* The text inside single quotes of a Bourne shell. */
void completion_put_quoted(struct buf *b, const char *text);
/* Whether c is the first of its group in the table; *len: of the group's name, 0: it is in none. */
bool completion_is_first_of_group(const struct command *c, size_t *len);

#endif
