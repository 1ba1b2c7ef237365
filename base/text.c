/* SPDX-License-Identifier: MIT */
/*
 * text: UTF-8, numbers with units, and text made safe to show. Pure, without locale.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include <jobq/error.h>

#include "base/buf.h"

#define NAME_MAX_BYTES 64
#define NEAREST_MAX 64

bool text_is_name(const char *bytes, size_t len)
{
    if (!bytes || len < 1 || len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                       c == ':' || c == '-';
        if (!allowed)
            return false;
    }
    return true;
}

/* Bytes of the valid character at p (left >= 1 bytes are there), or 0. */
static size_t character_size(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    size_t size = 0;
    /* The second byte's range is what excludes overlong forms, surrogates and what is beyond
     * U+10FFFF. */
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        size = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        size = 3;
        low = c == 0xE0 ? 0xA0 : 0x80;
        high = c == 0xED ? 0x9F : 0xBF;
    } else if (c >= 0xF0 && c <= 0xF4) {
        size = 4;
        low = c == 0xF0 ? 0x90 : 0x80;
        high = c == 0xF4 ? 0x8F : 0xBF;
    }
    if (size == 0 || size > left || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return size;
}

bool text_is_utf8(const char *bytes, size_t len, size_t *bad_at)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        if (len - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t size = character_size(p + i, len - i);
        if (size == 0) {
            if (bad_at)
                *bad_at = i;
            return false;
        }
        i += size;
    }
    return true;
}

size_t text_cut(const char *bytes, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t cut = max;
    while (cut > 0 && max - cut < 4 && ((unsigned char)bytes[cut] & 0xC0) == 0x80)
        cut--;
    /* More continuation bytes than a character has: not UTF-8, so any place is as good. */
    return max - cut < 4 ? cut : max;
}

size_t text_sanitize(const char *bytes, size_t len, char *out, size_t out_size)
{
    if (out_size == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)bytes;
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        size_t size = character_size(p + i, len - i);
        bool bad = size == 0 || p[i] == 0; /* a NUL would end the copy early */
        size_t step = bad ? 1 : size;
        if (n + step > out_size - 1)
            break;
        if (bad)
            out[n] = '?';
        else
            memcpy(out + n, p + i, step);
        n += step;
        i += step;
    }
    out[n] = '\0';
    return n;
}

/* Decimal digits at *text, moved past them. false: none, or too big. */
static bool read_digits(const char **text, uint64_t max, uint64_t *out)
{
    const char *p = *text;
    uint64_t value = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *text = p;
    *out = value;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static int parse_with_unit(const char *text, const struct unit *units, size_t n, int64_t *out)
{
    uint64_t value = 0;
    if (!text || !read_digits(&text, INT64_MAX, &value))
        return JOBQ_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        if (value > (uint64_t)(INT64_MAX / units[i].factor))
            return JOBQ_EINVAL;
        *out = (int64_t)value * units[i].factor;
        return JOBQ_OK;
    }
    return JOBQ_EINVAL;
}

int text_parse_duration(const char *text, int64_t *out_ms)
{
    static const struct unit units[] = {
        {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    return parse_with_unit(text, units, ARRAY_LEN(units), out_ms);
}

int text_parse_size(const char *text, int64_t *out_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"K", 1024},
        {"KiB", 1024},
        {"M", 1024 * 1024},
        {"MiB", 1024 * 1024},
        {"G", 1024 * 1024 * 1024},
        {"GiB", 1024 * 1024 * 1024},
    };
    return parse_with_unit(text, units, ARRAY_LEN(units), out_bytes);
}

int text_parse_int(const char *text, int64_t *out)
{
    if (!text)
        return JOBQ_EINVAL;
    bool negative = *text == '-';
    uint64_t max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t value = 0;
    if (negative)
        text++;
    if (!read_digits(&text, max, &value) || *text != '\0')
        return JOBQ_EINVAL;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return JOBQ_OK;
}

void text_format_duration(int64_t ms, char *out, size_t out_size)
{
    static const struct unit units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
    };
    const char *sign = ms < 0 ? "-" : "";
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t factor = (uint64_t)units[i].factor;
        if (left < factor)
            continue;
        uint64_t first = left / factor;
        uint64_t rest = left % factor;
        uint64_t second = i + 1 < ARRAY_LEN(units) ? rest / (uint64_t)units[i + 1].factor : 0;
        if (second > 0)
            snprintf(out, out_size, "%s%llu%s %llu%s", sign, (unsigned long long)first,
                     units[i].name, (unsigned long long)second, units[i + 1].name);
        else
            snprintf(out, out_size, "%s%llu%s", sign, (unsigned long long)first, units[i].name);
        return;
    }
    snprintf(out, out_size, "0s");
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar (Howard Hinnant's
 * civil_from_days). */
static void civil_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

void text_format_time(int64_t unix_ms, char *out, size_t out_size)
{
    /* Years 0000 to 9999, which is all the format can write. */
    int64_t t = MIN(MAX(unix_ms, INT64_C(-62167219200000)), INT64_C(253402300799999));
    int64_t day_number = t / 86400000 - (t % 86400000 < 0 ? 1 : 0);
    int64_t in_day = t - day_number * 86400000;
    int64_t year = 0;
    unsigned month = 0;
    unsigned day = 0;
    civil_from_days(day_number, &year, &month, &day);
    snprintf(out, out_size, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", (int)year, month, day,
             (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
             (int)(in_day % 1000));
}

/* C0, DEL, and the C1 controls U+0080 to U+009F, which terminals obey too. */
static bool is_control(const unsigned char *p, size_t size)
{
    return (size == 1 && (p[0] < 0x20 || p[0] == 0x7F)) ||
           (size == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

static void append_json_special(struct buf *b, const unsigned char *p, size_t size)
{
    unsigned code = size == 2 ? p[1] : p[0];
    switch (code) {
    case '"':
        buf_append_str(b, "\\\"");
        break;
    case '\\':
        buf_append_str(b, "\\\\");
        break;
    case '\n':
        buf_append_str(b, "\\n");
        break;
    case '\r':
        buf_append_str(b, "\\r");
        break;
    case '\t':
        buf_append_str(b, "\\t");
        break;
    default:
        buf_appendf(b, "\\u%04x", code);
    }
}

void text_append_json(struct buf *b, const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t start = 0; /* of what is to be copied as it is */
    buf_append_char(b, '"');
    for (size_t i = 0; i < len;) {
        size_t size = character_size(p + i, len - i);
        bool special = size > 0 && (p[i] == '"' || p[i] == '\\' || is_control(p + i, size));
        if (size > 0 && !special) {
            i += size;
            continue;
        }
        buf_append(b, bytes + start, i - start);
        if (special)
            append_json_special(b, p + i, size);
        else
            buf_append_str(b, "\xEF\xBF\xBD");
        i += size > 0 ? size : 1;
        start = i;
    }
    if (len > start)
        buf_append(b, bytes + start, len - start);
    buf_append_char(b, '"');
}

static bool is_bare(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] <= ' ' || p[i] >= 0x7F || p[i] == '"' || p[i] == '=' || p[i] == '\\')
            return false;
    }
    return len > 0;
}

void text_append_quoted(struct buf *b, const char *bytes, size_t len)
{
    const unsigned char *p = (const unsigned char *)bytes;
    if (is_bare(p, len)) {
        buf_append(b, bytes, len);
        return;
    }
    buf_append_char(b, '"');
    for (size_t i = 0; i < len;) {
        size_t size = character_size(p + i, len - i);
        if (p[i] == '"' || p[i] == '\\') {
            buf_append_char(b, '\\');
            buf_append_char(b, bytes[i]);
        } else if (p[i] == '\n') {
            buf_append_str(b, "\\n");
        } else if (size == 0 || is_control(p + i, size)) {
            for (size_t k = 0; k < MAX(size, (size_t)1); k++)
                buf_appendf(b, "\\x%02x", p[i + k]);
        } else {
            buf_append(b, bytes + i, size);
        }
        i += MAX(size, (size_t)1);
    }
    buf_append_char(b, '"');
}

/* Edits (insert, delete, replace, swap of neighbours) between two words of at most NEAREST_MAX
 * bytes. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            best = MIN(best, last[j] + 1);
            best = MIN(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t len = strlen(word);
    const char *nearest = NULL;
    size_t best = 4;
    if (len > NEAREST_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t candidate_len = strlen(candidates[i]);
        if (candidate_len > NEAREST_MAX)
            continue;
        size_t distance = edit_distance(word, len, candidates[i], candidate_len);
        if (distance < best && distance * 2 < len) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

int text_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
