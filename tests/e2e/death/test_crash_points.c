/* SPDX-License-Identifier: MIT */
/*
 * Death at every named point of a job's life (JOBQ_CRASH_AT): each is reached, kills, and costs nothing: every
 * acknowledged job has exactly one effect (G1 G5 G11 G14 G19 G20 G22 G26 G42).
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/e2e/scene.h"

#define LEASE "10m" /* so that only presence, the lock or the supervisor itself can be what recovers */

struct point {
    char name[40];
};

/* Jobs that succeed, that fail once and then succeed, and that have children: every road is travelled. */
static void enqueue_mix(struct scene *s)
{
    scene_enqueue_many(s, "effect", "{}", 20);
    scene_enqueue_many(s, "effect", "{\"fail_n\": 1}", 10);
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 10);
}

static void check(struct scene *s)
{
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
}

/* ---- jobd dies; its successor goes on ---- */

ParameterizedTestParameters(crash_point, of_jobd)
{
    static struct point points[] = {
        {"claim.read:2"},      {"claim.before_hand:3"}, {"finish.before_ack:2"}, {"finish.sent:2"},
        {"finish.answered:2"}, {"fail.before_send:1"},  {"fail.sent:1"},         {"fail.answered:1"},
    };
    return cr_make_param_array(struct point, points, sizeof(points) / sizeof(points[0]));
}

ParameterizedTest(struct point *point, crash_point, of_jobd)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point->name);

    struct jobd *first = scene_jobd(
        s, 0, (struct jobd_options){.executors = 2, .lease = LEASE, .env = env, .extra = "backoff = 100;"});
    enqueue_mix(s);
    int status = process_wait(first->process, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point->name);
    cr_assert_gt(scene_queued(s) + scene_later(s), 0, "%s: nothing was in flight", point->name);
    jobd_free(first);
    s->jobd[0] = NULL;
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE, .extra = "backoff = 100;"});
    check(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- executors die, again and again; their jobd goes on ---- */

ParameterizedTestParameters(crash_point, of_executors)
{
    static struct point points[] = {
        {"execute.started:3"},
        {"execute.before_commit:3"},
        {"execute.commit_sent:3"},
        {"execute.committed:3"},
    };
    return cr_make_param_array(struct point, points, sizeof(points) / sizeof(points[0]));
}

ParameterizedTest(struct point *point, crash_point, of_executors)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point->name);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE, .env = env,
                                           .extra = "backoff = 100; crash_budget = 200;"});
    enqueue_mix(s);
    check(s);
    cr_assert_geq(process_count_log(s->jobd[0]->process, "executor.died"), 3, "%s was not reached", point->name);
    cr_assert_eq(process_count_log(s->jobd[0]->process, "incarnation.lost"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- a reaper dies while it reaps; the next one goes on ---- */

ParameterizedTestParameters(crash_point, of_a_reaper)
{
    static struct point points[] = {{"reap.before:1"}, {"reap.sent:1"}, {"reap.answered:1"}};
    return cr_make_param_array(struct point, points, sizeof(points) / sizeof(points[0]));
}

ParameterizedTest(struct point *point, crash_point, of_a_reaper)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point->name);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 400}", 6);
    scene_wait_pending(s, 2, 20000);
    scene_kill(s, 0);
    /* The successor declares its predecessor dead by the lock, and dies reaping. */
    struct jobd *reaper = scene_jobd(
        s, 0, (struct jobd_options){.executors = 2, .lease = LEASE, .env = env, .do_not_wait = true});
    int status = process_wait(reaper->process, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point->name);
    jobd_free(reaper);
    s->jobd[0] = NULL;
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE});
    check(s);
    scene_drain(s, 0);
    scene_free(s);
}
