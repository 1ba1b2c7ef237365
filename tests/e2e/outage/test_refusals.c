/* SPDX-License-Identifier: MIT */
/*
 * A Redis that answers but refuses: out of memory, cannot save, too few replicas. What is
 * acknowledged is untouched; the producer is told why; it heals without a restart.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/outage/outage.h"

static void set(struct scene *s, const char *name, const char *value)
{
    redisReply *r = redis_do(s->redis, "CONFIG SET %s %s", name, value);

    if (r->type != REDIS_REPLY_STATUS)
        fail_test("CONFIG SET %s %s: %s", name, value, r->str ? r->str : "?");
    freeReplyObject(r);
}

/* Plain and delayed jobs take different roads to Redis: both are refused, with the cause. */
static void check_rejected(struct scene *s, jobq_cause cause)
{
    jobq_job job = JOBQ_JOB_INIT;
    jobq_answer a;
    jobq_err err;

    job.type = s->postgres ? "effect" : "noop";
    job.payload = "{}";
    for (job.delay_ms = 0; job.delay_ms <= 10; job.delay_ms += 10) {
        cr_assert_eq(jobq_enqueue(s->client, &job, &a, &err), JOBQ_EREJECTED, "delay %d: %s, %s",
                     (int)job.delay_ms, jobq_status_name(a.status), a.text);
        cr_assert_eq(a.cause, cause, "%s", a.text);
        cr_assert_gt(strlen(a.text), 10u);
    }
}

/* G7 G1: out of memory: enqueue is refused, claiming and acknowledging (which free memory) go on to
 * the end. */
Test(refusal, out_of_memory_stops_only_the_producer)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0,
               (struct jobd_options){.executors = 2, .lease = "500ms", .extra = "backoff = 100;"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 20}", 150);
    scene_wait_pending(s, 1, 20000);
    set(s, "maxmemory", "1");
    check_rejected(s, JOBQ_CAUSE_OUT_OF_MEMORY);
    /* All of them, that is three leases and more, while nothing may be added. */
    scene_wait_drained(s, 60000);
    check_rejected(s, JOBQ_CAUSE_OUT_OF_MEMORY);
    scene_check_effects(s);
    cr_assert(jobd_wait_notify(s->jobd[0], "STATUS=ready", patience_ms(20000)));
    set(s, "maxmemory", "0");
    scene_enqueue_many(s, "effect", "{}", 20);
    outage_end(s);
}

/* G7 G27 G28: what must be kept (a retry, a dead letter) is kept, during or after the shortage. */
Test(refusal, out_of_memory_loses_no_retry_and_no_dead_letter)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0,
               (struct jobd_options){.executors = 2, .lease = "500ms", .extra = "backoff = 100;"});
    scene_enqueue_many(s, "effect", "{\"fail_n\": 2}", 30);
    scene_enqueue(s, "dead", "{}");
    s->acked_count--;
    set(s, "maxmemory", "1");
    check_rejected(s, JOBQ_CAUSE_OUT_OF_MEMORY);
    outage_lasts(s, 1500);
    set(s, "maxmemory", "0");
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 1);
    outage_check_no_steal(s);
    scene_drain(s, 0);
    scene_free(s);
}

struct refusal {
    void (*begin)(struct scene *s);
    void (*end)(struct scene *s);
    jobq_cause cause;
    const char *text;
};

/* Two jobd that both can prove nothing: work under way ends, none is declared dead, all is
 * acknowledged after. */
static bool refuse_writes(int64_t lease_ms, const void *what)
{
    const struct refusal *r = what;
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_held(s, 40);
    scene_wait_held(s, 4, 20000); /* every executor has one */
    r->begin(s);
    for (size_t i = 0; i < 2; i++) {
        outage_wait_status(s->jobd[i], "STATUS=not ready: redis");
        outage_wait_status(s->jobd[i], r->text);
    }
    check_rejected(s, r->cause);
    /* Three leases; then what was started by then takes effect, none is acknowledged, none begins.
     */
    outage_lasts(s, 3 * lease_ms);
    size_t started = scene_held(s);
    scene_let_go(s);
    scene_wait_effects(s, (long long)started, 20000);
    outage_lasts(s, 500);
    cr_assert_eq(scene_held(s), started, "a job was started on a Redis that takes no writes");
    r->end(s);
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=ready");
    return outage_end_without_steal(s);
}

static bool has_failed_to_save(void *ctx)
{
    struct scene *s = ctx;
    char *info = redis_str(s->redis, "INFO persistence");
    bool failed =
        strstr(info, "rdb_bgsave_in_progress:0") && strstr(info, "rdb_last_bgsave_status:err");

    free(info);
    return failed;
}

static bool has_saved(void *ctx)
{
    struct scene *s = ctx;
    char *info = redis_str(s->redis, "INFO persistence");
    bool saved =
        strstr(info, "rdb_bgsave_in_progress:0") && strstr(info, "rdb_last_bgsave_status:ok");

    free(info);
    return saved;
}

/* A directory where the snapshot belongs: it cannot be put into its place. */
static void break_saving(struct scene *s)
{
    set(s, "save", "3600 1000000");
    if (mkdir(fmt("%s/dump.rdb", s->redis->dir), 0700))
        fail_test("%s/dump.rdb: %s", s->redis->dir, strerror(errno));
    freeReplyObject(redis_do(s->redis, "BGSAVE"));
    if (!wait_until(now_ms() + patience_ms(20000), has_failed_to_save, s))
        fail_test("saving did not fail");
}

static void mend_saving(struct scene *s)
{
    rmdir(fmt("%s/dump.rdb", s->redis->dir));
    freeReplyObject(redis_do(s->redis, "BGSAVE"));
    if (!wait_until(now_ms() + patience_ms(20000), has_saved, s))
        fail_test("saving did not succeed");
}

/* G1 G7 G16 G36: snapshots fail, and Redis refuses writes for it. */
Test(refusal, a_redis_that_cannot_save_is_waited_for)
{
    static const struct refusal refusal = {break_saving, mend_saving, JOBQ_CAUSE_CANNOT_PERSIST,
                                           "MISCONF"};

    outage_without_steal(refuse_writes, 500, &refusal);
}

static void want_replicas(struct scene *s)
{
    set(s, "min-replicas-to-write", "1");
}

static void want_no_replicas(struct scene *s)
{
    set(s, "min-replicas-to-write", "0");
}

/* G1 G7 G16 G36: Redis wants replicas that are not there. */
Test(refusal, a_redis_without_its_replicas_is_waited_for)
{
    static const struct refusal refusal = {want_replicas, want_no_replicas, JOBQ_CAUSE_NO_REPLICAS,
                                           "NOREPLICAS"};

    outage_without_steal(refuse_writes, 500, &refusal);
}
