/* SPDX-License-Identifier: MIT */
/*
 * crop: which part of a source becomes the avatar, by the forum's own arithmetic.
 *
 * The forum's page shows the source scaled by zoom and moved by x and y (0 or negative) behind a
 * window of AVATAR_SIDE pixels.
 *
 * Pure.
 */
#ifndef WORKER_HANDLERS_AVATAR_CROP_H
#define WORKER_HANDLERS_AVATAR_CROP_H

#include <stddef.h>

#define AVATAR_SIDE 400 /* the largest size, and the least side of a source */

struct crop {
    double x;
    double y;
    double zoom;
};

struct box {
    int left;
    int top;
    int right; /* exclusive */
    int bottom;
};

/* What holds for any source. 0; -1 and a text that names the field. */
int crop_check(const struct crop *crop, char *why, size_t why_size);

/* The box of a source of this size; it lies inside the source. 0; -1 and a text. */
int crop_box(const struct crop *crop, int width, int height, struct box *out, char *why,
             size_t why_size);

/* As the forum stores it: {"x":-120.0,"y":-60.0,"zoom":0.75} */
void crop_format(const struct crop *crop, char *out, size_t size);

#endif
