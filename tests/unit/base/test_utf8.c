/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/text.h"
#include "tests/unit/base/prng.h"

struct range {
    unsigned char low, high;
};

/* The grammar of RFC 3629, section 4, row by row. */
static const struct {
    size_t size;
    struct range bytes[4];
} grammar[] = {
    {1, {{0x00, 0x7F}}},
    {2, {{0xC2, 0xDF}, {0x80, 0xBF}}},
    {3, {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {3, {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}}},
    {3, {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}}},
    {4, {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}}},
};

static size_t reference_size(const unsigned char *p, size_t left)
{
    for (size_t row = 0; row < ARRAY_LEN(grammar); row++) {
        size_t i = 0;
        while (i < grammar[row].size && i < left && p[i] >= grammar[row].bytes[i].low &&
               p[i] <= grammar[row].bytes[i].high)
            i++;
        if (i == grammar[row].size)
            return i;
    }
    return 0;
}

/* Length of the valid beginning. */
static size_t reference_valid(const unsigned char *p, size_t len)
{
    size_t i = 0;
    for (size_t size = 1; i < len && size > 0; i += size)
        size = reference_size(p + i, len - i);
    return i;
}

static void check(const unsigned char *bytes, size_t len)
{
    size_t bad_at = 12345;
    size_t valid = reference_valid(bytes, len);
    bool ok = text_is_utf8((const char *)bytes, len, &bad_at);
    if (ok != (valid == len) || bad_at != (ok ? 12345 : valid))
        cr_assert_fail("%02x %02x %02x %02x… (%zu bytes): ok %d bad_at %zu, expected %zu", bytes[0],
                       len > 1 ? bytes[1] : 0, len > 2 ? bytes[2] : 0, len > 3 ? bytes[3] : 0, len,
                       ok, bad_at, valid);
}

static const unsigned char borders[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                        0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};

Test(utf8, agrees_with_the_grammar_on_short_sequences)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            unsigned char bytes[4] = {(unsigned char)a, (unsigned char)b};
            check(bytes, 1);
            check(bytes, 2);
            for (size_t c = 0; c < sizeof(borders); c++) {
                bytes[2] = borders[c];
                check(bytes, 3);
                if (a < 0xE0)
                    continue;
                for (size_t d = 0; d < sizeof(borders); d++) {
                    bytes[3] = borders[d];
                    check(bytes, 4);
                }
            }
        }
    }
}

/* Encodes any number below 2^21, valid or not, in the given number of bytes. */
static void encode(uint32_t code, size_t size, unsigned char *out)
{
    static const unsigned char first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; code >>= 6)
        out[i] = (unsigned char)(0x80 | (code & 0x3F));
    out[0] = (unsigned char)(size == 1 ? code : first[size] | code);
}

Test(utf8, knows_every_code_point_and_no_other)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint32_t end[] = {0, 0x80, 0x800, 0x10000, 0x200000};
    for (size_t size = 1; size <= 4; size++) {
        for (uint32_t code = 0; code < end[size]; code++) {
            unsigned char bytes[4];
            encode(code, size, bytes);
            bool valid =
                code >= least[size] && code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
            if (text_is_utf8((const char *)bytes, size, NULL) != valid)
                cr_assert_fail("U+%04X in %zu bytes", code, size);
        }
    }
}

/* A character, in whole or broken, at every offset from the words that are looked at in one go. */
Test(utf8, agrees_with_the_grammar_in_long_texts)
{
    uint64_t seed = 7;
    for (int round = 0; round < 100000; round++) {
        unsigned char bytes[64];
        size_t len = 1 + prng(&seed) % sizeof(bytes);
        memset(bytes, 'a', sizeof(bytes));
        for (uint64_t k = prng(&seed) % 4; k > 0; k--) {
            size_t at = prng(&seed) % 60;
            encode((uint32_t)(prng(&seed) % 0x110000), 4, bytes + at);
            if (prng(&seed) % 2)
                bytes[at + prng(&seed) % 4] = borders[prng(&seed) % sizeof(borders)];
        }
        check(bytes, len);
    }
}

Test(utf8, cuts_between_characters)
{
    /* 1, 2, 3 and 4 bytes. */
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t max = 0; max < ARRAY_LEN(expected); max++)
        cr_assert_eq(text_cut(text, 10, max), expected[max], "max %zu", max);
    cr_assert_eq(text_cut("\x80\x80\x80\x80\x80\x80\x80", 7, 6), 6u, "not UTF-8: any place");
    cr_assert_eq(text_cut("", 0, 5), 0u);
}

Test(utf8, sanitizes_anything_into_valid_text)
{
    uint64_t seed = 3;
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[40];
        char out[50];
        size_t len = prng(&seed) % sizeof(bytes);
        size_t size = 1 + prng(&seed) % sizeof(out);
        for (size_t i = 0; i < len; i++)
            bytes[i] = prng(&seed) % 3 ? borders[prng(&seed) % sizeof(borders)] : 'x';
        size_t n = text_sanitize((const char *)bytes, len, out, size);
        cr_assert_lt(n, size);
        cr_assert_eq(strlen(out), n);
        cr_assert(text_is_utf8(out, n, NULL));
        if (len < size && reference_valid(bytes, len) == len && !memchr(bytes, 0, len)) {
            cr_assert_eq(n, len);
            cr_assert_eq(memcmp(out, bytes, n), 0);
        }
    }
}

Test(utf8, sanitizes_byte_by_byte)
{
    char out[32];
    cr_assert_eq(text_sanitize("a\0b\xff\xc3", 5, out, sizeof(out)), 5u);
    cr_assert_str_eq(out, "a?b??");
    cr_assert_eq(text_sanitize("\xe2\x82\xac\xe2\x82\xac", 6, out, 6), 3u);
    cr_assert_str_eq(out, "\xe2\x82\xac");
    out[0] = 'x';
    cr_assert_eq(text_sanitize("abc", 3, out, 0), 0u);
    cr_assert_eq(out[0], 'x');
    cr_assert_eq(text_sanitize("abc", 3, out, 1), 0u);
    cr_assert_str_eq(out, "");
}
