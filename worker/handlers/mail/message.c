/* SPDX-License-Identifier: MIT */
/* message: see message.h. */
#include "worker/handlers/mail/message.h"

#include <inttypes.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/common/utf8.h"
#include "worker/handlers/mail/header.h"
#include "worker/handlers/mail/qp.h"

#define BOUNDARY_SIZE 48

/* FNV-1a: the boundary needs to be the same every time, not to be a secret. */
static uint64_t hash(const char *text, uint64_t sum)
{
    for (; *text; text++) {
        sum = (sum ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    }
    return sum;
}

/* "=_" is nowhere in quoted-printable, so no text, however chosen, can hold the boundary. */
static void make_boundary(const char *message_id, char *out)
{
    text_format(out, BOUNDARY_SIZE, "=_jobq_%016" PRIx64,
                hash(message_id, UINT64_C(0xCBF29CE484222325)));
}

/* ---- header ---- */

static bool add_addresses(const struct message *m, struct bytes *out, struct mail_fault *why)
{
    return header_address(out, "From", m->from, why) && header_address(out, "To", m->to, why) &&
           (!m->reply_to || header_address(out, "Reply-To", m->reply_to, why));
}

static bool add_ids(const struct message *m, struct bytes *out, struct mail_fault *why)
{
    size_t n = m->references_count;

    if (!header_ids(out, "Message-ID", &m->message_id, 1, MAIL_FAULT_SETTING, why)) {
        return false;
    }
    return n == 0 ||
           (header_ids(out, "In-Reply-To", &m->references[n - 1], 1, MAIL_FAULT_SETTING, why) &&
            header_ids(out, "References", m->references, n, MAIL_FAULT_SETTING, why));
}

static bool add_header(const struct message *m, const char *boundary, struct bytes *out,
                       struct mail_fault *why)
{
    if (!header_date(out, m->date_ms, why) || !add_addresses(m, out, why) ||
        !header_text(out, "Subject", m->subject, MAIL_FAULT_DATA, why) || !add_ids(m, out, why) ||
        !header_token(out, "Auto-Submitted", "auto-generated", MAIL_FAULT_DATA, why)) {
        return false;
    }
    if (m->unsubscribe &&
        !header_unsubscribe(out, m->unsubscribe, m->one_click, MAIL_FAULT_SETTING, why)) {
        return false;
    }
    bytes_add_text(out,
                   "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary=\"");
    bytes_add_text(out, boundary);
    bytes_add_text(out, "\"\r\n\r\n");
    return true;
}

/* ---- body ---- */

static bool add_part(struct bytes *out, const char *boundary, const char *type, const char *text,
                     struct mail_fault *why)
{
    size_t len = strlen(text);
    size_t size;
    uint32_t code;

    for (size_t i = 0; i < len; i += size) {
        size = utf8_next(text + i, len - i, &code);
        if (size == 0) {
            return mail_fault_set(why, MAIL_FAULT_DATA, "the %s part is not UTF-8", type);
        }
        if (code < ' ' && !strchr("\t\n\r", (int)code)) {
            return mail_fault_set(why, MAIL_FAULT_DATA,
                                  "the %s part holds the control character U+%04X", type,
                                  (unsigned)code);
        }
    }
    bytes_add_text(out, "--");
    bytes_add_text(out, boundary);
    bytes_add_text(out, "\r\nContent-Type: text/");
    bytes_add_text(out, type);
    bytes_add_text(out, "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    qp_encode(out, text);
    bytes_add_text(out, "\r\n");
    return true;
}

/* ---- the whole ---- */

static bool add_all(const struct message *m, struct bytes *out, struct mail_fault *why)
{
    char boundary[BOUNDARY_SIZE];

    make_boundary(m->message_id, boundary);
    if (!add_header(m, boundary, out, why) || !add_part(out, boundary, "plain", m->text, why) ||
        !add_part(out, boundary, "html", m->html, why)) {
        return false;
    }
    bytes_add_text(out, "--");
    bytes_add_text(out, boundary);
    bytes_add_text(out, "--\r\n");
    if (out->state == BYTES_FULL) {
        return mail_fault_set(why, MAIL_FAULT_TEMPLATE, "the mail is longer than %zu bytes",
                              out->max);
    }
    return out->state == BYTES_OK || mail_fault_set(why, MAIL_FAULT_SYSTEM, "no memory for a mail");
}

bool message_build(const struct message *m, struct bytes *out, struct mail_fault *why)
{
    bytes_clear(out);
    if (!add_all(m, out, why)) {
        bytes_clear(out);
        return false;
    }
    return true;
}

bool message_needs_utf8(const struct message *m)
{
    return m->from->utf8 || m->to->utf8 || (m->reply_to && m->reply_to->utf8);
}
