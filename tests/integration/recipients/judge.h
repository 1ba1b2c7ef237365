/* SPDX-License-Identifier: MIT */
/*
 * judge: who is to be told of a post, worked out one watcher after the other, as the forum's rules
 * read.
 *
 * It is the second opinion on the module notify and shares nothing with it: whole tables are read
 * into memory and walked through, permissions are followed category by category and role by role. A
 * judge knows the forum as it was when judge_open() read it, at that time; what changed since needs
 * another judge. One thread at a time.
 *
 * The rules, for 0.39 and 0.40. Of those who watch the post's thread these are passed over: the
 * poster, the inactive, the banned, who cannot see the post, and who has another post to read
 * there: an earlier one by somebody else, posted after their time of reading, that they may see.
 * Who watches the thread twice, as happens after a merge, counts as one who watches it once, with
 * the later time of reading, and with mail if either asks for it: the forum makes one of the two
 * in this way, sooner or later.
 *
 * Names and addresses are taken for ASCII where case is concerned.
 */
#ifndef TESTS_INTEGRATION_RECIPIENTS_JUDGE_H
#define TESTS_INTEGRATION_RECIPIENTS_JUDGE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

struct judge;

struct told {
    long long user_id;
    bool send_emails;
};

/* Reads the forum, also as an open transaction sees it; aborts with a text when it cannot. The
 * connection stays the caller's and is not needed later. */
struct judge *judge_open(PGconn *conn);
void judge_close(struct judge *j);

/* Ids of all posts, ascending; they belong to the judge. */
const long long *judge_posts(const struct judge *j, size_t *count);

/* Who is to be told, ascending by user; valid until the next call. Nobody of a post that is not
 * there. */
const struct told *judge_post(struct judge *j, long long post_id, size_t *count);

#endif
