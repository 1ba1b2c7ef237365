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

#include <stdbool.h>
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
/* With EXIF that says "turned by a quarter" and a text; whether a file has such, or a profile. */
void *pixels_encode_tagged(const struct pixels *p, const char *suffix, size_t *len);
bool pixels_are_tagged(const void *bytes, size_t len);
/* Images whose pixels are not red, green, blue and alpha of 8 bits: 16 bits, grey, grey and alpha,
 * two colours, CMYK, animated; and what is to be seen in them. */
#define PIXELS_FORMS 8
void *pixels_encode_form(int width, int height, int form, size_t *len, struct pixels *expected);
struct pixels pixels_decode(const void *bytes, size_t len);
struct pixels pixels_read(const char *path);

#endif
