/* SPDX-License-Identifier: MIT */
/*
 * Deaths of the servers: Redis with its append-only file, PostgreSQL. jobd stays and goes on.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/scene.h"

/* G1 G16 G19 G36: Redis is killed and comes back from its append-only file. */
Test(server_death, redis_with_aof_is_killed_under_load)
{
    struct scene *s = scene_new(SCENE_PG | SCENE_AOF);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "20s"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 600);
    for (int i = 0; i < 3; i++) {
        scene_wait_more(s, 60, 60000);
        scene_wait_pending(s, 1, 20000);
        redis_kill(s->redis);
        redis_restart(s->redis);
    }
    scene_wait_drained(s, 90000);
    scene_check_effects(s);
    for (size_t i = 0; i < 2; i++) {
        cr_assert(process_is_alive(s->jobd[i]->process));
        cr_assert_eq(process_count_log(s->jobd[i]->process, " fenced "), 0,
                     "a living jobd was declared dead");
    }
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G1 G19 G20 G21 G36: PostgreSQL is killed and comes back; transactions that were under way happen
 * once. */
Test(server_death, postgres_is_killed_under_load)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 3});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 400);
    for (int i = 0; i < 3; i++) {
        scene_wait_more(s, 40, 60000);
        scene_wait_pending(s, 1, 20000);
        postgres_kill(s->postgres);
        cr_assert(jobd_wait_notify(s->jobd[0], "STATUS=not ready: postgres", patience_ms(30000)));
        postgres_restart(s->postgres);
        cr_assert(jobd_wait_notify(s->jobd[0], "STATUS=ready", patience_ms(30000)));
    }
    scene_wait_drained(s, 90000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}
