/* SPDX-License-Identifier: MIT */
/*
 * session: one run of jobctl: what it was told, its output, and the connections it opened, each at
 * its first use.
 *
 * Lives as long as the program. One thread; every wait ends at the session's deadline.
 */
#ifndef ADMIN_JOBCTL_SESSION_H
#define ADMIN_JOBCTL_SESSION_H

#include <stdint.h>

#include <jobq/error.h>

#include "admin/jobctl/out.h"
#include "admin/jobctl/settings.h"
#include "base/base.h"
#include "broker/inspect.h"

struct conn;
struct pg;

struct session {
    struct settings *settings;
    struct out out;
    struct conn *conn;
    struct pg *pg;
    int64_t timeout_ms;
    int64_t deadline_ms; /* monotonic */
    int status;          /* exit status of a command that failed, instead of its code's; 0: its
                          * code's */
};

/* Closes and frees what was opened. */
void session_done(struct session *s);
/* Connects unless it did; *out borrows from s. JOBQ_ECONFIG for a bad URL. */
MUST_CHECK int session_redis(struct session *s, struct inspect *out, jobq_err *err);
/* Forgets a connection that may be broken: the next session_redis() makes a new one. */
void session_drop_redis(struct session *s);
/* For commands of many steps: each of them has the whole time-out. */
void session_renew(struct session *s, struct inspect *in);
/* As session_redis(). JOBQ_ECONFIG: no PostgreSQL is configured. */
MUST_CHECK int session_postgres(struct session *s, struct pg **out, jobq_err *err);

/* The partitions of all queues, or of one (NULL: all), in order. Caller frees with
 * session_shards_free(). */
struct session_shards {
    struct shard_keys *keys;
    size_t n;
};
/* JOBQ_ENOTFOUND: there is no such queue. */
MUST_CHECK int session_shards(const struct inspect *in, const char *queue,
                              struct session_shards *out, jobq_err *err);
void session_shards_free(struct session_shards *s);
/* Those of the id first: its own hash names one of each queue, unless it has a unique key. */
void session_shards_likely_first(struct session_shards *s, const jobq_id *id);

#endif
