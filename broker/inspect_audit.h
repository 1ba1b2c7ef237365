/* SPDX-License-Identifier: MIT */
/*
 * inspect_audit: what operators did in a partition (docs/protocol.md, "What operators did"), and
 * whether its dead letters are all accounted for. Reads only.
 *
 * Blocking, within the deadline of struct inspect; one thread. A page lives until
 * inspect_audit_done().
 */
#ifndef BROKER_INSPECT_AUDIT_H
#define BROKER_INSPECT_AUDIT_H

#include "broker/inspect.h"

struct redisReply;

#define INSPECT_AUDIT_PAGE 100

/* Bytes are as hostile as anything from Redis, not NUL-terminated, and NULL when absent. */
struct inspect_record {
    struct entry_id at; /* its time is that of the last call of the act */
    int64_t began_ms;   /* -1: not told */
    int64_t jobs;
    struct inspect_text {
        const char *bytes;
        size_t len;
    } act, action, by, user, command, note;
};
struct inspect_audit {
    struct inspect_record records[INSPECT_AUDIT_PAGE];
    size_t n;
    struct redisReply *reply;
};
/* The newest records that are not newer than `last` (NULL: of all), newest first, at most
 * INSPECT_AUDIT_PAGE. */
MUST_CHECK int inspect_audit(const struct inspect *in, const struct shard_keys *k,
                             const struct entry_id *last, struct inspect_audit *out, jobq_err *err);
void inspect_audit_done(struct inspect_audit *a);

/* Of one partition, since its keys were created. */
struct inspect_books {
    int64_t purged;
    int64_t died;               /* dead letters written */
    int64_t dead;               /* of those there are */
    int64_t revived, discarded; /* of those by operators */
    int64_t dropped;            /* by jobd: too many, or too old */
    bool settled; /* these numbers are of one moment: then died is the sum of the others */
};
MUST_CHECK int inspect_books(const struct inspect *in, const struct shard_keys *k,
                             struct inspect_books *out, jobq_err *err);

#endif
