/* SPDX-License-Identifier: MIT */
/*
 * A Redis that loses data under a running jobd: everything, a lane, the groups, the scripts. What
 * comes later is done.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/outage/outage.h"

#define LANE "jobq:{default:0}:ready:normal"

/* What was acknowledged by now may be gone with the data, or done: no longer asked for. */
static void forgive(struct scene *s)
{
    s->unknown += s->acked_count;
    s->acked_count = 0;
}

static void finish(struct scene *s)
{
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G36 G42: all data is gone while jobd waits for work; jobs of later are done, five times over. */
Test(lost_data, flushall_while_it_waits)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.lease = "1s"});
    for (int i = 0; i < 5; i++) {
        outage_wait_blocked(s);
        freeReplyObject(redis_do(s->redis, "FLUSHALL"));
        scene_enqueue_many(s, "effect", "{}", 10);
        scene_wait_effects(s, (i + 1) * 10, 30000);
    }
    finish(s);
}

/* G19 G36 G42: all data is gone under load; no effect happens twice, jobs of later are done. */
Test(lost_data, flushall_under_load)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 3, .lease = "1s"});
    for (int i = 0; i < 5; i++) {
        scene_enqueue_many(s, "effect_slow", "{\"ms\": 20}", 60);
        scene_wait_pending(s, 3, 20000);
        freeReplyObject(redis_do(s->redis, "FLUSHALL"));
        forgive(s);
    }
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 1}", 60);
    finish(s);
}

/* G8 G42: the lane it waits at is gone; so is its group, and the next job makes the lane anew
 * without one. */
Test(lost_data, a_lane_is_deleted_while_it_waits)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){0});
    scene_enqueue(s, "effect", "{}");
    scene_wait_effects(s, 1, 20000);
    for (int i = 1; i <= 20; i++) {
        outage_wait_blocked(s);
        freeReplyObject(redis_do(s->redis, "DEL " LANE));
        scene_enqueue(s, "effect", "{}");
        scene_wait_effects(s, i + 1, 30000);
    }
    outage_end(s);
}

/* G8 G12 G19: the group is gone while it waits; it is made again from the beginning, so that
 * nothing is passed over. */
Test(lost_data, a_group_is_destroyed_while_it_waits)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){0});
    for (int i = 0; i < 20; i++) {
        outage_wait_blocked(s);
        /* It hears of it only when the job is there already. */
        process_signal(s->jobd[0]->process, SIGSTOP);
        freeReplyObject(redis_do(s->redis, "XGROUP DESTROY " LANE " jobq"));
        scene_enqueue(s, "effect", "{}");
        process_signal(s->jobd[0]->process, SIGCONT);
        scene_wait_effects(s, i + 1, 30000);
    }
    outage_end(s);
}

/* G1 G11 G12 G19 G22: the group is destroyed under load: every entry that is not done is delivered
 * again. */
Test(lost_data, a_group_is_destroyed_under_load)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 3, .lease = "1s"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 300);
    for (int i = 1; i <= 5; i++) {
        scene_wait_effects(s, i * 40, 30000);
        scene_wait_pending(s, 1, 20000);
        freeReplyObject(redis_do(s->redis, "XGROUP DESTROY " LANE " jobq"));
    }
    finish(s);
}

/* G1 G16 G19: scripts are flushed all the time: each is loaded again, what it was asked for is
 * asked again. */
Test(lost_data, scripts_are_flushed_under_load)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.lease = "10s", .extra = "backoff = 50;"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 200);
    scene_enqueue_many(s, "effect", "{\"fail_n\": 1}", 100);
    for (int i = 1; i <= 20; i++) {
        scene_wait_effects(s, i * 10, 30000);
        freeReplyObject(redis_do(s->redis, "SCRIPT FLUSH"));
    }
    outage_end(s);
}

/* G8: and while it waits: the next beat, the next job, the next delayed job work. */
Test(lost_data, scripts_are_flushed_while_it_waits)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_job job = JOBQ_JOB_INIT;

    scene_jobd(s, 0, (struct jobd_options){.lease = "500ms"});
    job.type = "effect";
    for (int i = 0; i < 5; i++) {
        job.delay_ms = i % 2 ? 200 : 0;
        outage_wait_blocked(s);
        freeReplyObject(redis_do(s->redis, "SCRIPT FLUSH"));
        scene_enqueue_job(s, &job);
        scene_wait_effects(s, i + 1, 30000);
    }
    outage_end(s);
}
