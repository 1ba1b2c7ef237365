/* SPDX-License-Identifier: MIT */
/*
 * message: the bytes of a whole mail, ready for DATA (dot-stuffing is the sender's).
 *
 * multipart/alternative, text then HTML, both quoted-printable UTF-8; CRLF line ends, body lines of
 * at most 76 characters. The bytes are a function of struct message alone: a mail sent again is
 * the same mail. The boundary comes from the Message-ID and is in neither part.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_MAIL_MESSAGE_H
#define WORKER_HANDLERS_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/mail/address.h"
#include "worker/handlers/mail/bytes.h"
#include "worker/handlers/mail/fault.h"

#define MESSAGE_MAX (2u * 1024 * 1024)

/* Everything borrowed. NULL: the header is left out, where it says so. */
struct message {
    const struct address *from; /* the configured sender: faults are MAIL_FAULT_SETTING */
    const struct address *to;
    const struct address *reply_to; /* NULL: none */
    const char *subject;            /* one line */
    const char *text;               /* UTF-8, lines ended by LF or CRLF */
    const char *html;
    const char *message_id;        /* local@domain, without < and > */
    const char *const *references; /* ids likewise; the last one is In-Reply-To too */
    size_t references_count;       /* 0: none */
    const char *unsubscribe;       /* URL; NULL: none */
    bool one_click;                /* List-Unsubscribe-Post, when the URL is https */
    int64_t date_ms;               /* Unix ms; the same in every attempt (the job's enqueued_ms) */
};

/*
 * Headers: Date, From, To, Reply-To, Subject, Message-ID, In-Reply-To, References, Auto-Submitted
 * (auto-generated), List-Unsubscribe, List-Unsubscribe-Post, MIME-Version, Content-Type. out was
 * made by bytes_init(out, MESSAGE_MAX or less); its former content is dropped. On a fault it is
 * empty: never part of a mail.
 */
bool message_build(const struct message *m, struct bytes *out, struct mail_fault *why);

/* From, To or Reply-To need SMTPUTF8. */
bool message_needs_utf8(const struct message *m);

#endif
