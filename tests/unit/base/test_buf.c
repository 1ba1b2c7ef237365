/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/base/prng.h"

Test(buf, starts_without_memory)
{
    struct buf b;
    buf_init(&b, 100);
    cr_assert_null(b.data);
    cr_assert_eq(b.len, 0u);
    cr_assert_null(buf_steal(&b, NULL));
    buf_consume(&b, 0);
    buf_clear(&b);
    buf_append(&b, NULL, 0);
    cr_assert_str_eq(b.data, "");
    buf_done(&b);
    cr_assert_null(b.data);
}

Test(buf, appends_everything_in_order)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_append(&b, "ab", 2);
    buf_append_str(&b, "cd");
    buf_append_char(&b, 'e');
    buf_appendf(&b, "%d-%s", 42, "x");
    buf_append_u8(&b, 0xFE);
    buf_append_le16(&b, 0x1122);
    buf_append_le32(&b, 0x33445566);
    buf_append_le64(&b, UINT64_C(0x778899AABBCCDDEE));
    cr_assert_not(b.failed);
    cr_assert_eq(b.len, 9 + 15u);
    cr_assert_eq(
        memcmp(b.data, "abcde42-x\xFE\x22\x11\x66\x55\x44\x33\xEE\xDD\xCC\xBB\xAA\x99\x88\x77", 24),
        0);
    cr_assert_eq(load_le16(b.data + 10), 0x1122);
    cr_assert_eq(load_le32(b.data + 12), 0x33445566u);
    cr_assert_eq(load_le64(b.data + 16), UINT64_C(0x778899AABBCCDDEE));
    buf_done(&b);
}

Test(buf, refuses_to_grow_past_its_ceiling)
{
    struct buf b;
    buf_init(&b, 10);
    buf_append_str(&b, "0123456789");
    cr_assert_not(b.failed);
    buf_append(&b, "", 0);
    cr_assert_not(b.failed, "nothing fits into nothing");
    buf_append_char(&b, 'x');
    cr_assert(b.failed);
    cr_assert_str_eq(b.data, "0123456789");
    buf_done(&b);
}

Test(buf, stays_failed_until_cleared)
{
    struct buf b;
    buf_init(&b, 10);
    buf_append_str(&b, "abc");
    buf_append_str(&b, "too long for it");
    cr_assert(b.failed);
    buf_append_char(&b, 'd');
    buf_appendf(&b, "%d", 1);
    cr_assert_null(buf_reserve(&b, 1));
    cr_assert_null(buf_steal(&b, NULL));
    cr_assert_str_eq(b.data, "abc");
    buf_clear(&b);
    buf_append_char(&b, 'd');
    cr_assert_not(b.failed);
    cr_assert_str_eq(b.data, "d");
    buf_done(&b);
    cr_assert_eq(b.max, 10u);
    buf_append_str(&b, "again");
    cr_assert_str_eq(b.data, "again");
    buf_done(&b);
}

Test(buf, prints_at_every_distance_from_its_end)
{
    for (size_t max = 0; max < 200; max++) {
        struct buf b;
        buf_init(&b, max);
        buf_append_str(&b, max > 0 ? "x" : "");
        size_t before = b.len;
        buf_appendf(&b, "%0100d", 7);
        cr_assert_eq(b.failed, before + 100 > max, "max %zu", max);
        cr_assert_eq(b.len, b.failed ? before : before + 100);
        cr_assert_eq(strlen(b.data), b.len);
        buf_done(&b);
    }
}

Test(buf, prints_into_the_room_left)
{
    for (size_t fill = 1; fill < 130; fill++) {
        struct buf b;
        char expected[200];
        buf_init(&b, 1000);
        for (size_t i = 0; i < fill; i++)
            buf_append_char(&b, 'a');
        buf_appendf(&b, "<%s>", "0123456789");
        memset(expected, 'a', fill);
        memcpy(expected + fill, "<0123456789>", 13);
        cr_assert_str_eq(b.data, expected);
        buf_done(&b);
    }
}

Test(buf, reserves_without_counting)
{
    struct buf b;
    buf_init(&b, 100);
    char *room = buf_reserve(&b, 100);
    cr_assert_not_null(room);
    cr_assert_eq(b.len, 0u);
    memset(room, 'z', 100);
    b.len += 60;
    cr_assert_not_null(buf_reserve(&b, 40));
    cr_assert_null(buf_reserve(&b, 41));
    cr_assert(b.failed);
    buf_done(&b);
    buf_init(&b, SIZE_MAX);
    buf_append_char(&b, 'x');
    cr_assert_null(buf_reserve(&b, SIZE_MAX));
    cr_assert(b.failed);
    cr_assert_str_eq(b.data, "x");
    buf_done(&b);
}

Test(buf, consumes_from_the_front)
{
    struct buf b;
    buf_init(&b, 100);
    buf_append_str(&b, "hello world");
    buf_consume(&b, 6);
    cr_assert_str_eq(b.data, "world");
    buf_consume(&b, 0);
    buf_append_char(&b, '!');
    cr_assert_str_eq(b.data, "world!");
    buf_consume(&b, 6);
    cr_assert_str_eq(b.data, "");
    cr_assert_eq(b.len, 0u);
    buf_done(&b);
}

Test(buf, hands_its_memory_over)
{
    struct buf b;
    size_t len = 0;
    buf_init(&b, 100);
    buf_append_str(&b, "mine");
    char *text = buf_steal(&b, &len);
    cr_assert_str_eq(text, "mine");
    cr_assert_eq(len, 4u);
    cr_assert_null(b.data);
    buf_append_str(&b, "new");
    cr_assert_str_eq(text, "mine");
    mem_free(text);
    buf_done(&b);
}

/* Random operations against a plain array; max is met often. */
Test(buf, behaves_like_an_array)
{
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        struct buf b;
        char model[600];
        size_t len = 0;
        size_t max = prng(&seed) % 500;
        bool failed = false;
        buf_init(&b, max);
        for (int step = 0; step < 100; step++) {
            char bytes[64];
            size_t n = prng(&seed) % sizeof(bytes);
            memset(bytes, (int)('a' + prng(&seed) % 26), sizeof(bytes));
            switch (prng(&seed) % 8) {
            case 0:
                n = MIN(n, len);
                buf_consume(&b, n);
                memmove(model, model + n, len - n);
                len -= n;
                break;
            case 1:
                if (prng(&seed) % 4 == 0) {
                    buf_clear(&b);
                    len = 0;
                    failed = false;
                }
                break;
            case 2:
                buf_appendf(&b, "%.*s", (int)n, bytes);
                goto appended;
            default:
                buf_append(&b, bytes, n);
            appended:
                failed = failed || len + n > max;
                if (!failed) {
                    memcpy(model + len, bytes, n);
                    len += n;
                }
            }
            cr_assert_eq(b.failed, failed);
            cr_assert_eq(b.len, len);
            if (b.data) {
                cr_assert_eq(memcmp(b.data, model, len), 0);
                cr_assert_eq(b.data[len], '\0');
            }
        }
        buf_done(&b);
    }
}

static void fill(struct buf *b)
{
    for (int i = 0; i < 100; i++) {
        buf_append_str(b, "0123456789");
        buf_appendf(b, "%d", 5);
        if (!buf_reserve(b, 100))
            cr_assert(b->failed);
    }
}

Test(buf, keeps_its_content_at_every_failed_allocation)
{
    struct buf whole;
    buf_init(&whole, 10000);
    mem_fail_at(0, 0);
    fill(&whole);
    long allocations = mem_count();
    cr_assert_gt(allocations, 3);
    for (long n = 1; n <= allocations; n++) {
        struct buf b;
        buf_init(&b, 10000);
        mem_fail_at(n, 0);
        fill(&b);
        mem_fail_at(0, 0);
        cr_assert(b.failed, "allocation %ld", n);
        cr_assert_lt(b.len, whole.len);
        if (b.data) {
            cr_assert_eq(memcmp(b.data, whole.data, b.len), 0);
            cr_assert_eq(b.data[b.len], '\0');
        }
        buf_done(&b);
    }
    buf_done(&whole);
}
