/* SPDX-License-Identifier: MIT */
/*
 * ask: several commands in one write, all their replies at once, and what people ask of a reply.
 * For callers that block and look (inspect); no state.
 */
#ifndef BROKER_ASK_H
#define BROKER_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct conn;
struct redisReply;

/*
 * Sends what was appended to conn_out() and takes n replies. On success replies[0..n) are the
 * caller's, freed with ask_free(); error replies are replies. On failure all of them are NULL.
 */
MUST_CHECK int ask_many(struct conn *c, int64_t deadline_ms, struct redisReply **replies, size_t n,
                        jobq_err *err);
void ask_free(struct redisReply **replies, size_t n);
/*
 * JOBQ_OK when r is of this type; JOBQ_EAUTH (no permission), JOBQ_EREDIS: it is an error;
 * JOBQ_EPROTO: what came is of another shape. The text says what was asked for.
 */
MUST_CHECK int ask_shape(const struct redisReply *r, int type, const char *what, jobq_err *err);

/* The value of a field in a flat array name, value, name, value…; NULL: absent. */
const struct redisReply *ask_field(const struct redisReply *flat, const char *name);
/* Number of such a field, brought between 0 and 2^40 so that sums cannot overflow; otherwise when
 * it is absent or nil. */
int64_t ask_field_count(const struct redisReply *flat, const char *name, int64_t otherwise);
/* The number a reply is, or is the text of; otherwise when it is neither. */
int64_t ask_int(const struct redisReply *r, int64_t otherwise);
/* The same for a count or an age, brought between 0 and 2^40. */
int64_t ask_count(const struct redisReply *r, int64_t otherwise);
/* The bytes a reply is; false: it is no string. */
bool ask_bytes(const struct redisReply *r, const char **bytes, size_t *len);

#endif
