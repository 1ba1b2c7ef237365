/* SPDX-License-Identifier: MIT */
/*
 * raw_avatar: how fast libvips alone makes avatars: decodes, crops, reduces step by step to the ten
 * sizes, encodes each as PNG with the settings that ours are encoded with, and forgets them.
 *
 * raw_avatar DIRECTORY < LINES
 * A line: a file below DIRECTORY and the side of the square that is cut from its upper left corner.
 * Prints "COUNT SECONDS".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vips/vips.h>

static const int sizes[] = {400, 200, 150, 128, 100, 64, 50, 40, 32, 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each step gives a new image in place of the one before it. */
static int replace(VipsImage **image, VipsImage *by, int rc)
{
    g_object_unref(*image);
    *image = rc == 0 ? by : NULL;
    return rc;
}

static int crop(VipsImage **image, int side)
{
    VipsImage *out = NULL;
    int rc = vips_crop(*image, &out, 0, 0, side, side, NULL);
    return replace(image, out, rc);
}

/* Red, green, blue and alpha, of 8 bits each, whatever it was. */
static int make_rgba(VipsImage **image)
{
    VipsImage *out = NULL;
    int rc = vips_colourspace(*image, &out, VIPS_INTERPRETATION_sRGB, NULL);
    if (replace(image, out, rc) != 0 || vips_image_hasalpha(*image))
        return rc;
    rc = vips_addalpha(*image, &out, NULL);
    return replace(image, out, rc);
}

static int resize(VipsImage **image, int side)
{
    VipsImage *out = NULL;
    double scale = (double)side / (*image)->Xsize;
    int rc = vips_premultiply(*image, &out, NULL);
    if (replace(image, out, rc) != 0)
        return rc;
    rc = vips_resize(*image, &out, scale, "kernel", VIPS_KERNEL_LANCZOS3, NULL);
    if (replace(image, out, rc) != 0)
        return rc;
    rc = vips_unpremultiply(*image, &out, NULL);
    if (replace(image, out, rc) != 0)
        return rc;
    rc = vips_cast(*image, &out, VIPS_FORMAT_UCHAR, NULL);
    if (replace(image, out, rc) != 0)
        return rc;
    out = vips_image_copy_memory(*image); /* computed now, once for all that follows */
    return replace(image, out, out != NULL ? 0 : -1);
}

static int encode(VipsImage *image)
{
    void *png = NULL;
    size_t len;
    int rc = vips_pngsave_buffer(image, &png, &len, "filter", VIPS_FOREIGN_PNG_FILTER_ALL, "strip",
                                 TRUE, NULL);
    g_free(png);
    return rc;
}

static int make_avatar(const char *path, int side)
{
    VipsImage *image = vips_image_new_from_file(path, "access", VIPS_ACCESS_SEQUENTIAL, NULL);
    int rc = image != NULL ? crop(&image, side) : -1;
    if (rc == 0)
        rc = make_rgba(&image);
    for (size_t i = 0; rc == 0 && i < SIZES; i++) {
        rc = resize(&image, sizes[i]);
        if (rc == 0)
            rc = encode(image);
    }
    if (image != NULL)
        g_object_unref(image);
    return rc;
}

int main(int argc, char **argv)
{
    char line[512], name[480], path[1024];
    long count = 0;
    int side;
    if (argc != 2) {
        fprintf(stderr, "usage: raw_avatar DIRECTORY < LINES\n");
        return 2;
    }
    if (VIPS_INIT(argv[0]) != 0)
        return 1;
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    double begin = seconds_now();
    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "%479s %d", name, &side) != 2)
            return 2;
        snprintf(path, sizeof(path), "%s/%s", argv[1], name);
        if (make_avatar(path, side) != 0) {
            fprintf(stderr, "raw_avatar: %s: %s\n", path, vips_error_buffer());
            return 1;
        }
        count++;
    }
    printf("%ld %.6f\n", count, seconds_now() - begin);
    vips_shutdown();
    return count > 0 ? 0 : 2;
}
