/* SPDX-License-Identifier: MIT */
/*
 * qp: quoted-printable (RFC 2045) for texts, made so that no server on the way has to change it.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_MAIL_QP_H
#define WORKER_HANDLERS_MAIL_QP_H

#include "worker/handlers/mail/bytes.h"

#define QP_LINE_MAX 76

/*
 * Adds text with every line ended by CRLF, also the last one; LF and CRLF end lines, a lone CR is
 * encoded. Lines are at most QP_LINE_MAX characters. Blanks at a line's end are encoded, as are a
 * dot and the F of "From " at its beginning: neither dot-stuffing nor mailbox files touch them. A
 * character of UTF-8 is not split between lines.
 */
void qp_encode(struct bytes *out, const char *text);

#endif
