/* SPDX-License-Identifier: MIT */
/* render: see render.h. */
#include "worker/handlers/avatar/render.h"

#include <stdlib.h>
#include <string.h>

#include "worker/handlers/avatar/picture.h"
#include "worker/handlers/avatar/resample.h"
#include "worker/handlers/common/text.h"

#define LOOK_EVERY 16 /* rows */
#define SQUARE_BYTES ((size_t)AVATAR_SIDE * AVATAR_SIDE * RESAMPLE_PIXEL)

const int render_sizes[RENDER_SIZES] = {400, 200, 150, 128, 100, 64, 50, 40, 32, 20};

static enum render_end no_memory(char *why, size_t why_size)
{
    text_format(why, why_size, "out of memory");
    return RENDER_FAILED;
}

/* What is kept while the source's rows come. */
struct pass {
    const struct render_source *source;
    struct resample across;
    struct resample down;
    bool is_copy;  /* the box has the size already: its pixels stay what they are */
    uint8_t *line; /* a row of the box */
    uint8_t *rows; /* the box's rows, AVATAR_SIDE wide */
    int32_t *sums;
};

static int start_pass(struct pass *pass, const struct render_source *source)
{
    int width = source->box.right - source->box.left;
    int height = source->box.bottom - source->box.top;
    size_t row = (size_t)AVATAR_SIDE * RESAMPLE_PIXEL;
    int planned;

    *pass = (struct pass){.source = source};
    pass->is_copy = width == AVATAR_SIDE && height == AVATAR_SIDE;
    planned = resample_plan(&pass->across, width, AVATAR_SIDE);
    planned += resample_plan(&pass->down, height, AVATAR_SIDE);
    pass->line = malloc((size_t)width * RESAMPLE_PIXEL);
    pass->rows = malloc((size_t)height * row);
    pass->sums = malloc(row * sizeof(*pass->sums));
    return planned == 0 && pass->line && pass->rows && pass->sums ? 0 : -1;
}

static void end_pass(struct pass *pass)
{
    resample_done(&pass->across);
    resample_done(&pass->down);
    free(pass->line);
    free(pass->rows);
    free(pass->sums);
}

static void take_row(struct pass *pass, int y)
{
    uint8_t *row = pass->rows + (size_t)y * AVATAR_SIDE * RESAMPLE_PIXEL;

    if (pass->is_copy) {
        memcpy(row, pass->line, (size_t)AVATAR_SIDE * RESAMPLE_PIXEL);
        return;
    }
    resample_premultiply(pass->line, (size_t)pass->across.in);
    resample_row(&pass->across, pass->line, row);
}

/* All rows are read, also those below the box: a truncated file is refused wherever it ends. */
static enum render_end read_rows(struct pass *pass, struct picture *picture, char *why,
                                 size_t why_size)
{
    const struct render_source *source = pass->source;
    const struct box *box = &source->box;

    for (int y = 0; y < (int)source->sniffed.height; y++) {
        bool inside = y >= box->top && y < box->bottom;
        if (y % LOOK_EVERY == 0 && source->should_stop(source->ctx)) {
            return RENDER_STOPPED;
        }
        if (picture_row(picture, box->left, inside ? pass->across.in : 0, pass->line, why,
                        why_size) < 0) {
            return RENDER_BAD;
        }
        if (inside) {
            take_row(pass, y - box->top);
        }
    }
    return RENDER_OK;
}

/* The largest size. square: SQUARE_BYTES. */
static enum render_end make_square(const struct render_source *source, uint8_t *square, char *why,
                                   size_t why_size)
{
    struct picture *picture = NULL;
    struct pass pass;
    enum render_end end;

    if (start_pass(&pass, source) < 0) {
        end = no_memory(why, why_size);
    } else if (picture_open(source->bytes, source->len, &source->sniffed, &picture, why, why_size) <
               0) {
        end = RENDER_BAD;
    } else {
        end = read_rows(&pass, picture, why, why_size);
    }
    if (end == RENDER_OK && pass.is_copy) {
        memcpy(square, pass.rows, SQUARE_BYTES);
    } else if (end == RENDER_OK) {
        resample_columns(&pass.down, AVATAR_SIDE, pass.rows, square, pass.sums);
        resample_unpremultiply(square, (size_t)AVATAR_SIDE * AVATAR_SIDE);
    }
    picture_close(picture);
    end_pass(&pass);
    return end;
}

/* from and to: SQUARE_BYTES each; from holds the largest size. */
static enum render_end make_sizes(uint8_t *from, uint8_t *to, struct rendered *out, char *why,
                                  size_t why_size)
{
    for (int i = 0; i < RENDER_SIZES; i++) {
        if (i > 0) {
            if (resample_square(from, render_sizes[i - 1], to, render_sizes[i]) < 0) {
                return no_memory(why, why_size);
            }
            memcpy(from, to, (size_t)render_sizes[i] * (size_t)render_sizes[i] * RESAMPLE_PIXEL);
        }
        if (picture_encode(from, render_sizes[i], &out->png[i], &out->len[i], why, why_size) < 0) {
            return RENDER_FAILED;
        }
    }
    return RENDER_OK;
}

enum render_end render(const struct render_source *source, struct rendered *out, char *why,
                       size_t why_size)
{
    uint8_t *from = malloc(SQUARE_BYTES);
    uint8_t *to = malloc(SQUARE_BYTES);
    enum render_end end = RENDER_FAILED;

    *out = (struct rendered){0};
    if (picture_start(why, why_size) < 0) {
        end = RENDER_FAILED;
    } else if (from && to) {
        end = make_square(source, from, why, why_size);
    } else {
        end = no_memory(why, why_size);
    }
    if (end == RENDER_BAD && strstr(why, "out of memory")) {
        end = RENDER_FAILED; /* the decoder's words; not the image's fault */
    }
    if (end == RENDER_OK) {
        end = make_sizes(from, to, out, why, why_size);
    }
    free(from);
    free(to);
    return end;
}

void rendered_done(struct rendered *r)
{
    for (int i = 0; i < RENDER_SIZES; i++) {
        picture_free(r->png[i]);
        r->png[i] = NULL;
    }
}
