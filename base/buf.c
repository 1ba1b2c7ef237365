/* SPDX-License-Identifier: MIT */
/*
 * buf: growing bytes with a ceiling and a sticky failure. One owner, one thread; grows by doubling.
 */
#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"

#define FIRST_CAPACITY 64

void buf_init(struct buf *b, size_t max)
{
    /* One byte more than max is allocated for the NUL. */
    *b = (struct buf){.max = MIN(max, (size_t)PTRDIFF_MAX - 1)};
}

void buf_done(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

/* Makes cap - len > extra, so that extra bytes and a NUL fit. */
static bool make_room(struct buf *b, size_t extra)
{
    if (b->failed)
        return false;
    if (extra < b->cap - b->len)
        return true;
    if (extra > b->max || b->len > b->max - extra) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + extra + 1;
    size_t cap = b->cap > b->max / 2 ? b->max + 1 : MAX(b->cap * 2, (size_t)FIRST_CAPACITY);
    cap = MAX(MIN(cap, b->max + 1), need);
    char *data = mem_realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_append_slow(struct buf *b, const void *bytes, size_t len)
{
    if (!make_room(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_appendf(struct buf *b, const char *format, ...)
{
    if (b->failed)
        return;
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    /* Straight into the free part; a second round only when it was too small. */
    size_t space = b->cap - b->len;
    int n = vsnprintf(space ? b->data + b->len : NULL, space, format, args);
    if (n >= 0 && (size_t)n >= space && make_room(b, (size_t)n))
        n = vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
    if (n < 0)
        b->failed = true;
    if (!b->failed)
        b->len += (size_t)n;
    else if (b->data)
        b->data[b->len] = '\0';
    va_end(again);
    va_end(args);
}

void buf_append_u8(struct buf *b, uint8_t v)
{
    buf_append(b, &v, 1);
}

void buf_append_le16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_append(b, bytes, sizeof(bytes));
}

void buf_append_le32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    buf_append(b, bytes, sizeof(bytes));
}

void buf_append_le64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    buf_append(b, bytes, sizeof(bytes));
}

void *buf_reserve(struct buf *b, size_t len)
{
    if (!make_room(b, len))
        return NULL;
    b->data[b->len] = '\0';
    return b->data + b->len;
}

void buf_consume(struct buf *b, size_t len)
{
    ASSERT(len <= b->len);
    if (len == 0)
        return;
    b->len -= len;
    if (b->len > 0)
        memmove(b->data, b->data + len, b->len);
    b->data[b->len] = '\0';
}

char *buf_steal(struct buf *b, size_t *len)
{
    if (b->failed || !b->data)
        return NULL;
    char *data = b->data;
    if (len)
        *len = b->len;
    *b = (struct buf){.max = b->max};
    return data;
}
