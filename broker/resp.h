/* SPDX-License-Identifier: MIT */
/*
 * resp: writes Redis commands (RESP2 arrays of bulk strings,
 * https://redis.io/docs/reference/protocol-spec/) straight into an output buffer, so that a command
 * costs no allocation; replies are parsed by hiredis (conn). Binary safe.
 */
#ifndef BROKER_RESP_H
#define BROKER_RESP_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/* Announces a command of argc words; exactly that many resp_… words must follow. */
void resp_begin(struct buf *b, size_t argc);
void resp_bytes(struct buf *b, const void *bytes, size_t len);
void resp_str(struct buf *b, const char *text);
void resp_int(struct buf *b, int64_t number);
/* A whole command of NUL-terminated words; the list ends with NULL. */
void resp_command(struct buf *b, ...) __attribute__((sentinel));

#endif
