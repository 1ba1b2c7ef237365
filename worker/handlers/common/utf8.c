/* SPDX-License-Identifier: MIT */
/* utf8: see utf8.h. */
#include "worker/handlers/common/utf8.h"

#include <string.h>

size_t utf8_next(const char *text, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = len > 0 ? (unsigned char)text[0] : 0xFF;
    size_t size = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t value;

    if (size == 0 || first > 0xF4 || size > len) {
        return 0;
    }
    value = size == 1 ? first : first & (0xFFu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c & 0xC0u) != 0x80u) {
            return 0;
        }
        value = value << 6 | (c & 0x3Fu);
    }
    if (value < least[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
        return 0;
    }
    if (code) {
        *code = value;
    }
    return size;
}

bool utf8_is_valid(const char *text)
{
    size_t len = strlen(text);
    size_t size;

    for (; len > 0; text += size, len -= size) {
        size = utf8_next(text, len, NULL);
        if (size == 0) {
            return false;
        }
    }
    return true;
}

bool utf8_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

void utf8_clean(char *text, char replacement)
{
    size_t len = strlen(text);
    size_t to = 0;

    for (size_t from = 0; from < len;) {
        uint32_t code;
        size_t size = utf8_next(text + from, len - from, &code);

        if (size == 0) {
            text[to++] = '?';
            from++;
        } else if (utf8_is_control(code)) {
            text[to++] = replacement;
            from += size;
        } else {
            memmove(text + to, text + from, size);
            to += size;
            from += size;
        }
    }
    text[to] = '\0';
}
