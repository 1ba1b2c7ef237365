/* SPDX-License-Identifier: MIT */
/*
 * resample: scales rows and columns of pixels by Lanczos' kernel (three lobes), in the arithmetic
 * of the forum's image library, so that its pixels come out to the bit.
 *
 * First every row, then every column; 8 bits in between; weights of 22 binary digits; colours
 * multiplied by alpha before and divided by it after. libvips' own resize differs from that by up
 * to several steps of a channel.
 *
 * Pixels are four bytes: red, green, blue, alpha.
 */
#ifndef WORKER_HANDLERS_AVATAR_RESAMPLE_H
#define WORKER_HANDLERS_AVATAR_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define RESAMPLE_PIXEL 4 /* bytes */

/* How a line of in pixels becomes one of out. */
struct resample {
    int in;
    int out;
    int taps;         /* weights kept for each pixel of out */
    int *first;       /* of each pixel of out: the first pixel of in that counts */
    int *count;       /* and how many */
    int32_t *weights; /* taps each */
};

/* 0; -1: out of memory. Both sides are at least 1. Ends with resample_done(), also on failure. */
int resample_plan(struct resample *r, int in, int out);
void resample_done(struct resample *r);

/* One row of r->in pixels to one of r->out. */
void resample_row(const struct resample *r, const uint8_t *in, uint8_t *out);

/* r->in rows of width pixels to r->out rows. sums: room for width * RESAMPLE_PIXEL numbers. */
void resample_columns(const struct resample *r, int width, const uint8_t *in, uint8_t *out,
                      int32_t *sums);

/* Colours by alpha, and back; in place. */
void resample_premultiply(uint8_t *pixels, size_t count);
void resample_unpremultiply(uint8_t *pixels, size_t count);

/* A square picture of from pixels a side to one of to. 0; -1: out of memory. */
int resample_square(const uint8_t *in, int from, uint8_t *out, int to);

#endif
