/* SPDX-License-Identifier: MIT */
/*
 * word: encoded words of RFC 2047 and lines of at most HEADER_LINE_MAX characters; for header.c.
 *
 * No state but the column, which the caller keeps.
 */
#ifndef WORKER_HANDLERS_MAIL_WORD_H
#define WORKER_HANDLERS_MAIL_WORD_H

#include <stddef.h>

#include "worker/handlers/mail/bytes.h"

/* Adds text, valid UTF-8, as encoded words: B or Q, whichever is shorter in all. A character is
   never split. *column: characters in the line so far, changed by what is written. */
void word_encode(struct bytes *out, const char *text, size_t *column);

/* Adds text that is written as it is, folding at its spaces. */
void word_fold(struct bytes *out, const char *text, size_t *column);

/* Adds a space, or a line's end and a space when len more would not fit into the line. */
void word_space(struct bytes *out, size_t len, size_t *column);

#endif
