/* SPDX-License-Identifier: MIT */
/* resample: see resample.h. */
#include "worker/handlers/avatar/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOBES 3.0
#define DIGITS 22 /* binary, behind the point of a weight */

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(M_PI * x) / (M_PI * x);
}

static double lanczos(double x)
{
    return -LOBES <= x && x < LOBES ? sinc(x) * sinc(x / LOBES) : 0.0;
}

/* The weights of one pixel of out; their sum is 1. line: room for r->taps. */
static void weigh(struct resample *r, int at, double scale, double reach, double *line)
{
    double centre = (at + 0.5) * scale;
    double shrink = scale > 1.0 ? scale : 1.0;
    double sum = 0.0;
    int first = (int)(centre - reach + 0.5);
    int end = (int)(centre + reach + 0.5);

    first = first < 0 ? 0 : first;
    end = end > r->in ? r->in : end;
    for (int i = first; i < end; i++) {
        line[i - first] = lanczos((i - centre + 0.5) * (1.0 / shrink));
        sum += line[i - first];
    }
    for (int i = 0; i < end - first; i++) {
        double fixed = line[i] / sum * (1 << DIGITS);
        r->weights[(size_t)at * (size_t)r->taps + (size_t)i] =
            (int32_t)(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    r->first[at] = first;
    r->count[at] = end - first;
}

int resample_plan(struct resample *r, int in, int out)
{
    double scale = (double)in / out;
    double reach = LOBES * (scale > 1.0 ? scale : 1.0);
    double *line;

    *r = (struct resample){.in = in, .out = out, .taps = (int)ceil(reach) * 2 + 1};
    r->first = calloc((size_t)out, sizeof(*r->first));
    r->count = calloc((size_t)out, sizeof(*r->count));
    r->weights = calloc((size_t)out * (size_t)r->taps, sizeof(*r->weights));
    line = calloc((size_t)r->taps, sizeof(*line));
    if (!r->first || !r->count || !r->weights || !line) {
        free(line);
        return -1;
    }
    for (int i = 0; i < out; i++) {
        weigh(r, i, scale, reach, line);
    }
    free(line);
    return 0;
}

void resample_done(struct resample *r)
{
    free(r->first);
    free(r->count);
    free(r->weights);
    *r = (struct resample){0};
}

static uint8_t to_byte(int32_t sum)
{
    int32_t whole = sum >> DIGITS;
    return (uint8_t)(whole < 0 ? 0 : whole > 255 ? 255 : whole);
}

void resample_row(const struct resample *r, const uint8_t *in, uint8_t *out)
{
    for (int x = 0; x < r->out; x++, out += RESAMPLE_PIXEL) {
        const int32_t *w = r->weights + (size_t)x * (size_t)r->taps;
        const uint8_t *p = in + (size_t)r->first[x] * RESAMPLE_PIXEL;
        int32_t sum[RESAMPLE_PIXEL];
        for (int c = 0; c < RESAMPLE_PIXEL; c++) {
            sum[c] = 1 << (DIGITS - 1);
        }
        for (int i = 0; i < r->count[x]; i++, p += RESAMPLE_PIXEL) {
            for (int c = 0; c < RESAMPLE_PIXEL; c++) {
                sum[c] += p[c] * w[i];
            }
        }
        for (int c = 0; c < RESAMPLE_PIXEL; c++) {
            out[c] = to_byte(sum[c]);
        }
    }
}

void resample_columns(const struct resample *r, int width, const uint8_t *in, uint8_t *out,
                      int32_t *sums)
{
    size_t bytes = (size_t)width * RESAMPLE_PIXEL;

    for (int y = 0; y < r->out; y++, out += bytes) {
        const int32_t *w = r->weights + (size_t)y * (size_t)r->taps;
        const uint8_t *p = in + (size_t)r->first[y] * bytes;
        for (size_t b = 0; b < bytes; b++) {
            sums[b] = 1 << (DIGITS - 1);
        }
        for (int i = 0; i < r->count[y]; i++, p += bytes) {
            for (size_t b = 0; b < bytes; b++) {
                sums[b] += p[b] * w[i];
            }
        }
        for (size_t b = 0; b < bytes; b++) {
            out[b] = to_byte(sums[b]);
        }
    }
}

void resample_premultiply(uint8_t *pixels, size_t count)
{
    for (uint8_t *p = pixels; count > 0; count--, p += RESAMPLE_PIXEL) {
        for (int c = 0; c < 3; c++) {
            unsigned product = p[c] * (unsigned)p[3] + 128;
            p[c] = (uint8_t)((product + (product >> 8)) >> 8); /* by 255, rounded */
        }
    }
}

void resample_unpremultiply(uint8_t *pixels, size_t count)
{
    for (uint8_t *p = pixels; count > 0; count--, p += RESAMPLE_PIXEL) {
        if (p[3] == 0 || p[3] == 255) {
            continue;
        }
        for (int c = 0; c < 3; c++) {
            unsigned colour = 255u * p[c] / p[3];
            p[c] = (uint8_t)(colour > 255 ? 255 : colour);
        }
    }
}

int resample_square(const uint8_t *in, int from, uint8_t *out, int to)
{
    struct resample r;
    size_t in_pixels = (size_t)from * (size_t)from;
    size_t out_pixels = (size_t)to * (size_t)to;
    uint8_t *source = malloc(in_pixels * RESAMPLE_PIXEL);
    uint8_t *rows = malloc((size_t)from * (size_t)to * RESAMPLE_PIXEL);
    int32_t *sums = malloc((size_t)to * RESAMPLE_PIXEL * sizeof(*sums));
    int rc = resample_plan(&r, from, to);

    if (rc == 0 && source && rows && sums) {
        memcpy(source, in, in_pixels * RESAMPLE_PIXEL);
        resample_premultiply(source, in_pixels);
        for (int y = 0; y < from; y++) {
            resample_row(&r, source + (size_t)y * (size_t)from * RESAMPLE_PIXEL,
                         rows + (size_t)y * (size_t)to * RESAMPLE_PIXEL);
        }
        resample_columns(&r, to, rows, out, sums);
        resample_unpremultiply(out, out_pixels);
    } else {
        rc = -1;
    }
    resample_done(&r);
    free(source);
    free(rows);
    free(sums);
    return rc;
}
