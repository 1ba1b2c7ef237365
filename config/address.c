/* SPDX-License-Identifier: MIT */
/* address: see address.h. */
#include "config/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define FORMS "not off, ADDRESS:PORT or unix:/PATH"

static int parse_unix(const char *path, struct http_address *a, jobq_err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (path[0] != '/')
        return error_set(err, JOBQ_EINVAL, "the path of a unix socket begins with /");
    if (n >= sizeof(un.sun_path))
        return error_set(err, JOBQ_EINVAL, "the path of a unix socket has at most %zu bytes",
                         sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, n + 1);
    memcpy(&a->addr, &un, sizeof(un));
    a->len = sizeof(un);
    return JOBQ_OK;
}

/* host without brackets. */
static bool parse_ip(const char *host, uint16_t port, struct http_address *a)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&a->addr, &in, sizeof(in));
        a->len = sizeof(in);
        return true;
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
        memcpy(&a->addr, &in6, sizeof(in6));
        a->len = sizeof(in6);
        return true;
    }
    return false;
}

int http_parse(const char *text, struct http_address *out, jobq_err *err)
{
    struct http_address a = {.len = 0};
    char host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    int64_t port;
    snprintf(a.shown, sizeof(a.shown), "%s", text);
    if (strcmp(text, "off") == 0) {
        *out = a;
        return JOBQ_OK;
    }
    if (strncmp(text, "unix:", 5) == 0) {
        int rc = parse_unix(text + 5, &a, err);
        if (rc == JOBQ_OK)
            *out = a;
        return rc;
    }
    size_t n = colon ? (size_t)(colon - text) : 0;
    bool bracketed = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (n < 1 || n >= sizeof(host))
        return error_set(err, JOBQ_EINVAL, FORMS);
    if (text_parse_int(colon + 1, &port) != JOBQ_OK || port < 1 || port > 65535)
        return error_set(err, JOBQ_EINVAL, "the port is not 1 to 65535");
    n -= bracketed ? 2 : 0;
    memcpy(host, text + bracketed, n);
    host[n] = '\0';
    if (bracketed != (strchr(host, ':') != NULL) || !parse_ip(host, (uint16_t)port, &a))
        return error_set(err, JOBQ_EINVAL,
                         FORMS "; ADDRESS is localhost, an IPv4 or an [IPv6] one");
    *out = a;
    return JOBQ_OK;
}
