/* SPDX-License-Identifier: MIT */
/*
 * tree: walks the forum's directory of avatars in the order of names, in steps that can be taken
 * up again where the last one ended.
 *
 * Only what was not changed for a day is told: what is younger may be about to be named by a row.
 * Symbolic links, other special files, and names that no row can hold (too long, no UTF-8) are
 * passed over.
 *
 * A walk lives for one job. Single thread.
 */
#ifndef WORKER_HANDLERS_AVATAR_TREE_H
#define WORKER_HANDLERS_AVATAR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/avatar/list.h"
#include "worker/handlers/avatar/media.h"

struct tree {
    size_t look_max; /* entries to look at in one step */
    size_t file_max; /* files to find in one step */
    int64_t before;  /* Unix seconds: what was changed later is fresh */
    bool (*should_stop)(void *ctx);
    void *ctx;

    size_t looked;
    struct list files;           /* old ones, by their names below the media root */
    struct list directories;     /* likewise; each before those in it */
    char at[MEDIA_NAME_MAX + 1]; /* the last entry that is done with; "": none */
    bool is_cut;                 /* there is more behind at */
};

/* Walks what is behind after ("": all) of the directory. That it is missing is fine. 0; -1 and
 *fault. Ends with tree_done(), also on failure. */
int tree_walk(struct tree *t, const struct media *m, const char *directory, const char *after,
              struct media_fault *fault);
void tree_done(struct tree *t);

#endif
