/* SPDX-License-Identifier: MIT */
/*
 * url: where a Redis is. Pure.
 *
 * redis://[user:password@]host[:port][/db]   unix:///path[?db=N] (user and password
 *                                            percent-encoded; also
 * redis://:password@host). [v6]:port for IPv6. Refused with a clear text, never taken for something
 * else: rediss://, redis+sentinel://, redis+cluster://. No message ever contains the password.
 */
#ifndef BROKER_URL_H
#define BROKER_URL_H

#include <jobq/error.h>

#include "base/base.h"

struct redis_url {
    char *host;     /* NULL for a unix socket */
    char *path;     /* NULL for TCP */
    char *user;     /* NULL: the default user */
    char *password; /* NULL: none; wiped in url_done() */
    int port;
    int db;
    char shown[128]; /* "redis.example:6379/0" or "/run/redis.sock/0", no secret: for messages */
};

/* JOBQ_EINVAL with what is wrong; JOBQ_ENOMEM. Caller frees with url_done(). */
MUST_CHECK int url_parse(const char *text, struct redis_url *out, jobq_err *err);
MUST_CHECK int url_copy(const struct redis_url *from, struct redis_url *out, jobq_err *err);
void url_done(struct redis_url *u);

#endif
