/* SPDX-License-Identifier: MIT */
/* http_address: the listening socket, and the file of a unix socket. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "worker/http.h"
#include "worker/http_impl.h"

#define BACKLOG 64

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
