/* SPDX-License-Identifier: MIT */
/*
 * loop: one epoll loop: descriptors, timers, signals, children. One thread.
 *
 * A turn: fire due timers, wait at most until the next one, run callbacks, run the turn-end hooks.
 * A callback may add and remove anything, itself included: removed watches are freed at the end of
 * the turn.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jobq/error.h>

#include "base/base.h"

struct loop;
struct loop_io;    /* a watched descriptor */
struct loop_timer; /* a timer, armed or not */

/* events: EPOLLIN | EPOLLOUT … as epoll gave them. */
typedef void (*loop_io_fn)(void *ctx, uint32_t events);
typedef void (*loop_timer_fn)(void *ctx, int64_t now_ms);
typedef void (*loop_signal_fn)(void *ctx, int signal_number);
typedef void (*loop_hook_fn)(void *ctx, int64_t now_ms);

MUST_CHECK int loop_new(struct loop **out, jobq_err *err);
/* Frees what is left in it too; closes no descriptor but its own. NULL is fine. */
void loop_free(struct loop *l);

/* Runs until loop_stop(). JOBQ_OK, or JOBQ_EINTERNAL when epoll itself fails. */
MUST_CHECK int loop_run(struct loop *l, jobq_err *err);
/* One turn, waiting at most max_wait_ms (-1: until something happens). */
MUST_CHECK int loop_turn(struct loop *l, int64_t max_wait_ms, jobq_err *err);
void loop_stop(struct loop *l);
/* Monotonic ms, read once at the start of the callbacks of this turn. */
int64_t loop_now(const struct loop *l);

/* Borrows fd. events as in epoll (level-triggered). Remove before closing fd. */
MUST_CHECK int loop_io_add(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *ctx,
                           struct loop_io **out, jobq_err *err);
/* Cheap when events did not change. */
MUST_CHECK int loop_io_set(struct loop_io *io, uint32_t events, jobq_err *err);
void loop_io_remove(struct loop_io *io); /* NULL is fine */

MUST_CHECK int loop_timer_new(struct loop *l, loop_timer_fn fn, void *ctx, struct loop_timer **out,
                              jobq_err *err);
/* (Re)arms: fires once at the first turn at or after due_ms (monotonic). Never fails. */
void loop_timer_arm(struct loop_timer *t, int64_t due_ms);
void loop_timer_disarm(struct loop_timer *t);
bool loop_timer_is_armed(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine */

/* Blocks the signal for the process and delivers it as a callback (signalfd). */
MUST_CHECK int loop_signal(struct loop *l, int signal_number, loop_signal_fn fn, void *ctx,
                           jobq_err *err);

/* Called at the end of every turn, in the order added; where work gathered in callbacks is sent in
 * one write. */
MUST_CHECK int loop_hook(struct loop *l, loop_hook_fn fn, void *ctx, jobq_err *err);

#endif
