/* SPDX-License-Identifier: MIT */
/*
 * judge_tables: the forum's tables in memory, under one set of names for both versions.
 *
 * Rows stand in arrays in ascending order of their id (posts: of thread, then id; watches, members:
 * of thread). Texts belong to the PGresult they came from, which the tables keep.
 */
#ifndef TESTS_INTEGRATION_RECIPIENTS_JUDGE_TABLES_H
#define TESTS_INTEGRATION_RECIPIENTS_JUDGE_TABLES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

struct category {
    long long id, parent_id; /* 0: none */
    int level;
    bool is_private_root, shows_started_only, delays_browse_check;
};

struct thread {
    long long id, starter_id; /* 0: a guest */
    bool is_hidden, is_unapproved, is_pinned, is_reported;
};

struct post {
    long long id, thread_id, category_id, poster_id,
        posted_at; /* microseconds; poster 0: a guest */
    bool is_hidden, is_unapproved, is_event;
};

struct watch {
    long long thread_id, user_id, read_at;
    bool send_emails;
};

struct user {
    long long id;
    const char *name, *email, *groups; /* groups: "{1,2}" */
    long long rank_id;                 /* 0: none */
    bool is_active;
};

struct ban {
    int type; /* 0 a name, 1 an address, 2 a machine */
    const char *value;
    bool is_over, is_for_registration;
};

struct bancache {
    long long user_id;
    bool is_banned, is_over;
    const char *version;
};

/* A pair of ids: a member of a private thread, a role of a user or a rank. */
struct pair {
    long long of, what;
};

/* 0.39: of a role in the forum, or of a category role. */
struct role {
    long long id;
    const char *json;
};

/* 0.39: in this category, this role has that category role. */
struct acl {
    long long category_id, role_id, category_role_id;
};

/* 0.40 */
struct group {
    long long id;
    int private_threads; /* 0 no, 1 yes, 2 never */
};

struct permission {
    long long category_id, group_id;
    const char *name;
};

struct moderator {
    bool is_global;
    const char *categories;      /* "{1,2}" */
    long long group_id, user_id; /* 0: none */
};

#define TABLES(X)                                                                                  \
    X(category, categories)                                                                        \
    X(thread, threads)                                                                             \
    X(post, posts)                                                                                 \
    X(watch, watches)                                                                              \
    X(user, users)                                                                                 \
    X(ban, bans)                                                                                   \
    X(bancache, bancaches)                                                                         \
    X(pair, members)                                                                               \
    X(pair, user_roles)                                                                            \
    X(pair, rank_roles)                                                                            \
    X(role, roles)                                                                                 \
    X(role, category_roles)                                                                        \
    X(acl, acls)                                                                                   \
    X(group, groups)                                                                               \
    X(permission, permissions)                                                                     \
    X(moderator, moderators)

#define TABLE_FIELDS(type, name)                                                                   \
    struct type *name;                                                                             \
    size_t name##_count;

struct tables {
    bool is_040;
    const char *ban_version; /* of the cache "bans" */
    TABLES(TABLE_FIELDS)
    PGresult *kept[24];
    size_t kept_count;
};

/* Aborts with a text when a table cannot be read. */
void tables_read(struct tables *t, PGconn *conn);
void tables_free(struct tables *t);

/* NULL: not there. */
const struct category *tables_category(const struct tables *t, long long id);
const struct thread *tables_thread(const struct tables *t, long long id);
const struct user *tables_user(const struct tables *t, long long id);

/* Whether "{1,22,3}" holds id. */
bool list_has(const char *list, long long id);

#endif
