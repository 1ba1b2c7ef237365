/* SPDX-License-Identifier: MIT */
/*
 * json: see json.h. One pass over the bytes: plain ASCII inside strings is skipped 16 (SSE2) or 8
 * bytes at a time, UTF-8 is checked where it stands, and what is open is one bit per level. Nothing
 * is allocated. Safe from any thread.
 */
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

#if defined(__SSE2__) && !defined(JSON_WITHOUT_SSE2)
#include <emmintrin.h>
#define JSON_SSE2 1
#endif

struct scan {
    const uint8_t *p; /* next byte */
    const uint8_t *end;
    const char *what; /* why it failed; p is where */
    uint64_t
        objects; /* bit 0: the innermost open value is an object; bit 1: the one around it; … */
    unsigned depth; /* open values */
};
_Static_assert(JSON_MAX_DEPTH <= 64, "one bit a level");

static bool fail(struct scan *s, const uint8_t *at, const char *what)
{
    s->p = at;
    s->what = at == s->end ? "the text ends too early" : what;
    return false;
}

static void skip_space(struct scan *s)
{
    const uint8_t *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    s->p = p;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Whether all 8 bytes are plain. Each term is exact about "any byte", not about which. */
static bool are_plain(const uint8_t *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    uint64_t quote = x ^ ones * '"';
    uint64_t slash = x ^ ones * '\\';
    uint64_t bad = (x - ones * 0x20) | (quote - ones) | (slash - ones) | x;
    return !(bad & ones * 0x80);
}

/* The first byte from p that is not plain, or end. */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
#ifdef JSON_SSE2
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        /* signed: bytes from 0x80 on are negative, thus below a space too */
        int mask = _mm_movemask_epi8(_mm_or_si128(odd, _mm_cmplt_epi8(v, space)));
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (end - p >= 8 && are_plain(p))
        p += 8;
    while (p < end && is_plain(*p))
        p++;
    return p;
}

static bool is_tail(const uint8_t *p, const uint8_t *end, size_t n)
{
    if ((size_t)(end - p) < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

/* Bytes of the character at p, which is >= 0x80; 0 when it is not UTF-8 (RFC 3629). */
static size_t measure_utf8(const uint8_t *p, const uint8_t *end)
{
    uint8_t c = *p;
    if (c >= 0xC2 && c <= 0xDF)
        return is_tail(p + 1, end, 1) ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        if (!is_tail(p + 1, end, 2) || (c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F))
            return 0;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (!is_tail(p + 1, end, 3) || (c == 0xF0 && p[1] < 0x90) || (c == 0xF4 && p[1] > 0x8F))
            return 0;
        return 4;
    }
    return 0;
}

static bool scan_utf8(struct scan *s)
{
    const uint8_t *p = s->p;
    while (p < s->end && *p >= 0x80) {
        size_t n = measure_utf8(p, s->end);
        if (!n) {
            fail(s, p, "not UTF-8");
            return false;
        }
        p += n;
    }
    s->p = p;
    return true;
}

/* Four hexadecimal digits after "\u" at s->p; -1 when they are not. */
static int scan_hex(struct scan *s)
{
    int value = 0;
    for (int i = 2; i < 6; i++) {
        const uint8_t *at = s->p + i;
        uint8_t c = at < s->end ? *at : 0;
        int digit = -1;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        if (digit < 0) {
            fail(s, at < s->end ? at : s->end, "not a hexadecimal digit");
            return -1;
        }
        value = value * 16 + digit;
    }
    s->p += 6;
    return value;
}

static bool scan_unicode_escape(struct scan *s, bool is_key)
{
    const uint8_t *at = s->p;
    int first = scan_hex(s);
    if (first < 0)
        return false;
    if (first == 0 && is_key) /* C programs, jansson too, could not tell such keys apart */
        return fail(s, at, "a NUL in a key");
    if (first < 0xD800 || first > 0xDFFF)
        return true;
    if (first > 0xDBFF || s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
        return fail(s, at, "a lone surrogate");
    int second = scan_hex(s);
    if (second < 0)
        return false;
    if (second < 0xDC00 || second > 0xDFFF)
        return fail(s, at, "a lone surrogate");
    return true;
}

static bool scan_escape(struct scan *s, bool is_key)
{
    if (s->end - s->p < 2)
        return fail(s, s->end, "");
    switch (s->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->p += 2;
        return true;
    case 'u':
        return scan_unicode_escape(s, is_key);
    default:
        return fail(s, s->p, "an unknown escape");
    }
}

static bool scan_string(struct scan *s, bool is_key)
{
    bool ok = true;
    s->p++;
    while (ok) {
        s->p = skip_plain(s->p, s->end);
        if (s->p == s->end)
            return fail(s, s->end, "");
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p == '\\')
            ok = scan_escape(s, is_key);
        else if (*s->p < 0x20)
            ok = fail(s, s->p, "a control character in a string");
        else
            ok = scan_utf8(s);
    }
    return false;
}

static bool scan_digits(struct scan *s)
{
    const uint8_t *p = s->p;
    while (p < s->end && *p >= '0' && *p <= '9')
        p++;
    if (p == s->p)
        return fail(s, p, "expected a digit");
    s->p = p;
    return true;
}

static bool scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0') {
        s->p++;
        if (s->p < s->end && *s->p >= '0' && *s->p <= '9')
            return fail(s, s->p, "a digit after a leading zero");
    } else if (!scan_digits(s)) {
        return false;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
        return fail(s, s->p, "expected a value");
    s->p += len;
    return true;
}

/* The key and colon of a member, and the space after them; s->p stands where the key must be. */
static bool scan_key(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"')
        return fail(s, s->p, "expected a key in quotes");
    if (!scan_string(s, true))
        return false;
    skip_space(s);
    if (s->p == s->end || *s->p != ':')
        return fail(s, s->p, "expected ':'");
    s->p++;
    return true;
}

/* Opens an object or array; *inside tells whether a first value follows, else it is closed again.
 */
static bool scan_open(struct scan *s, bool object, bool *inside)
{
    if (s->depth == JSON_MAX_DEPTH)
        return fail(s, s->p, "nested too deep");
    s->p++;
    skip_space(s);
    *inside = s->p == s->end || *s->p != (object ? '}' : ']');
    if (!*inside) {
        s->p++;
        return true;
    }
    s->depth++;
    s->objects = s->objects << 1 | object;
    return !object || scan_key(s);
}

/* One value, or the beginning of one (*inside). */
static bool scan_value(struct scan *s, bool *inside)
{
    *inside = false;
    skip_space(s);
    if (s->p == s->end)
        return fail(s, s->end, "");
    switch (*s->p) {
    case '"':
        return scan_string(s, false);
    case '{':
        return scan_open(s, true, inside);
    case '[':
        return scan_open(s, false, inside);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9'))
            return scan_number(s);
        return fail(s, s->p, "expected a value");
    }
}

/* After a value: closes what ends here, up to the next comma. *more: another value follows. */
static bool scan_after(struct scan *s, bool *more)
{
    *more = false;
    while (s->depth > 0) {
        bool object = s->objects & 1;
        skip_space(s);
        if (s->p == s->end)
            return fail(s, s->end, "");
        if (*s->p == ',') {
            s->p++;
            *more = true;
            return !object || scan_key(s);
        }
        if (*s->p != (object ? '}' : ']'))
            return fail(s, s->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        s->p++;
        s->objects >>= 1;
        s->depth--;
    }
    return true;
}

static bool scan_text(struct scan *s, bool only_object)
{
    bool inside = false;
    bool more = true;
    if (s->end - s->p >= 3 && memcmp(s->p, "\xEF\xBB\xBF", 3) == 0)
        return fail(s, s->p, "a byte-order mark");
    skip_space(s);
    if (only_object && s->p < s->end && *s->p != '{')
        return fail(s, s->p, "not an object");
    while (more) {
        if (!scan_value(s, &inside))
            return false;
        if (!inside && !scan_after(s, &more))
            return false;
    }
    skip_space(s);
    if (s->p < s->end)
        return fail(s, s->p, "more after the end of the value");
    return true;
}

static int check(const char *bytes, size_t len, bool only_object, jobq_err *err)
{
    const uint8_t *start = (const uint8_t *)bytes;
    struct scan s = {.p = start, .end = start + len};
    if (scan_text(&s, only_object))
        return JOBQ_OK;
    return error_set(err, JOBQ_EINVAL, "%s at byte %zu", s.what, (size_t)(s.p - start));
}

int json_check_object(const char *bytes, size_t len, jobq_err *err)
{
    return check(bytes, len, true, err);
}

int json_check_value(const char *bytes, size_t len, jobq_err *err)
{
    return check(bytes, len, false, err);
}
