/* SPDX-License-Identifier: MIT */
/*
 * text: UTF-8, durations, sizes, names, and text made safe to show. Pure.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct buf;

/* [a-z0-9_.:-]{1,64}: types and queues. */
bool text_is_name(const char *bytes, size_t len);
/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms); *bad_at is the offset of the first bad
 * byte. */
bool text_is_utf8(const char *bytes, size_t len, size_t *bad_at);
/* Longest length <= max at which valid UTF-8 bytes can be cut between characters. */
size_t text_cut(const char *bytes, size_t len, size_t max);
/* Copies at most out_size - 1 bytes as valid UTF-8: bad bytes become '?', cut at a character;
 * returns the length. */
size_t text_sanitize(const char *bytes, size_t len, char *out, size_t out_size);
/* Value of a hexadecimal digit in either case; -1 for any other character. */
int text_hex_value(char c);
/* "1500", "500ms", "30s", "10m", "1h", "7d" to ms. JOBQ_OK or JOBQ_EINVAL (negative, overflow,
 * other unit). */
MUST_CHECK int text_parse_duration(const char *text, int64_t *out_ms);
/* "1048576", "256K", "256KiB", "10M", "1G" (powers of 1024) to bytes. JOBQ_OK or JOBQ_EINVAL. */
MUST_CHECK int text_parse_size(const char *text, int64_t *out_bytes);
/* Whole decimal number with optional '-'. JOBQ_OK or JOBQ_EINVAL. */
MUST_CHECK int text_parse_int(const char *text, int64_t *out);
/* "5s", "1m 30s", "250ms": for people. Always NUL-terminated. */
void text_format_duration(int64_t ms, char *out, size_t out_size);
/* RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z". */
void text_format_time(int64_t unix_ms, char *out, size_t out_size);
/* Appends as a JSON string with quotes; bad UTF-8 becomes U+FFFD. */
void text_append_json(struct buf *b, const char *bytes, size_t len);
/* Appends bare when it is simple, else quoted with \" \\ \n \xNN: for key=value logs. */
void text_append_quoted(struct buf *b, const char *bytes, size_t len);
/* The candidate nearest to word (edit distance <= 3 and < half its length), or NULL: for "did you
 * mean". */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

#endif
