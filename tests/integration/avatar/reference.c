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

/* For one place on a line: which values count, and how much. */
struct place {
    int first;
    int end;
    double weights[];
};

/* For each of `out` places on a line of n values. */
static struct place **weigh(int n, int out)
{
    struct place **places = must_alloc((size_t)out * sizeof(struct place *));
    double scale = (double)n / out;
    double wide = fmax(scale, 1);

    for (int at = 0; at < out; at++) {
        double centre = (at + 0.5) * scale - 0.5;
        int first = (int)fmax(ceil(centre - 3 * wide), 0);
        int end = (int)fmin(floor(centre + 3 * wide), n - 1) + 1;
        struct place *p = must_alloc(sizeof(*p) + (size_t)(end - first) * sizeof(double));
        double sum = 0;
        p->first = first;
        p->end = end;
        for (int i = first; i < end; i++) {
            p->weights[i - first] = kernel((i - centre) / wide);
            sum += p->weights[i - first];
        }
        for (int i = first; i < end; i++) {
            p->weights[i - first] /= sum;
        }
        places[at] = p;
    }
    return places;
}

static void free_places(struct place **places, int out)
{
    for (int at = 0; at < out; at++) {
        free(places[at]);
    }
    free(places);
}

/* The value at one place; values lie step apart. */
static double along(const double *values, size_t step, const struct place *p)
{
    double sum = 0;

    for (int i = p->first; i < p->end; i++) {
        sum += p->weights[i - p->first] * values[(size_t)i * step];
    }
    return sum;
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
    struct place **across = weigh((int)w, side);
    struct place **down = weigh((int)h, side);

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
            double v = along(in + y * w * 4 + x % 4, 4, across[x / 4]);
            rows[y * s * 4 + x] = fmin(fmax(v, 0), 255);
        }
    }
    for (size_t y = 0; y < s; y++) {
        for (size_t x = 0; x < s; x++) {
            double v[4];
            uint8_t *q = out.rgba + (y * s + x) * 4;
            for (size_t c = 0; c < 4; c++) {
                v[c] = along(rows + x * 4 + c, s * 4, down[y]);
            }
            q[3] = to_byte(v[3]);
            for (size_t c = 0; c < 3; c++) {
                double colour = fmin(fmax(v[c], 0), 255);
                q[c] = v[3] > 0 ? to_byte(colour * 255 / fmin(v[3], 255)) : 0;
            }
        }
    }
    free(in);
    free(rows);
    free_places(across, side);
    free_places(down, side);
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

static void *own_copy(void *bytes, size_t len)
{
    void *copy = must_alloc(len);

    memcpy(copy, bytes, len);
    g_free(bytes);
    return copy;
}

void *pixels_encode(const struct pixels *p, const char *suffix, size_t *len)
{
    size_t size = (size_t)p->width * (size_t)p->height * 4;
    VipsImage *image;
    void *bytes = NULL;

    start_vips();
    image = vips_image_new_from_memory(p->rgba, size, p->width, p->height, 4, VIPS_FORMAT_UCHAR);
    if (!image || vips_image_write_to_buffer(image, suffix, &bytes, len, NULL) != 0) {
        fail_test("encode %s: %s", suffix, vips_error_buffer());
    }
    g_object_unref(image);
    return own_copy(bytes, *len);
}

void *pixels_encode_tagged(const struct pixels *p, const char *suffix, size_t *len)
{
    /* II*, one entry: Orientation = 6; then a text */
    static const char exif[] = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
                               "\0\0\0\0";
    static const char text[] = "<x>SECRET-PLACE</x>";
    size_t size = (size_t)p->width * (size_t)p->height * 4;
    VipsImage *image;
    VipsImage *copy = NULL;
    void *bytes = NULL;

    start_vips();
    image = vips_image_new_from_memory(p->rgba, size, p->width, p->height, 4, VIPS_FORMAT_UCHAR);
    if (!image || vips_copy(image, &copy, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0) {
        fail_test("copy: %s", vips_error_buffer());
    }
    vips_image_set_blob_copy(copy, VIPS_META_EXIF_NAME, exif, sizeof(exif) - 1);
    vips_image_set_int(copy, VIPS_META_ORIENTATION, 6);
    vips_image_set_blob_copy(copy, VIPS_META_XMP_NAME, text, sizeof(text) - 1);
    vips_image_set_string(copy, "png-comment-0-Comment", "SECRET-PLACE");
    if (vips_image_write_to_buffer(copy, suffix, &bytes, len, NULL) != 0) {
        fail_test("encode %s: %s", suffix, vips_error_buffer());
    }
    g_object_unref(copy);
    g_object_unref(image);
    return own_copy(bytes, *len);
}

bool pixels_are_tagged(const void *bytes, size_t len)
{
    VipsImage *image;
    const void *text = NULL;
    size_t size = 0;
    bool tagged;

    start_vips();
    image = vips_image_new_from_buffer(bytes, len, "", NULL);
    if (!image) {
        fail_test("decode: %s", vips_error_buffer());
    }
    tagged = vips_image_get_typeof(image, VIPS_META_EXIF_NAME) != 0 ||
             vips_image_get_typeof(image, VIPS_META_ICC_NAME) != 0 ||
             (vips_image_get_typeof(image, VIPS_META_XMP_NAME) != 0 &&
              vips_image_get_blob(image, VIPS_META_XMP_NAME, &text, &size) == 0);
    g_object_unref(image);
    return tagged;
}

/* ---- forms ---- */

enum { DEEP, DEEP_ALPHA, GREY, GREY_ALPHA, GREY_DEEP, TWO_COLOURS, CMYK, ANIMATED };

struct form {
    const char *suffix;
    int bands;
    VipsBandFormat format;
    VipsInterpretation interpretation;
};

static const struct form of_form[PIXELS_FORMS] = {
    [DEEP] = {".png", 3, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_RGB16},
    [DEEP_ALPHA] = {".png", 4, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_RGB16},
    [GREY] = {".jpg[Q=95]", 1, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W},
    [GREY_ALPHA] = {".png", 2, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W},
    [GREY_DEEP] = {".png", 1, VIPS_FORMAT_USHORT, VIPS_INTERPRETATION_GREY16},
    [TWO_COLOURS] = {".png[bitdepth=1]", 1, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W},
    [CMYK] = {".jpg[Q=100,subsample-mode=off]", 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_CMYK},
    [ANIMATED] = {".webp[lossless=true]", 4, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_sRGB},
};

/* The sample that a pixel of the pattern has in this form, of 8 bits. */
static uint8_t sample_of(const uint8_t *rgba, int form, int band)
{
    switch (form) {
    case TWO_COLOURS:
        return rgba[1] > 127 ? 255 : 0;
    case GREY_ALPHA:
        return band == 0 ? rgba[1] : rgba[3];
    case GREY:
    case GREY_DEEP:
        return rgba[1];
    case CMYK:
        return band < 3 ? rgba[band] : (uint8_t)(rgba[0] / 3);
    default:
        return rgba[band];
    }
}

/* What is seen of it: the same as red, green, blue, alpha. */
static void see(uint8_t *rgba, int form)
{
    uint8_t seen[4] = {0, 0, 0, 255};

    for (int c = 0; c < 3; c++) {
        if (form == CMYK) {
            double black = sample_of(rgba, form, 3) / 255.0;
            seen[c] = to_byte((255 - sample_of(rgba, form, c)) * (1 - black));
        } else {
            seen[c] = sample_of(rgba, form, of_form[form].bands >= 3 ? c : 0);
        }
    }
    if (form == GREY_ALPHA || form == DEEP_ALPHA || form == ANIMATED) {
        seen[3] = rgba[3];
    }
    memcpy(rgba, seen, 4);
}

static VipsImage *image_of_form(const struct pixels *p, int form)
{
    const struct form *f = &of_form[form];
    size_t bands = (size_t)f->bands;
    size_t count = (size_t)p->width * (size_t)p->height;
    size_t each = f->format == VIPS_FORMAT_USHORT ? 2 : 1;
    uint8_t *samples = must_alloc(count * bands * each);
    VipsImage *image;
    VipsImage *copy = NULL;

    for (size_t i = 0; i < count * bands; i++) {
        uint8_t value = sample_of(p->rgba + i / bands * 4, form, (int)(i % bands));
        uint16_t wide = (uint16_t)(value * 256u + 17); /* the low byte is dropped */
        memcpy(samples + i * each, each == 2 ? (const void *)&wide : &value, each);
    }
    image = vips_image_new_from_memory_copy(samples, count * bands * each, p->width, p->height,
                                            f->bands, f->format);
    if (!image || vips_copy(image, &copy, "interpretation", f->interpretation, NULL) != 0) {
        fail_test("form %d: %s", form, vips_error_buffer());
    }
    g_object_unref(image);
    free(samples);
    return copy;
}

/* The image above its negative, as two frames. */
static VipsImage *animate(VipsImage *first)
{
    VipsImage *second = NULL;
    VipsImage *both = NULL;

    if (vips_invert(first, &second, NULL) != 0 ||
        vips_join(first, second, &both, VIPS_DIRECTION_VERTICAL, NULL) != 0) {
        fail_test("animate: %s", vips_error_buffer());
    }
    vips_image_set_int(both, VIPS_META_PAGE_HEIGHT, first->Ysize);
    g_object_unref(second);
    g_object_unref(first);
    return both;
}

void *pixels_encode_form(int width, int height, int form, size_t *len, struct pixels *expected)
{
    void *bytes = NULL;
    VipsImage *image;

    start_vips();
    *expected = pixels_pattern(width, height, 1);
    image = image_of_form(expected, form);
    if (form == ANIMATED) {
        image = animate(image);
    }
    if (vips_image_write_to_buffer(image, of_form[form].suffix, &bytes, len, NULL) != 0) {
        fail_test("form %d: %s", form, vips_error_buffer());
    }
    for (size_t i = 0; i < (size_t)width * (size_t)height; i++) {
        see(expected->rgba + i * 4, form);
    }
    if (form == GREY) { /* what the encoder lost is lost */
        pixels_free(expected);
        *expected = pixels_decode(bytes, *len);
    }
    g_object_unref(image);
    return own_copy(bytes, *len);
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
