/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"

static struct loop *loop;

/* A pipe with a byte in it, watched. */
struct watched {
    int ends[2];
    struct loop_io *io;
    int calls;
    uint32_t events;
    struct watched *victim; /* removed by the callback */
};

static void make_loop(void)
{
    cr_assert_eq(loop_new(&loop, NULL), JOBQ_OK);
}

static void drop_loop(void)
{
    loop_free(loop);
}

static void turn(void)
{
    jobq_err err = {0};
    cr_assert_eq(loop_turn(loop, 0, &err), JOBQ_OK, "%s", err.msg);
}

static void on_readable(void *ctx, uint32_t events)
{
    struct watched *w = ctx;
    w->calls++;
    w->events = events;
    if (w->victim) {
        loop_io_remove(w->victim->io);
        w->victim->io = NULL;
    }
}

static void watch(struct watched *w)
{
    cr_assert_eq(pipe2(w->ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_eq(write(w->ends[1], "x", 1), 1);
    cr_assert_eq(loop_io_add(loop, w->ends[0], EPOLLIN, on_readable, w, &w->io, NULL), JOBQ_OK);
}

static void unwatch(struct watched *w)
{
    loop_io_remove(w->io);
    close(w->ends[0]);
    close(w->ends[1]);
}

TestSuite(loop, .init = make_loop, .fini = drop_loop);

Test(loop, tells_again_while_something_is_there)
{
    struct watched w = {0};
    char byte;
    watch(&w);
    turn();
    turn();
    cr_assert_eq(w.calls, 2);
    cr_assert_eq(w.events, (uint32_t)EPOLLIN);
    cr_assert_eq(read(w.ends[0], &byte, 1), 1);
    turn();
    cr_assert_eq(w.calls, 2);
    unwatch(&w);
}

Test(loop, watches_what_it_was_told_last)
{
    struct watched w = {0};
    watch(&w);
    cr_assert_eq(loop_io_set(w.io, 0, NULL), JOBQ_OK);
    turn();
    cr_assert_eq(w.calls, 0);
    cr_assert_eq(loop_io_set(w.io, EPOLLIN, NULL), JOBQ_OK);
    cr_assert_eq(loop_io_set(w.io, EPOLLIN, NULL), JOBQ_OK);
    turn();
    cr_assert_eq(w.calls, 1);
    unwatch(&w);
}

Test(loop, changing_nothing_asks_the_kernel_nothing)
{
    struct watched w = {0};
    watch(&w);
    /* Closed behind its back: any call to the kernel would fail. */
    close(w.ends[0]);
    cr_assert_eq(loop_io_set(w.io, EPOLLIN, NULL), JOBQ_OK);
    cr_assert_eq(loop_io_set(w.io, EPOLLOUT, NULL), JOBQ_EINTERNAL);
    loop_io_remove(w.io);
    close(w.ends[1]);
}

Test(loop, refuses_what_cannot_be_watched)
{
    struct loop_io *io = NULL;
    jobq_err err = {0};
    cr_assert_eq(loop_io_add(loop, -1, EPOLLIN, on_readable, NULL, &io, &err), JOBQ_EINTERNAL);
    cr_assert_null(io);
    cr_assert_str_eq(err.msg, "cannot watch descriptor -1: Bad file descriptor");
}

Test(loop, a_callback_may_remove_itself)
{
    struct watched w = {0};
    w.victim = &w;
    watch(&w);
    turn();
    turn();
    cr_assert_eq(w.calls, 1);
    unwatch(&w);
}

/* Both are ready at once, so both events were fetched before the first removes the second. */
Test(loop, a_callback_may_remove_others)
{
    struct watched a = {0};
    struct watched b = {0};
    a.victim = &b;
    b.victim = &a;
    watch(&a);
    watch(&b);
    turn();
    turn();
    cr_assert(a.calls + b.calls == 2 && (a.calls == 0 || b.calls == 0), "%d %d", a.calls, b.calls);
    cr_assert((a.io == NULL) != (b.io == NULL), "the one left goes on being told");
    /* Its victim is gone by now and must not be removed twice. */
    unwatch(&a);
    unwatch(&b);
}

static struct watched replaced;
static struct watched replacing;

/* Removes the other and puts a new watch on the same number, while an event for the old one is
 * pending. */
static void replace(void *ctx, uint32_t events UNUSED)
{
    struct watched *other = ctx;
    struct watched *self = other == &replaced ? &replacing : &replaced;
    self->calls++;
    if (!other->io || self->victim)
        return;
    loop_io_remove(other->io);
    close(other->ends[0]);
    close(other->ends[1]);
    self->victim = other;
    int number = other->ends[0];
    cr_assert_eq(pipe2(other->ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert(other->ends[0] == number || other->ends[1] == number);
    cr_assert_eq(loop_io_add(loop, other->ends[0], EPOLLIN, on_readable, other, &other->io, NULL),
                 JOBQ_OK);
    other->calls = 0;
}

Test(loop, an_old_event_never_reaches_a_new_watch)
{
    watch(&replaced);
    watch(&replacing);
    loop_io_remove(replaced.io);
    loop_io_remove(replacing.io);
    cr_assert_eq(
        loop_io_add(loop, replaced.ends[0], EPOLLIN, replace, &replacing, &replaced.io, NULL),
        JOBQ_OK);
    cr_assert_eq(
        loop_io_add(loop, replacing.ends[0], EPOLLIN, replace, &replaced, &replacing.io, NULL),
        JOBQ_OK);
    turn();
    turn();
    /* The new pipe is empty: its watch must not have been called. */
    struct watched *fresh = replaced.victim ? &replacing : &replaced;
    cr_assert(replaced.victim || replacing.victim);
    cr_assert_eq(fresh->calls, 0);
    unwatch(&replaced);
    unwatch(&replacing);
}

Test(loop, reports_a_hangup_and_readiness_to_write)
{
    struct watched w = {0};
    struct loop_io *out = NULL;
    struct watched writable = {0};
    watch(&w);
    cr_assert_eq(loop_io_add(loop, w.ends[1], EPOLLOUT, on_readable, &writable, &out, NULL),
                 JOBQ_OK);
    turn();
    cr_assert_eq(writable.events, (uint32_t)EPOLLOUT);
    loop_io_remove(out);
    close(w.ends[1]);
    turn();
    cr_assert_eq(w.events, (uint32_t)(EPOLLIN | EPOLLHUP));
    loop_io_remove(w.io);
    close(w.ends[0]);
}

Test(loop, serves_more_descriptors_than_one_fetch_gives)
{
    static struct watched many[200];
    for (int i = 0; i < 200; i++)
        watch(&many[i]);
    for (int i = 0; i < 8; i++)
        turn();
    for (int i = 0; i < 200; i++) {
        cr_assert_gt(many[i].calls, 0, "descriptor %d starves", i);
        unwatch(&many[i]);
    }
}

static char signals[16];
static size_t signal_count;

static void on_signal(void *ctx, int signal_number)
{
    cr_assert_eq(ctx, signals);
    cr_assert_lt(signal_count, sizeof(signals));
    signals[signal_count++] = signal_number == SIGUSR1 ? '1' : signal_number == SIGTERM ? 'T' : '?';
}

Test(loop, delivers_signals_as_callbacks)
{
    cr_assert_eq(loop_signal(loop, SIGUSR1, on_signal, signals, NULL), JOBQ_OK);
    cr_assert_eq(loop_signal(loop, SIGTERM, on_signal, signals, NULL), JOBQ_OK);
    turn();
    cr_assert_eq(signal_count, 0u);
    kill(getpid(), SIGUSR1);
    turn();
    cr_assert_str_eq(signals, "1");
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGUSR1);
    turn();
    cr_assert_eq(signal_count, 3u, "%s", signals);
    turn();
    cr_assert_eq(signal_count, 3u);
}

Test(loop, refuses_what_is_no_signal)
{
    jobq_err err = {0};
    cr_assert_eq(loop_signal(loop, 0, on_signal, signals, &err), JOBQ_EINVAL);
    cr_assert_eq(loop_signal(loop, -1, on_signal, signals, &err), JOBQ_EINVAL);
    cr_assert_eq(loop_signal(loop, 65, on_signal, signals, &err), JOBQ_EINVAL);
    cr_assert_str_eq(err.msg, "65 is not a signal");
}

static void on_alarm(int signal_number UNUSED)
{
}

Test(loop, a_caught_signal_only_ends_the_wait)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 5000}, {0, 5000}};
    struct itimerval never = {{0, 0}, {0, 0}};
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    cr_assert_eq(loop_turn(loop, -1, NULL), JOBQ_OK);
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static char order[64];
static size_t ordered;

static void note_first(void *ctx UNUSED, int64_t now_ms UNUSED)
{
    order[ordered++] = 'a';
}

static void note_second(void *ctx UNUSED, int64_t now_ms UNUSED)
{
    order[ordered++] = 'b';
}

static void note_readable(void *ctx UNUSED, uint32_t events UNUSED)
{
    order[ordered++] = 'r';
}

Test(loop, hooks_end_every_turn_in_order)
{
    struct watched w = {0};
    struct loop_io *io = NULL;
    watch(&w);
    loop_io_remove(w.io);
    w.io = NULL;
    cr_assert_eq(loop_io_add(loop, w.ends[0], EPOLLIN, note_readable, NULL, &io, NULL), JOBQ_OK);
    cr_assert_eq(loop_hook(loop, note_first, NULL, NULL), JOBQ_OK);
    cr_assert_eq(loop_hook(loop, note_second, NULL, NULL), JOBQ_OK);
    turn();
    cr_assert_str_eq(order, "abrab",
                     "once before the wait, for what was gathered outside, and once at the end");
    loop_io_remove(io);
    unwatch(&w);
}

/* Without the hooks before the first wait this would wait for ever. */
static void send_gathered(void *ctx, int64_t now_ms UNUSED)
{
    struct watched *w = ctx;
    if (w->calls == 0)
        cr_assert_eq(write(w->ends[1], "x", 1), 1);
}

Test(loop, sends_what_was_gathered_before_it_waits)
{
    struct watched w = {0};
    char byte;
    watch(&w);
    cr_assert_eq(read(w.ends[0], &byte, 1), 1);
    cr_assert_eq(loop_hook(loop, send_gathered, &w, NULL), JOBQ_OK);
    cr_assert_eq(loop_turn(loop, -1, NULL), JOBQ_OK);
    cr_assert_eq(w.calls, 1);
    unwatch(&w);
}

static void stop_at_third(void *ctx, uint32_t events UNUSED)
{
    int *calls = ctx;
    if (++*calls == 3)
        loop_stop(loop);
}

Test(loop, runs_until_it_is_stopped)
{
    struct watched w = {0};
    int calls = 0;
    watch(&w);
    loop_io_remove(w.io);
    cr_assert_eq(loop_io_add(loop, w.ends[0], EPOLLIN, stop_at_third, &calls, &w.io, NULL),
                 JOBQ_OK);
    cr_assert_eq(loop_run(loop, NULL), JOBQ_OK);
    cr_assert_eq(calls, 3);
    calls = 0;
    cr_assert_eq(loop_run(loop, NULL), JOBQ_OK);
    cr_assert_eq(calls, 3, "it may run again");
    loop_stop(loop);
    calls = 0;
    cr_assert_eq(loop_run(loop, NULL), JOBQ_OK);
    cr_assert_eq(calls, 0, "stopped before it began");
    unwatch(&w);
}

Test(loop, tells_the_time_of_the_turn)
{
    clock_fake(1000, 0);
    turn();
    cr_assert_eq(loop_now(loop), 1000);
    clock_fake(2000, 0);
    cr_assert_eq(loop_now(loop), 1000);
    turn();
    cr_assert_eq(loop_now(loop), 2000);
    clock_fake_off();
}

static void ignore_timer(void *ctx UNUSED, int64_t now_ms UNUSED)
{
}

/* JOBQ_OK when all of it could be made; frees what it made. */
static int build_everything(int fd)
{
    struct loop *l = NULL;
    struct loop_io *io = NULL;
    struct loop_timer *timer = NULL;
    int rc = loop_new(&l, NULL);
    if (rc == JOBQ_OK)
        rc = loop_io_add(l, fd, EPOLLIN, note_readable, NULL, &io, NULL);
    for (int i = 0; rc == JOBQ_OK && i < 40; i++) {
        rc = loop_timer_new(l, ignore_timer, NULL, &timer, NULL);
        if (rc == JOBQ_OK)
            loop_timer_arm(timer, i);
    }
    if (rc == JOBQ_OK)
        rc = loop_signal(l, SIGUSR2, on_signal, signals, NULL);
    for (int i = 0; rc == JOBQ_OK && i < 10; i++)
        rc = loop_hook(l, note_first, NULL, NULL);
    if (l && loop_turn(l, 0, NULL) != JOBQ_OK)
        rc = JOBQ_EINTERNAL;
    loop_free(l);
    return rc;
}

Test(loop, survives_every_failed_allocation)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    int rc = JOBQ_ENOMEM;
    long nth = 0;
    while (rc == JOBQ_ENOMEM) {
        ordered = 0;
        mem_fail_at(++nth, 0);
        rc = build_everything(ends[0]);
        mem_fail_at(0, 0);
    }
    cr_assert_eq(rc, JOBQ_OK);
    cr_assert_gt(nth, 45);
    close(ends[0]);
    close(ends[1]);
}

Test(loop, frees_what_was_left_in_it)
{
    struct watched w = {0};
    struct loop_timer *timer = NULL;
    watch(&w);
    cr_assert_eq(loop_timer_new(loop, ignore_timer, NULL, &timer, NULL), JOBQ_OK);
    loop_timer_arm(timer, INT64_MAX);
    cr_assert_eq(loop_timer_new(loop, ignore_timer, NULL, &timer, NULL), JOBQ_OK);
    loop_free(NULL);
    loop_io_remove(NULL);
    loop_timer_free(NULL);
    close(w.ends[1]);
    /* The end of the test frees the loop; what it kept would be a leak. */
}
