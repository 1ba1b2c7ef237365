/* SPDX-License-Identifier: MIT */
/*
 * rights: whether the user of a connection may do in Redis what a jobd does. Asks Redis itself, and
 * changes nothing.
 *
 * Blocking, within the deadline of struct inspect. Single thread.
 */
#ifndef BROKER_RIGHTS_H
#define BROKER_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"

struct inspect;

#define RIGHTS_TEXT_MAX 160

struct rights {
    bool may_claim;              /* false: no jobd's user at all; the rest was not asked */
    size_t refused;              /* how many commands of a jobd are */
    char first[RIGHTS_TEXT_MAX]; /* the first of them, with its key or channel */
};

MUST_CHECK int rights_of_worker(const struct inspect *in, struct rights *out, jobq_err *err);

/* The commands that are asked for, words parted by blanks, a key or channel as %; NULL after the
 * last. Redis 8 takes none that lacks a word. */
const char *rights_needed(size_t i);

#endif
