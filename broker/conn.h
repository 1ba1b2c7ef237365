/* SPDX-License-Identifier: MIT */
/*
 * conn: one connection to one Redis, RESP2. We own the socket; hiredis parses replies (its API from
 * 0.14 to 1.x).
 *
 * One code path serves the loop (conn_start, conn_step, conn_next) and blocking callers
 * (conn_connect, conn_call): the latter poll the former with an exact deadline. Establishing: name
 * resolution (never blocks the caller beyond its deadline), non-blocking connect, then AUTH,
 * SELECT, CLIENT SETNAME, CLIENT ID in one pipeline. TCP_NODELAY, keep-alive and TCP_USER_TIMEOUT
 * against half-open peers; no SIGPIPE. After any error the connection is down and its bytes are
 * dropped: a connection is never used again after a time-out in the middle of a reply.
 *
 * Single thread. A child after fork must call conn_forget().
 */
#ifndef BROKER_CONN_H
#define BROKER_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct buf;
struct conn;
struct redis_url;
struct redisReply;

enum conn_state { CONN_DOWN, CONN_RESOLVING, CONN_CONNECTING, CONN_GREETING, CONN_READY };

/* Copies url and name. Nothing is opened yet. Caller frees with conn_free(). */
MUST_CHECK int conn_new(const struct redis_url *url, const char *name, struct conn **out,
                        jobq_err *err);
void conn_free(struct conn *c); /* NULL is fine */
/* Closes; drops queued output and unread replies. The object may be started again. */
void conn_close(struct conn *c);
/* After fork, in the child: closes our descriptor without a word to the server; state becomes
 * CONN_DOWN. */
void conn_forget(struct conn *c);

enum conn_state conn_state(const struct conn *c);
const char *conn_where(const struct conn *c); /* for messages: "127.0.0.1:6379/0" */
int64_t conn_client_id(const struct conn *c); /* CLIENT ID of this connection; 0 until ready */
/* "ip:port" as getsockname() tells, to compare with CLIENT INFO's addr (a proxy differs); "" for a
 * unix socket. */
const char *conn_local_address(const struct conn *c);

/* ---- for the loop ---- */

/* Begins to connect. JOBQ_OK (in progress), or the error that made it impossible at once. */
MUST_CHECK int conn_start(struct conn *c, jobq_err *err);
/* What to watch: -1 while resolving (call conn_step() again within conn_poll_ms()). The fd may
 * change between steps. */
int conn_fd(const struct conn *c);
uint32_t conn_events(const struct conn *c); /* EPOLLIN | EPOLLOUT wanted now */
int64_t conn_poll_ms(const struct conn *c); /* -1: no need to poll by time */
/*
 * Goes on: resolves, connects, greets, writes, reads. Call when the fd is ready or poll time came.
 * JOBQ_OK; JOBQ_EAUTH, JOBQ_ECONN, JOBQ_EPROTO, JOBQ_EREDIS (LOADING and the like at greeting; text
 * is Redis's), after which the state is CONN_DOWN.
 */
MUST_CHECK int conn_step(struct conn *c, jobq_err *err);
/* Where commands are appended (with resp_…), when ready. Ceiling 1 GiB. */
struct buf *conn_out(struct conn *c);
/* Writes what can be written now. Errors as conn_step(). */
MUST_CHECK int conn_flush(struct conn *c, jobq_err *err);
/* Next complete reply: *out is the caller's, freed with freeReplyObject(); NULL: none yet.
 * JOBQ_EPROTO: down. */
MUST_CHECK int conn_next(struct conn *c, struct redisReply **out, jobq_err *err);

/* ---- for blocking callers; deadline_ms is monotonic ---- */

/* Ready, or JOBQ_ETIMEDOUT or an error of conn_step() (then down). */
MUST_CHECK int conn_connect(struct conn *c, int64_t deadline_ms, jobq_err *err);
/* Writes what was appended and reads one reply. An error reply of Redis is a reply, not a
 * failure. */
MUST_CHECK int conn_call(struct conn *c, int64_t deadline_ms, struct redisReply **out,
                         jobq_err *err);
/*
 * Writes everything appended and reads n replies in order, giving each to fn, which frees it.
 * Reading and writing interleave, so neither side's buffers can dead-lock. On failure *done says
 * how many replies were given.
 */
typedef void (*conn_reply_fn)(void *ctx, size_t i, struct redisReply *reply);
MUST_CHECK int conn_call_many(struct conn *c, int64_t deadline_ms, size_t n, conn_reply_fn fn,
                              void *ctx, size_t *done, jobq_err *err);
/*
 * Waits until conn_step() can go on, and calls it once; for callers with a pump of their own. At
 * the deadline: JOBQ_ETIMEDOUT, and the connection is closed.
 */
MUST_CHECK int conn_wait(struct conn *c, int64_t deadline_ms, jobq_err *err);
/* Whether any byte may have left this process since conn_mark() (every conn_call…() begins with it)
 * or conn_start(). */
void conn_mark(struct conn *c);
bool conn_may_have_sent(const struct conn *c);
/* How many of the appended bytes, the last ones, have certainly not left. Keeps its value after a
 * failure. */
size_t conn_unsent(const struct conn *c);

#endif
