/* SPDX-License-Identifier: MIT */
/*
 * Chaos: two or three jobd, Redis, PostgreSQL, a stream of every kind of job, and a seeded sequence
 * of every kind of fault; then all is mended and judged: nothing lost, nothing twice, nothing left
 * behind (G1 G4 G5 G6 G13 G14 G19 G20 G22 G26 G27 G29 G36 G37 G42). A seed decides what is done in
 * which order; JOBQ_TEST_SEEDS asks for more seeds, JOBQ_CHAOS_SEED for one of them. A run whose
 * faults met no work fails.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/chaos/chaos.h"

#define FIRST_SEED 1
#define SEEDS_SHARE 10  /* of JOBQ_TEST_SEEDS: a run takes seconds, one of a model milliseconds */
#define FAULTS 20
#define HITS_AT_LEAST 8
#define BACKLOG 60
#define BATCH 8
#define CLIENT_DEADLINE_MS 500
#define FAULT_EVERY_MS 350

/* ---- small things ---- */

uint64_t chaos_below(struct chaos *c, uint64_t n)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (z ^ (z >> 31)) % n;
}

/* Shown by ctest only when the test fails: whatever fails then, its seed and history are there. */
void chaos_note(struct chaos *c, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "JOBQ_CHAOS_SEED=%" PRIu64 " %6lld ms  %s\n", c->seed,
            (long long)(now_ms() - c->began_ms), line);
}

bool chaos_redis_answers(const struct chaos *c)
{
    return !c->redis_down && !c->redis_stopped;
}

void chaos_start_jobd(struct chaos *c, unsigned i)
{
    c->worker[i] = (struct worker){.state = WORKER_UP};
    scene_jobd(
        c->scene, i,
        (struct jobd_options){
            .executors = 2,
            .lease = "1s",
            .queues = fmt("{ name = \"default\"; partitions = %u; }", c->partitions),
            /* Budgets that bad luck cannot use up: only the poison may die. */
            .extra =
                "crash_budget = 12; loss_budget = 200; max_attempts = 1000; backoff = \"50ms\"; "
                "backoff_cap = \"500ms\"; drain_grace = \"3s\";",
            .do_not_wait = true,
        });
}

/* ---- the stream of jobs ---- */

static struct record *find_record(struct chaos *c, const jobq_id *id)
{
    for (size_t i = c->record_count; i-- > 0;)
        if (memcmp(&c->records[i].id, id, sizeof(*id)) == 0)
            return &c->records[i];
    return NULL;
}

static void record(struct chaos *c, const jobq_answer *a, const jobq_id *own, enum job_kind kind,
                   unsigned children)
{
    if (a->status == JOBQ_STATUS_DUPLICATE && memcmp(&a->holder, own, sizeof(*own)) != 0) {
        /* Another one holds the key: that one is stored. */
        struct record *holder = find_record(c, &a->holder);
        if (!holder || holder->answer == ANSWER_REJECTED)
            fail_test("a duplicate of a job that nobody stored");
        holder->answer = ANSWER_STORED;
        return;
    }
    if (c->record_count == c->record_cap) {
        c->record_cap = c->record_cap ? c->record_cap * 2 : 1024;
        c->records = realloc(c->records, c->record_cap * sizeof(*c->records));
        if (!c->records)
            abort();
    }
    c->records[c->record_count++] = (struct record){
        .id = *own,
        .kind = kind,
        .children = children,
        .answer = a->status == JOBQ_STATUS_REJECTED  ? ANSWER_REJECTED
                  : a->status == JOBQ_STATUS_UNKNOWN ? ANSWER_UNKNOWN
                                                     : ANSWER_STORED,
    };
}

static void enqueue_one(struct chaos *c)
{
    jobq_job job = JOBQ_JOB_INIT;
    jobq_answer answer;
    jobq_err err;
    enum job_kind kind = KIND_EFFECT;
    unsigned children = 0;
    uint64_t dice = chaos_below(c, 1000);

    if (jobq_id_new(&job.id, &err))
        fail_test("id: %s", err.msg);
    job.type = "effect";
    job.payload = "{}";
    job.lane = chaos_below(c, 10) == 0   ? JOBQ_LANE_HIGH
               : chaos_below(c, 10) == 0 ? JOBQ_LANE_LOW
                                         : JOBQ_LANE_NORMAL;
    if (dice < 350) {
        job.type = "effect_slow";
        job.payload = fmt("{\"ms\":%d}", (int)(5 + chaos_below(c, 80)));
    } else if (dice < 370) {
        job.type = "effect_slow";
        job.payload = fmt("{\"ms\":%d}", (int)(300 + chaos_below(c, 900)));
    } else if (dice < 470) {
        job.payload = fmt("{\"fail_n\":%d}", (int)(1 + chaos_below(c, 3)));
    } else if (dice < 570) {
        kind = KIND_PARENT;
        children = 1 + (unsigned)chaos_below(c, CHAOS_CHILDREN_MAX);
        job.type = "parent";
        job.payload = fmt("{\"n\":%u}", children);
    } else if (dice < 575) {
        kind = KIND_POISON;
        job.type = "segv";
    } else if (dice < 650) {
        job.unique_key = fmt("key-%d", (int)chaos_below(c, 12));
        job.delay_ms = (int64_t)chaos_below(c, 2) * 100;
    } else if (dice < 750) {
        job.delay_ms = (int64_t)(1 + chaos_below(c, 1500));
    }
    jobq_id own = job.id;
    if (jobq_enqueue(c->client, &job, &answer, &err))
        chaos_note(c, "enqueue: %s", answer.text);
    record(c, &answer, &own, kind, children);
}

static void keep_a_backlog(struct chaos *c)
{
    if (!chaos_redis_answers(c)) {
        if (chaos_below(c, 4) == 0)
            enqueue_one(c); /* what the library says of a Redis that is not there */
        return;
    }
    if (chaos_waiting(c) < BACKLOG)
        for (unsigned i = 0; i < BATCH; i++)
            enqueue_one(c);
}

/* ---- a run ---- */

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static void watch_workers(struct chaos *c)
{
    for (unsigned i = 0; i < c->workers; i++)
        if (c->worker[i].state == WORKER_UP && !process_is_alive(c->scene->jobd[i]->process))
            fail_test("jobd %u ended by itself", i);
}

static struct chaos *begin(uint64_t seed)
{
    static const char *const redis[] = {"--appendonly", "yes", "--appendfsync", "no", NULL};
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_err err;
    struct chaos *c = calloc(1, sizeof(*c));

    if (!c)
        abort();
    c->began_ms = now_ms();
    c->seed = c->random = seed;
    c->scene = scene_new(SCENE_PG);
    /* Every answered write is with the kernel, and survives kill -9 (everysec may hold it back
     * while it syncs). */
    redis_stop(c->scene->redis);
    c->scene->redis = redis_start(redis);
    o.redis = c->scene->redis->producer_url;
    o.deadline_ms = CLIENT_DEADLINE_MS;
    if (jobq_client_open(&o, &c->client, &err))
        fail_test("client: %s", err.msg);
    c->workers = 2 + (unsigned)chaos_below(c, CHAOS_JOBD - 1);
    c->partitions = 1 + (unsigned)chaos_below(c, CHAOS_PARTITIONS_MAX);
    chaos_note(c, "%u jobd, %u partitions", c->workers, c->partitions);
    for (unsigned i = 0; i < c->workers; i++)
        chaos_start_jobd(c, i);
    for (unsigned i = 0; i < c->workers; i++)
        if (!jobd_wait_notify(c->scene->jobd[i], "READY=1", patience_ms(30000)))
            fail_test("jobd %u is not ready", i);
    return c;
}

static void end(struct chaos *c)
{
    jobq_client_close(c->client);
    scene_free(c->scene);
    free(c->records);
    free(c);
}

static void run(uint64_t seed)
{
    struct chaos *c = begin(seed);
    int64_t next_ms = now_ms() + FAULT_EVERY_MS;

    while (c->faults < FAULTS || (c->hits < HITS_AT_LEAST && c->faults < 5 * FAULTS)) {
        chaos_mend(c, false);
        watch_workers(c);
        keep_a_backlog(c);
        wait_until(now_ms() + 10, never, NULL);
        if (now_ms() < next_ms)
            continue;
        chaos_break_something(c);
        next_ms = now_ms() + (int64_t)chaos_below(c, 2 * FAULT_EVERY_MS);
    }
    chaos_mend(c, true);
    chaos_judge(c);
    if (c->hits < HITS_AT_LEAST)
        fail_test("only %u of %u faults met jobs in flight", c->hits, c->faults);
    end(c);
}

Test(chaos, loses_nothing_doubles_nothing_leaves_nothing)
{
    const char *many = getenv("JOBQ_TEST_SEEDS"), *one = getenv("JOBQ_CHAOS_SEED");
    uint64_t n = many && !one ? strtoul(many, NULL, 10) / SEEDS_SHARE : 1;
    uint64_t first = one ? strtoull(one, NULL, 10) : FIRST_SEED;

    for (uint64_t seed = first; seed < first + (n ? n : 1); seed++)
        run(seed);
}
