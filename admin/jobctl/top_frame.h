/* SPDX-License-Identifier: MIT */
/* top_frame: one picture of top, as lines of text of at most so many columns. Pure. */
#ifndef ADMIN_JOBCTL_TOP_FRAME_H
#define ADMIN_JOBCTL_TOP_FRAME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;

struct top_view {
    unsigned columns, lines; /* lines 0: as many as it takes */
    bool colour;
    size_t sort; /* number of an order */
    bool reversed;
    bool paused, help;
    size_t scroll;     /* queues left out at the top */
    const char *every; /* "2s" */
    const char *fault; /* why the picture is old; NULL: it is not */
};

/* What it may be sorted by, "waiting"…; NULL: there is no such order. */
const char *top_order_name(size_t order);
/* The order of a key, -1: none. The order of that name, -1: none. */
int top_order_of_key(char key);
int top_order_of_name(const char *name);
/* Words of all orders, space-separated. */
#define TOP_ORDERS "queue waiting running delayed dead done failed latency oldest"

/* Sorts the rows of the model, and appends the picture, each line with its end. */
void top_frame(struct buf *b, json_t *model, const struct top_view *view);

#endif
