/* SPDX-License-Identifier: MIT */
/*
 * stage: a private PostgreSQL with a small forum in which nobody watches, is banned or was told of
 * anything, and the module opened beside it. Tests add the few rows they are about.
 *
 * Thread 1 is one that everybody may read. Users are plain members who want notifications and mail
 * by their own choice of 1 (on the site); all of them are active.
 */
#ifndef TESTS_INTEGRATION_NOTIFY_STAGE_H
#define TESTS_INTEGRATION_NOTIFY_STAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/support/background.h"
#include "tests/support/fixture.h"
#include "tests/support/handler.h"
#include "tests/support/session.h"
#include "tests/support/support.h"

#define REPLY "notify.reply"
#define PRIVATE "notify.private_thread"
#define DEDUPE "notify.dedupe_watched"

/* What the versions call the same thing. */
struct words {
    const char *posted, *updated, *started, *last_posted, *read, *pinned, *locked, *member;
    const char *reply_verb, *private_verb;
    const char *post_columns, *post_values;     /* one more column, or none */
    const char *thread_columns, *thread_values; /* likewise */
    const char *watch_columns, *watch_values;
    const char *member_columns, *member_values;
};

struct stage {
    struct postgres *pg;
    struct handler *handler;
    const struct words *words;
    bool is_040;
};

struct stage *stage_start(const char *version, int users);
void stage_stop(struct stage *s);
/*
 * The module on this forum, with what contrib/postgres grants its role and nothing else; settings:
 * key, value, …, NULL, or NULL.
 */
struct handler *stage_handler(struct postgres *pg, const char *const *settings);

/* ---- what the forum does ---- */
/* A reply, posted now; poster 0: a guest. Its id. */
long long stage_reply(struct stage *s, long long thread, long long poster);
/* The user watches the thread and has read all of it. The watch's id. */
long long stage_watch(struct stage *s, long long thread, long long user, bool by_mail);
/* The user reads the thread, and looks at what they were told of it. */
void stage_read(struct stage *s, long long thread, long long user);
/* A private thread with its first post; only its starter is in it. Its id. */
long long stage_private(struct stage *s, long long starter);
void stage_admit(struct stage *s, long long thread, long long user);

/* ---- the jobs ---- */
/* Runs it on the stage's handler. */
int stage_run(struct stage *s, const char *type, const char *payload);
int stage_notify(struct stage *s, long long post);
/* Fails the test unless DONE with this result. */
void stage_must(struct stage *s, const char *type, const char *payload, const char *result);
void stage_must_notify(struct stage *s, long long post, int notified, int mails);

/* ---- what came of it ---- */
/* Users with a notification of the post, as "3 5 8"; caller frees. */
char *stage_told(struct stage *s, long long post);
void stage_must_have_told(struct stage *s, long long post, const char *users);
/* Each user has as many unread notifications as their counter says. */
void stage_must_count_right(struct stage *s);
/* The i-th job that the last run enqueued. */
void stage_must_child(const struct handler *h, size_t i, const char *type, const char *payload,
                      const char *key);

/* One test in each version of the forum. */
#define IN_BOTH(word)                                                                              \
    static void word(struct stage *s);                                                             \
    Test(notify, word##_0_39)                                                                      \
    {                                                                                              \
        struct stage *s = stage_start(V039, 40);                                                   \
        word(s);                                                                                   \
        stage_stop(s);                                                                             \
    }                                                                                              \
    Test(notify, word##_0_40)                                                                      \
    {                                                                                              \
        struct stage *s = stage_start(V040, 40);                                                   \
        word(s);                                                                                   \
        stage_stop(s);                                                                             \
    }                                                                                              \
    static void word(struct stage *s)

#endif
