/* SPDX-License-Identifier: MIT */
/*
 * resolve: a host name to addresses, without ever making the caller wait.
 *
 * Numeric hosts are answered at once. Names are looked up by getaddrinfo() in a short-lived thread
 * of its own: getaddrinfo_a() would do the same, but its queue does not survive a fork (a child
 * that asks within a second of its parent waits for a thread that does not exist). A lookup that
 * nobody wants any more is freed by whoever comes last, the owner or the thread.
 *
 * One owner, one thread of the caller's.
 */
#ifndef BROKER_RESOLVE_H
#define BROKER_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include <jobq/error.h>

#include "base/base.h"

struct resolve;

/* Begins. JOBQ_ECONN: no thread; JOBQ_ENOMEM. Caller ends it with resolve_drop() or, after fork,
 * resolve_forget(). */
MUST_CHECK int resolve_start(const char *host, int port, struct resolve **out, jobq_err *err);
bool resolve_is_done(const struct resolve *r);
/* When done: JOBQ_OK, or JOBQ_ECONN with the resolver's text. */
MUST_CHECK int resolve_result(const struct resolve *r, jobq_err *err);
/* When done: address i in the order to try (RFC 6724), false past the last. Borrowed from r. */
bool resolve_address(const struct resolve *r, size_t i, const struct sockaddr **address,
                     socklen_t *len);
/* Never waits; NULL is fine. */
void resolve_drop(struct resolve *r);
/* In a child after fork, where the thread does not exist; NULL is fine. */
void resolve_forget(struct resolve *r);

#endif
