/* SPDX-License-Identifier: MIT */
/* crop: see crop.h. */
#include "worker/handlers/avatar/crop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/text.h"

/* Pixels of the zoomed source. Browsers send a zoom of few digits, by which 700 pixels may become
   399.998: the forum takes that. Too little to reach past the source's edge once rounded. */
#define SLACK 0.005

int crop_check(const struct crop *crop, char *why, size_t why_size)
{
    if (!(crop->zoom > 0 && crop->zoom <= 1)) {
        text_format(why, why_size, "crop.zoom: must be above 0 and at most 1");
        return -1;
    }
    if (!(crop->x <= 0)) {
        text_format(why, why_size, "crop.x: must be 0 or negative");
        return -1;
    }
    if (!(crop->y <= 0)) {
        text_format(why, why_size, "crop.y: must be 0 or negative");
        return -1;
    }
    return 0;
}

static int check_offset(const char *field, double offset, double zoomed, char *why, size_t why_size)
{
    if (AVATAR_SIDE - offset <= zoomed + SLACK) {
        return 0;
    }
    text_format(why, why_size, "%s: %g leaves the source, which is %g pixels there when zoomed",
                field, offset, zoomed);
    return -1;
}

/* Rounds halves to even, as the forum does (the default rounding mode of C). */
static int to_pixel(double at, int most)
{
    return (int)fmin(nearbyint(at), most);
}

int crop_box(const struct crop *crop, int width, int height, struct box *out, char *why,
             size_t why_size)
{
    if (crop_check(crop, why, why_size) < 0) {
        return -1;
    }
    if (width < AVATAR_SIDE || height < AVATAR_SIDE) {
        text_format(why, why_size, "the source is %dx%d pixels, at least %dx%d are needed", width,
                    height, AVATAR_SIDE, AVATAR_SIDE);
        return -1;
    }
    if (fmin(width, height) * crop->zoom + SLACK < AVATAR_SIDE) {
        text_format(why, why_size, "crop.zoom: %g is too small for a source of %dx%d pixels",
                    crop->zoom, width, height);
        return -1;
    }
    if (check_offset("crop.x", crop->x, width * crop->zoom, why, why_size) < 0 ||
        check_offset("crop.y", crop->y, height * crop->zoom, why, why_size) < 0) {
        return -1;
    }
    if (width == AVATAR_SIDE && height == AVATAR_SIDE) {
        *out = (struct box){0, 0, width, height};
        return 0;
    }
    *out = (struct box){
        .left = to_pixel(-crop->x / crop->zoom, width - 1),
        .top = to_pixel(-crop->y / crop->zoom, height - 1),
        .right = to_pixel((AVATAR_SIDE - crop->x) / crop->zoom, width),
        .bottom = to_pixel((AVATAR_SIDE - crop->y) / crop->zoom, height),
    };
    return 0;
}

/* The shortest digits that read back as the same number, always with a point. */
static void format_number(double number, char *out, size_t size)
{
    number += 0.0; /* no -0.0 */
    for (int digits = 1; digits <= 17; digits++) {
        text_format(out, size, "%.*g", digits, number);
        if (strtod(out, NULL) == number) {
            break;
        }
    }
    /* "%.1g" writes 400 as 4e+02 */
    if (strchr(out, 'e') && fabs(number) >= 1 && fabs(number) < 1e15) {
        text_format(out, size, "%.1f", number);
    } else if (!strpbrk(out, ".e")) {
        size_t len = strlen(out);
        text_format(out + len, size - len, ".0");
    }
}

void crop_format(const struct crop *crop, char *out, size_t size)
{
    char x[40];
    char y[40];
    char zoom[40];

    format_number(crop->x, x, sizeof(x));
    format_number(crop->y, y, sizeof(y));
    format_number(crop->zoom, zoom, sizeof(zoom));
    text_format(out, size, "{\"x\":%s,\"y\":%s,\"zoom\":%s}", x, y, zoom);
}
