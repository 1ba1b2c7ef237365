/* SPDX-License-Identifier: MIT */
/*
 * render: from an image file's bytes to the avatar in all sizes, as PNG files.
 *
 * As the forum does it: the part that is wanted, scaled to the largest size; each further size from
 * the one before. The source is read row by row and scaled across as it comes, so that a large one
 * needs little memory: only interlaced PNG, progressive JPEG and WebP are held whole by their
 * decoders.
 *
 * Lives for one job. Single thread.
 */
#ifndef WORKER_HANDLERS_AVATAR_RENDER_H
#define WORKER_HANDLERS_AVATAR_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/avatar/crop.h"
#include "worker/handlers/avatar/sniff.h"

#define RENDER_SIZES 10

/* The forum's, largest first. */
extern const int render_sizes[RENDER_SIZES];

struct rendered {
    uint8_t *png[RENDER_SIZES];
    size_t len[RENDER_SIZES];
};

enum render_end {
    RENDER_OK,
    RENDER_BAD,     /* the image; why says what is wrong with it */
    RENDER_STOPPED, /* as told */
    RENDER_FAILED,  /* no memory, or no libvips; why says so */
};

struct render_source {
    const uint8_t *bytes;
    size_t len;
    struct sniff sniffed;
    struct box box;
    bool (*should_stop)(void *ctx); /* asked every few rows */
    void *ctx;
};

/* *out ends with rendered_done(), whatever the answer. */
enum render_end render(const struct render_source *source, struct rendered *out, char *why,
                       size_t why_size);
void rendered_done(struct rendered *r);

#endif
