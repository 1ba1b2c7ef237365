/* SPDX-License-Identifier: MIT */
/*
 * heap: array of pointers, each node knowing its index, so that one in the middle leaves in O(log
 * n).
 */
#include "base/heap.h"

#include <stdbool.h>

#include "base/mem.h"

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void place(struct heap *h, struct heap_node *node, size_t index)
{
    h->nodes[index] = node;
    node->index = index;
}

/* Moves node from the empty place at index towards the root as far as it belongs. */
static size_t sift_up(struct heap *h, const struct heap_node *node, size_t index)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!is_before(node, h->nodes[parent]))
            break;
        place(h, h->nodes[parent], index);
        index = parent;
    }
    return index;
}

static size_t sift_down(struct heap *h, const struct heap_node *node, size_t index)
{
    for (;;) {
        size_t kid = 2 * index + 1;
        if (kid >= h->count)
            break;
        if (kid + 1 < h->count && is_before(h->nodes[kid + 1], h->nodes[kid]))
            kid++;
        if (!is_before(h->nodes[kid], node))
            break;
        place(h, h->nodes[kid], index);
        index = kid;
    }
    return index;
}

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_done(struct heap *h)
{
    mem_free(h->nodes);
    *h = (struct heap){0};
}

int heap_reserve(struct heap *h, size_t count)
{
    if (count <= h->cap)
        return JOBQ_OK;
    size_t cap = MAX(count, MAX(h->cap * 2, (size_t)16));
    struct heap_node **nodes = mem_realloc(h->nodes, cap * sizeof(struct heap_node *));
    if (!nodes)
        return JOBQ_ENOMEM;
    h->nodes = nodes;
    h->cap = cap;
    return JOBQ_OK;
}

void heap_node_init(struct heap_node *node)
{
    *node = (struct heap_node){.index = HEAP_NOWHERE};
}

void heap_push(struct heap *h, struct heap_node *node, int64_t due_ms)
{
    ASSERT(node->index == HEAP_NOWHERE && h->count < h->cap);
    node->due_ms = due_ms;
    node->order = h->pushed++;
    h->count++;
    place(h, node, sift_up(h, node, h->count - 1));
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    size_t hole = node->index;
    if (hole == HEAP_NOWHERE)
        return;
    node->index = HEAP_NOWHERE;
    h->count--;
    struct heap_node *last = h->nodes[h->count];
    if (last == node)
        return;
    size_t index = sift_up(h, last, hole);
    if (index == hole)
        index = sift_down(h, last, hole);
    place(h, last, index);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}
