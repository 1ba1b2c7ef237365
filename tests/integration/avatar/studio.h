/* SPDX-License-Identifier: MIT */
/*
 * studio: a forum's tables and media directory, and one real executor with the module avatar.
 *
 * Sources are made by libvips; what comes out is judged by a resampler of its own (reference.c),
 * in plain double precision.
 */
#ifndef TESTS_INTEGRATION_AVATAR_STUDIO_H
#define TESTS_INTEGRATION_AVATAR_STUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/avatar/reference.h"
#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"

#define RESIZE "avatar.resize"
#define REMOVE "avatar.remove"
#define SWEEP "avatar.sweep"

#define SIZES 10
extern const int sizes[SIZES];

struct studio {
    struct postgres *pg;
    struct rig *rig;
    char media[256]; /* absolute */
};

struct studio *studio_start(void);
/* With the forum of contrib/forum/fixture and its images instead of the bare tables. */
struct studio *studio_start_forum(const char *version);
void studio_stop(struct studio *s);
/* Another executor, with this in its environment ("K=V", NULL-ended) or NULL. */
struct rig *studio_rig(struct studio *s, const char *const *env);
/* In place of the studio's. */
void studio_restart(struct studio *s, const char *const *env);

/* A user with this avatar_tmp and avatar_src. */
void studio_user(struct studio *s, int id, const char *tmp, const char *src);
/* Bytes into a file below the media directory, made with its directories. */
void studio_put(struct studio *s, const char *name, const void *bytes, size_t len);
void studio_put_pixels(struct studio *s, const char *name, const struct pixels *p,
                       const char *suffix);
void studio_put_file(struct studio *s, const char *name, const char *path);
bool studio_has(struct studio *s, const char *name);
/* Files below avatars/, hidden ones too. */
size_t studio_files(struct studio *s);
/* The file was last changed so many seconds ago. */
void studio_age(struct studio *s, const char *name, long long seconds);

/* The user's avatar of this size; the file is freed with free(). */
struct pixels studio_avatar(struct studio *s, int user, int size);
char *studio_avatar_file(struct studio *s, int user, int size, size_t *len);

/* "{"user_id":…}" in a buffer of fmt(). */
const char *job_of(int user, const char *source, double x, double y, double zoom);
/* Runs it; fails the test unless it ends so, with this in its text. */
const struct said *must_run(struct studio *s, const char *type, const char *payload,
                            enum frame_verdict verdict, const char *text);
/* Runs the child that the last job enqueued (the last one of several). */
void must_run_child(struct studio *s, const struct said *said);

/* The user's ten rows, the JSON and the files agree; nothing else of the user is there. */
void must_be_whole(struct studio *s, int user);
/* And they are what the reference makes: the largest of this part of the source, each other one of
 * the one before it. */
void must_look_like(struct studio *s, int user, const struct pixels *source, struct area area);

#endif
