/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/heap.h"
#include "base/mem.h"
#include "tests/unit/base/prng.h"

#define NODES 300

Test(heap, gives_the_earliest_and_equal_ones_in_order)
{
    static const int64_t due[] = {5, 3, 5, 1, 3, 5, INT64_MIN, INT64_MAX};
    static const size_t expected[] = {6, 3, 1, 4, 0, 2, 5, 7};
    struct heap h;
    struct heap_node nodes[ARRAY_LEN(due)];
    heap_init(&h);
    cr_assert_null(heap_first(&h));
    cr_assert_eq(heap_reserve(&h, ARRAY_LEN(due)), JOBQ_OK);
    for (size_t i = 0; i < ARRAY_LEN(due); i++) {
        heap_node_init(&nodes[i]);
        heap_push(&h, &nodes[i], due[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(due); i++) {
        struct heap_node *first = heap_first(&h);
        cr_assert_eq(first, &nodes[expected[i]], "place %zu", i);
        heap_remove(&h, first);
        heap_remove(&h, first);
    }
    cr_assert_null(heap_first(&h));
    heap_done(&h);
}

static void check_shape(const struct heap *h)
{
    for (size_t i = 0; i < h->count; i++) {
        cr_assert_eq(h->nodes[i]->index, i);
        if (i > 0)
            cr_assert_leq(h->nodes[(i - 1) / 2]->due_ms, h->nodes[i]->due_ms);
    }
}

Test(heap, stays_one_under_any_operations)
{
    static struct heap_node nodes[NODES];
    uint64_t seed = 5;
    size_t count = 0;
    struct heap h;
    heap_init(&h);
    cr_assert_eq(heap_reserve(&h, NODES), JOBQ_OK);
    for (size_t i = 0; i < NODES; i++)
        heap_node_init(&nodes[i]);
    for (int step = 0; step < 50000; step++) {
        struct heap_node *node = &nodes[prng(&seed) % NODES];
        if (node->index == HEAP_NOWHERE) {
            heap_push(&h, node, (int64_t)(prng(&seed) % 100));
            count++;
        } else {
            heap_remove(&h, node);
            cr_assert_eq(node->index, HEAP_NOWHERE);
            count--;
        }
        cr_assert_eq(h.count, count);
        if (step % 10 == 0)
            check_shape(&h);
    }
    heap_done(&h);
}

Test(heap, is_unchanged_when_room_is_refused)
{
    struct heap h;
    struct heap_node node;
    heap_init(&h);
    heap_node_init(&node);
    mem_fail_at(1, 0);
    cr_assert_eq(heap_reserve(&h, 1), JOBQ_ENOMEM);
    cr_assert_eq(heap_reserve(&h, 1), JOBQ_OK);
    heap_push(&h, &node, 7);
    mem_fail_at(1, 0);
    cr_assert_eq(heap_reserve(&h, 1000), JOBQ_ENOMEM);
    mem_fail_at(0, 0);
    cr_assert_eq(heap_first(&h), &node);
    heap_done(&h);
}
