/* SPDX-License-Identifier: MIT */
/*
 * store_sql: the statements of store.c by version of the forum. Columns of the two that load facts
 * are those of enum store_column, in that order; skip is the reason not to send, or NULL.
 */
#ifndef WORKER_HANDLERS_MAIL_STORE_SQL_H
#define WORKER_HANDLERS_MAIL_STORE_SQL_H

enum store_column {
    COLUMN_SKIP,
    COLUMN_NOTIFICATION_ID,
    COLUMN_USER_ID,
    COLUMN_USER_NAME,
    COLUMN_USER_EMAIL,
    COLUMN_ACTOR_NAME,
    COLUMN_POST_ID,
    COLUMN_THREAD_ID,
    COLUMN_THREAD_TITLE,
    COLUMN_THREAD_SLUG,
    COLUMN_IS_PRIVATE,
    COLUMN_WATCHED_ID,
    COLUMN_SECRET,
    COLUMN_FORUM_ADDRESS,
    COLUMN_FORUM_NAME,
    COLUMN_FORUM_FOOTER,
    STORE_COLUMNS
};

struct store_sql {
    const char *lock_reply;   /* $1 post, $2 watched; no row: not watched any more */
    const char *lock_private; /* $1 thread, $2 user */
    const char *load_reply;   /* $1 post, $2 watched */
    const char *load_private; /* $1 thread, $2 user, $3 actor */
};

extern const struct store_sql store_sql_039;
extern const struct store_sql store_sql_040;

#endif
