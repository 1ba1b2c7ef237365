/* SPDX-License-Identifier: MIT */
/*
 * resp: see resp.h. Every word is written with one reservation: a failed one leaves the buffer as
 * it was before.
 */
#include "broker/resp.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"

#define NUMBER_MAX 21 /* "-9223372036854775808" and a NUL */
#define PREFIX_MAX (1 + NUMBER_MAX + 2)

/* Writes number without a NUL; returns its length. */
static size_t write_number(char *out, uint64_t number)
{
    char reversed[NUMBER_MAX];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

/* "*3\r\n" or "$5\r\n"; returns its length. */
static size_t write_prefix(char *out, char kind, size_t number)
{
    out[0] = kind;
    size_t n = 1 + write_number(out + 1, number);
    out[n] = '\r';
    out[n + 1] = '\n';
    return n + 2;
}

/* Counts what was written into a reservation that had a byte to spare for the NUL. */
static void commit(struct buf *b, size_t len)
{
    b->len += len;
    b->data[b->len] = '\0';
}

void resp_begin(struct buf *b, size_t argc)
{
    char *to = buf_reserve(b, PREFIX_MAX + 1);
    if (to != NULL)
        commit(b, write_prefix(to, '*', argc));
}

void resp_bytes(struct buf *b, const void *bytes, size_t len)
{
    if (len > SIZE_MAX - PREFIX_MAX - 3) {
        b->failed = true;
        return;
    }
    char *to = buf_reserve(b, len + PREFIX_MAX + 3);
    if (to == NULL)
        return;
    size_t n = write_prefix(to, '$', len);
    if (len > 0)
        memcpy(to + n, bytes, len);
    n += len;
    to[n] = '\r';
    to[n + 1] = '\n';
    commit(b, n + 2);
}

void resp_str(struct buf *b, const char *text)
{
    resp_bytes(b, text, strlen(text));
}

void resp_int(struct buf *b, int64_t number)
{
    char text[NUMBER_MAX];
    size_t n = 0;
    uint64_t magnitude = (uint64_t)number;

    if (number < 0) {
        text[n++] = '-';
        magnitude = 0 - magnitude;
    }
    n += write_number(text + n, magnitude);
    resp_bytes(b, text, n);
}

void resp_command(struct buf *b, ...)
{
    va_list words;
    size_t argc = 0;

    va_start(words, b);
    while (va_arg(words, const char *) != NULL)
        argc++;
    va_end(words);
    resp_begin(b, argc);
    va_start(words, b);
    for (size_t i = 0; i < argc; i++)
        resp_str(b, va_arg(words, const char *));
    va_end(words);
}
