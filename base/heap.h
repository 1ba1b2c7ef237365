/* SPDX-License-Identifier: MIT */
/*
 * heap: a binary heap of due times, earliest first, equal ones in the order they were pushed.
 *
 * Nodes are embedded in what they time. Room is reserved beforehand, so that pushing cannot fail.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

#define HEAP_NOWHERE SIZE_MAX

struct heap_node {
    int64_t due_ms;
    uint64_t order; /* breaks ties */
    size_t index;   /* HEAP_NOWHERE: not in the heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
    uint64_t pushed;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h); /* not the nodes */
/* Room for count nodes in all. JOBQ_OK or JOBQ_ENOMEM. */
MUST_CHECK int heap_reserve(struct heap *h, size_t count);
void heap_node_init(struct heap_node *node);
/* node is not in the heap, and room was reserved for it. */
void heap_push(struct heap *h, struct heap_node *node, int64_t due_ms);
/* Harmless on a node that is not in the heap. */
void heap_remove(struct heap *h, struct heap_node *node);
/* The earliest, left in place; NULL when empty. */
struct heap_node *heap_first(const struct heap *h);

#endif
