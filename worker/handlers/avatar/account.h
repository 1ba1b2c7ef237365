/* SPDX-License-Identifier: MIT */
/*
 * account: the rows of a user's avatar, and which files rows name.
 *
 * Files and rows cannot be changed at once. What writes files keeps to: files first, then rows that
 * name them, in one transaction; files that no row names any more are removed after its COMMIT.
 * Between the last look at its files and its COMMIT a writer holds account_share_files(); who
 * removes files holds account_own_files() from its look at the rows until they are gone. So no
 * file is removed that a row is about to name.
 *
 * The tables are those of forum 0.39 and 0.40, which are the same. No state; statements on the
 * runtime's connection, inside its transaction.
 */
#ifndef WORKER_HANDLERS_AVATAR_ACCOUNT_H
#define WORKER_HANDLERS_AVATAR_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/common/pg.h"

#define ACCOUNT_NAME_SIZE 1021 /* varchar(255), of up to four bytes each, and a NUL */

/* "" where the forum has NULL or ''. */
struct account {
    bool exists;
    bool is_locked;
    char tmp[ACCOUNT_NAME_SIZE];  /* an upload that was not cropped yet */
    char src[ACCOUNT_NAME_SIZE];  /* what the avatar was cut from */
    char crop[ACCOUNT_NAME_SIZE]; /* and how */
};

/* All functions: 0; -1: a statement failed. */

/* lock: keeps the row until the end of the transaction. */
int account_read(struct pg_conn *conn, int64_t user_id, bool lock, struct account *out,
                 struct pg_failure *why);

int account_share_files(struct pg_conn *conn, struct pg_failure *why);
int account_own_files(struct pg_conn *conn, struct pg_failure *why);

struct account_avatar {
    int64_t user_id;
    const char *sizes;   /* array texts */
    const char *images;  /* in the same order */
    const char *avatars; /* the forum's JSON */
    const char *crop;
    const char *src; /* "": unchanged, and so is avatar_tmp, which is emptied otherwise */
};

/* Puts the avatar in place of what was there. *old: the names that rows had; caller frees with
   PQclear(). */
int account_replace(struct pg_conn *conn, const struct account_avatar *avatar,
                    struct pg_result **old, struct pg_failure *why);

/* Those of names (array text) that no row of this user and no gallery has; and of all rows. Caller
   frees *out with PQclear(). */
int account_unused_of(struct pg_conn *conn, int64_t user_id, const char *names,
                      struct pg_result **out, struct pg_failure *why);
int account_unused(struct pg_conn *conn, const char *names, struct pg_result **out,
                   struct pg_failure *why);

#endif
