/* SPDX-License-Identifier: MIT */
/*
 * Any order of events: every job that was claimed ends exactly once, nobody is given more than he
 * may hold, and where there is work and room something happens.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/keys.h"
#include "tests/unit/base/prng.h"
#include "worker/dispatch.h"

#define EXECUTORS 6
#define SOURCES   8
#define HELD      12
#define TYPES     4
#define STEPS     30000

enum where { NOWHERE, WAITING, HELD_BY, ENDED };

struct piece {
    struct dispatch_job turn;
    enum where where;
    size_t executor;
    struct piece *next; /* of those held by one executor, oldest first */
};

struct hand {
    struct dispatch_executor *x;
    struct piece *oldest;
    unsigned held;
    bool usable, fresh, recycling, exclusive;
};

struct world {
    struct dispatch *d;
    struct dispatch_source *sources[SOURCES];
    struct dispatch_type *types[TYPES];
    struct hand hands[EXECUTORS];
    struct dispatch_source *reading;
    size_t asked;
    bool blocked, hold, hold_start, peers;
    bool ill; /* executors are mostly not usable: their database is down */
    size_t waiting, claimed, ended, handed, released;
    uint64_t seed;
    int64_t now;
};

static uint64_t dice(struct world *w, uint64_t sides)
{
    return prng(&w->seed) % sides;
}

static struct piece *piece_of(struct dispatch_job *j)
{
    return CONTAINER_OF(j, struct piece, turn);
}

static void add_hand(struct world *w, size_t i)
{
    jobq_err err;
    memset(&w->hands[i], 0, sizeof(w->hands[i]));
    cr_assert_eq(dispatch_add_executor(w->d, &w->hands[i], &w->hands[i].x, &err), JOBQ_OK);
    w->hands[i].usable = w->hands[i].fresh = true;
}

static struct world *open_world(uint64_t seed, bool strict)
{
    struct world *w = calloc(1, sizeof(*w));
    struct dispatch_limits limits = {5000, HELD, strict};
    jobq_err err;
    cr_assert_not_null(w);
    w->seed = seed;
    cr_assert_eq(dispatch_new(limits, &w->d, &err), JOBQ_OK);
    for (size_t i = 0; i < SOURCES; i++) {
        unsigned weight = 1 + (unsigned)dice(w, 5);
        cr_assert_eq(dispatch_add_source(w->d, i % LANE_COUNT, weight, w, &w->sources[i], &err),
                     JOBQ_OK);
        dispatch_source_open(w->d, w->sources[i], true);
    }
    for (size_t i = 0; i < TYPES; i++) {
        char name = (char)('a' + (char)i);
        w->types[i] = dispatch_type_of(w->d, &name, 1);
        cr_assert_not_null(w->types[i]);
    }
    for (size_t i = 0; i < EXECUTORS; i++)
        add_hand(w, i);
    return w;
}

static void claim(struct world *w, struct dispatch_source *source)
{
    struct piece *p = calloc(1, sizeof(*p));
    cr_assert_not_null(p);
    list_init(&p->turn.node);
    p->turn.source = source;
    p->turn.type = dice(w, 20) ? w->types[dice(w, TYPES)] : NULL;
    p->turn.alone = dice(w, 60) == 0;
    p->where = WAITING;
    w->claimed++;
    w->waiting++;
    dispatch_claimed(w->d, &p->turn, w->now);
}

static void end(struct world *w, struct piece *p)
{
    cr_assert_neq(p->where, ENDED, "ended twice");
    p->where = ENDED;
    w->ended++;
    free(p);
}

static struct piece *take_oldest(struct hand *h)
{
    struct piece *p = h->oldest;
    h->oldest = p->next;
    if (--h->held == 0)
        h->exclusive = false;
    return p;
}

static void give(struct world *w, const struct dispatch_action *a)
{
    struct piece *p = piece_of(a->job);
    struct hand *h = dispatch_executor_ctx(a->executor);
    cr_assert(!w->hold_start, "handed while nothing may start");
    cr_assert_eq(p->where, WAITING, "handed, but it does not wait");
    cr_assert(h->usable && !h->recycling && !h->exclusive, "handed to one that takes nothing");
    cr_assert_lt(h->held, HELD);
    cr_assert(!p->turn.alone || (h->fresh && h->held == 0), "not alone, or not in a fresh one");
    struct piece **tail = &h->oldest;
    while (*tail)
        tail = &(*tail)->next;
    *tail = p;
    p->next = NULL;
    p->where = HELD_BY;
    h->held++;
    h->fresh = false;
    h->exclusive = p->turn.alone;
    w->waiting--;
    w->handed++;
    cr_assert_eq(dispatch_executor_held(h->x), h->held);
}

/* All but those started, the last first. */
static void take_back(struct world *w, struct hand *h, unsigned started)
{
    while (h->held > started) {
        struct piece **last = &h->oldest;
        while ((*last)->next)
            last = &(*last)->next;
        struct piece *p = *last;
        *last = NULL;
        if (--h->held == 0)
            h->exclusive = false;
        p->where = WAITING;
        w->waiting++;
        dispatch_taken_back(w->d, h->x, &p->turn, w->now);
    }
}

static void carry_out(struct world *w, const struct dispatch_action *a)
{
    struct hand *h = a->executor ? dispatch_executor_ctx(a->executor) : NULL;
    switch (a->act) {
    case DISPATCH_HAND:
        give(w, a);
        break;
    case DISPATCH_READ:
        cr_assert(!w->reading && !w->blocked && !w->hold && !w->hold_start);
        cr_assert(dispatch_source_is_open(a->source));
        cr_assert(a->count > 0 && a->count <= DISPATCH_READ_MAX);
        cr_assert_leq(w->waiting + a->count, EXECUTORS * HELD, "more than all executors may hold");
        w->reading = a->source;
        w->asked = a->count;
        break;
    case DISPATCH_BLOCK:
        cr_assert(!w->reading && !w->blocked && !w->hold && !w->hold_start);
        w->blocked = true;
        break;
    case DISPATCH_RECALL:
        cr_assert_geq(h->held, 2);
        take_back(w, h, dice(w, 2) ? 1 : h->held);
        dispatch_recalled(h->x);
        break;
    case DISPATCH_RELEASE:
        cr_assert(w->peers && !a->job->alone);
        cr_assert_geq(w->now - a->job->since_ms, DISPATCH_RELEASE_MS);
        w->waiting--;
        w->released++;
        end(w, piece_of(a->job));
        break;
    case DISPATCH_RECYCLE:
        cr_assert(h->held == 0 && !h->recycling && h->usable && !h->fresh);
        h->recycling = true;
        break;
    case DISPATCH_NOTHING:
        break;
    }
}

static void decide_all(struct world *w)
{
    for (int guard = 0;; guard++) {
        struct dispatch_action a = dispatch_next(w->d, w->now);
        cr_assert_lt(guard, 2000, "decides for ever");
        if (a.act == DISPATCH_NOTHING)
            break;
        carry_out(w, &a);
    }
    cr_assert_eq(dispatch_waiting(w->d), w->waiting);
    int64_t due = dispatch_due_ms(w->d, w->now);
    cr_assert_gt(due, w->now, "due at once, yet nothing to do");
}

static void answer_read(struct world *w, size_t n)
{
    struct dispatch_source *source = w->reading;
    for (size_t i = 0; i < n; i++)
        claim(w, source);
    w->reading = NULL;
    dispatch_read_answered(w->d, source, n, w->now);
}

static void end_block(struct world *w)
{
    for (size_t i = 0; i < SOURCES; i++)
        if (dispatch_source_is_open(w->sources[i]) && dice(w, 4) == 0) {
            dispatch_source_woken(w->d, w->sources[i]);
            claim(w, w->sources[i]);
        }
    w->blocked = false;
    dispatch_block_ended(w->d);
}

/* Each type takes about as long each time; now and then one takes for ever. */
static uint32_t duration_of(struct world *w, const struct piece *p)
{
    static const uint32_t usual[TYPES] = {20, 200, 2000, 50000};
    for (size_t i = 0; i < TYPES; i++)
        if (p->turn.type == w->types[i])
            return dice(w, 5000) ? (uint32_t)dice(w, 2 * usual[i]) : UINT32_MAX;
    return (uint32_t)dice(w, 10000);
}

static void finish_one(struct world *w, struct hand *h)
{
    if (!h->held)
        return;
    struct piece *p = take_oldest(h);
    dispatch_finished(w->d, h->x, &p->turn, duration_of(w, p));
    end(w, p);
}

static void replace(struct world *w, struct hand *h)
{
    unsigned running = h->held && dice(w, 2);
    take_back(w, h, running);
    if (h->held) {
        struct piece *p = take_oldest(h);
        dispatch_lost(w->d, h->x, &p->turn);
        end(w, p);
    }
    dispatch_remove_executor(w->d, h->x);
    add_hand(w, (size_t)(h - w->hands));
}

static void something_happens(struct world *w)
{
    struct hand *h = &w->hands[dice(w, EXECUTORS)];
    switch (dice(w, 14)) {
    case 0:
    case 1:
        if (w->reading)
            answer_read(w, dice(w, 2) ? w->asked : dice(w, w->asked + 1));
        break;
    case 2:
        if (w->blocked)
            end_block(w);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        finish_one(w, h);
        break;
    case 7:
        dispatch_progress(w->d, h->x, h->held > 0, w->now - (int64_t)dice(w, 40));
        break;
    case 8:
        if (h->recycling || dice(w, 50) == 0)
            replace(w, h);
        break;
    case 9:
        h->usable = w->ill ? dice(w, 6) == 0 : dice(w, 6) > 0;
        dispatch_executor_usable(w->d, h->x, h->usable);
        break;
    case 10:
        w->hold = dice(w, 5) == 0;
        w->hold_start = dice(w, 8) == 0;
        dispatch_hold(w->d, w->hold);
        dispatch_hold_start(w->d, w->hold_start);
        break;
    case 11:
        w->peers = dice(w, 4) > 0;
        dispatch_has_peers(w->d, w->peers);
        break;
    case 12:
        dispatch_source_open(w->d, w->sources[dice(w, SOURCES)], dice(w, 5) > 0);
        break;
    default:
        w->now += (int64_t)dice(w, 90);
    }
}

/* Where there is room and nothing forbids it, either a job is handed, or a read or the blocking
 * reader is under way. */
static void check_progress(struct world *w)
{
    bool open = false, idle = false;
    for (size_t i = 0; i < SOURCES; i++)
        open |= dispatch_source_is_open(w->sources[i]);
    for (size_t i = 0; i < EXECUTORS; i++)
        idle |= w->hands[i].usable && !w->hands[i].recycling && w->hands[i].held == 0;
    if (w->hold || w->hold_start || !open || !idle || w->waiting)
        return;
    cr_assert(w->reading || w->blocked, "an idle executor, no job, and nobody looks for one");
}

static void settle(struct world *w)
{
    w->hold = true;
    w->hold_start = w->peers = false;
    dispatch_hold(w->d, true);
    dispatch_hold_start(w->d, false);
    dispatch_has_peers(w->d, false);
    if (w->reading)
        answer_read(w, 0);
    if (w->blocked)
        end_block(w);
    for (size_t i = 0; i < EXECUTORS; i++) {
        w->hands[i].usable = true;
        dispatch_executor_usable(w->d, w->hands[i].x, true);
    }
    for (int turn = 0; turn < 3000 && w->ended < w->claimed; turn++) {
        decide_all(w);
        for (size_t i = 0; i < EXECUTORS; i++) {
            if (w->hands[i].recycling)
                replace(w, &w->hands[i]);
            finish_one(w, &w->hands[i]);
        }
        w->now += 5;
    }
    cr_assert_eq(w->ended, w->claimed, "%zu of %zu jobs never ended", w->claimed - w->ended,
                 w->claimed);
}

/* Gives how many jobs were released. */
static size_t run(uint64_t seed, bool strict)
{
    struct world *w = open_world(seed, strict);
    for (int step = 0; step < STEPS; step++) {
        w->ill = step / 500 % 3 == 2;
        something_happens(w);
        decide_all(w);
        check_progress(w);
    }
    cr_assert_gt(w->claimed, 1000, "too little happened");
    cr_assert_gt(w->handed, 1000);
    settle(w);
    size_t released = w->released;
    dispatch_free(w->d);
    free(w);
    return released;
}

Test(dispatch_random, ends_every_job_once_in_any_order_of_events)
{
    size_t released = 0;
    for (uint64_t seed = 1; seed <= 12; seed++)
        released += run(seed, seed % 2);
    cr_assert_gt(released, 100, "too few were released: the test tells little of it");
}

/* What is left when a drain begins is popped: all of it, once, in order. */
Test(dispatch_random, pops_all_that_waits)
{
    struct world *w = open_world(77, false);
    struct piece *p[50];
    for (size_t i = 0; i < 50; i++) {
        claim(w, w->sources[0]);
    }
    dispatch_hold_start(w->d, true);
    for (size_t i = 0; i < 50; i++) {
        struct dispatch_job *j = dispatch_pop(w->d);
        cr_assert_not_null(j);
        p[i] = piece_of(j);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(p[i], p[k]);
    }
    cr_assert_null(dispatch_pop(w->d));
    cr_assert_eq(dispatch_waiting(w->d), 0);
    for (size_t i = 0; i < 50; i++)
        free(p[i]);
    dispatch_free(w->d);
    free(w);
}
