/* SPDX-License-Identifier: MIT */
/*
 * dispatch_decide: what to do next, from what dispatch.c was told.
 */
#include "worker/dispatch_private.h"

#define READ_AT_LEAST 64 /* with every executor busy, wait until so much fits */

static bool is_stuck(const struct dispatch_executor *x, int64_t now_ms)
{
    return x->running && now_ms - x->started_ms > DISPATCH_STUCK_MS;
}

static bool takes_jobs(const struct dispatch_executor *x)
{
    return x->usable && !x->exclusive && !x->recycling && !x->recalling;
}

/* How many more jobs of est_us each this executor may hold. */
static size_t room(const struct dispatch *d, const struct dispatch_executor *x, uint32_t est_us,
                   int64_t now_ms)
{
    if (!takes_jobs(x) || x == d->reserved || x->held >= d->limits.max_held)
        return 0;
    size_t at_most = d->limits.max_held - x->held;
    if (x->held == 0) {
        size_t fits = est_us ? (size_t)d->limits.prefetch_us / est_us : 1;
        return MIN(at_most, MAX(fits, 1));
    }
    if (!est_us || x->unknown || is_stuck(x, now_ms) ||
        x->held_us >= (uint64_t)d->limits.prefetch_us)
        return 0;
    return MIN(at_most, ((uint64_t)d->limits.prefetch_us - x->held_us) / est_us);
}

static struct dispatch_executor *pick_executor(const struct dispatch *d, uint32_t est_us,
                                               int64_t now_ms)
{
    struct dispatch_executor *best = NULL;
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        if (!room(d, x, est_us, now_ms))
            continue;
        if (!best || x->held_us < best->held_us ||
            (x->held_us == best->held_us && x->held < best->held))
            best = x;
    }
    return best;
}

/* None is idle, and under load none would become so: one that is given nothing more. */
static void reserve(struct dispatch *d)
{
    if (d->reserved && takes_jobs(d->reserved))
        return;
    d->reserved = NULL;
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        if (takes_jobs(x) && (!d->reserved || x->held < d->reserved->held))
            d->reserved = x;
    }
}

/* A job with many losses: a fresh executor, or one made fresh. */
static bool place_alone(struct dispatch *d, struct dispatch_job *j, struct dispatch_action *out)
{
    struct dispatch_executor *idle = NULL;
    size_t recycling = 0;
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        recycling += x->recycling;
        if (!takes_jobs(x) || x->held)
            continue;
        if (x->fresh) {
            dispatch_unqueue(d, j);
            dispatch_count_held(x, j);
            *out = (struct dispatch_action){.act = DISPATCH_HAND, .job = j, .executor = x};
            return true;
        }
        idle = x;
    }
    if (recycling >= d->alone_waiting)
        return false;
    if (!idle) {
        reserve(d);
        return false;
    }
    idle->recycling = true;
    if (idle == d->reserved)
        d->reserved = NULL;
    *out = (struct dispatch_action){.act = DISPATCH_RECYCLE, .executor = idle};
    return true;
}

static bool next_hand(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    LIST_FOR_EACH (node, &d->waiting) {
        struct dispatch_job *j = LIST_ENTRY(node, struct dispatch_job, node);
        if (j->source && j->source->halted)
            continue;
        if (j->alone) {
            if (place_alone(d, j, out))
                return true;
            continue;
        }
        struct dispatch_executor *x = pick_executor(d, j->type ? j->type->est_us : 0, now_ms);
        if (!x)
            return false;
        dispatch_unqueue(d, j);
        dispatch_count_held(x, j);
        *out = (struct dispatch_action){.act = DISPATCH_HAND, .job = j, .executor = x};
        return true;
    }
    return false;
}

static bool next_recall(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        if (x->held < 2 || x->recalling || x->recalled || !is_stuck(x, now_ms))
            continue;
        x->recalling = true;
        *out = (struct dispatch_action){.act = DISPATCH_RECALL, .executor = x};
        return true;
    }
    return false;
}

/* The first that may be given back: one that runs alone is not, nobody else has a better place for
 * it. */
static struct dispatch_job *first_releasable(const struct dispatch *d)
{
    if (!d->peers || d->waiting_count == d->alone_waiting)
        return NULL;
    LIST_FOR_EACH (node, &d->waiting) {
        struct dispatch_job *j = LIST_ENTRY(node, struct dispatch_job, node);
        if (!j->alone)
            return j;
    }
    return NULL;
}

static bool next_release(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    struct dispatch_job *j = first_releasable(d);
    if (!j || now_ms - j->since_ms < DISPATCH_RELEASE_MS)
        return false;
    dispatch_unqueue(d, j);
    *out = (struct dispatch_action){.act = DISPATCH_RELEASE, .job = j};
    return true;
}

/* Room for more jobs like those of this source, beyond what is claimed already. */
static size_t free_room(const struct dispatch *d, uint32_t est_us, int64_t now_ms, bool *idle)
{
    size_t sum = 0;
    *idle = false;
    for (size_t i = 0; i < d->executor_count; i++) {
        size_t n = room(d, d->executors[i], est_us, now_ms);
        *idle |= n && d->executors[i]->held == 0;
        sum += n;
    }
    size_t spoken_for = d->waiting_count + d->reading_count;
    return sum > spoken_for ? sum - spoken_for : 0;
}

static bool comes_before(const struct dispatch *d, const struct dispatch_source *a,
                         const struct dispatch_source *b)
{
    if (d->limits.strict && a->lane != b->lane)
        return a->lane < b->lane;
    return a->virtual_time < b->virtual_time;
}

/*
 * Among those with work, by weight or priority; but in every other read the empty one not looked at
 * for longest, once it has rested. So however many are empty, they cost what has work at most half
 * of its reads, and each gets its turn.
 */
static struct dispatch_source *pick_source(const struct dispatch *d, int64_t now_ms)
{
    struct dispatch_source *best = NULL, *rested = NULL;
    for (size_t i = 0; i < d->source_count; i++) {
        struct dispatch_source *s = d->sources[i];
        if (!s->open)
            continue;
        if (!s->empty && (!best || comes_before(d, s, best)))
            best = s;
        if (s->empty && now_ms >= s->rest_until_ms &&
            (!rested || s->rest_until_ms < rested->rest_until_ms))
            rested = s;
    }
    return best && rested && !d->tried_empty ? rested : best;
}

static bool has_open_source(const struct dispatch *d)
{
    for (size_t i = 0; i < d->source_count; i++)
        if (d->sources[i]->open)
            return true;
    return false;
}

static bool next_read(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    if (d->hold || d->hold_start || d->reading || d->blocked || !has_open_source(d))
        return false;
    bool idle;
    struct dispatch_source *s = pick_source(d, now_ms);
    size_t n = free_room(d, s ? s->est_us : 0, now_ms, &idle);
    if (!n)
        return false;
    if (!s) {
        d->blocked = true;
        *out = (struct dispatch_action){.act = DISPATCH_BLOCK};
        return true;
    }
    if (!idle && n < MIN(READ_AT_LEAST, d->limits.max_held / 2))
        return false;
    d->tried_empty = s->empty;
    s->reading = true;
    d->reading = true;
    d->reading_count = MIN(n, DISPATCH_READ_MAX);
    if (!s->empty)
        d->virtual_time = MAX(d->virtual_time, s->virtual_time);
    *out = (struct dispatch_action){.act = DISPATCH_READ, .source = s, .count = d->reading_count};
    return true;
}

struct dispatch_action dispatch_next(struct dispatch *d, int64_t now_ms)
{
    struct dispatch_action out = {.act = DISPATCH_NOTHING};
    if (!d->hold_start && next_hand(d, now_ms, &out))
        return out;
    if (next_recall(d, now_ms, &out) || next_release(d, now_ms, &out))
        return out;
    next_read(d, now_ms, &out);
    return out;
}

int64_t dispatch_due_ms(const struct dispatch *d, int64_t now_ms)
{
    int64_t due = INT64_MAX;
    if (!d->hold && !d->reading && !d->blocked)
        for (size_t i = 0; i < d->source_count; i++)
            if (d->sources[i]->open && d->sources[i]->empty &&
                d->sources[i]->rest_until_ms > now_ms)
                due = MIN(due, d->sources[i]->rest_until_ms);
    for (size_t i = 0; i < d->executor_count; i++) {
        const struct dispatch_executor *x = d->executors[i];
        if (x->running && x->held > 1 && !x->recalling && !x->recalled)
            due = MIN(due, x->started_ms + DISPATCH_STUCK_MS + 1);
    }
    struct dispatch_job *j = first_releasable(d);
    if (j)
        due = MIN(due, j->since_ms + DISPATCH_RELEASE_MS);
    return MAX(due, now_ms);
}
