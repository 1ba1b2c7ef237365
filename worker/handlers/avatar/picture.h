/* SPDX-License-Identifier: MIT */
/*
 * picture: decodes an image row by row, and encodes avatars. The only place that calls libvips.
 *
 * libvips is started by the first picture of an executor, never in jobd: a process that has run it
 * must not fork. One thread, no cache, and of all its loaders only the three for JPEG, PNG and
 * WebP: the others (SVG, PDF, ImageMagick's…) are blocked. It never sees a file's name.
 *
 * A picture lives for one job. Single thread.
 */
#ifndef WORKER_HANDLERS_AVATAR_PICTURE_H
#define WORKER_HANDLERS_AVATAR_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/avatar/sniff.h"

struct picture;

/* Starts libvips, if this is the first time. 0; -1 and a text. */
int picture_start(char *why, size_t why_size);

/*
 * After picture_start(). Borrows bytes. The decoder must find the size that was sniffed. Only the
 * first frame of an animation counts; neither orientation nor colour profile is applied, as the
 * forum does not. 0, and the caller ends it with picture_close(); -1 and a text: what is wrong with
 * the image.
 */
int picture_open(const uint8_t *bytes, size_t len, const struct sniff *sniffed,
                 struct picture **out, char *why, size_t why_size);
void picture_close(struct picture *p); /* NULL is fine */

/*
 * The next row, count pixels from left, as red, green, blue, alpha of 8 bits each. Rows come from
 * the top. 0; -1 and a text: the image is damaged.
 */
int picture_row(struct picture *p, int left, int count, uint8_t *rgba, char *why, size_t why_size);

/*
 * A PNG of side * side pixels (red, green, blue, alpha) without any metadata; *png is freed with
 * picture_free(). 0; -1 and a text.
 */
int picture_encode(const uint8_t *rgba, int side, uint8_t **png, size_t *len, char *why,
                   size_t why_size);
void picture_free(uint8_t *png);

#endif
