/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/mem.h"

Test(mem, gives_unique_pointers_for_no_bytes)
{
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0, 8);
    cr_assert(a && b && a != b);
    a = mem_realloc(a, 0);
    cr_assert_not_null(a);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
}

Test(mem, zeroes_and_refuses_what_overflows)
{
    unsigned char *p = mem_zalloc(10, 10);
    cr_assert_not_null(p);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(p[i], 0);
    mem_wipe_free(p, 100);
    mem_wipe_free(NULL, 100);
    volatile size_t half = SIZE_MAX / 2;
    cr_assert_null(mem_zalloc(half, 3));
    cr_assert_null(mem_strndup("x", SIZE_MAX));
}

Test(mem, copies_text_and_closes_it)
{
    char *whole = mem_strdup("hello");
    char *part = mem_strndup("hello", 3);
    char *none = mem_strndup(NULL, 0);
    cr_assert_str_eq(whole, "hello");
    cr_assert_str_eq(part, "hel");
    cr_assert_str_eq(none, "");
    mem_free(whole);
    mem_free(part);
    mem_free(none);
}

Test(mem, keeps_the_block_when_growing_fails)
{
    char *p = mem_strdup("kept");
    mem_fail_at(1, 0);
    cr_assert_null(mem_realloc(p, 1000));
    cr_assert_str_eq(p, "kept");
    p = mem_realloc(p, 1000);
    cr_assert_str_eq(p, "kept");
    mem_free(p);
}

/* Bit i set: the i-th of five allocations failed. */
static unsigned failures_of_five(void)
{
    unsigned failures = 0;
    for (unsigned i = 0; i < 5; i++) {
        void *p = i % 2 ? mem_alloc(1) : mem_zalloc(1, 1);
        if (!p)
            failures |= 1u << i;
        mem_free(p);
    }
    return failures;
}

Test(mem, refuses_exactly_the_nth_time)
{
    mem_fail_at(3, 0);
    cr_assert_eq(failures_of_five(), 1u << 2);
    cr_assert_eq(mem_count(), 5);
    mem_fail_at(3, 1);
    cr_assert_eq(failures_of_five(), 1u << 2 | 1u << 3 | 1u << 4);
    mem_fail_at(0, 1);
    cr_assert_eq(failures_of_five(), 0u);
    cr_assert_eq(mem_count(), 5);
}
