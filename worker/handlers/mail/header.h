/* SPDX-License-Identifier: MIT */
/*
 * header: lines of a mail's header, encoded and folded (RFC 5322, 2047, 3834, 8058).
 *
 * Every function adds whole lines with their CRLF, each at most 78 characters where the value can
 * be folded, at most 998 anywhere. A value with CR, LF, NUL or any other control character, or that
 * is not UTF-8, is refused (the kind of the fault is the caller's choice), never repaired: use
 * header_clean() on texts of users first. Failures of memory are kept by out; message_build()
 * looks.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_MAIL_HEADER_H
#define WORKER_HANDLERS_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/handlers/mail/address.h"
#include "worker/handlers/mail/bytes.h"
#include "worker/handlers/mail/fault.h"

#define HEADER_LINE_MAX 78
#define HEADER_HARD_MAX 998 /* without CRLF */
#define HEADER_ID_MAX 250   /* of a Message-ID, without < and > */

/*
 * In place: every control character (C0, DEL, C1, U+2028, U+2029) becomes one space, every byte
 * that is not UTF-8 a '?'. Never longer than before. For thread titles, user names, forum names.
 */
void header_clean(char *text);
/* Whether a value may stand in a header: UTF-8 without such characters. */
bool header_is_clean(const char *text);

/* Free text such as Subject; encoded words where it is not plain ASCII. */
bool header_text(struct bytes *out, const char *name, const char *value, enum mail_fault_kind kind,
                 struct mail_fault *why);

/* An address with its display name, quoted or encoded as it needs. */
bool header_address(struct bytes *out, const char *name, const struct address *value,
                    struct mail_fault *why);

/* Structured values that are written as they are: visible ASCII and spaces; folded at spaces. */
bool header_token(struct bytes *out, const char *name, const char *value, enum mail_fault_kind kind,
                  struct mail_fault *why);

/* Whether id is local@domain of dot-atoms, at most HEADER_ID_MAX bytes: fit for < and >. */
bool header_id_is_valid(const char *id);
/* Message-ID, In-Reply-To, References: "<id>" for each of n ids, folded between them. */
bool header_ids(struct bytes *out, const char *name, const char *const *ids, size_t n,
                enum mail_fault_kind kind, struct mail_fault *why);

/* Date, in UTC: 0 to the end of the year 9999. */
bool header_date(struct bytes *out, int64_t unix_ms, struct mail_fault *why);

/*
 * List-Unsubscribe: <url>, of visible ASCII without <, >, http or https; one_click adds
 * List-Unsubscribe-Post for https, which RFC 8058 asks for, and nothing for http.
 */
bool header_unsubscribe(struct bytes *out, const char *url, bool one_click,
                        enum mail_fault_kind kind, struct mail_fault *why);

#endif
