/* SPDX-License-Identifier: MIT */
/* qp: see qp.h. */
#include "worker/handlers/mail/qp.h"

#include <string.h>

#include "worker/handlers/common/utf8.h"

static size_t line_end_len(const char *text)
{
    return text[0] == '\n' ? 1 : text[0] == '\r' && text[1] == '\n' ? 2 : 0;
}

/* Whether the byte at text, which is at column, is written as it is. */
static bool is_literal(const char *text, size_t column)
{
    char c = *text;

    if (c == ' ' || c == '\t') {
        return text[1] && line_end_len(text + 1) == 0;
    }
    if (column == 0 && (c == '.' || strncmp(text, "From ", 5) == 0)) {
        return false;
    }
    return c > ' ' && c <= '~' && c != '=';
}

static size_t add_byte(struct bytes *out, const char *text, size_t column)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char c = (unsigned char)*text;
    char escape[] = {'=', digits[c >> 4], digits[c & 15u]};

    if (is_literal(text, column)) {
        bytes_add_char(out, *text);
        return 1;
    }
    bytes_add(out, escape, sizeof(escape));
    return sizeof(escape);
}

void qp_encode(struct bytes *out, const char *text)
{
    size_t len = strlen(text);
    size_t column = 0;

    while (len > 0) {
        size_t size = line_end_len(text);
        size_t width;

        if (size > 0) {
            bytes_add_text(out, "\r\n");
            column = 0;
            text += size;
            len -= size;
            continue;
        }
        size = utf8_next(text, len, NULL);
        size = size > 0 ? size : 1;
        width = size > 1 || !is_literal(text, column) ? size * 3 : 1;
        /* The last column is the soft break's. */
        if (column + width > QP_LINE_MAX - 1) {
            bytes_add_text(out, "=\r\n");
            column = 0;
        }
        for (size_t i = 0; i < size; i++) {
            column += add_byte(out, text + i, column);
        }
        text += size;
        len -= size;
    }
    if (column > 0) {
        bytes_add_text(out, "\r\n");
    }
}
