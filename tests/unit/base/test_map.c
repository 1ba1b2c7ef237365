/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include <jobq/error.h>

#include "base/map.h"
#include "base/mem.h"
#include "tests/unit/base/prng.h"

static int values[4096];

static size_t make_key(char *out, size_t out_size, uint64_t n)
{
    /* Every length around the border between keys kept inside an entry and outside it, and a NUL
     * inside. */
    int len = snprintf(out, out_size, "%llu", (unsigned long long)n);
    size_t wanted = (size_t)len + n * 7 % 60;
    memset(out + len, n % 3 ? 'x' : 0, wanted - (size_t)len);
    return wanted;
}

Test(map, finds_what_was_put)
{
    struct map *m = map_new();
    cr_assert_not_null(m);
    cr_assert_null(map_get(m, "a", 1));
    cr_assert_eq(map_put(m, "a", 1, &values[1]), JOBQ_OK);
    cr_assert_eq(map_put(m, "", 0, &values[2]), JOBQ_OK);
    cr_assert_eq(map_put(m, "a\0b", 3, &values[3]), JOBQ_OK);
    cr_assert_eq(map_put(m, "a\0c", 3, &values[4]), JOBQ_OK);
    cr_assert_eq(map_get(m, "a", 1), &values[1]);
    cr_assert_eq(map_get(m, NULL, 0), &values[2]);
    cr_assert_eq(map_get(m, "a\0b", 3), &values[3]);
    cr_assert_eq(map_get(m, "a\0c", 3), &values[4]);
    cr_assert_null(map_get(m, "a\0", 2));
    cr_assert_eq(map_size(m), 4u);
    cr_assert_eq(map_put(m, "a", 1, &values[5]), JOBQ_OK);
    cr_assert_eq(map_size(m), 4u, "a key that is there is replaced");
    cr_assert_eq(map_get(m, "a", 1), &values[5]);
    cr_assert_eq(map_remove(m, "a", 1), &values[5]);
    cr_assert_null(map_remove(m, "a", 1));
    cr_assert_eq(map_size(m), 3u);
    map_free(m);
    map_free(NULL);
}

Test(map, copies_its_keys)
{
    struct map *m = map_new();
    char key[100];
    for (size_t len = 30; len < 100; len += 35) {
        memset(key, 'k', len);
        cr_assert_eq(map_put(m, key, len, &values[len]), JOBQ_OK);
        memset(key, 'z', len);
        cr_assert_null(map_get(m, key, len));
        memset(key, 'k', len);
        cr_assert_eq(map_get(m, key, len), &values[len]);
    }
    map_free(m);
}

/* Random operations against a table indexed by the key's number. */
Test(map, behaves_like_a_table)
{
    static void *table[4096];
    uint64_t seed = 42;
    size_t size = 0;
    struct map *m = map_new();
    for (int step = 0; step < 300000; step++) {
        /* Waves: mostly growing, then mostly shrinking. */
        bool growing = step / 30000 % 2 == 0;
        uint64_t n = prng(&seed) % 4096;
        char key[100];
        size_t len = make_key(key, sizeof(key), n);
        cr_assert_eq(map_get(m, key, len), table[n]);
        if (prng(&seed) % 8 < (growing ? 6 : 2)) {
            void *value = &values[prng(&seed) % 4096];
            cr_assert_eq(map_put(m, key, len, value), JOBQ_OK);
            size += table[n] ? 0 : 1;
            table[n] = value;
        } else {
            cr_assert_eq(map_remove(m, key, len), table[n]);
            size -= table[n] ? 1 : 0;
            table[n] = NULL;
        }
        cr_assert_eq(map_size(m), size);
    }
    map_free(m);
}

/* Visits all, removing every entry whose number is a multiple of step; each must be seen exactly
 * once. */
static void visit_and_remove(size_t count, size_t step)
{
    static int seen[4096];
    struct map *m = map_new();
    char key[100];
    memset(seen, 0, sizeof(seen));
    for (size_t n = 0; n < count; n++)
        cr_assert_eq(map_put(m, key, make_key(key, sizeof(key), n), &values[n]), JOBQ_OK);
    size_t cursor = 0;
    const void *given = NULL;
    size_t len = 0;
    int *value = NULL;
    while ((value = map_next(m, &cursor, &given, &len))) {
        size_t n = (size_t)(value - values);
        cr_assert_eq(len, make_key(key, sizeof(key), n));
        cr_assert_eq(memcmp(given, key, len), 0);
        seen[n]++;
        if (n % step == 0)
            cr_assert_eq(map_remove(m, given, len), value);
    }
    cr_assert_null(map_next(m, &cursor, NULL, NULL), "the end stays the end");
    for (size_t n = 0; n < count; n++) {
        cr_assert_eq(seen[n], 1, "%zu of %zu", n, count);
        void *left = map_get(m, key, make_key(key, sizeof(key), n));
        cr_assert_eq(left, n % step == 0 ? NULL : &values[n]);
    }
    map_free(m);
}

Test(map, visits_each_once_while_entries_leave)
{
    static const size_t counts[] = {0, 1, 2, 11, 12, 13, 100, 1000, 4096};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        visit_and_remove(counts[i], 1);
        visit_and_remove(counts[i], 2);
        visit_and_remove(counts[i], 3);
        visit_and_remove(counts[i], 5000);
    }
}

Test(map, is_unchanged_by_a_failed_put)
{
    mem_fail_at(0, 0);
    for (long nth = 1; nth < 200; nth++) {
        mem_fail_at(nth, 0);
        struct map *m = map_new();
        int failures = m ? 0 : 1;
        for (uint64_t n = 0; m && n < 100; n++) {
            char key[100];
            size_t len = make_key(key, sizeof(key), n);
            int rc = map_put(m, key, len, &values[n]);
            if (rc != JOBQ_OK) {
                failures++;
                cr_assert_eq(rc, JOBQ_ENOMEM);
                cr_assert_eq(map_size(m), n);
                cr_assert_null(map_get(m, key, len));
                cr_assert_eq(map_put(m, key, len, &values[n]), JOBQ_OK,
                             "the next try finds memory");
            }
        }
        bool done = mem_count() < nth;
        mem_fail_at(0, 0);
        cr_assert_eq(failures, done ? 0 : 1);
        for (uint64_t n = 0; m && n < 100; n++) {
            char key[100];
            size_t len = make_key(key, sizeof(key), n);
            cr_assert_eq(map_get(m, key, len), &values[n]);
        }
        map_free(m);
        if (done)
            return;
    }
    cr_assert_fail("the sweep never came to its end");
}

Test(map, needs_no_memory_for_small_keys_once_grown)
{
    struct map *m = map_new();
    uint64_t ids[64];
    for (uint64_t n = 0; n < 64; n++) {
        ids[n] = n;
        cr_assert_eq(map_put(m, &ids[n], sizeof(ids[n]), &values[n]), JOBQ_OK);
    }
    mem_fail_at(1, 1);
    for (uint64_t n = 0; n < 64 * 1000; n++) {
        uint64_t key = n;
        uint64_t next = n + 64;
        cr_assert_not_null(map_remove(m, &key, sizeof(key)));
        cr_assert_eq(map_put(m, &next, sizeof(next), &values[n % 64]), JOBQ_OK);
    }
    cr_assert_eq(mem_count(), 0);
    mem_fail_at(0, 0);
    map_free(m);
}
