/* SPDX-License-Identifier: MIT */
/* signals: see signals.h. */
#include "admin/jobctl/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"

#define WAIT_MAX_MS 3600000

int signals_open(struct signals *s, const int *numbers, jobq_err *err)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers != 0; numbers++)
        sigaddset(&set, *numbers);
    s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd < 0 || sigprocmask(SIG_BLOCK, &set, &s->before) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot wait for signals: %m");
    return JOBQ_OK;
}

void signals_close(struct signals *s)
{
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    (void)sigprocmask(SIG_SETMASK, &s->before, NULL);
}

int signals_wait(struct signals *s, int fd, short events, int64_t ms, short *ready)
{
    struct signalfd_siginfo info;
    struct pollfd p[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = fd, .events = events}};
    int timeout = (int)MIN(MAX(ms, INT64_C(0)), (int64_t)WAIT_MAX_MS);
    *ready = 0;
    if (poll(p, 2, timeout) <= 0)
        return 0;
    *ready = p[1].revents;
    if (p[0].revents != 0 && read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        return (int)info.ssi_signo;
    return 0;
}
