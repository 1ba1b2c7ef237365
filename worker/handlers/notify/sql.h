/* SPDX-License-Identifier: MIT */
/*
 * sql: the statements of the module notify, one set for each version of the forum.
 *
 * The longer ones are the files in sql/, embedded when the module is built. Arrays of ids are
 * passed from one statement to the next as PostgreSQL writes them.
 */
#ifndef WORKER_HANDLERS_NOTIFY_SQL_H
#define WORKER_HANDLERS_NOTIFY_SQL_H

#include "worker/handlers/common/forum.h"

/* Parameters and rows are told in the files. */
struct notify_sql {
    const char *columns; /* needed besides those of forum_probe(); for forum_require() */
    const char *reply_verb;
    const char *private_verb;
    const char *reply;
    const char *private_thread;
    const char *watch;
    const char *dedupe;
};

/* version: not FORUM_UNKNOWN. */
const struct notify_sql *notify_sql_of(enum forum_version version);

/* Of both versions. */
extern const char notify_sql_reply_insert[];
extern const char notify_sql_reply_mails[];
extern const char notify_sql_private_insert[];
extern const char notify_sql_private_mails[];

#endif
