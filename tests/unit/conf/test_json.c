/* SPDX-License-Identifier: MIT */
/*
 * The JSON validator: by hand, at every boundary of its block loops, and against jansson.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int json_scalar_check_object(const char *bytes, size_t len, jobq_err *err);
int json_scalar_check_value(const char *bytes, size_t len, jobq_err *err);

/* Both builds, on a copy of exactly that size; they must agree to the letter. */
static int check(const char *text, size_t len, bool object, jobq_err *err)
{
    jobq_err other = {0};
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    *err = (jobq_err){0};
    int code = object ? json_check_object(copy, len, err) : json_check_value(copy, len, err);
    int second = object ? json_scalar_check_object(copy, len, &other)
                        : json_scalar_check_value(copy, len, &other);
    free(copy);
    cr_assert_eq(code, second, "with and without SSE2 differ on %.*s", (int)len, text);
    cr_assert_str_eq(err->msg, other.msg);
    cr_assert(code == JOBQ_OK ? err->msg[0] == '\0' : code == JOBQ_EINVAL && err->code == code);
    return code;
}

static bool jansson_accepts(const char *text, size_t len, bool object, bool *overflow)
{
    json_error_t why;
    json_t *tree = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &why);
    bool ok = tree && (!object || json_is_object(tree));
    *overflow = !tree && json_error_code(&why) == json_error_numeric_overflow;
    json_decref(tree);
    return ok;
}

/*
 * Ours may refuse more (too deep; a NUL byte after a number, which jansson overlooks), and knows
 * nothing of the range of numbers.
 */
static void compare(const char *text, size_t len, bool object)
{
    jobq_err err;
    bool overflow = false;
    bool ours = check(text, len, object, &err) == JOBQ_OK;
    bool theirs = jansson_accepts(text, len, object, &overflow);
    if (ours)
        cr_assert(theirs || overflow, "ours only: %.*s", (int)len, text);
    else
        cr_assert(!theirs || strstr(err.msg, "nested too deep") || memchr(text, '\0', len),
                  "jansson only: %.*s (%s)", (int)len, text, err.msg);
}

Test(json, accepts_what_the_rfc_allows)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : 1 } \n",
        "{\"a\":[1,-0,0.5,-1.5e+10,2E-3,1e5],\"b\":{\"c\":{}},\"d\":[[],[[]]],\"e\":null,\"f\":"
        "true,\"g\":false}",
        "{\"\":\"\",\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\":\"\\u0000\"}",
        "{\"a\":1,\"a\":2}",
        "{\"h\xC3\xA9llo\":\"\xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBF \xF4\x8F\xBF\xBF "
        "\xED\x9F\xBF \xEE\x80\x80\x7F\"}",
        "{\"n\":123456789012345678901234567890,\"m\":1e400}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        jobq_err err;
        cr_assert_eq(check(texts[i], strlen(texts[i]), true, &err), JOBQ_OK, "%s: %s", texts[i],
                     err.msg);
        compare(texts[i], strlen(texts[i]), true);
    }
}

/* What is wrong with a text, and where. */
struct fault {
    const char *text, *what;
};

static void expect_faults(const struct fault *faults, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        jobq_err err;
        cr_assert_eq(check(faults[i].text, strlen(faults[i].text), true, &err), JOBQ_EINVAL, "%s",
                     faults[i].text);
        cr_assert_str_eq(err.msg, faults[i].what, "%s: %s", faults[i].text, err.msg);
        compare(faults[i].text, strlen(faults[i].text), true);
    }
}

Test(json, says_where_the_text_ends_too_early)
{
    static const struct fault faults[] = {
        {"", "the text ends too early at byte 0"},
        {"  ", "the text ends too early at byte 2"},
        {"{", "the text ends too early at byte 1"},
        {"{\"a\"", "the text ends too early at byte 4"},
        {"{\"a", "the text ends too early at byte 3"},
        {"{\"a\\", "the text ends too early at byte 4"},
        {"{\"a\":", "the text ends too early at byte 5"},
        {"{\"a\":1", "the text ends too early at byte 6"},
        {"{\"a\":-", "the text ends too early at byte 6"},
        {"{\"a\":\"\\u12", "the text ends too early at byte 10"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, says_what_is_missing_between_values)
{
    static const struct fault faults[] = {
        {"[]", "not an object at byte 0"},
        {" 1", "not an object at byte 1"},
        {"{\"a\" 1}", "expected ':' at byte 5"},
        {"{a:1}", "expected a key in quotes at byte 1"},
        {"{,}", "expected a key in quotes at byte 1"},
        {"{\"a\":1,}", "expected a key in quotes at byte 7"},
        {"{\"a\":1]", "expected ',' or '}' at byte 6"},
        {"{\"a\":[1}", "expected ',' or ']' at byte 7"},
        {"{}{}", "more after the end of the value at byte 2"},
        {"{} x", "more after the end of the value at byte 3"},
        {"{\"a\":1 /* no */}", "expected ',' or '}' at byte 7"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, says_what_is_no_value)
{
    static const struct fault faults[] = {
        {"{\"a\":[1,]}", "expected a value at byte 8"},
        {"{\"a\":}", "expected a value at byte 5"},
        {"{\"a\":nul}", "expected a value at byte 5"},
        {"{\"a\":True}", "expected a value at byte 5"},
        {"{\"a\":NaN}", "expected a value at byte 5"},
        {"{\"a\":+1}", "expected a value at byte 5"},
        {"{\"a\":.5}", "expected a value at byte 5"},
        {"{\"a\":'b'}", "expected a value at byte 5"},
        {"{\"a\":\xC2\xA0"
         "1}",
         "expected a value at byte 5"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, says_what_is_no_number)
{
    static const struct fault faults[] = {
        {"{\"a\":01}", "a digit after a leading zero at byte 6"},
        {"{\"a\":1.}", "expected a digit at byte 7"},
        {"{\"a\":1e}", "expected a digit at byte 7"},
        {"{\"a\":1e+}", "expected a digit at byte 8"},
        {"{\"a\":-x}", "expected a digit at byte 6"},
        {"{\"a\":0x1}", "expected ',' or '}' at byte 6"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, says_what_is_wrong_in_a_string)
{
    static const struct fault faults[] = {
        {"{\"a\":\"\\x41\"}", "an unknown escape at byte 6"},
        {"{\"a\":\"\\u12g4\"}", "not a hexadecimal digit at byte 10"},
        {"{\"a\":\"\\uD800\"}", "a lone surrogate at byte 6"},
        {"{\"a\":\"\\uD800\\n\"}", "a lone surrogate at byte 6"},
        {"{\"a\":\"\\uD800\\u0041\"}", "a lone surrogate at byte 6"},
        {"{\"a\":\"\\uDC00\"}", "a lone surrogate at byte 6"},
        {"{\"\\u0000\":1}", "a NUL in a key at byte 2"},
        {"{\"a\":\"b\nc\"}", "a control character in a string at byte 7"},
        {"{\"a\":\"\x1F\"}", "a control character in a string at byte 6"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, says_where_it_is_not_utf8)
{
    static const struct fault faults[] = {
        {"{\"a\":\"\x80\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xC0\x80\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xC3\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xE0\x9F\xBF\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xED\xA0\x80\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xF0\x8F\xBF\xBF\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xF4\x90\x80\x80\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xF5\x80\x80\x80\"}", "not UTF-8 at byte 6"},
        {"{\"a\":\"\xC3\xA9\xFF\"}", "not UTF-8 at byte 8"},
        {"{\"a\":\"\xE2\x82", "not UTF-8 at byte 6"},
        {"\xEF\xBB\xBF{}", "a byte-order mark at byte 0"},
    };
    expect_faults(faults, ARRAY_LEN(faults));
}

Test(json, refuses_a_nul_byte_anywhere)
{
    static const char text[] = "{ \"a\" : [ 1 , \"b\" ] }";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        char copy[sizeof(text)];
        jobq_err err;
        memcpy(copy, text, sizeof(text));
        copy[i] = '\0';
        cr_assert_eq(check(copy, sizeof(text) - 1, true, &err), JOBQ_EINVAL, "at %zu", i);
    }
}

Test(json, takes_any_value_when_asked)
{
    static const char *const good[] = {"1", "\"a\"", " null ", "[]", "-0.0", "true", "{}"};
    static const char *const bad[] = {"", "nulll", "1 2", "tru", "\"a", "-", "]", "}", ","};
    jobq_err err;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_assert_eq(check(good[i], strlen(good[i]), false, &err), JOBQ_OK, "%s: %s", good[i],
                     err.msg);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_eq(check(bad[i], strlen(bad[i]), false, &err), JOBQ_EINVAL, "%s", bad[i]);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        compare(good[i], strlen(good[i]), false);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        compare(bad[i], strlen(bad[i]), false);
}

Test(json, works_without_an_error_struct)
{
    cr_assert_eq(json_check_object("{}", 2, NULL), JOBQ_OK);
    cr_assert_eq(json_check_object("{", 1, NULL), JOBQ_EINVAL);
    cr_assert_eq(json_check_object("", 0, NULL), JOBQ_EINVAL);
}

/* depth - 1 arrays, or objects, inside one object. */
static size_t nest(char *out, int depth, bool objects)
{
    size_t n = 0;
    for (int i = 0; i < depth; i++)
        n += (size_t)sprintf(out + n, i == 0 || objects ? i + 1 < depth ? "{\"a\":" : "{" : "[");
    for (int i = depth - 1; i >= 0; i--)
        out[n++] = i == 0 || objects ? '}' : ']';
    return n;
}

Test(json, nests_as_deep_as_promised_and_no_deeper)
{
    char text[JSON_MAX_DEPTH * 16];
    jobq_err err;
    for (int objects = 0; objects < 2; objects++) {
        size_t n = nest(text, JSON_MAX_DEPTH, objects);
        cr_assert_eq(check(text, n, true, &err), JOBQ_OK, "%s", err.msg);
        n = nest(text, JSON_MAX_DEPTH + 1, objects);
        cr_assert_eq(check(text, n, true, &err), JOBQ_EINVAL);
        cr_assert(strstr(err.msg, "nested too deep"), "%s", err.msg);
    }
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    cr_assert_eq(check(deep, 1 << 20, false, &err), JOBQ_EINVAL);
    cr_assert_str_eq(err.msg, "nested too deep at byte 64");
    free(deep);
}

Test(json, finds_one_bad_byte_wherever_it_stands)
{
    static const struct {
        const char *bytes;
        const char *what;
    } bad[] = {
        {"\x01", "a control character in a string"},
        {"\x1F", "a control character in a string"},
        {"\x80", "not UTF-8"},
        {"\xFF", "not UTF-8"},
        {"\\q", "an unknown escape"},
    };
    for (size_t len = 2; len < 70; len++) {
        for (size_t at = 0; at + 2 <= len; at++) {
            for (size_t b = 0; b < ARRAY_LEN(bad); b++) {
                char text[96];
                char expected[64];
                jobq_err err;
                size_t n = (size_t)snprintf(text, sizeof(text), "{\"k\":\"%0*d\"}", (int)len, 0);
                memcpy(text + 6 + at, bad[b].bytes, strlen(bad[b].bytes));
                snprintf(expected, sizeof(expected), "%s at byte %zu", bad[b].what, 6 + at);
                cr_assert_eq(check(text, n, true, &err), JOBQ_EINVAL);
                cr_assert_str_eq(err.msg, expected);
            }
        }
    }
}

Test(json, never_accepts_a_document_cut_short)
{
    static const char text[] =
        "{\"kind\":\"threads\",\"ids\":[1,22,333],\"n\\u00e9\":{\"x\":null,\"y\":[true,-1.5e3]},"
        "\"text\":\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 and so on, longer than a block\"}";
    jobq_err err;
    cr_assert_eq(check(text, sizeof(text) - 1, true, &err), JOBQ_OK, "%s", err.msg);
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        cr_assert_eq(check(text, n, true, &err), JOBQ_EINVAL, "cut at %zu", n);
}

/* ---- against jansson ---- */

static uint64_t state;

static uint32_t next(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % below;
}

static const char *const pieces[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "{\"a\":",
    "\"key\":",
    "\"text\"",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e9",
    "-0",
    "12345678901234567890",
    "1e999",
    " ",
    "\n",
    "\t",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\u0000",
    "\xC3\xA9",
    "\xE2\x82\xAC",
    "\xF0\x9F\x98\x80",
    "\x80",
    "\xED\xA0\x80",
    "\x01",
    "a string somewhat longer than that",
    "[1,2,3]",
    "{}",
    "[]",
    "\\n",
    "\\/",
    "\x7F",
    ".",
    "e",
    "+",
    "-",
    "0123",
    "\xEF\xBB\xBF",
};

static size_t add(char *out, size_t n, size_t max, const char *piece)
{
    size_t len = strlen(piece);
    if (n + len > max)
        return n;
    memcpy(out + n, piece, len);
    return n + len;
}

/* A valid value. */
static size_t generate(char *out, size_t n, size_t max, int depth)
{
    static const char *const scalars[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "-12",
                                          "3.25",
                                          "1e3",
                                          "\"\"",
                                          "\"plain text\"",
                                          "\"\\u00e9\\n\"",
                                          "\"\xE2\x82\xAC uro\"",
                                          "\"sixteen bytes and more of it\""};
    uint32_t kind = depth > 4 ? 0 : next(4);
    if (kind < 2)
        return add(out, n, max, scalars[next(ARRAY_LEN(scalars))]);
    uint32_t count = next(4);
    n = add(out, n, max, kind == 2 ? "[" : "{");
    for (uint32_t i = 0; i < count; i++) {
        n = add(out, n, max, i ? ", " : "");
        n = add(out, n, max,
                kind == 2 ? ""
                : next(2) ? "\"k\":"
                          : "\"a longer key than sixteen\" : ");
        n = generate(out, n, max, depth + 1);
    }
    return add(out, n, max, kind == 2 ? "]" : "}");
}

Test(json, agrees_with_jansson_on_loose_pieces)
{
    char text[512];
    state = UINT64_C(0x9E3779B97F4A7C15);
    for (int round = 0; round < 60000; round++) {
        size_t n = next(2) ? add(text, 0, sizeof(text), "{\"a\":") : 0;
        for (uint32_t i = next(8); i > 0; i--)
            n = add(text, n, sizeof(text), pieces[next(ARRAY_LEN(pieces))]);
        if (next(2))
            n = add(text, n, sizeof(text), "}");
        compare(text, n, next(2));
    }
}

Test(json, agrees_with_jansson_on_documents_with_one_fault)
{
    char text[4096];
    int accepted = 0;
    state = UINT64_C(0xD1B54A32D192ED03);
    for (int round = 0; round < 30000; round++) {
        size_t n = generate(text, 0, 2048, 0);
        compare(text, n, false);
        uint32_t at = next((uint32_t)n);
        const char *piece = pieces[next(ARRAY_LEN(pieces))];
        size_t len = strlen(piece);
        switch (next(3)) {
        case 0: /* one byte becomes another */
            text[at] = (char)next(256);
            break;
        case 1: /* something is put between */
            memmove(text + at + len, text + at, n - at);
            memcpy(text + at, piece, len);
            n += len;
            break;
        default: /* a byte is missing */
            memmove(text + at, text + at + 1, n - at - 1);
            n--;
        }
        jobq_err err;
        accepted += check(text, n, false, &err) == JOBQ_OK;
        compare(text, n, false);
    }
    cr_assert(accepted > 1000 && accepted < 29000, "%d accepted: the generator has lost its point",
              accepted);
}
