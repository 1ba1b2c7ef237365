/* SPDX-License-Identifier: MIT */
/*
 * fuzz_mail: any bytes as a value of every header, and as the parts of a message. Decoded by a
 * reader of its own here, the subject and the parts are what went in; no value adds a header, ends
 * a part or leaves a bare CR or LF.
 *
 * Input: fields divided by NUL: subject, id, URL, text, HTML, name.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "worker/handlers/mail/header.h"
#include "worker/handlers/mail/message.h"

#define FIELDS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a reader ---- */

static int hex(char c)
{
    ASSERT((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
    return c <= '9' ? c - '0' : c - 'A' + 10;
}

static int digit64(char c)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(letters, c);

    ASSERT(c != '\0' && at != NULL);
    return (int)(at - letters);
}

static void read_base64(struct bytes *out, const char *text, const char *end)
{
    unsigned sum = 0;
    int bits = 0;

    for (; text < end && *text != '='; text++) {
        sum = sum << 6 | (unsigned)digit64(*text);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes_add_char(out, (char)(sum >> bits & 0xFFu));
        }
    }
}

/* Encoded words of a header's value, with the folds between them. */
static void read_words(struct bytes *out, const char *value)
{
    while (*value) {
        const char *end = strstr(value + 10, "?=");
        bool is_q = value[8] == 'Q';

        ASSERT(strncmp(value, "=?UTF-8?", 8) == 0 && end != NULL && end - value <= 73);
        if (is_q) {
            for (value += 10; value < end; value++) {
                if (*value == '=') {
                    bytes_add_char(out, (char)(hex(value[1]) * 16 + hex(value[2])));
                    value += 2;
                } else {
                    bytes_add_char(out, (char)(*value == '_' ? ' ' : *value));
                }
            }
        } else {
            read_base64(out, value + 10, end);
        }
        value = end + 2;
        value += strncmp(value, "\r\n ", 3) == 0 ? 3 : strspn(value, "\r\n");
    }
}

/* A header's value, decoded and unfolded; what it is named comes first. */
static void check_text(const char *header, const char *name, const char *value)
{
    const char *written = header + strlen(name) + 2;
    struct bytes read;

    bytes_init(&read, 100000);
    bytes_add_text(&read, "");
    if (strncmp(written, "=?", 2) == 0) {
        read_words(&read, written);
    } else {
        for (const char *c = written; *c; c++) {
            if (*c != '\r' && *c != '\n')
                bytes_add_char(&read, *c);
        }
    }
    ASSERT(strcmp(read.data, value) == 0);
    bytes_done(&read);
}

/* Quoted-printable from text on, up to the boundary's line. */
static const char *read_part(struct bytes *out, const char *text)
{
    while (strncmp(text, "\r\n--=_jobq_", 11) != 0) {
        ASSERT(*text != '\0');
        if (strncmp(text, "=\r\n", 3) == 0) {
            text += 3;
        } else if (*text == '=') {
            bytes_add_char(out, (char)(hex(text[1]) * 16 + hex(text[2])));
            text += 3;
        } else {
            bytes_add_char(out, *text++);
        }
    }
    return text + 2;
}

/* ---- what must hold ---- */

static void check_lines(const char *text, size_t max)
{
    while (*text) {
        size_t len = strcspn(text, "\r\n");

        ASSERT(len <= max && text[len] == '\r' && text[len + 1] == '\n');
        text += len + 2;
    }
}

/* One header: every further line begins with a blank and holds more than blanks. */
static void check_header(const char *header, size_t max)
{
    check_lines(header, max);
    for (const char *line = strstr(header, "\r\n") + 2; *line; line = strstr(line, "\r\n") + 2)
        ASSERT(*line == ' ' && line[strspn(line, " ")] != '\r');
}

/* value is NUL-terminated: "before" it, out was empty. */
static void try_headers(const char *value)
{
    const char *ids[] = {value, value};
    struct mail_fault why = {0};
    struct bytes out;

    bytes_init(&out, 100000);
    if (header_text(&out, "Subject", value, MAIL_FAULT_DATA, &why)) {
        check_header(out.data, HEADER_LINE_MAX);
        check_text(out.data, "Subject", value);
        bytes_clear(&out);
    }
    if (header_token(&out, "X-Token", value, MAIL_FAULT_DATA, &why)) {
        check_header(out.data, HEADER_HARD_MAX);
        bytes_clear(&out);
    }
    if (header_ids(&out, "References", ids, 2, MAIL_FAULT_DATA, &why)) {
        check_header(out.data, HEADER_HARD_MAX);
        bytes_clear(&out);
    }
    if (header_unsubscribe(&out, value, true, MAIL_FAULT_DATA, &why)) {
        check_lines(out.data, HEADER_HARD_MAX);
        ASSERT(strncasecmp(out.data, "List-Unsubscribe: <http", 23) == 0);
        bytes_clear(&out);
    }
    ASSERT(out.len == 0 && (why.kind == MAIL_FAULT_NONE || header_is_clean(why.text)));
    bytes_done(&out);
}

/* With CRLF for every line end, also the last one. */
static void add_as_sent(struct bytes *out, const char *text)
{
    char last = '\n';

    for (; *text; text++) {
        bool is_pair = *text == '\r' && text[1] == '\n';

        bytes_add_text(out, is_pair || *text == '\n' ? "\r\n" : (char[]){*text, '\0'});
        text += is_pair;
        last = *text;
    }
    bytes_add_text(out, last == '\n' ? "" : "\r\n");
}

static const char *check_part(const char *body, const char *text)
{
    struct bytes read, sent;

    bytes_init(&read, MESSAGE_MAX);
    bytes_init(&sent, MESSAGE_MAX);
    bytes_add_text(&read, "");
    bytes_add_text(&sent, "");
    body = strstr(body, "quoted-printable\r\n\r\n") + 20;
    body = read_part(&read, body);
    add_as_sent(&sent, text);
    ASSERT(strcmp(read.data, sent.data) == 0);
    bytes_done(&read);
    bytes_done(&sent);
    return body;
}

static void check_message(const struct message *m, const char *mail, size_t len)
{
    const char *body = strstr(mail, "\r\n\r\n");
    size_t headers = 0;

    ASSERT(strlen(mail) == len);
    check_lines(mail, HEADER_HARD_MAX);
    check_lines(body, 78);
    for (const char *line = mail; line < body; line = strstr(line, "\r\n") + 2)
        headers += *line != ' ';
    /* Eight are always there. */
    ASSERT(headers == 8 + 2 * m->references_count + (m->unsubscribe != NULL));
    for (const char *line = body + 2; *line; line = strstr(line, "\r\n") + 2)
        ASSERT(*line != '.' && strncmp(line, "From ", 5) != 0);
    body = check_part(body, m->text);
    body = check_part(body, m->html);
    ASSERT(strlen(body) == strlen("--=_jobq_0000000000000000--\r\n"));
}

static void try_message(char *const *fields)
{
    struct mail_fault why = {0};
    struct address from, to;
    const char *id = header_id_is_valid(fields[1]) ? fields[1] : "a@b";
    struct message m = {
        .from = &from,
        .to = &to,
        .subject = fields[0],
        .text = fields[3],
        .html = fields[4],
        .message_id = id,
        .references = &id,
        .references_count = id == fields[1],
        .unsubscribe = fields[2][0] ? fields[2] : NULL,
    };
    struct bytes out;

    if (!address_make(fields[5], "a@b", MAIL_FAULT_DATA, &from, &why) ||
        !address_make(NULL, "c@d", MAIL_FAULT_DATA, &to, &why))
        return;
    bytes_init(&out, MESSAGE_MAX);
    if (message_build(&m, &out, &why))
        check_message(&m, out.data, out.len);
    else
        ASSERT(out.len == 0 && why.kind != MAIL_FAULT_NONE && header_is_clean(why.text));
    bytes_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *fields[FIELDS];
    size_t at = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        size_t len = strnlen((const char *)data + (size > 0 ? at : 0), size - at);

        fields[i] = size > 0 ? strndup((const char *)data + at, len) : strdup("");
        if (fields[i] == NULL)
            abort();
        at += len + (at + len < size);
        try_headers(fields[i]);
    }
    try_message(fields);
    /* And as the handlers make them: cleaned. */
    header_clean(fields[0]);
    header_clean(fields[5]);
    try_message(fields);
    for (size_t i = 0; i < FIELDS; i++)
        free(fields[i]);
    return 0;
}
