/* SPDX-License-Identifier: MIT */
/* Crops: the forum's arithmetic, its rounding, its refusals. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "worker/handlers/avatar/crop.h"

static const struct {
    struct crop crop;
    int width, height;
    struct box box;
} good[] = {
    {{0, 0, 1}, 400, 400, {0, 0, 400, 400}},
    {{-120, -60, 0.75}, 900, 700, {160, 80, 693, 613}},
    {{0, 0, 0.5}, 800, 800, {0, 0, 800, 800}},
    {{-200, 0, 0.5}, 1200, 800, {400, 0, 1200, 800}},
    /* halves go to the even neighbour: 0.5 to 0, 1.5 to 2, 400.5 to 400, 401.5 to 402 */
    {{-0.5, -1.5, 1}, 700, 700, {0, 2, 400, 402}},
    {{-2.5, -3.5, 1}, 700, 700, {2, 4, 402, 404}},
    /* 0.571428 * 700 is 399.9996: what a browser sends for all of it */
    {{0, 0, 0.571428}, 700, 700, {0, 0, 700, 700}},
    {{-1.0, 0, 0.57285}, 700, 700, {2, 0, 700, 698}},
    /* a source of just the right size is taken as it is */
    {{0, 0, 0.99999}, 400, 400, {0, 0, 400, 400}},
    {{0, 0, 0.0244140625}, 16384, 16384, {0, 0, 16384, 16384}},
    {{-15984, -15984, 1}, 16384, 16384, {15984, 15984, 16384, 16384}},
};

Test(crop, gives_the_box_that_the_forum_cuts)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct box b = {-1, -1, -1, -1};
        char why[256] = "";
        cr_assert_eq(crop_box(&good[i].crop, good[i].width, good[i].height, &b, why, sizeof(why)),
                     0, "%zu: %s", i, why);
        cr_assert_eq(memcmp(&b, &good[i].box, sizeof(b)), 0, "%zu: %d,%d,%d,%d", i, b.left, b.top,
                     b.right, b.bottom);
    }
}

static const struct {
    struct crop crop;
    int width, height;
    const char *why;
} bad[] = {
    {{0, 0, 0}, 700, 700, "crop.zoom: must be above 0"},
    {{0, 0, -1}, 700, 700, "crop.zoom: must be above 0"},
    {{0, 0, 1.001}, 700, 700, "crop.zoom: must be above 0 and at most 1"},
    {{0, 0, NAN}, 700, 700, "crop.zoom: "},
    {{1, 0, 1}, 700, 700, "crop.x: must be 0 or negative"},
    {{0, 0.5, 1}, 700, 700, "crop.y: must be 0 or negative"},
    {{NAN, 0, 1}, 700, 700, "crop.x: "},
    {{-INFINITY, 0, 1}, 700, 700, "crop.x: "},
    {{0, 0, 1}, 399, 700, "the source is 399x700 pixels, at least 400x400"},
    {{0, 0, 1}, 700, 399, "the source is 700x399 pixels"},
    {{0, 0, 0.57}, 700, 700, "crop.zoom: 0.57 is too small for a source of 700x700"},
    {{0, 0, 0.5}, 1600, 799, "crop.zoom: 0.5 is too small"},
    {{-301, 0, 1}, 700, 700, "crop.x: -301 leaves the source"},
    {{0, -150.1, 0.75}, 900, 733, "crop.y: -150.1 leaves the source"},
    {{-1, 0, 1}, 400, 400, "crop.x: -1 leaves the source"},
};

Test(crop, is_refused_by_the_name_of_its_field)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct box b;
        char why[256] = "";
        cr_assert_eq(crop_box(&bad[i].crop, bad[i].width, bad[i].height, &b, why, sizeof(why)), -1,
                     "%zu", i);
        cr_assert_eq(strncmp(why, bad[i].why, strlen(bad[i].why)), 0, "%zu: %s", i, why);
    }
}

Test(crop, is_written_as_the_forum_does)
{
    static const struct {
        struct crop crop;
        const char *text;
    } cases[] = {
        {{-120, -60, 0.75}, "{\"x\":-120.0,\"y\":-60.0,\"zoom\":0.75}"},
        {{-0.0, 0, 1}, "{\"x\":0.0,\"y\":0.0,\"zoom\":1.0}"},
        {{-0.1, -1e-7, 1.0 / 3}, "{\"x\":-0.1,\"y\":-1e-07,\"zoom\":0.3333333333333333}"},
        {{-15984, -400, 0.5714285714285714},
         "{\"x\":-15984.0,\"y\":-400.0,\"zoom\":0.5714285714285714}"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[128];
        crop_format(&cases[i].crop, text, sizeof(text));
        cr_assert_str_eq(text, cases[i].text);
    }
}
