/* SPDX-License-Identifier: MIT */
/* picture: see picture.h. */
#include "worker/handlers/avatar/picture.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

#include "worker/handlers/common/text.h"

#define STRIP 16 /* rows decoded at once */

struct picture {
    VipsImage *image;
    VipsRegion *region;
    bool has_ink; /* CMYK */
    int next;     /* row */
    int strip;    /* where the region's rows begin */
};

/* What libvips has to say about its last failure, in one line. */
static void take_error(char *why, size_t why_size, const char *what)
{
    char text[256];

    text_format(text, sizeof(text), "%s", vips_error_buffer());
    vips_error_clear();
    for (char *c = text; *c; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) {
        text[n - 1] = '\0';
    }
    text_format(why, why_size, "%s: %s", what, text);
}

/* Its warnings would go to stderr among jobd's log lines; failures are returned as well. */
static void drop_message(const char *domain, GLogLevelFlags level, const char *text, void *ctx)
{
    (void)domain;
    (void)level;
    (void)text;
    (void)ctx;
}

int picture_start(char *why, size_t why_size)
{
    static bool started;

    if (started) {
        return 0;
    }
    if (vips_init("jobq") != 0) {
        take_error(why, why_size, "libvips did not start");
        return -1;
    }
    g_log_set_handler("VIPS", G_LOG_LEVEL_MASK, drop_message, NULL);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    vips_operation_block_set("VipsForeignLoadJpegBuffer", FALSE);
    vips_operation_block_set("VipsForeignLoadPngBuffer", FALSE);
    vips_operation_block_set("VipsForeignLoadWebpBuffer", FALSE);
    started = true;
    return 0;
}

/* The strict level: by default libvips fills what is missing of a truncated JPEG with grey. */
static VipsImage *load(const uint8_t *bytes, size_t len, enum sniff_kind kind)
{
    void *data = NULL;
    VipsImage *image = NULL;
    int rc = -1;

    memcpy(&data, &bytes, sizeof(data)); /* libvips only reads it, but says void * */
    switch (kind) {
    case SNIFF_JPEG:
        rc = vips_jpegload_buffer(data, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                  VIPS_FAIL_ON_ERROR, NULL);
        break;
    case SNIFF_PNG:
        rc = vips_pngload_buffer(data, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                 VIPS_FAIL_ON_ERROR, NULL);
        break;
    case SNIFF_WEBP:
        rc = vips_webpload_buffer(data, len, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                  VIPS_FAIL_ON_ERROR, "n", 1, NULL);
        break;
    }
    return rc == 0 ? image : NULL;
}

static int check(const struct picture *p, const struct sniff *sniffed, char *why, size_t why_size)
{
    const VipsImage *image = p->image;

    if ((uint32_t)image->Xsize != sniffed->width || (uint32_t)image->Ysize != sniffed->height) {
        text_format(why, why_size, "the image's header says %ux%u pixels, its content %dx%d",
                    sniffed->width, sniffed->height, image->Xsize, image->Ysize);
        return -1;
    }
    if ((image->BandFmt != VIPS_FORMAT_UCHAR && image->BandFmt != VIPS_FORMAT_USHORT) ||
        image->Bands < 1 || image->Bands > 4 || (p->has_ink && image->Bands != 4)) {
        text_format(why, why_size, "the image's pixels are of a form that is not known here");
        return -1;
    }
    return 0;
}

int picture_open(const uint8_t *bytes, size_t len, const struct sniff *sniffed,
                 struct picture **out, char *why, size_t why_size)
{
    struct picture *p = calloc(1, sizeof(*p));

    if (!p) {
        text_format(why, why_size, "out of memory");
        return -1;
    }
    p->image = load(bytes, len, sniffed->kind);
    if (p->image) {
        p->has_ink = p->image->Type == VIPS_INTERPRETATION_CMYK;
        p->region = vips_region_new(p->image);
    }
    if (!p->region) {
        take_error(why, why_size, "the image cannot be read");
        goto out;
    }
    if (check(p, sniffed, why, why_size) < 0) {
        goto out;
    }
    p->strip = -STRIP;
    *out = p;
    return 0;

out:
    picture_close(p);
    return -1;
}

void picture_close(struct picture *p)
{
    if (!p) {
        return;
    }
    if (p->region) {
        g_object_unref(p->region);
    }
    if (p->image) {
        g_object_unref(p->image);
    }
    free(p);
}

/* The high byte of what may be 16 bits. */
static uint8_t sample(const uint8_t *line, bool wide, size_t at)
{
    uint16_t value;

    if (!wide) {
        return line[at];
    }
    memcpy(&value, line + at * sizeof(value), sizeof(value));
    return (uint8_t)(value >> 8);
}

/* Of ink and black: how much light is left. */
static uint8_t light(uint8_t ink, uint8_t black)
{
    unsigned product = (255u - ink) * (255u - black) + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

static void convert(const struct picture *p, const uint8_t *line, int count, uint8_t *rgba)
{
    bool wide = p->image->BandFmt == VIPS_FORMAT_USHORT;
    size_t bands = (size_t)p->image->Bands;

    for (size_t i = 0; i < (size_t)count; i++, rgba += 4) {
        uint8_t s[4] = {0};
        for (size_t b = 0; b < bands; b++) {
            s[b] = sample(line, wide, i * bands + b);
        }
        rgba[3] = 255;
        if (p->has_ink) {
            for (size_t b = 0; b < 3; b++) {
                rgba[b] = light(s[b], s[3]);
            }
        } else if (bands <= 2) {
            rgba[0] = rgba[1] = rgba[2] = s[0];
            rgba[3] = bands == 2 ? s[1] : 255;
        } else {
            memcpy(rgba, s, 3);
            rgba[3] = bands == 4 ? s[3] : 255;
        }
    }
}

/* Of a pixel of the next row, which is in the region. */
static const uint8_t *address(const struct picture *p, int left)
{
    const VipsRegion *r = p->region;
    size_t pixel = (size_t)p->image->Bands * (p->image->BandFmt == VIPS_FORMAT_USHORT ? 2 : 1);

    return r->data + (size_t)(p->next - r->valid.top) * (size_t)r->bpl +
           (size_t)(left - r->valid.left) * pixel;
}

int picture_row(struct picture *p, int left, int count, uint8_t *rgba, char *why, size_t why_size)
{
    if (p->next >= p->strip + STRIP) {
        int rows = p->image->Ysize - p->next;
        VipsRect rect = {0, p->next, p->image->Xsize, rows < STRIP ? rows : STRIP};
        if (vips_region_prepare(p->region, &rect) != 0) {
            take_error(why, why_size, "the image is damaged");
            return -1;
        }
        p->strip = p->next;
    }
    if (count > 0) {
        convert(p, address(p, left), count, rgba);
    }
    p->next++;
    return 0;
}

int picture_encode(const uint8_t *rgba, int side, uint8_t **png, size_t *len, char *why,
                   size_t why_size)
{
    size_t size = (size_t)side * (size_t)side * 4;
    VipsImage *image;
    void *out = NULL;
    int rc;

    image = vips_image_new_from_memory(rgba, size, side, side, 4, VIPS_FORMAT_UCHAR);
    if (!image) {
        take_error(why, why_size, "the avatar cannot be encoded");
        return -1;
    }
    rc = vips_pngsave_buffer(image, &out, len, "filter", VIPS_FOREIGN_PNG_FILTER_ALL, "strip", TRUE,
                             NULL);
    g_object_unref(image);
    if (rc != 0) {
        take_error(why, why_size, "the avatar cannot be encoded");
        return -1;
    }
    *png = out;
    return 0;
}

void picture_free(uint8_t *png)
{
    g_free(png);
}
