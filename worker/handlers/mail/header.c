/* SPDX-License-Identifier: MIT */
/* header: see header.h. */
#include "worker/handlers/mail/header.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"
#include "worker/handlers/mail/word.h"

#define MS_PER_S 1000
#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

void header_clean(char *text)
{
    utf8_clean(text, ' ');
}

/* ---- what may stand in a header ---- */

static bool check(const char *name, const char *value, enum mail_fault_kind kind,
                  struct mail_fault *why)
{
    size_t len = strlen(value);
    size_t size;
    uint32_t code;

    for (size_t i = 0; i < len; i += size) {
        size = utf8_next(value + i, len - i, &code);
        if (size == 0) {
            return mail_fault_set(why, kind, "%s is not UTF-8", name);
        }
        if (utf8_is_control(code)) {
            return mail_fault_set(why, kind, "%s holds the control character U+%04X", name,
                                  (unsigned)code);
        }
    }
    return true;
}

bool header_is_clean(const char *text)
{
    return check("", text, MAIL_FAULT_DATA, NULL);
}

static bool is_visible(const char *text)
{
    for (; *text; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* The longest word of a value, in bytes. */
static size_t longest(const char *value)
{
    size_t most = 0;

    while (*value) {
        size_t len = strcspn(value, " ");

        most = len > most ? len : most;
        value += len + (value[len] == ' ');
    }
    return most;
}

/* Whether every reader will show exactly this text when it is written as it is: ASCII words with
   single spaces between them, nothing that looks encoded. */
static bool is_plain(const char *value, size_t column)
{
    size_t first = strcspn(value, " ");

    for (const char *c = value; *c; c++) {
        if (*c < ' ' || *c > '~' || (*c == ' ' && (c == value || c[1] == ' ' || !c[1]))) {
            return false;
        }
    }
    return !strstr(value, "=?") && column + first <= HEADER_LINE_MAX &&
           longest(value) < HEADER_LINE_MAX;
}

static size_t begin(struct bytes *out, const char *name)
{
    bytes_add_text(out, name);
    bytes_add_text(out, ": ");
    return strlen(name) + 2;
}

static void end(struct bytes *out)
{
    bytes_add_text(out, "\r\n");
}

/* ---- values ---- */

bool header_text(struct bytes *out, const char *name, const char *value, enum mail_fault_kind kind,
                 struct mail_fault *why)
{
    size_t column;

    if (!check(name, value, kind, why)) {
        return false;
    }
    if (!value[0]) {
        return mail_fault_set(why, kind, "%s is empty", name);
    }
    column = begin(out, name);
    if (is_plain(value, column)) {
        word_fold(out, value, &column);
    } else {
        word_encode(out, value, &column);
    }
    end(out);
    return true;
}

/* Words that need no quotes in a display name. */
static bool is_phrase(const char *name, size_t column)
{
    for (const char *c = name; *c; c++) {
        if (strchr("()<>[]:;@\\,.\"", *c)) {
            return false;
        }
    }
    return is_plain(name, column);
}

/* A quoted string, when it is one line of ASCII that fits. */
static bool add_quoted(struct bytes *out, const char *name, size_t *column)
{
    size_t len = 2;

    for (const char *c = name; *c; c++) {
        if (*c < ' ' || *c > '~') {
            return false;
        }
        len += *c == '"' || *c == '\\' ? 2 : 1;
    }
    if (*column + len > HEADER_LINE_MAX || strstr(name, "=?")) {
        return false;
    }
    bytes_add_char(out, '"');
    for (const char *c = name; *c; c++) {
        if (*c == '"' || *c == '\\') {
            bytes_add_char(out, '\\');
        }
        bytes_add_char(out, *c);
    }
    bytes_add_char(out, '"');
    *column += len;
    return true;
}

bool header_address(struct bytes *out, const char *name, const struct address *value,
                    struct mail_fault *why)
{
    bool is_named = value->name[strspn(value->name, " ")] != '\0';
    size_t column;

    if (!check(name, value->name, MAIL_FAULT_DATA, why) ||
        !check(name, value->addr, MAIL_FAULT_DATA, why)) {
        return false;
    }
    column = begin(out, name);
    if (is_named) {
        if (is_phrase(value->name, column)) {
            word_fold(out, value->name, &column);
        } else if (!add_quoted(out, value->name, &column)) {
            word_encode(out, value->name, &column);
        }
        word_space(out, strlen(value->addr) + 2, &column);
        bytes_add_char(out, '<');
    }
    bytes_add_text(out, value->addr);
    bytes_add_text(out, is_named ? ">" : "");
    end(out);
    return true;
}

bool header_token(struct bytes *out, const char *name, const char *value, enum mail_fault_kind kind,
                  struct mail_fault *why)
{
    size_t column = strlen(name) + 2;

    for (const char *c = value; *c; c++) {
        if (*c < ' ' || *c > '~') {
            return mail_fault_set(why, kind, "%s holds the byte 0x%02x", name, (unsigned char)*c);
        }
        if (*c == ' ' && (c == value || c[1] == ' ' || !c[1])) {
            return mail_fault_set(why, kind, "%s has a space at an end, or two together", name);
        }
    }
    if (!value[0]) {
        return mail_fault_set(why, kind, "%s is empty", name);
    }
    if (column + longest(value) > HEADER_HARD_MAX) {
        return mail_fault_set(why, kind, "%s is longer than a line may be", name);
    }
    column = begin(out, name);
    word_fold(out, value, &column);
    end(out);
    return true;
}

/* ---- ids ---- */

/* Atoms with single dots between them. */
static bool is_dot_atom(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '.' ? i == 0 || i + 1 == len || text[i - 1] == '.'
                     : c <= ' ' || c > '~' || strchr("()<>[]:;@\\,\"", c)) {
            return false;
        }
    }
    return len > 0;
}

bool header_id_is_valid(const char *id)
{
    const char *at = strchr(id, '@');

    return at && strlen(id) <= HEADER_ID_MAX && is_dot_atom(id, (size_t)(at - id)) &&
           is_dot_atom(at + 1, strlen(at + 1));
}

bool header_ids(struct bytes *out, const char *name, const char *const *ids, size_t n,
                enum mail_fault_kind kind, struct mail_fault *why)
{
    size_t column;

    for (size_t i = 0; i < n; i++) {
        if (!header_id_is_valid(ids[i])) {
            return mail_fault_set(why, kind, "%s: \"%.80s\" is not a message id", name, ids[i]);
        }
    }
    if (n == 0) {
        return mail_fault_set(why, kind, "%s is empty", name);
    }
    column = begin(out, name);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            word_space(out, strlen(ids[i]) + 2, &column);
        }
        bytes_add_char(out, '<');
        bytes_add_text(out, ids[i]);
        bytes_add_char(out, '>');
        column += strlen(ids[i]) + 2;
    }
    end(out);
    return true;
}

/* ---- the others ---- */

/* Names by hand: strftime() would follow the locale. */
bool header_date(struct bytes *out, int64_t unix_ms, struct mail_fault *why)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(unix_ms / MS_PER_S);
    struct tm tm;
    char text[64];

    if (unix_ms < 0 || unix_ms / MS_PER_S > LAST_SECOND || !gmtime_r(&seconds, &tm)) {
        return mail_fault_set(why, MAIL_FAULT_DATA, "Date is out of range");
    }
    text_format(text, sizeof(text), "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n",
                days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
                tm.tm_min, tm.tm_sec);
    bytes_add_text(out, text);
    return true;
}

bool header_unsubscribe(struct bytes *out, const char *url, bool one_click,
                        enum mail_fault_kind kind, struct mail_fault *why)
{
    static const char name[] = "List-Unsubscribe";
    bool is_https = strncasecmp(url, "https://", 8) == 0;

    if (!is_https && strncasecmp(url, "http://", 7) != 0) {
        return mail_fault_set(why, kind, "%s is not an http or https URL", name);
    }
    if (!is_visible(url) || strpbrk(url, "<>,\"")) {
        return mail_fault_set(why, kind, "%s holds a character that its URL must write as %%XX",
                              name);
    }
    if (strlen(name) + 4 + strlen(url) > HEADER_HARD_MAX) {
        return mail_fault_set(why, kind, "%s is longer than a line may be", name);
    }
    begin(out, name);
    bytes_add_char(out, '<');
    bytes_add_text(out, url);
    bytes_add_char(out, '>');
    end(out);
    if (one_click && is_https) {
        bytes_add_text(out, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    }
    return true;
}
