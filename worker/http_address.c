/* SPDX-License-Identifier: MIT */
/* http_address: where to listen, as text, and the listening socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "worker/http.h"
#include "worker/http_impl.h"

#define FORMS "not off, ADDRESS:PORT or unix:/PATH"
#define BACKLOG 64

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

/* ---- the socket ---- */

/* A file that a jobd left behind when it was killed. */
static void remove_abandoned(const struct http_address *a)
{
    struct sockaddr_un un;
    struct stat st;
    memcpy(&un, &a->addr, sizeof(un));
    if (lstat(un.sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) != 0 && errno == ECONNREFUSED)
        unlink(un.sun_path);
    close(fd);
}

int http_listen(const struct http_address *a, jobq_err *err)
{
    const int on = 1;
    bool is_unix = a->addr.ss_family == AF_UNIX;
    if (is_unix)
        remove_abandoned(a);
    int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0;
    if (ok && !is_unix)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    if (ok && a->addr.ss_family == AF_INET6)
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0;
    ok = ok && bind(fd, (const struct sockaddr *)&a->addr, a->len) == 0 && listen(fd, BACKLOG) == 0;
    if (ok)
        return fd;
    error_set(err, JOBQ_ESTATE, "%s: %s", a->shown, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

void http_note_file(const struct http_address *a, struct http_file *out)
{
    struct stat st;
    *out = (struct http_file){.path = ""};
    if (a->addr.ss_family != AF_UNIX)
        return;
    struct sockaddr_un un;
    memcpy(&un, &a->addr, sizeof(un));
    if (lstat(un.sun_path, &st) != 0)
        return;
    memcpy(out->path, un.sun_path, sizeof(out->path));
    out->device = st.st_dev;
    out->inode = st.st_ino;
}

void http_remove_file(const struct http_file *f)
{
    struct stat st;
    if (f->path[0] && lstat(f->path, &st) == 0 && st.st_dev == f->device && st.st_ino == f->inode)
        unlink(f->path);
}
