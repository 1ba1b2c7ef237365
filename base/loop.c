/* SPDX-License-Identifier: MIT */
/*
 * loop: epoll, a heap of timers, one signalfd. One thread.
 *
 * A turn waits first and then runs timers, callbacks and hooks, so that what they gathered is sent
 * before the next wait. Timers cost no system call: they only shorten the wait. A removed watch
 * stays in memory until the end of the turn, marked, because an event for it may already have been
 * fetched.
 */
#include "base/loop.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/mem.h"

#define EVENTS_PER_TURN 64
#define SIGNALS_PER_READ 16

struct loop_io {
    struct list node; /* in loop.ios, or in loop.removed */
    struct loop *loop;
    int fd;
    uint32_t events;
    bool removed;
    loop_io_fn fn;
    void *ctx;
};

struct loop_timer {
    struct heap_node when; /* in loop.timers until it is due */
    struct list node;      /* in loop.timer_list */
    struct list due;       /* in loop.due between being due and being called */
    struct loop *loop;
    loop_timer_fn fn;
    void *ctx;
};

struct hook {
    loop_hook_fn fn;
    void *ctx;
};

struct signal_watch {
    loop_signal_fn fn;
    void *ctx;
};

struct loop {
    int epoll_fd;
    int signal_fd;
    bool in_turn;
    bool stopped;
    int64_t now_ms;
    struct list ios;
    struct list removed;
    struct list timer_list;
    struct list due;
    struct heap timers;
    size_t timer_count;
    struct hook *hooks;
    size_t hook_count;
    size_t hook_cap;
    sigset_t signals;
    struct loop_io *signal_io;
    struct signal_watch signal_watches[_NSIG];
};

int loop_new(struct loop **out, jobq_err *err)
{
    struct loop *l = mem_zalloc(1, sizeof(*l));
    if (!l)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        int e = errno;
        mem_free(l);
        return error_set(err, JOBQ_EINTERNAL, "cannot make an epoll descriptor: %s", strerror(e));
    }
    l->signal_fd = -1;
    list_init(&l->ios);
    list_init(&l->removed);
    list_init(&l->timer_list);
    list_init(&l->due);
    heap_init(&l->timers);
    sigemptyset(&l->signals);
    l->now_ms = clock_mono_ms();
    *out = l;
    return JOBQ_OK;
}

static void free_ios(struct list *ios)
{
    LIST_FOR_EACH(node, ios)
        mem_free(LIST_ENTRY(node, struct loop_io, node));
    list_init(ios);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    ASSERT(!l->in_turn);
    free_ios(&l->ios);
    free_ios(&l->removed);
    LIST_FOR_EACH(node, &l->timer_list)
        mem_free(LIST_ENTRY(node, struct loop_timer, node));
    heap_done(&l->timers);
    mem_free(l->hooks);
    if (l->signal_fd >= 0)
        close(l->signal_fd);
    close(l->epoll_fd);
    mem_free(l);
}

/* How long epoll may wait: until the next timer, at most max_wait_ms; -1: for ever. */
static int wait_time(const struct loop *l, int64_t max_wait_ms)
{
    int64_t wait = max_wait_ms;
    const struct heap_node *first = heap_first(&l->timers);
    if (first && wait != 0) {
        int64_t now = clock_mono_ms();
        int64_t until = first->due_ms <= now ? 0 : first->due_ms - now;
        if (wait < 0 || until < wait)
            wait = until;
    }
    return (int)MAX(MIN(wait, (int64_t)INT_MAX), INT64_C(-1));
}

static void run_timers(struct loop *l)
{
    /* First set apart all that are due: one armed again by its callback waits for the next turn. */
    for (;;) {
        struct heap_node *first = heap_first(&l->timers);
        if (!first || first->due_ms > l->now_ms)
            break;
        heap_remove(&l->timers, first);
        list_push_back(&l->due, &CONTAINER_OF(first, struct loop_timer, when)->due);
    }
    while (!list_is_empty(&l->due)) {
        struct loop_timer *t = LIST_FIRST(&l->due, struct loop_timer, due);
        list_remove(&t->due);
        t->fn(t->ctx, l->now_ms); /* may free t */
    }
}

static void run_hooks(struct loop *l)
{
    for (size_t i = 0; i < l->hook_count; i++)
        l->hooks[i].fn(l->hooks[i].ctx, l->now_ms);
}

static int run_turn(struct loop *l, int64_t max_wait_ms, jobq_err *err)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(l->epoll_fd, events, EVENTS_PER_TURN, wait_time(l, max_wait_ms));
    if (n < 0 && errno != EINTR)
        return error_set(err, JOBQ_EINTERNAL, "epoll_wait failed: %s", strerror(errno));
    l->in_turn = true;
    l->now_ms = clock_mono_ms();
    run_timers(l);
    for (int i = 0; i < n; i++) {
        struct loop_io *io = events[i].data.ptr;
        if (!io->removed)
            io->fn(io->ctx, events[i].events);
    }
    run_hooks(l);
    l->in_turn = false;
    free_ios(&l->removed);
    return JOBQ_OK;
}

/* What was gathered outside a turn must not wait for one to end. */
static void run_hooks_before(struct loop *l)
{
    ASSERT(!l->in_turn);
    l->in_turn = true;
    l->now_ms = clock_mono_ms();
    run_hooks(l);
    l->in_turn = false;
    free_ios(&l->removed);
}

int loop_run(struct loop *l, jobq_err *err)
{
    int rc = JOBQ_OK;
    run_hooks_before(l);
    while (rc == JOBQ_OK && !l->stopped)
        rc = run_turn(l, -1, err);
    l->stopped = false;
    return rc;
}

int loop_turn(struct loop *l, int64_t max_wait_ms, jobq_err *err)
{
    run_hooks_before(l);
    return run_turn(l, max_wait_ms, err);
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}

int64_t loop_now(const struct loop *l)
{
    return l->now_ms;
}

int loop_io_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *ctx,
                struct loop_io **out, jobq_err *err)
{
    struct loop_io *io = mem_alloc(sizeof(*io));
    if (!io)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    *io = (struct loop_io){.loop = l, .fd = fd, .events = events, .fn = fn, .ctx = ctx};
    struct epoll_event event = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        int e = errno;
        mem_free(io);
        return error_set(err, JOBQ_EINTERNAL, "cannot watch descriptor %d: %s", fd, strerror(e));
    }
    list_push_back(&l->ios, &io->node);
    *out = io;
    return JOBQ_OK;
}

int loop_io_set(struct loop_io *io, uint32_t events, jobq_err *err)
{
    ASSERT(!io->removed);
    if (io->events == events)
        return JOBQ_OK;
    struct epoll_event event = {.events = events, .data.ptr = io};
    if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &event) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot watch descriptor %d: %s", io->fd,
                         strerror(errno));
    io->events = events;
    return JOBQ_OK;
}

void loop_io_remove(struct loop_io *io)
{
    if (!io)
        return;
    ASSERT(!io->removed);
    struct loop *l = io->loop;
    /* Fails only when the descriptor was closed first, which took it out of epoll already. */
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
    io->removed = true;
    list_remove(&io->node);
    if (l->in_turn)
        list_push_back(&l->removed, &io->node);
    else
        mem_free(io);
}

int loop_timer_new(struct loop *l, loop_timer_fn fn, void *ctx, struct loop_timer **out,
                   jobq_err *err)
{
    struct loop_timer *t = mem_alloc(sizeof(*t));
    if (!t || heap_reserve(&l->timers, l->timer_count + 1) != JOBQ_OK) {
        mem_free(t);
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    }
    *t = (struct loop_timer){.loop = l, .fn = fn, .ctx = ctx};
    heap_node_init(&t->when);
    list_init(&t->due);
    list_push_back(&l->timer_list, &t->node);
    l->timer_count++;
    *out = t;
    return JOBQ_OK;
}

void loop_timer_arm(struct loop_timer *t, int64_t due_ms)
{
    loop_timer_disarm(t);
    heap_push(&t->loop->timers, &t->when, due_ms);
}

void loop_timer_disarm(struct loop_timer *t)
{
    heap_remove(&t->loop->timers, &t->when);
    list_remove(&t->due);
}

bool loop_timer_is_armed(const struct loop_timer *t)
{
    return t->when.index != HEAP_NOWHERE || !list_is_empty(&t->due);
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    loop_timer_disarm(t);
    list_remove(&t->node);
    t->loop->timer_count--;
    mem_free(t);
}

static void read_signals(void *ctx, uint32_t events UNUSED)
{
    struct loop *l = ctx;
    struct signalfd_siginfo infos[SIGNALS_PER_READ];
    ssize_t n = read(l->signal_fd, infos, sizeof(infos));
    if (n <= 0)
        return; /* taken meanwhile; the loop tells when there is more */
    for (size_t i = 0; i < (size_t)n / sizeof(infos[0]); i++) {
        const struct signal_watch *w = &l->signal_watches[infos[i].ssi_signo];
        if (w->fn)
            w->fn(w->ctx, (int)infos[i].ssi_signo);
    }
}

int loop_signal(struct loop *l, int signal_number, loop_signal_fn fn, void *ctx, jobq_err *err)
{
    sigset_t signals = l->signals;
    if (signal_number < 1 || signal_number >= _NSIG || sigaddset(&signals, signal_number) != 0)
        return error_set(err, JOBQ_EINVAL, "%d is not a signal", signal_number);
    int fd = signalfd(l->signal_fd, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot make a signal descriptor: %s",
                         strerror(errno));
    l->signal_fd = fd;
    if (!l->signal_io) {
        int rc = loop_io_add(l, fd, EPOLLIN, read_signals, l, &l->signal_io, err);
        if (rc != JOBQ_OK)
            return rc;
    }
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return error_set(err, JOBQ_EINTERNAL, "cannot block signal %d: %s", signal_number,
                         strerror(errno));
    l->signals = signals;
    l->signal_watches[signal_number] = (struct signal_watch){fn, ctx};
    return JOBQ_OK;
}

int loop_hook(struct loop *l, loop_hook_fn fn, void *ctx, jobq_err *err)
{
    if (l->hook_count == l->hook_cap) {
        size_t cap = MAX(l->hook_cap * 2, (size_t)4);
        struct hook *hooks = mem_realloc(l->hooks, cap * sizeof(*hooks));
        if (!hooks)
            return error_set(err, JOBQ_ENOMEM, "out of memory");
        l->hooks = hooks;
        l->hook_cap = cap;
    }
    l->hooks[l->hook_count++] = (struct hook){fn, ctx};
    return JOBQ_OK;
}
