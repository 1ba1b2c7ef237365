/* SPDX-License-Identifier: MIT */
/*
 * sock: one non-blocking stream socket, close-on-exec, with what we want of every TCP connection:
 * no Nagle, keep-alive and TCP_USER_TIMEOUT, so that a half-open peer is noticed. No state of its
 * own.
 */
#ifndef BROKER_SOCK_H
#define BROKER_SOCK_H

#include <stddef.h>
#include <sys/socket.h>

#include "base/base.h"

/* Begins to connect. The descriptor (maybe still connecting), or -errno. */
MUST_CHECK int sock_connect(const struct sockaddr *address, socklen_t len);
/* path shorter than sun_path. -EAGAIN: the server's backlog is full. */
MUST_CHECK int sock_connect_unix(const char *path);
/* 0: connected; EINPROGRESS: not yet; else the errno of its failure. */
MUST_CHECK int sock_check(int fd);
/* "127.0.0.1:4711", "[::1]:4711", "" for anything else; always NUL-terminated. */
void sock_local_address(int fd, char *out, size_t out_size);

#define SOCK_ADDRESS_SIZE 80

#endif
