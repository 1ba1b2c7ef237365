/* SPDX-License-Identifier: MIT */
/* sniff: see sniff.h. */
#include "worker/handlers/avatar/sniff.h"

#include <stdbool.h>
#include <string.h>

/* Scans of a progressive JPEG; encoders write about ten. Each costs a pass over the whole image, so
   that a small file could keep a decoder busy for hours. */
#define SCANS_MAX 100

static uint32_t be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
    return be16(p) << 16 | be16(p + 2);
}

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t le24(const uint8_t *p)
{
    return (uint32_t)p[2] << 16 | le16(p);
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p + 2) << 16 | le16(p);
}

static int set_size(struct sniff *out, enum sniff_kind kind, uint32_t width, uint32_t height,
                    const char **why)
{
    if (width == 0 || height == 0) {
        *why = "its header gives a side of 0 pixels";
        return -1;
    }
    *out = (struct sniff){.kind = kind, .width = width, .height = height};
    return 0;
}

/* ---- PNG: signature, then the chunk IHDR of 13 bytes ---- */

static bool is_png_format(unsigned depth, unsigned colour)
{
    switch (colour) {
    case 0: /* grey */
        return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3: /* palette */
        return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2: /* RGB */
    case 4: /* grey, alpha */
    case 6: /* RGB, alpha */
        return depth == 8 || depth == 16;
    default:
        return false;
    }
}

static int sniff_png(const uint8_t *b, size_t len, struct sniff *out, const char **why)
{
    if (len < 33) {
        *why = "it ends inside the PNG's header";
        return -1;
    }
    if (be32(b + 8) != 13 || memcmp(b + 12, "IHDR", 4) != 0 || !is_png_format(b[24], b[25]) ||
        b[26] != 0 || b[27] != 0 || b[28] > 1 || be32(b + 16) > INT32_MAX ||
        be32(b + 20) > INT32_MAX) {
        *why = "its PNG header is malformed";
        return -1;
    }
    return set_size(out, SNIFF_PNG, be32(b + 16), be32(b + 20), why);
}

/* ---- JPEG: segments up to the frame's, then scans ---- */

static bool is_frame(uint8_t marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* The next marker at or behind at; its place, or len. Entropy-coded bytes hold none but FF00 and
   the restart markers. */
static size_t find_marker(const uint8_t *b, size_t len, size_t at)
{
    while (at + 1 < len) {
        const uint8_t *p = memchr(b + at, 0xFF, len - at - 1);
        if (!p) {
            return len;
        }
        at = (size_t)(p - b);
        if (p[1] != 0x00 && p[1] != 0xFF && !(p[1] >= 0xD0 && p[1] <= 0xD7)) {
            return at;
        }
        at++;
    }
    return len;
}

static int read_frame(const uint8_t *segment, size_t len, uint8_t marker, struct sniff *out,
                      const char **why)
{
    if (marker > 0xC2) {
        *why = "it is a JPEG of a kind that is not used for photos (lossless or arithmetic)";
        return -1;
    }
    if (len < 8 || segment[2] != 8) {
        *why = "its JPEG header is malformed, or has more than 8 bits a sample";
        return -1;
    }
    if (segment[7] != 1 && segment[7] != 3 && segment[7] != 4) {
        *why = "it is a JPEG of an unknown number of components";
        return -1;
    }
    return set_size(out, SNIFF_JPEG, be16(segment + 5), be16(segment + 3), why);
}

static int sniff_jpeg(const uint8_t *b, size_t len, struct sniff *out, const char **why)
{
    bool framed = false;
    unsigned scans = 0;
    size_t at = 2;

    for (;;) {
        at = find_marker(b, len, at);
        if (at + 4 > len || b[at + 1] == 0xD9) {
            break;
        }
        uint8_t marker = b[at + 1];
        size_t room = len - at - 2;
        size_t size = be16(b + at + 2);
        if (size < 2 || size > room) {
            break;
        }
        if (is_frame(marker) && !framed) {
            if (read_frame(b + at + 2, size, marker, out, why) < 0) {
                return -1;
            }
            framed = true;
        } else if (marker == 0xDA && ++scans > SCANS_MAX) {
            *why = "it is a JPEG of more than 100 scans";
            return -1;
        }
        at += 2 + size;
    }
    if (!framed) {
        *why = "it ends before the JPEG's frame header";
        return -1;
    }
    return 0;
}

/* ---- WebP: RIFF, then one of three first chunks ---- */

static int sniff_webp(const uint8_t *b, size_t len, struct sniff *out, const char **why)
{
    const uint8_t *c = b + 20; /* the first chunk's content */

    *why = "its WebP header is malformed";
    if (len < 30) {
        *why = "it ends inside the WebP's header";
        return -1;
    }
    if (le32(b + 4) < 12 || le32(b + 4) > len - 8) {
        *why = "it is shorter than the WebP's header says";
        return -1;
    }
    if (memcmp(b + 12, "VP8X", 4) == 0) {
        return set_size(out, SNIFF_WEBP, le24(c + 4) + 1, le24(c + 7) + 1, why);
    }
    if (memcmp(b + 12, "VP8L", 4) == 0 && c[0] == 0x2F) {
        uint32_t bits = le32(c + 1);
        return set_size(out, SNIFF_WEBP, (bits & 0x3FFFu) + 1, (bits >> 14 & 0x3FFFu) + 1, why);
    }
    if (memcmp(b + 12, "VP8 ", 4) == 0 && memcmp(c + 3, "\x9d\x01\x2a", 3) == 0) {
        return set_size(out, SNIFF_WEBP, le16(c + 6) & 0x3FFFu, le16(c + 8) & 0x3FFFu, why);
    }
    return -1;
}

int sniff(const uint8_t *bytes, size_t len, struct sniff *out, const char **why)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

    if (len >= sizeof(png) && memcmp(bytes, png, sizeof(png)) == 0) {
        return sniff_png(bytes, len, out, why);
    }
    if (len >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) {
        return sniff_jpeg(bytes, len, out, why);
    }
    if (len >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) {
        return sniff_webp(bytes, len, out, why);
    }
    *why = "it is no PNG, JPEG or WebP";
    return -1;
}

const char *sniff_name(enum sniff_kind kind)
{
    static const char *const names[] = {
        [SNIFF_PNG] = "PNG", [SNIFF_JPEG] = "JPEG", [SNIFF_WEBP] = "WebP"};
    return names[kind];
}
