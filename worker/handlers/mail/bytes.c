/* SPDX-License-Identifier: MIT */
/* bytes: see bytes.h. */
#include "worker/handlers/mail/bytes.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 256

void bytes_init(struct bytes *b, size_t max)
{
    *b = (struct bytes){.max = max};
}

void bytes_done(struct bytes *b)
{
    free(b->data);
    bytes_init(b, b->max);
}

void bytes_clear(struct bytes *b)
{
    b->len = 0;
    b->state = BYTES_OK;
    if (b->data) {
        b->data[0] = '\0';
    }
}

/* Room for len more and the NUL. */
static bool grow(struct bytes *b, size_t len)
{
    size_t size = b->size > 0 ? b->size : SIZE_FIRST;
    char *data;

    if (len > b->max - b->len) {
        b->state = BYTES_FULL;
        return false;
    }
    while (size <= b->len + len) {
        size *= 2;
    }
    if (size == b->size) {
        return true;
    }
    data = realloc(b->data, size);
    if (!data) {
        b->state = BYTES_NO_MEMORY;
        return false;
    }
    b->data = data;
    b->size = size;
    return true;
}

void bytes_add(struct bytes *b, const char *data, size_t len)
{
    if (b->state != BYTES_OK || !grow(b, len)) {
        return;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    b->data[b->len] = '\0';
}

void bytes_add_text(struct bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text));
}

void bytes_add_char(struct bytes *b, char c)
{
    bytes_add(b, &c, 1);
}

char *bytes_take(struct bytes *b)
{
    char *data;

    bytes_add(b, "", 0);
    if (b->state != BYTES_OK) {
        return NULL;
    }
    data = b->data;
    bytes_init(b, b->max);
    return data;
}
