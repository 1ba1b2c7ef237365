/* SPDX-License-Identifier: MIT */
/*
 * http: a small server for those who look, by libmicrohttpd, driven by our own loop.
 *
 * Answers GET and HEAD with what one function says; every connection is for one request. Whatever
 * a stranger does costs little: so many connections, so much memory each, so long in all; who comes
 * beyond that is turned away. Never blocks. Single thread.
 */
#ifndef WORKER_HTTP_H
#define WORKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"
#include "config/address.h"

struct buf;
struct http;
struct loop;

#define HTTP_CONNECTIONS 32
#define HTTP_SECONDS 10 /* a connection, from its first byte to its last */

/* Answers a path (without its query): writes the body, gives the status. */
typedef int (*http_answer_fn)(void *ctx, const char *path, struct buf *body);

/*
 * Listens. JOBQ_ESTATE with the reason when the address cannot be had now: taken, not there, not
 * allowed. The file of a unix socket that nobody listens on is replaced, and removed at the end.
 * Borrows loop. Caller frees with http_free().
 */
MUST_CHECK int http_new(struct loop *loop, const struct http_address *address, http_answer_fn fn,
                        void *ctx, struct http **out, jobq_err *err);
void http_free(struct http *h); /* closes every connection; NULL is fine */
/* At the end of a turn, after everything that may have changed: when to call again at the latest
 * (monotonic ms; INT64_MAX: by descriptor only). */
int64_t http_run(struct http *h, int64_t now_ms);

#endif
