/* SPDX-License-Identifier: MIT */
/* reference: see reference.h. */
#include "tests/integration/avatar/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

#include "tests/support/support.h"

static void *must_alloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);

    if (!p) {
        fail_test("out of memory");
    }
    return p;
}

static struct pixels make(int width, int height)
{
    struct pixels p = {width, height, must_alloc((size_t)width * (size_t)height * 4)};
    return p;
}

void pixels_free(struct pixels *p)
{
    free(p->rgba);
    p->rgba = NULL;
}

static uint8_t wave(int at, int period, int phase)
{
    return (uint8_t)lrint(127.5 + 127.5 * sin(2 * M_PI * (at + phase) / period));
}

struct pixels pixels_pattern(int width, int height, int with_alpha)
{
    struct pixels p = make(width, height);

    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t *q = p.rgba + ((size_t)y * (size_t)width + (size_t)x) * 4;
            q[0] = wave(x, 97, y / 3);
            q[1] = (x / 37 + y / 41) % 2 ? 230 : 25;
            q[2] = wave(y, 13, x);
            q[3] = 255;
            if (with_alpha &&
                (x - width / 2) * (x - width / 2) + (y - height / 2) * (y - height / 2) >
                    width * height / 5) {
                q[3] = (uint8_t)((x / 20) % 3 == 0 ? 0 : wave(x + y, 151, 0));
            }
        }
    }
    return p;
}

static double kernel(double x)
{
    if (x == 0) {
        return 1;
    }
    return fabs(x) < 3 ? 3 * sin(M_PI * x) * sin(M_PI * x / 3) / (M_PI * M_PI * x * x) : 0;
}

/* Along a line of n values, step apart: the value at place `at` of `out` ones. */
static double along(const double *line, size_t step, int n, int out, int at)
{
    double scale = (double)n / out;
    double wide = fmax(scale, 1);
    double centre = (at + 0.5) * scale - 0.5;
    double sum = 0;
    double weights = 0;

    for (int i = (int)floor(centre - 3 * wide); i <= (int)ceil(centre + 3 * wide); i++) {
        if (i >= 0 && i < n) {
            double w = kernel((i - centre) / wide);
            sum += w * line[(size_t)i * step];
            weights += w;
        }
    }
    return sum / weights;
}

static uint8_t to_byte(double value)
{
    return (uint8_t)lrint(fmin(fmax(value, 0), 255));
}

struct pixels reference_square(const struct pixels *p, struct area area, int side)
{
    size_t w = (size_t)(area.right - area.left);
    size_t h = (size_t)(area.bottom - area.top);
    size_t s = (size_t)side;
    struct pixels out = make(side, side);
    double *in = must_alloc(w * h * 4 * sizeof(*in));
    double *rows = must_alloc(s * h * 4 * sizeof(*rows));

    for (size_t y = 0; y < h; y++) {
        for (size_t x = 0; x < w; x++) {
            const uint8_t *q =
                p->rgba + (((size_t)area.top + y) * (size_t)p->width + (size_t)area.left + x) * 4;
            for (size_t c = 0; c < 4; c++) {
                in[(y * w + x) * 4 + c] = c < 3 ? q[c] * (q[3] / 255.0) : q[c];
            }
        }
    }
    for (size_t y = 0; y < h; y++) {
        for (size_t x = 0; x < s * 4; x++) {
            double v = along(in + y * w * 4 + x % 4, 4, (int)w, side, (int)(x / 4));
            rows[y * s * 4 + x] = fmin(fmax(v, 0), 255);
        }
    }
    for (size_t y = 0; y < s; y++) {
        for (size_t x = 0; x < s; x++) {
            double v[4];
            uint8_t *q = out.rgba + (y * s + x) * 4;
            for (size_t c = 0; c < 4; c++) {
                v[c] = along(rows + x * 4 + c, s * 4, (int)h, side, (int)y);
            }
            q[3] = to_byte(v[3]);
            for (size_t c = 0; c < 3; c++) {
                q[c] = v[3] > 0 ? to_byte(v[c] * 255 / v[3]) : 0;
            }
        }
    }
    free(in);
    free(rows);
    return out;
}

int pixels_difference(const struct pixels *a, const struct pixels *b)
{
    int most = 0;

    if (a->width != b->width || a->height != b->height) {
        return -1;
    }
    for (size_t i = 0; i < (size_t)a->width * (size_t)a->height * 4; i++) {
        const uint8_t *p = a->rgba + i / 4 * 4;
        const uint8_t *q = b->rgba + i / 4 * 4;
        double x = i % 4 == 3 ? p[3] : p[i % 4] * p[3] / 255.0;
        double y = i % 4 == 3 ? q[3] : q[i % 4] * q[3] / 255.0;
        int difference = (int)lrint(fabs(x - y));
        most = difference > most ? difference : most;
    }
    return most;
}

static void start_vips(void)
{
    if (vips_init("test") != 0) {
        fail_test("libvips: %s", vips_error_buffer());
    }
    vips_concurrency_set(1);
}

void *pixels_encode(const struct pixels *p, const char *suffix, size_t *len)
{
    size_t size = (size_t)p->width * (size_t)p->height * 4;
    VipsImage *image;
    void *bytes = NULL;
    void *copy;

    start_vips();
    image = vips_image_new_from_memory(p->rgba, size, p->width, p->height, 4, VIPS_FORMAT_UCHAR);
    if (!image || vips_image_write_to_buffer(image, suffix, &bytes, len, NULL) != 0) {
        fail_test("encode %s: %s", suffix, vips_error_buffer());
    }
    g_object_unref(image);
    copy = must_alloc(*len);
    memcpy(copy, bytes, *len);
    g_free(bytes);
    return copy;
}

struct pixels pixels_decode(const void *bytes, size_t len)
{
    VipsImage *image;
    VipsImage *rgb = NULL;
    VipsImage *rgba = NULL;
    struct pixels p;
    void *data;
    size_t size = 0;

    start_vips();
    image = vips_image_new_from_buffer(bytes, len, "", NULL);
    if (!image || vips_colourspace(image, &rgb, VIPS_INTERPRETATION_sRGB, NULL) != 0) {
        fail_test("decode: %s", vips_error_buffer());
    }
    if (vips_image_hasalpha(rgb)) {
        rgba = g_object_ref(rgb);
    } else if (vips_addalpha(rgb, &rgba, NULL) != 0) {
        fail_test("decode: %s", vips_error_buffer());
    }
    data = vips_image_write_to_memory(rgba, &size);
    p = make(rgba->Xsize, rgba->Ysize);
    if (!data || size != (size_t)p.width * (size_t)p.height * 4) {
        fail_test("decode: %zu bytes of pixels", size);
    }
    memcpy(p.rgba, data, size);
    g_free(data);
    g_object_unref(rgba);
    g_object_unref(rgb);
    g_object_unref(image);
    return p;
}

struct pixels pixels_read(const char *path)
{
    gchar *bytes = NULL;
    gsize len = 0;
    struct pixels p;

    if (!g_file_get_contents(path, &bytes, &len, NULL)) {
        fail_test("%s cannot be read", path);
    }
    p = pixels_decode(bytes, len);
    g_free(bytes);
    return p;
}
