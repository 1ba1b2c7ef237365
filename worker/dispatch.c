/* SPDX-License-Identifier: MIT */
#include "worker/dispatch_private.h"

#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"

#define STRIDE 100000u      /* virtual time of one job at weight 1 */

const unsigned dispatch_lane_weights[DISPATCH_LANES] = {8, 4, 2, 1};

int dispatch_new(struct dispatch_limits limits, struct dispatch **out, jobq_err *err)
{
    struct dispatch *d = mem_zalloc(1, sizeof(*d));
    if (!d || !(d->types = map_new())) {
        mem_free(d);
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    }
    d->limits = limits;
    list_init(&d->waiting);
    *out = d;
    return JOBQ_OK;
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->source_count; i++)
        mem_free(d->sources[i]);
    for (size_t i = 0; i < d->executor_count; i++)
        mem_free(d->executors[i]);
    size_t cursor = 0;
    void *type;
    while ((type = map_next(d->types, &cursor, NULL, NULL)))
        mem_free(type);
    map_free(d->types);
    mem_free(d->sources);
    mem_free(d->executors);
    mem_free(d);
}

void dispatch_set_limits(struct dispatch *d, struct dispatch_limits limits)
{
    d->limits = limits;
}

/* Grows an array of pointers by one element. */
static int push_pointer(void ***array, size_t *count, void *element, jobq_err *err)
{
    void **grown = mem_realloc(*array, (*count + 1) * sizeof(*grown));
    if (!grown)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    *array = grown;
    grown[(*count)++] = element;
    return JOBQ_OK;
}

int dispatch_add_source(struct dispatch *d, unsigned lane, unsigned weight, void *ctx,
                        struct dispatch_source **out, jobq_err *err)
{
    ASSERT(lane < DISPATCH_LANES && weight > 0);
    struct dispatch_source *s = mem_zalloc(1, sizeof(*s));
    if (!s)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    s->ctx = ctx;
    s->lane = lane;
    s->weight = weight;
    s->virtual_time = d->virtual_time;
    void **array = (void **)d->sources;
    int rc = push_pointer(&array, &d->source_count, s, err);
    d->sources = (struct dispatch_source **)array;
    if (rc) {
        mem_free(s);
        return rc;
    }
    *out = s;
    return JOBQ_OK;
}

void dispatch_source_weight(struct dispatch_source *s, unsigned weight)
{
    ASSERT(weight > 0);
    s->weight = weight;
}

void *dispatch_source_ctx(const struct dispatch_source *s)
{
    return s->ctx;
}

/* Nothing is owed to one that had nothing, and nothing is held against it. */
static void wake(const struct dispatch *d, struct dispatch_source *s)
{
    if (s->empty)
        s->virtual_time = d->virtual_time;
    s->empty = false;
}

void dispatch_source_open(struct dispatch *d, struct dispatch_source *s, bool open)
{
    if (open && !s->open) {
        s->empty = false;
        s->virtual_time = MAX(s->virtual_time, d->virtual_time);
    }
    s->open = open;
}

void dispatch_source_may_start(struct dispatch_source *s, bool may)
{
    s->halted = !may;
}

size_t dispatch_sources(const struct dispatch *d)
{
    return d->source_count;
}

struct dispatch_source *dispatch_source_at(const struct dispatch *d, size_t i)
{
    return d->sources[i];
}

bool dispatch_source_is_open(const struct dispatch_source *s)
{
    return s->open;
}

struct dispatch_type *dispatch_type_of(struct dispatch *d, const char *name, size_t len)
{
    struct dispatch_type *t = map_get(d->types, name, len);
    if (t)
        return t;
    t = mem_zalloc(1, sizeof(*t));
    if (t && map_put(d->types, name, len, t)) {
        mem_free(t);
        return NULL;
    }
    return t;
}

int dispatch_add_executor(struct dispatch *d, void *ctx, struct dispatch_executor **out,
                          jobq_err *err)
{
    struct dispatch_executor *x = mem_zalloc(1, sizeof(*x));
    if (!x)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    x->ctx = ctx;
    x->usable = true;
    x->fresh = true;
    x->index = d->executor_count;
    void **array = (void **)d->executors;
    int rc = push_pointer(&array, &d->executor_count, x, err);
    d->executors = (struct dispatch_executor **)array;
    if (rc) {
        mem_free(x);
        return rc;
    }
    *out = x;
    return JOBQ_OK;
}

void *dispatch_executor_ctx(const struct dispatch_executor *x)
{
    return x->ctx;
}

void dispatch_remove_executor(struct dispatch *d, struct dispatch_executor *x)
{
    ASSERT(x->held == 0);
    if (d->reserved == x)
        d->reserved = NULL;
    struct dispatch_executor *last = d->executors[--d->executor_count];
    d->executors[x->index] = last;
    last->index = x->index;
    mem_free(x);
}

void dispatch_executor_usable(struct dispatch *d, struct dispatch_executor *x, bool usable)
{
    (void)d;
    x->usable = usable;
}

bool dispatch_executor_is_usable(const struct dispatch_executor *x)
{
    return x->usable;
}

unsigned dispatch_executor_held(const struct dispatch_executor *x)
{
    return x->held;
}

/* ---- events ---- */

void dispatch_claimed(struct dispatch *d, struct dispatch_job *j, int64_t now_ms)
{
    j->since_ms = now_ms;
    list_push_back(&d->waiting, &j->node);
    d->waiting_count++;
    d->alone_waiting += j->alone;
}

void dispatch_unqueue(struct dispatch *d, struct dispatch_job *j)
{
    list_remove(&j->node);
    d->waiting_count--;
    d->alone_waiting -= j->alone;
    if (!d->alone_waiting)
        d->reserved = NULL;
}

void dispatch_count_held(struct dispatch_executor *x, struct dispatch_job *j)
{
    x->held++;
    x->fresh = false;
    x->recalled = false;
    x->exclusive = j->alone;
    j->est_us = j->type ? j->type->est_us : 0;
    if (j->est_us)
        x->held_us += j->est_us;
    else
        x->unknown++;
}

static void uncount_held(struct dispatch_executor *x, const struct dispatch_job *j)
{
    ASSERT(x->held > 0);
    x->held--;
    if (j->est_us)
        x->held_us -= j->est_us;
    else
        x->unknown--;
    if (x->held == 0) {
        x->exclusive = false;
        x->running = false;
    }
}

void dispatch_progress(struct dispatch *d, struct dispatch_executor *x, bool running,
                       int64_t started_ms)
{
    (void)d;
    x->running = running && x->held > 0;
    if (x->started_ms != started_ms)
        x->recalled = false;
    x->started_ms = started_ms;
}

static uint32_t average(uint32_t old, uint32_t sample)
{
    if (!old)
        return MAX(sample, 1);
    return (uint32_t)MAX(((uint64_t)old * 7 + sample) / 8, 1);
}

void dispatch_finished(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j,
                       uint32_t run_us)
{
    (void)d;
    uncount_held(x, j);
    if (j->type)
        j->type->est_us = average(j->type->est_us, run_us);
    if (j->source)
        j->source->est_us = average(j->source->est_us, run_us);
}

void dispatch_taken_back(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j,
                         int64_t now_ms)
{
    uncount_held(x, j);
    j->since_ms = now_ms;
    list_push_front(&d->waiting, &j->node);
    d->waiting_count++;
    d->alone_waiting += j->alone;
}

void dispatch_recalled(struct dispatch_executor *x)
{
    x->recalling = false;
    x->recalled = true; /* even if it brought nothing: its jobs may have been started meanwhile */
}

void dispatch_lost(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j)
{
    (void)d;
    uncount_held(x, j);
}

void dispatch_read_answered(struct dispatch *d, struct dispatch_source *s, size_t n, int64_t now_ms)
{
    if (!s->reading)
        return;
    s->reading = false;
    if (n)
        wake(d, s);
    s->empty = n < d->reading_count;
    if (s->empty)
        s->rest_until_ms = now_ms + DISPATCH_REST_MS;
    d->reading = false;
    d->reading_count = 0;
    s->virtual_time += n * STRIDE / (s->weight * dispatch_lane_weights[s->lane]);
}

void dispatch_block_ended(struct dispatch *d)
{
    d->blocked = false;
}

void dispatch_source_woken(struct dispatch *d, struct dispatch_source *s)
{
    wake(d, s);
    d->tried_empty = true; /* what is known to have work goes first */
}

void dispatch_hold(struct dispatch *d, bool hold)
{
    d->hold = hold;
}

void dispatch_hold_start(struct dispatch *d, bool hold)
{
    d->hold_start = hold;
}

void dispatch_has_peers(struct dispatch *d, bool peers)
{
    d->peers = peers;
}

struct dispatch_job *dispatch_pop(struct dispatch *d)
{
    struct dispatch_job *j = LIST_FIRST(&d->waiting, struct dispatch_job, node);
    if (j)
        dispatch_unqueue(d, j);
    return j;
}

void dispatch_reset_reads(struct dispatch *d)
{
    for (size_t i = 0; i < d->source_count; i++) {
        d->sources[i]->reading = false;
        wake(d, d->sources[i]);
    }
    d->reading = false;
    d->reading_count = 0;
}

size_t dispatch_waiting(const struct dispatch *d)
{
    return d->waiting_count;
}
