/* SPDX-License-Identifier: MIT */
/*
 * judge_rights: what a user may do in a category, worked out from roles (0.39) or groups (0.40).
 *
 * Answers are remembered: a place is looked at once for each user.
 */
#ifndef TESTS_INTEGRATION_RECIPIENTS_JUDGE_RIGHTS_H
#define TESTS_INTEGRATION_RECIPIENTS_JUDGE_RIGHTS_H

#include <stdbool.h>

#include "tests/integration/recipients/judge_tables.h"

struct place_rights {
    bool is_known;
    bool see;    /* the category */
    bool browse; /* what is in it, should it be seen */
    bool enter;  /* both, and the way to it is open */
    /* 0.39 */
    bool see_all_threads, hide_threads, approve, hide_events;
    /* 0.40 */
    bool moderate;
};

struct rights;

/* The tables must outlive it. */
struct rights *rights_open(const struct tables *t);
void rights_close(struct rights *r);

const struct place_rights *rights_in(struct rights *r, const struct user *u,
                                     const struct category *c);

/* Whether the category is that of private threads, or below it. */
bool rights_is_private(const struct rights *r, const struct category *c);
bool rights_sees_private(struct rights *r, const struct user *u, const struct thread *thread);

#endif
