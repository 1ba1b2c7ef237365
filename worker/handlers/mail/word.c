/* SPDX-License-Identifier: MIT */
/* word: see word.h. */
#include "worker/handlers/mail/word.h"

#include <stdbool.h>
#include <string.h>

#include "worker/handlers/common/utf8.h"
#include "worker/handlers/mail/header.h"

#define WORD_MAX 75  /* of one encoded word, by RFC 2047 */
#define FRAME_LEN 12 /* "=?UTF-8?B?" and "?=" */

/* What Q leaves as it is even in a display name (RFC 2047, 5.3). */
static bool is_safe(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '!' ||
           c == '*' || c == '+' || c == '-' || c == '/';
}

static size_t q_len(const char *text, size_t len)
{
    size_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += text[i] == ' ' || is_safe((unsigned char)text[i]) ? 1 : 3;
    }
    return sum;
}

static size_t b_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

static void add_q(struct bytes *out, const char *text, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == ' ') {
            bytes_add_char(out, '_');
        } else if (is_safe(c)) {
            bytes_add_char(out, text[i]);
        } else {
            char escape[] = {'=', digits[c >> 4], digits[c & 15u]};

            bytes_add(out, escape, sizeof(escape));
        }
    }
}

static void add_b(struct bytes *out, const char *text, size_t len)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        unsigned a = (unsigned char)text[i];
        unsigned b = i + 1 < len ? (unsigned char)text[i + 1] : 0;
        unsigned c = i + 2 < len ? (unsigned char)text[i + 2] : 0;
        char group[] = {letters[a >> 2], letters[(a << 4 | b >> 4) & 63u],
                        i + 1 < len ? letters[(b << 2 | c >> 6) & 63u] : '=',
                        i + 2 < len ? letters[c & 63u] : '='};

        bytes_add(out, group, sizeof(group));
    }
}

/* How many bytes of whole characters fit into room once encoded. */
static size_t fit(const char *text, size_t len, bool is_q, size_t room)
{
    size_t taken = 0;

    while (taken < len) {
        size_t size = utf8_next(text + taken, len - taken, NULL);

        size = size > 0 ? size : 1;
        if ((is_q ? q_len(text, taken + size) : b_len(taken + size)) > room) {
            break;
        }
        taken += size;
    }
    return taken;
}

void word_encode(struct bytes *out, const char *text, size_t *column)
{
    size_t len = strlen(text);
    bool is_q = q_len(text, len) <= b_len(len);

    while (len > 0) {
        size_t room = HEADER_LINE_MAX > *column + FRAME_LEN ? HEADER_LINE_MAX - *column : FRAME_LEN;
        size_t taken;

        room = (room < WORD_MAX ? room : WORD_MAX) - FRAME_LEN;
        taken = fit(text, len, is_q, room);
        if (taken == 0) {
            bytes_add_text(out, "\r\n ");
            *column = 1;
            continue;
        }
        bytes_add_text(out, is_q ? "=?UTF-8?Q?" : "=?UTF-8?B?");
        if (is_q) {
            add_q(out, text, taken);
        } else {
            add_b(out, text, taken);
        }
        bytes_add_text(out, "?=");
        *column += FRAME_LEN + (is_q ? q_len(text, taken) : b_len(taken));
        text += taken;
        len -= taken;
        if (len > 0) {
            bytes_add_text(out, "\r\n ");
            *column = 1;
        }
    }
}

void word_space(struct bytes *out, size_t len, size_t *column)
{
    if (*column + 1 + len > HEADER_LINE_MAX) {
        bytes_add_text(out, "\r\n ");
        *column = 1;
    } else {
        bytes_add_char(out, ' ');
        *column += 1;
    }
}

void word_fold(struct bytes *out, const char *text, size_t *column)
{
    while (*text) {
        size_t len = strcspn(text, " ");

        bytes_add(out, text, len);
        *column += len;
        text += len;
        if (*text == ' ') {
            text++;
            word_space(out, strcspn(text, " "), column);
        }
    }
}
