/* SPDX-License-Identifier: MIT */
/*
 * utf8: characters of a text, and those that have no business in a mail's header.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_COMMON_UTF8_H
#define WORKER_HANDLERS_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at text (1 to 4), its number in *code (NULL is fine); 0 when len is 0
   or the bytes are no UTF-8 (cut off, overlong, a surrogate, beyond U+10FFFF). */
size_t utf8_next(const char *text, size_t len, uint32_t *code);

/* C0, DEL, C1, and the separators of lines and paragraphs U+2028 and U+2029. */
bool utf8_is_control(uint32_t code);

bool utf8_is_valid(const char *text);

/* In place: each control character becomes replacement, each byte that is not UTF-8 a '?'. */
void utf8_clean(char *text, char replacement);

#endif
