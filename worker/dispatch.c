/* SPDX-License-Identifier: MIT */
#include "worker/dispatch.h"

#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"

#define STRIDE 100000u      /* virtual time of one job at weight 1 */
#define READ_AT_LEAST 64    /* with every executor busy, wait until so much fits */

static const unsigned lane_weights[] = {8, 4, 2, 1}; /* recovered, high, normal, low */

struct dispatch_source {
    void *ctx;
    unsigned lane;
    unsigned weight;
    bool open;
    bool empty; /* the last read found less than it asked for */
    bool reading;
    int64_t rest_until_ms;
    uint64_t virtual_time;
    uint32_t est_us; /* moving average of what its jobs took; 0: not known */
};

struct dispatch_type {
    uint32_t est_us;
};

struct dispatch_executor {
    void *ctx;
    size_t index;
    unsigned held;
    unsigned unknown;  /* of those, how many of a type not yet measured */
    uint64_t held_us;  /* what the others are expected to take */
    bool usable;
    bool fresh;        /* has not been given a job yet */
    bool exclusive;    /* runs a job alone */
    bool recalling;
    bool recycling;
    bool running;
    int64_t started_ms;
};

struct dispatch {
    struct dispatch_limits limits;
    struct dispatch_source **sources;
    size_t source_count;
    struct dispatch_executor **executors;
    size_t executor_count;
    struct map *types;
    struct list waiting;
    size_t waiting_count;
    size_t alone_waiting;
    size_t reading_count; /* jobs asked for by the read under way */
    bool reading;
    bool blocked;
    bool hold, hold_start;
    bool peers;
    uint64_t virtual_time;
};

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
    ASSERT(lane < ARRAY_LEN(lane_weights) && weight > 0);
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

void dispatch_source_open(struct dispatch *d, struct dispatch_source *s, bool open)
{
    if (open && !s->open) {
        s->empty = false;
        s->virtual_time = MAX(s->virtual_time, d->virtual_time);
    }
    s->open = open;
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

int dispatch_add_executor(struct dispatch *d, void *ctx, struct dispatch_executor **out, jobq_err *err)
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

static void unqueue(struct dispatch *d, struct dispatch_job *j)
{
    list_remove(&j->node);
    d->waiting_count--;
    d->alone_waiting -= j->alone;
}

static void count_held(struct dispatch_executor *x, struct dispatch_job *j)
{
    x->held++;
    x->fresh = false;
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

void dispatch_progress(struct dispatch *d, struct dispatch_executor *x, bool running, int64_t started_ms)
{
    (void)d;
    x->running = running && x->held > 0;
    x->started_ms = started_ms;
}

static uint32_t average(uint32_t old, uint32_t sample)
{
    if (!old)
        return MAX(sample, 1);
    return (uint32_t)MAX(((uint64_t)old * 7 + sample) / 8, 1);
}

void dispatch_finished(struct dispatch *d, struct dispatch_executor *x, struct dispatch_job *j, uint32_t run_us)
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
    if (n < d->reading_count) {
        s->empty = true;
        s->rest_until_ms = now_ms + DISPATCH_REST_MS;
    }
    d->reading = false;
    d->reading_count = 0;
    s->virtual_time += n * STRIDE / (s->weight * lane_weights[s->lane]);
}

void dispatch_block_ended(struct dispatch *d)
{
    d->blocked = false;
}

void dispatch_source_woken(struct dispatch *d, struct dispatch_source *s)
{
    if (s->empty)
        s->virtual_time = MAX(s->virtual_time, d->virtual_time);
    s->empty = false;
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
        unqueue(d, j);
    return j;
}

void dispatch_reset_reads(struct dispatch *d)
{
    for (size_t i = 0; i < d->source_count; i++) {
        d->sources[i]->reading = false;
        d->sources[i]->empty = false;
    }
    d->reading = false;
    d->reading_count = 0;
}

/* ---- decisions ---- */

static bool is_stuck(const struct dispatch_executor *x, int64_t now_ms)
{
    return x->running && now_ms - x->started_ms > DISPATCH_STUCK_MS;
}

static bool takes_jobs(const struct dispatch_executor *x)
{
    return x->usable && !x->exclusive && !x->recycling && !x->recalling;
}

/* How many more jobs of est_us each this executor may hold. */
static size_t room(const struct dispatch *d, const struct dispatch_executor *x, uint32_t est_us, int64_t now_ms)
{
    if (!takes_jobs(x) || x->held >= d->limits.max_held)
        return 0;
    size_t at_most = d->limits.max_held - x->held;
    if (x->held == 0) {
        size_t fits = est_us ? (size_t)d->limits.prefetch_us / est_us : 1;
        return MIN(at_most, MAX(fits, 1));
    }
    if (!est_us || x->unknown || is_stuck(x, now_ms) || x->held_us >= (uint64_t)d->limits.prefetch_us)
        return 0;
    return MIN(at_most, ((uint64_t)d->limits.prefetch_us - x->held_us) / est_us);
}

static struct dispatch_executor *pick_executor(const struct dispatch *d, uint32_t est_us, int64_t now_ms)
{
    struct dispatch_executor *best = NULL;
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        if (!room(d, x, est_us, now_ms))
            continue;
        if (!best || x->held_us < best->held_us || (x->held_us == best->held_us && x->held < best->held))
            best = x;
    }
    return best;
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
            unqueue(d, j);
            count_held(x, j);
            *out = (struct dispatch_action){.act = DISPATCH_HAND, .job = j, .executor = x};
            return true;
        }
        idle = x;
    }
    if (!idle || recycling >= d->alone_waiting)
        return false;
    idle->recycling = true;
    *out = (struct dispatch_action){.act = DISPATCH_RECYCLE, .executor = idle};
    return true;
}

static bool next_hand(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    LIST_FOR_EACH (node, &d->waiting) {
        struct dispatch_job *j = LIST_ENTRY(node, struct dispatch_job, node);
        if (j->alone) {
            if (place_alone(d, j, out))
                return true;
            continue;
        }
        struct dispatch_executor *x = pick_executor(d, j->type ? j->type->est_us : 0, now_ms);
        if (!x)
            return false;
        unqueue(d, j);
        count_held(x, j);
        *out = (struct dispatch_action){.act = DISPATCH_HAND, .job = j, .executor = x};
        return true;
    }
    return false;
}

static bool next_recall(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    for (size_t i = 0; i < d->executor_count; i++) {
        struct dispatch_executor *x = d->executors[i];
        if (x->held < 2 || x->recalling || !is_stuck(x, now_ms))
            continue;
        x->recalling = true;
        *out = (struct dispatch_action){.act = DISPATCH_RECALL, .executor = x};
        return true;
    }
    return false;
}

static bool next_release(struct dispatch *d, int64_t now_ms, struct dispatch_action *out)
{
    struct dispatch_job *j = LIST_FIRST(&d->waiting, struct dispatch_job, node);
    if (!j || j->alone || !d->peers || now_ms - j->since_ms < DISPATCH_RELEASE_MS)
        return false;
    unqueue(d, j);
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

static struct dispatch_source *pick_source(const struct dispatch *d, int64_t now_ms, bool *all_empty)
{
    struct dispatch_source *best = NULL;
    *all_empty = true;
    for (size_t i = 0; i < d->source_count; i++)
        if (d->sources[i]->open && !d->sources[i]->empty)
            *all_empty = false;
    for (size_t i = 0; i < d->source_count; i++) {
        struct dispatch_source *s = d->sources[i];
        if (!s->open || (s->empty && (*all_empty || now_ms < s->rest_until_ms)))
            continue;
        if (!best || comes_before(d, s, best))
            best = s;
    }
    return best;
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
    bool all_empty, idle;
    struct dispatch_source *s = pick_source(d, now_ms, &all_empty);
    size_t n = free_room(d, s ? s->est_us : 0, now_ms, &idle);
    if (all_empty) {
        if (!n)
            return false;
        d->blocked = true;
        *out = (struct dispatch_action){.act = DISPATCH_BLOCK};
        return true;
    }
    if (!s || !n || (!idle && n < MIN(READ_AT_LEAST, d->limits.max_held / 2)))
        return false;
    s->reading = true;
    d->reading = true;
    d->reading_count = MIN(n, DISPATCH_READ_MAX);
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
            if (d->sources[i]->open && d->sources[i]->empty && d->sources[i]->rest_until_ms > now_ms)
                due = MIN(due, d->sources[i]->rest_until_ms);
    for (size_t i = 0; i < d->executor_count; i++) {
        const struct dispatch_executor *x = d->executors[i];
        if (x->running && x->held > 1 && !x->recalling)
            due = MIN(due, x->started_ms + DISPATCH_STUCK_MS + 1);
    }
    struct dispatch_job *j = LIST_FIRST(&d->waiting, struct dispatch_job, node);
    if (j && !j->alone && d->peers)
        due = MIN(due, j->since_ms + DISPATCH_RELEASE_MS);
    return MAX(due, now_ms);
}

size_t dispatch_waiting(const struct dispatch *d)
{
    return d->waiting_count;
}
