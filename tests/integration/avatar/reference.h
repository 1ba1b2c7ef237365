/* SPDX-License-Identifier: MIT */
/*
 * reference: pictures for tests, and what an avatar of them must look like.
 *
 * The resampler is the textbook's: Lanczos with three lobes in double precision, first rows, then
 * columns, each clipped to what a channel holds, colours multiplied by alpha. It shares nothing
 * with the module.
 */
#ifndef TESTS_INTEGRATION_AVATAR_REFERENCE_H
#define TESTS_INTEGRATION_AVATAR_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

struct pixels {
    int width;
    int height;
    uint8_t *rgba;
};

struct area {
    int left, top, right, bottom;
};

/* Colours, edges and fine lines; with_alpha: holes and veils too. Caller frees with pixels_free. */
struct pixels pixels_pattern(int width, int height, int with_alpha);
void pixels_free(struct pixels *p);

/* A part of it as a square of so many pixels. */
struct pixels reference_square(const struct pixels *p, struct area area, int side);

/*
 * The greatest difference of a channel. Colours count by their alpha: what cannot be seen cannot
 * differ. -1: not of the same size.
 */
int pixels_difference(const struct pixels *a, const struct pixels *b);

/* Files. Encoding: a suffix of libvips with its options, as ".png" or ".jpg[Q=95]"; caller frees
 * with free(). Decoding fails the test when it cannot. */
void *pixels_encode(const struct pixels *p, const char *suffix, size_t *len);
struct pixels pixels_decode(const void *bytes, size_t len);
struct pixels pixels_read(const char *path);

#endif
