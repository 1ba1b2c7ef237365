/* SPDX-License-Identifier: MIT */
/* strip: see strip.h. */
#include "worker/handlers/avatar/strip.h"

#include <stdbool.h>
#include <string.h>

#define PNG_SIGNATURE 8
#define PNG_CHUNK 12 /* length, type, checksum */

/* Those that are needed to read pixels, and transparency. */
static bool is_png_needed(const uint8_t *type)
{
    return (type[0] & 0x20u) == 0 || memcmp(type, "tRNS", 4) == 0;
}

/* Whatever is cut or malformed is left for the decoder to refuse. */
static size_t strip_png(uint8_t *b, size_t len)
{
    size_t from = PNG_SIGNATURE;
    size_t to = PNG_SIGNATURE;

    while (len - from >= PNG_CHUNK) {
        const uint8_t *c = b + from;
        size_t size = (size_t)c[0] << 24 | (size_t)c[1] << 16 | (size_t)c[2] << 8 | c[3];
        bool is_last = memcmp(c + 4, "IEND", 4) == 0;
        if (size > len - from - PNG_CHUNK) {
            break;
        }
        if (is_png_needed(c + 4)) {
            memmove(b + to, c, size + PNG_CHUNK);
            to += size + PNG_CHUNK;
        }
        from += size + PNG_CHUNK;
        if (is_last) {
            return to;
        }
    }
    memmove(b + to, b + from, len - from);
    return to + len - from;
}

/* Notes of applications and comments, but not those that say how colours are stored (JFIF, Adobe).
 */
static bool is_jpeg_needed(uint8_t marker)
{
    return marker != 0xFE && (marker < 0xE1 || marker > 0xEF || marker == 0xEE);
}

/* A marker with a length behind it, other than a scan's. */
static bool is_jpeg_segment(uint8_t marker)
{
    return marker >= 0xC0 && marker != 0xDA && (marker < 0xD0 || marker > 0xD9);
}

/* Behind 0xFF: a fill byte, or what is none of a header's markers; decoders pass over it. */
static bool is_jpeg_stray(uint8_t marker)
{
    return marker == 0xFF || marker == 0x00 || (marker >= 0xD0 && marker <= 0xD7);
}

/* Up to the first scan: behind it there are no notes that a decoder reads. */
static size_t strip_jpeg(uint8_t *b, size_t len)
{
    size_t from = 2;
    size_t to = 2;

    while (len - from >= 4) {
        size_t size = 2 + ((size_t)b[from + 2] << 8 | b[from + 3]);
        if (b[from] != 0xFF || is_jpeg_stray(b[from + 1])) {
            from++;
            continue;
        }
        if (!is_jpeg_segment(b[from + 1]) || size < 4 || size > len - from) {
            break;
        }
        if (is_jpeg_needed(b[from + 1])) {
            memmove(b + to, b + from, size);
            to += size;
        }
        from += size;
    }
    memmove(b + to, b + from, len - from);
    return to + len - from;
}

size_t strip(enum sniff_kind kind, uint8_t *bytes, size_t len)
{
    switch (kind) {
    case SNIFF_PNG:
        return strip_png(bytes, len);
    case SNIFF_JPEG:
        return strip_jpeg(bytes, len);
    case SNIFF_WEBP:
        break;
    }
    return len;
}
