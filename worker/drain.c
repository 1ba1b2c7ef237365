/* SPDX-License-Identifier: MIT */
#include "worker/drain.h"

#include "base/base.h"

void drain_begin(struct drain *d, int64_t grace_ms, int64_t now_ms)
{
    if (d->phase != DRAIN_NOT) {
        d->grace_ends_ms = MIN(d->grace_ends_ms, now_ms);
        return;
    }
    d->phase = DRAIN_FINISHING;
    d->grace_ms = grace_ms;
    d->grace_ends_ms = now_ms + grace_ms;
}

static int64_t ask_ms(const struct drain *d)
{
    return d->grace_ends_ms - MIN(DRAIN_ASK_MS, d->grace_ms / 2);
}

static enum drain_act finish(struct drain *d, const struct drain_view *v, int64_t now_ms)
{
    bool over = now_ms >= d->grace_ends_ms;
    /* With nothing running the moment passes as well: it must not come due again and again. */
    if (!d->asked && now_ms >= ask_ms(d)) {
        d->asked = true;
        if (v->running)
            return DRAIN_ASK;
    }
    if (!d->killed && over) {
        d->killed = true;
        if (v->running)
            return DRAIN_KILL;
    }
    bool quiet = v->running == 0 && !v->reading && v->unsettled == 0;
    if (!quiet && now_ms < d->grace_ends_ms + DRAIN_LEAVE_MS)
        return DRAIN_WAIT;
    d->phase = DRAIN_LEAVING;
    d->gives_up_ms = now_ms + DRAIN_LEAVE_MS;
    return DRAIN_LEAVE;
}

enum drain_act drain_next(struct drain *d, const struct drain_view *v, int64_t now_ms)
{
    switch (d->phase) {
    case DRAIN_FINISHING:
        return finish(d, v, now_ms);
    case DRAIN_LEAVING:
        if ((v->leaving || v->executors) && now_ms < d->gives_up_ms)
            return DRAIN_WAIT;
        d->phase = DRAIN_OVER;
        return DRAIN_STOP;
    default:
        return DRAIN_WAIT;
    }
}

int64_t drain_due_ms(const struct drain *d)
{
    if (d->phase == DRAIN_LEAVING)
        return d->gives_up_ms;
    if (d->phase != DRAIN_FINISHING)
        return INT64_MAX;
    if (!d->asked)
        return ask_ms(d);
    return d->killed ? d->grace_ends_ms + DRAIN_LEAVE_MS : d->grace_ends_ms;
}

bool drain_cuts_off(const struct drain *d)
{
    return d->asked;
}
