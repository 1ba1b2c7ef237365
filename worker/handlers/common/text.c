/* SPDX-License-Identifier: MIT */
/* text: see text.h. */
#include "worker/handlers/common/text.h"

#include <stdio.h>

/* Takes the rest of a character away whose first bytes alone fitted. */
static void drop_broken_end(char *out, size_t len)
{
    size_t start = len;
    unsigned char first;
    size_t needed;

    while (start > 0 && ((unsigned char)out[start - 1] & 0xC0u) == 0x80u) {
        start--;
    }
    if (start == 0) {
        return;
    }
    first = (unsigned char)out[start - 1];
    needed = first >= 0xF0u ? 4 : first >= 0xE0u ? 3 : first >= 0xC0u ? 2 : 1;
    if (len - (start - 1) < needed) {
        out[start - 1] = '\0';
    }
}

void text_format_list(char *out, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(out, size, format, args);

    if (n < 0) {
        out[0] = '\0';
    } else if ((size_t)n >= size) {
        drop_broken_end(out, size - 1);
    }
}

void text_format(char *out, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_format_list(out, size, format, args);
    va_end(args);
}
