/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include <jobq/error.h>

#include "base/buf.h"
#include "base/text.h"
#include "tests/unit/base/prng.h"

Test(text, names_have_their_alphabet)
{
    char longest[65];
    memset(longest, 'a', sizeof(longest));
    cr_assert(text_is_name("avatar.resize-2:x_y", 19));
    cr_assert(text_is_name(longest, 64));
    cr_assert_not(text_is_name(longest, 65));
    cr_assert_not(text_is_name("", 0));
    cr_assert_not(text_is_name(NULL, 0));
    for (int c = 0; c < 256; c++) {
        char name = (char)c;
        bool allowed = c && strchr("abcdefghijklmnopqrstuvwxyz0123456789_.:-", c);
        cr_assert_eq(text_is_name(&name, 1), allowed, "byte %d", c);
    }
}

struct number_case {
    const char *text;
    int64_t value; /* -1: refused */
};

static void check_numbers(const struct number_case *cases, size_t n,
                          int (*parse)(const char *, int64_t *))
{
    for (size_t i = 0; i < n; i++) {
        int64_t value = -77;
        int rc = parse(cases[i].text, &value);
        cr_assert_eq(rc, cases[i].value < 0 ? JOBQ_EINVAL : JOBQ_OK, "'%s'", cases[i].text);
        cr_assert_eq(value, cases[i].value < 0 ? -77 : cases[i].value, "'%s': %" PRId64,
                     cases[i].text, value);
    }
}

Test(text, parses_durations)
{
    static const struct number_case cases[] = {
        {"0", 0},
        {"1500", 1500},
        {"500ms", 500},
        {"30s", 30000},
        {"10m", 600000},
        {"1h", 3600000},
        {"7d", 604800000},
        {"0d", 0},
        {"007s", 7000},
        {"00000000000000000000000001", 1},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775808", -1},
        {"9223372036854775s", INT64_C(9223372036854775000)},
        {"9223372036854776s", -1},
        {"106751991167d", INT64_C(106751991167) * 86400000},
        {"106751991168d", -1},
        {"99999999999999999999999999", -1},
        {"18446744073709551616", -1},
        {"", -1},
        {"s", -1},
        {"-1s", -1},
        {"+1s", -1},
        {" 1s", -1},
        {"1s ", -1},
        {"1 s", -1},
        {"1.5s", -1},
        {"1S", -1},
        {"1w", -1},
        {"1mss", -1},
        {"1h30m", -1},
        {"0x10", -1},
        {"1us", -1},
        {"\xd9\xa1s", -1},
    };
    check_numbers(cases, ARRAY_LEN(cases), text_parse_duration);
    int64_t value = 0;
    cr_assert_eq(text_parse_duration(NULL, &value), JOBQ_EINVAL);
}

Test(text, parses_sizes)
{
    static const struct number_case cases[] = {
        {"0", 0},
        {"1048576", 1048576},
        {"256K", 262144},
        {"256KiB", 262144},
        {"10M", 10485760},
        {"10MiB", 10485760},
        {"1G", 1073741824},
        {"1GiB", 1073741824},
        {"8589934591G", INT64_C(8589934591) * 1073741824},
        {"8589934592G", -1},
        {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1},
        {"", -1},
        {"K", -1},
        {"1k", -1},
        {"1KB", -1},
        {"1Ki", -1},
        {"-1K", -1},
        {"1.5M", -1},
        {"1 M", -1},
        {"1T", -1},
    };
    check_numbers(cases, ARRAY_LEN(cases), text_parse_size);
}

Test(text, parses_integers)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "--1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1a",
                                      "0x1",
                                      "1.0",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    int64_t value = 5;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cr_assert_eq(text_parse_int(bad[i], &value), JOBQ_EINVAL, "'%s'", bad[i]);
        cr_assert_eq(value, 5);
    }
    cr_assert_eq(text_parse_int(NULL, &value), JOBQ_EINVAL);
    cr_assert_eq(text_parse_int("9223372036854775807", &value), JOBQ_OK);
    cr_assert_eq(value, INT64_MAX);
    cr_assert_eq(text_parse_int("-9223372036854775808", &value), JOBQ_OK);
    cr_assert_eq(value, INT64_MIN);
    cr_assert_eq(text_parse_int("-0", &value), JOBQ_OK);
    cr_assert_eq(value, 0);
    cr_assert_eq(text_parse_int("-42", &value), JOBQ_OK);
    cr_assert_eq(value, -42);
}

Test(text, formats_durations_for_people)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ms"},
        {250, "250ms"},
        {999, "999ms"},
        {1000, "1s"},
        {1500, "1s 500ms"},
        {5000, "5s"},
        {90000, "1m 30s"},
        {90001, "1m 30s"},
        {3600000, "1h"},
        {3600001, "1h"},
        {3660000, "1h 1m"},
        {86400000, "1d"},
        {90061001, "1d 1h"},
        {-1500, "-1s 500ms"},
        {INT64_MAX, "106751991167d 7h"},
        {INT64_MIN, "-106751991167d 7h"},
    };
    char out[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        text_format_duration(cases[i].ms, out, sizeof(out));
        cr_assert_str_eq(out, cases[i].text);
    }
    text_format_duration(90000, out, 4);
    cr_assert_str_eq(out, "1m ");
}

Test(text, formats_time_as_the_library_does)
{
    uint64_t seed = 9;
    for (int i = 0; i < 100000; i++) {
        /* Years 0 to 9999. */
        int64_t ms = (int64_t)(prng(&seed) % UINT64_C(315569520000000)) - INT64_C(62167219200000);
        if (i < 3000)
            ms = i * INT64_C(86400000) * 13 + i; /* leap days of many years */
        char out[40];
        char expected[64];
        time_t seconds = (time_t)((ms - ((ms % 1000 + 1000) % 1000)) / 1000);
        struct tm tm;
        cr_assert_not_null(gmtime_r(&seconds, &tm));
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (int)((ms % 1000 + 1000) % 1000));
        text_format_time(ms, out, sizeof(out));
        cr_assert_str_eq(out, expected);
    }
}

Test(text, formats_time_at_its_ends)
{
    char out[40];
    text_format_time(0, out, sizeof(out));
    cr_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
    text_format_time(INT64_C(1767322985678), out, sizeof(out));
    cr_assert_str_eq(out, "2026-01-02T03:03:05.678Z");
    text_format_time(INT64_MAX, out, sizeof(out));
    cr_assert_str_eq(out, "9999-12-31T23:59:59.999Z");
    text_format_time(INT64_MIN, out, sizeof(out));
    cr_assert_str_eq(out, "0000-01-01T00:00:00.000Z");
}

static const char *written(void (*append)(struct buf *, const char *, size_t), const char *bytes,
                           size_t len)
{
    static char out[1000];
    struct buf b;
    buf_init(&b, sizeof(out) - 1);
    append(&b, bytes, len);
    cr_assert_not(b.failed);
    memcpy(out, b.data, b.len + 1);
    buf_done(&b);
    return out;
}

Test(text, writes_json_strings)
{
    cr_assert_str_eq(written(text_append_json, "", 0), "\"\"");
    cr_assert_str_eq(written(text_append_json, NULL, 0), "\"\"");
    cr_assert_str_eq(written(text_append_json, "a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"");
    cr_assert_str_eq(written(text_append_json, "\n\r\t\b\f\0\x1f\x7f", 8),
                     "\"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\\u007f\"");
    cr_assert_str_eq(written(text_append_json, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9),
                     "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    cr_assert_str_eq(written(text_append_json, "a\xff\xc3", 3), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
    cr_assert_str_eq(written(text_append_json, "\xed\xa0\x80z", 4),
                     "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
    cr_assert_str_eq(written(text_append_json, "\xc2\x9b\xc2\xa0", 4), "\"\\u009b\xc2\xa0\"");
}

Test(text, quotes_only_what_needs_it)
{
    cr_assert_str_eq(written(text_append_quoted, "simple/1.5:x,y-z", 16), "simple/1.5:x,y-z");
    cr_assert_str_eq(written(text_append_quoted, "", 0), "\"\"");
    cr_assert_str_eq(written(text_append_quoted, "a b", 3), "\"a b\"");
    cr_assert_str_eq(written(text_append_quoted, "a=b", 3), "\"a=b\"");
    cr_assert_str_eq(written(text_append_quoted, "a\"\\\n\t\0", 6), "\"a\\\"\\\\\\n\\x09\\x00\"");
    cr_assert_str_eq(written(text_append_quoted, "\xc3\xa9\xff\x7f", 4), "\"\xc3\xa9\\xff\\x7f\"");
    cr_assert_str_eq(written(text_append_quoted, "\xc2\x9b", 2), "\"\\xc2\\x9b\"");
}

/* Reads back what text_append_quoted() wrote. */
static size_t unquote(const char *text, char *out)
{
    size_t n = 0;
    if (text[0] != '"') {
        n = strlen(text);
        memcpy(out, text, n);
        return n;
    }
    for (const char *p = text + 1; *p != '"'; p++) {
        cr_assert(*p != '\0' && (unsigned char)*p >= 0x20);
        if (*p != '\\') {
            out[n++] = *p;
        } else if (*++p == 'x') {
            char hex[3] = {p[1], p[2], '\0'};
            out[n++] = (char)strtol(hex, NULL, 16);
            p += 2;
        } else {
            out[n++] = *p == 'n' ? '\n' : *p;
        }
    }
    return n;
}

Test(text, loses_nothing_by_quoting)
{
    uint64_t seed = 11;
    for (int round = 0; round < 20000; round++) {
        char bytes[30];
        char back[130];
        size_t len = prng(&seed) % sizeof(bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = prng(&seed) % 2 ? (char)(prng(&seed) % 256) : "ab \"\\=\n"[prng(&seed) % 7];
        const char *text = written(text_append_quoted, bytes, len);
        cr_assert(text_is_utf8(text, strlen(text), NULL));
        cr_assert_eq(unquote(text, back), len);
        cr_assert_eq(memcmp(back, bytes, len), 0);
    }
}

Test(text, finds_the_nearest_word)
{
    static const char *const words[] = {"redis",     "postgres",   "executors",
                                        "log_level", "log_format", "max"};
    static const struct {
        const char *word;
        const char *nearest;
    } cases[] = {
        {"redis", "redis"},
        {"reids", "redis"},
        {"rdis", "redis"},
        {"rediss", "redis"},
        {"postgers", "postgres"},
        {"excutor", "executors"},
        {"executers", "executors"},
        {"loglevel", "log_level"},
        {"log_fromat", "log_format"},
        {"mx", NULL},
        {"mxa", "max"},
        {"abc", NULL},
        {"", NULL},
        {"completely", NULL},
        {"post", NULL},
        {"postgresxxxx", NULL},
    };
    char too_long[70];
    const char *only[] = {too_long};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *found = text_nearest(cases[i].word, words, ARRAY_LEN(words));
        cr_assert_eq(found == NULL, cases[i].nearest == NULL, "%s: %s", cases[i].word,
                     found ? found : "none");
        if (found)
            cr_assert_str_eq(found, cases[i].nearest);
    }
    memset(too_long, 'a', 69);
    too_long[69] = '\0';
    cr_assert_null(text_nearest(too_long, only, 1));
    cr_assert_null(text_nearest("redis", NULL, 0));
    too_long[64] = '\0';
    cr_assert_eq(text_nearest(too_long, only, 1), too_long);
}
