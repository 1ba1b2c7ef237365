/* SPDX-License-Identifier: MIT */
/*
 * actor: who acts, by which command and why, for the record that each act leaves
 * (broker/control.h). One thread.
 */
#ifndef ADMIN_JOBCTL_ACTOR_H
#define ADMIN_JOBCTL_ACTOR_H

#include <jobq/error.h>

#include "base/base.h"
#include "broker/control.h"

struct args;
struct buf;
struct session;

#define ACTOR_NOTE_MAX 500

struct actor {
    char by[320];   /* "alice@web1"; "alice as root@web1" when she logged in and became another */
    char user[128]; /* of Redis */
    char command[CONTROL_TEXT_MAX + 1];
    char note[ACTOR_NOTE_MAX + 1];
    struct control_act act; /* borrows from the above: an actor is not to be copied */
};
/* Reads --note. JOBQ_EINVAL: it is too long, or not UTF-8. */
MUST_CHECK int actor_read(const struct args *a, struct actor *out, jobq_err *err);
/* Fills in the rest, before the first change. */
MUST_CHECK int actor_begin(struct session *s, const struct args *a, const struct inspect *in,
                           struct actor *out, jobq_err *err);

/* The command line as far as it says what is done: no payload, no --yes, nothing of where Redis
 * is. */
void actor_command(const struct args *a, struct buf *out);

#endif
