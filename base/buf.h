/* SPDX-License-Identifier: MIT */
/*
 * buf: growing bytes with a ceiling and a sticky failure, so that many appends need one check at
 * the end.
 *
 * After a failed append (out of memory, or past the ceiling) the content stays as it was before
 * that append, and every later append fails too. data is always NUL-terminated beyond len once
 * something was appended.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap; /* bytes at data, the closing NUL included: at most max + 1 */
    size_t max;  /* ceiling of len, in bytes */
    bool failed; /* sticky */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buf may be used again */
void buf_clear(struct buf *b); /* len 0 and not failed; keeps the memory */
void buf_append_slow(struct buf *b, const void *bytes,
                     size_t len); /* grows; only for the functions below */
/* bytes may not point into b itself; they may be NULL when len is 0. */
static inline void buf_append(struct buf *b, const void *bytes, size_t len)
{
    if (__builtin_expect(b->failed || len >= b->cap - b->len, 0)) {
        buf_append_slow(b, bytes, len);
        return;
    }
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}
static inline void buf_append_str(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}
static inline void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}
void buf_appendf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_append_u8(struct buf *b, uint8_t v);
void buf_append_le16(struct buf *b, uint16_t v);
void buf_append_le32(struct buf *b, uint32_t v);
void buf_append_le64(struct buf *b, uint64_t v);
/* Room for len more bytes at the end (not yet counted in len), or NULL (and failed). */
MUST_CHECK void *buf_reserve(struct buf *b, size_t len);
/* Drops the first len bytes. */
void buf_consume(struct buf *b, size_t len);
/* Hands the memory to the caller (mem_free), leaves the buf empty; NULL when failed or empty. */
MUST_CHECK char *buf_steal(struct buf *b, size_t *len);

/* Little-endian loads from unaligned bytes. */
static inline uint16_t load_le16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | (uint16_t)(b[1] << 8));
}
static inline uint32_t load_le32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline uint64_t load_le64(const void *p)
{
    return (uint64_t)load_le32(p) | (uint64_t)load_le32((const uint8_t *)p + 4) << 32;
}

#endif
