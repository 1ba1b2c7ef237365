/* SPDX-License-Identifier: MIT */
/*
 * executor_process: an executor as a process: its channels, its start, its two descriptors in the
 * loop, its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "config/config.h"
#include "worker/cells.h"
#include "worker/executor_env.h"
#include "worker/pool_private.h"

void executor_free(struct executor *x)
{
    loop_io_remove(x->pid_io);
    if (x->process.pid > 0) {
        child_signal_group(&x->process, SIGKILL);
        int ended, status;
        jobq_err err;
        if (child_reap(&x->process, &ended, &status, &err) == JOBQ_OK && !ended)
            close(x->process.pidfd); /* init reaps it: only at our own end */
    }
    loop_io_remove(x->io);
    if (x->socket >= 0)
        close(x->socket);
    if (x->page)
        munmap(x->page, sizeof(*x->page));
    buf_done(&x->in);
    buf_done(&x->out);
    list_remove(&x->node);
    mem_free(x);
}

static void on_pidfd(void *ctx, uint32_t events)
{
    struct executor *x = ctx;
    (void)events;
    int ended = 0, status = 0;
    jobq_err err;
    /* Reaping closes the pidfd, so it is taken out of the loop first. */
    loop_io_remove(x->pid_io);
    x->pid_io = NULL;
    if (child_reap(&x->process, &ended, &status, &err)) {
        log_event(LOG_ERROR, "executor.reap_failed", LOG_STR("error", err.msg), LOG_END);
        ended = 1;
    }
    if (ended)
        pool_bury(x->pool, x, status);
    else if (loop_io_add(x->pool->loop, x->process.pidfd, EPOLLIN, on_pidfd, x, &x->pid_io, &err))
        log_event(LOG_ERROR, "executor.unwatched", LOG_STR("error", err.msg), LOG_END);
}

static void on_socket(void *ctx, uint32_t events)
{
    struct executor *x = ctx;
    struct pool *p = x->pool;
    if (events & EPOLLOUT)
        executor_flush(x);
    if (x->state == EXECUTOR_DEAD || x->state == EXECUTOR_STARTING)
        executor_read_frames(p, x);
    else
        pool_check_page(p, x);
}

static int open_channels(struct executor *x, int *theirs, int *page_fd, jobq_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return error_set(err, JOBQ_EINTERNAL, "socketpair: %s", strerror(errno));
    x->socket = pair[0];
    *theirs = pair[1];
    if (fcntl(x->socket, F_SETFL, O_NONBLOCK))
        return error_set(err, JOBQ_EINTERNAL, "fcntl: %s", strerror(errno));
    *page_fd = memfd_create("jobq-executor", MFD_CLOEXEC);
    if (*page_fd < 0 || ftruncate(*page_fd, sizeof(*x->page)))
        return error_set(err, JOBQ_EINTERNAL, "memfd: %s", strerror(errno));
    void *page = mmap(NULL, sizeof(*x->page), PROT_READ | PROT_WRITE, MAP_SHARED, *page_fd, 0);
    if (page == MAP_FAILED)
        return error_set(err, JOBQ_EINTERNAL, "mmap: %s", strerror(errno));
    x->page = page;
    return JOBQ_OK;
}

static int start_process(struct pool *p, struct executor *x, int theirs, int page_fd, jobq_err *err)
{
    const int fds[][2] = {{STDERR_FILENO, STDERR_FILENO},
                          {STDERR_FILENO, STDOUT_FILENO},
                          {theirs, FRAME_SOCKET_FD},
                          {page_fd, FRAME_PAGE_FD},
                          {p->cells_fd, CELLS_FD}};
    const char *argv[] = {"jobq-executor", NULL};
    const char *env[EXECUTOR_ENV_MAX + 1];
    executor_env((const char *const *)environ, env);
    struct child_spec spec = {
        .path = p->config->executor_path,
        .argv = argv,
        .env = env,
        .fds = fds,
        .fd_count = ARRAY_LEN(fds),
        .nice = p->nice,
    };
    return child_start(&spec, &x->process, err);
}

int executor_start(struct pool *p, jobq_err *err)
{
    int theirs = -1, page_fd = -1, rc;
    struct executor *x = mem_zalloc(1, sizeof(*x));
    if (!x)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    x->pool = p;
    x->socket = -1;
    list_init(&x->node);
    list_init(&x->handed);
    buf_init(&x->in, FRAME_MAX * 2);
    buf_init(&x->out, FRAME_MAX * 32);
    x->born_ms = loop_now(p->loop);
    if ((rc = open_channels(x, &theirs, &page_fd, err)))
        goto out;
    if ((rc = start_process(p, x, theirs, page_fd, err)))
        goto out;
    x->pid = x->process.pid;
    if ((rc = loop_io_add(p->loop, x->socket, EPOLLIN, on_socket, x, &x->io, err)))
        goto out;
    if ((rc = loop_io_add(p->loop, x->process.pidfd, EPOLLIN, on_pidfd, x, &x->pid_io, err)))
        goto out;
    frame_put_strings(&x->out, FRAME_CONFIG, p->config->host_strings, p->config->host_count);
    frame_put_strings(&x->out, FRAME_START, p->config->modules, p->config->module_count);
    executor_flush(x);
    list_push_back(&p->executors, &x->node);
    p->alive++;
out:
    if (theirs >= 0)
        close(theirs);
    if (page_fd >= 0)
        close(page_fd);
    if (rc)
        executor_free(x);
    return rc;
}
