/* SPDX-License-Identifier: MIT */
/*
 * reply: how an error of Redis is to be read (exact prefixes of Redis 7.0), and small helpers over
 * replies. Pure.
 */
#ifndef BROKER_REPLY_H
#define BROKER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct redisReply;

enum reply_class {
    REPLY_FINE,         /* not an error */
    REPLY_NOSCRIPT,     /* load and retry once */
    REPLY_LOST_DATA,    /* NOGROUP, UNBLOCKED the stream key no longer exists: create the groups at
                         * 0 */
    REPLY_DEMOTED,      /* READONLY, UNBLOCKED force unblock…, MASTERDOWN: drop the connection, look
                         * again */
    REPLY_LOADING,      /* back off <= 1 s */
    REPLY_NOT_WRITABLE, /* NOREPLICAS, MISCONF: finish what is claimed, stop claiming, alert */
    REPLY_OOM,          /* alert; claiming and acknowledging go on */
    REPLY_BUSY,         /* wait */
    REPLY_AUTH,         /* NOAUTH, WRONGPASS, NOPERM: say so once a minute, slow retry */
    REPLY_CLUSTER,      /* MOVED, ASK, TRYAGAIN, CLUSTERDOWN, CROSSSLOT */
    REPLY_TOO_MANY,     /* ERR max number of clients reached: back off */
    REPLY_OTHER,        /* WRONGTYPE, ERR …: alert, back off */
};

/* text is what follows the '-'; errors raised inside scripts carry the same prefixes. */
enum reply_class reply_classify(const char *text, size_t len);
enum reply_class reply_class_of(const struct redisReply *r);
/* The cause a producer is told; JOBQ_CAUSE_NONE for REPLY_FINE. */
jobq_cause reply_cause(const char *text, size_t len);
/* A short word for logs: "oom", "read_only"… */
const char *reply_class_name(enum reply_class c);

/* Frees a reply, for rooms that do not know hiredis; NULL is fine. */
void reply_free(struct redisReply *r);
/* NULL, the answer of a connection that broke, is none of these. */
bool reply_is_error(const struct redisReply *r);
bool reply_is_nil(const struct redisReply *r);
bool reply_is_array(const struct redisReply *r);
/* Elements of an array; 0 for anything else. */
size_t reply_count(const struct redisReply *r);
/* The text of a string, a status or an error, NUL-terminated, borrowed; "" for anything else. */
const char *reply_text(const struct redisReply *r);
/* Element i of an array as bytes / integer (strings of digits too). false when it is absent or of
 * another type. */
bool reply_bytes(const struct redisReply *r, size_t i, const char **bytes, size_t *len);
bool reply_int(const struct redisReply *r, size_t i, int64_t *out);
bool reply_is_word(const struct redisReply *r, size_t i, const char *word);

/* JOBQ_EPROTO: what was asked for came in another shape. */
int reply_refuse_shape(const char *what, jobq_err *err);
/* JOBQ_OK: an array, whatever is in it; JOBQ_EREDIS: an error, whose text is in err; JOBQ_EPROTO:
 * anything else, NULL too. */
MUST_CHECK int reply_expect_array(const struct redisReply *r, const char *what, jobq_err *err);

#endif
