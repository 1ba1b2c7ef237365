/* SPDX-License-Identifier: MIT */
/*
 * names: what the files of an avatar are called.
 *
 * A hash of user, source and crop: a run that is repeated writes the same files again instead of
 * new ones. In the forum's shape, avatars/xx/yy/<32>/<32>.png, with all sizes in one directory.
 *
 * Pure.
 */
#ifndef WORKER_HANDLERS_AVATAR_NAMES_H
#define WORKER_HANDLERS_AVATAR_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/avatar/crop.h"

#define NAMES_TREE "avatars" /* all of it, below the media root */
#define NAMES_DIRECTORY_SIZE (sizeof(NAMES_TREE "/xx/yy/") + 32)
#define NAMES_FILE_SIZE (32 + sizeof(".png"))

struct names_of {
    int64_t user_id;
    const char *source; /* its name below the media root */
    const uint8_t *bytes;
    size_t len;
    struct box box;
};

/* The directory of an avatar. */
void names_directory(const struct names_of *of, char out[NAMES_DIRECTORY_SIZE]);
/* The file of one size in it. */
void names_file(const char *directory, int size, char out[NAMES_FILE_SIZE]);

#endif
