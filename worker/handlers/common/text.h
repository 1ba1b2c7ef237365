/* SPDX-License-Identifier: MIT */
/*
 * text: short texts for people, in buffers of fixed size.
 *
 * A text that does not fit is cut between two characters, so that it stays valid UTF-8.
 */
#ifndef WORKER_HANDLERS_COMMON_TEXT_H
#define WORKER_HANDLERS_COMMON_TEXT_H

#include <stdarg.h>
#include <stddef.h>

void text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void text_format_list(char *out, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
