/* SPDX-License-Identifier: MIT */
/* payload: see payload.h. */
#include "admin/jobctl/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"

static int read_all(int fd, struct buf *b, const char *name, jobq_err *err)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0)
            return JOBQ_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, JOBQ_EINVAL, "cannot read the payload from %s: %m", name);
        buf_append(b, chunk, (size_t)n);
        if (b->failed)
            return error_set(err, JOBQ_ETOOBIG, "the payload in %s is over %zu bytes", name,
                             b->max);
    }
}

int payload_read_file(const char *path, struct buf *b, jobq_err *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, b, "standard input", err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, JOBQ_EINVAL, "cannot read the payload from %s: %m", path);
    int rc = read_all(fd, b, path, err);
    close(fd);
    return rc;
}

int payload_read(const char *text, struct buf *b, jobq_err *err)
{
    if (strcmp(text, "-") == 0 || text[0] == '@')
        return payload_read_file(text[0] == '@' ? text + 1 : text, b, err);
    buf_append_str(b, text);
    return b->failed ? error_set(err, JOBQ_ETOOBIG, "the payload is over %zu bytes", b->max)
                     : JOBQ_OK;
}
