/* SPDX-License-Identifier: MIT */
/* address: where a server of ours listens, as text and as the kernel takes it. Pure. */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include <jobq/error.h>

#include "base/base.h"

/* Where to listen. */
struct http_address {
    struct sockaddr_storage addr;
    socklen_t len; /* 0: nowhere */
    char shown[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
};

/* "off"; "127.0.0.1:9464", "[::1]:9464", "localhost:9464"; "unix:/path". JOBQ_EINVAL: none of
 * these. */
MUST_CHECK int http_parse(const char *text, struct http_address *out, jobq_err *err);

#endif
