/* SPDX-License-Identifier: MIT */
/*
 * link: one Redis connection inside the loop: reconnects by itself, pairs replies with what asked
 * for them.
 *
 * Commands are appended to link_out() and each is followed by link_expect(), which names who reads
 * its reply; all that was appended in a turn is written at its end in one write. When the
 * connection breaks every expectation is told so (reply NULL), in order, then on_down is called;
 * after reconnecting and a check that this is a writable primary of version 7 or later, on_up.
 * First reconnect at once, then with growing jittered pauses; a refused password is tried slowly
 * and never given up. Single thread; never blocks.
 */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct buf;
struct link;
struct loop;
struct redisReply;
struct redis_url;

/* reply is borrowed until the callback returns; NULL: the connection broke before the answer. A
 * NULL function: the answer is of no interest. */
typedef void (*link_reply_fn)(void *ctx, void *data, const struct redisReply *reply);

struct link_hooks {
    void *ctx;
    void (*on_up)(void *ctx);
    void (*on_down)(void *ctx, const char *why);
    /* A message on a subscribed channel. NULL: none expected. */
    void (*on_message)(void *ctx, const char *channel, const char *message);
};

/* Borrows loop; copies url and name. word: "command", "reader", "subscriber", for logs. Caller
 * frees. */
MUST_CHECK int link_new(struct loop *loop, const struct redis_url *url, const char *name,
                        const char *word, int64_t longest_pause_ms, const struct link_hooks *hooks,
                        struct link **out, jobq_err *err);
void link_free(struct link *l); /* drops all expectations without calling them; NULL is fine */
void link_start(struct link *l);
bool link_is_up(const struct link *l);
/* Why it is down, for people; "" while up. */
const char *link_trouble(const struct link *l);
int64_t link_client_id(const struct link *l);
/* Which life of which server it is connected to, or was last: client ids mean something in that one
 * only. */
const char *link_run_id(const struct link *l);
const char *link_where(const struct link *l);
const char *link_local_address(const struct link *l);
/* Where to append; only while up. */
struct buf *link_out(struct link *l);
void link_expect(struct link *l, link_reply_fn fn, void *ctx, void *data);
/* Expectations without an answer. */
size_t link_pending(const struct link *l);
/* Breaks the connection on purpose (a blocked read that outlived its time, a demoted server), then
 * reconnects. */
void link_break(struct link *l, const char *why);
/* What an error reply means for the connection; breaks it where that is the cure. false: not an
 * error. */
bool link_judge(struct link *l, const struct redisReply *reply);

#endif
