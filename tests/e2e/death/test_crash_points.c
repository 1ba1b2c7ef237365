/* SPDX-License-Identifier: MIT */
/*
 * Death at every named point of a job's life (JOBQ_CRASH_AT): each is reached, kills, and costs
 * nothing: every acknowledged job has exactly one effect (G1 G5 G11 G14 G19 G20 G22 G26 G42).
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/e2e/scene.h"

#define LEASE "10m" /* so that only presence, the lock or the supervisor itself can be what
                     * recovers */

/* Jobs that succeed, that fail once and then succeed, and that have children: every road is
 * travelled. */
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

static void kill_jobd_at(const char *point)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point);

    struct jobd *first =
        scene_jobd(s, 0,
                   (struct jobd_options){
                       .executors = 2, .lease = LEASE, .env = env, .extra = "backoff = 100;"});
    enqueue_mix(s);
    int status = process_wait(first->process, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point);
    cr_assert_gt(scene_queued(s) + scene_later(s), 0, "%s: nothing was in flight", point);
    jobd_free(first);
    s->jobd[0] = NULL;
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 2, .lease = LEASE, .extra = "backoff = 100;"});
    check(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- executors die, again and again; their jobd goes on ---- */

static void kill_executors_at(const char *point)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE, .env = env,
                                           .extra = "backoff = 100; crash_budget = 200;"});
    enqueue_mix(s);
    check(s);
    cr_assert_geq(process_count_log(s->jobd[0]->process, "executor.died"), 3, "%s was not reached",
                  point);
    cr_assert_eq(process_count_log(s->jobd[0]->process, "incarnation.lost"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- a reaper dies while it reaps; the next one goes on ---- */

static void kill_reaper_at(const char *point)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE});
    scene_enqueue_held(s, 6);
    scene_wait_held(s, 2, 20000);
    scene_kill(s, 0);
    scene_let_go(s);
    /* The successor declares its predecessor dead by the lock, and dies reaping. */
    struct jobd *reaper = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 2, .lease = LEASE, .env = env, .do_not_wait = true});
    int status = process_wait(reaper->process, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point);
    jobd_free(reaper);
    s->jobd[0] = NULL;
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LEASE});
    check(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- the points: name, and which passing of it kills ---- */

#define JOBD_DIES(word, point)                                                                     \
    Test(crash_point, jobd_dies_at_##word)                                                         \
    {                                                                                              \
        kill_jobd_at(point);                                                                       \
    }
#define EXECUTORS_DIE(word, point)                                                                 \
    Test(crash_point, executors_die_at_##word)                                                     \
    {                                                                                              \
        kill_executors_at(point);                                                                  \
    }
#define REAPER_DIES(word, point)                                                                   \
    Test(crash_point, reaper_dies_at_##word)                                                       \
    {                                                                                              \
        kill_reaper_at(point);                                                                     \
    }

JOBD_DIES(claim_read, "claim.read:2")
JOBD_DIES(claim_before_hand, "claim.before_hand:3")
JOBD_DIES(finish_before_ack, "finish.before_ack:2")
JOBD_DIES(finish_sent, "finish.sent:2")
JOBD_DIES(finish_answered, "finish.answered:2")
JOBD_DIES(fail_before_send, "fail.before_send:1")
JOBD_DIES(fail_sent, "fail.sent:1")
JOBD_DIES(fail_answered, "fail.answered:1")
EXECUTORS_DIE(execute_started, "execute.started:3")
EXECUTORS_DIE(execute_before_commit, "execute.before_commit:3")
EXECUTORS_DIE(execute_commit_sent, "execute.commit_sent:3")
EXECUTORS_DIE(execute_committed, "execute.committed:3")
REAPER_DIES(reap_before, "reap.before:1")
REAPER_DIES(reap_sent, "reap.sent:1")
REAPER_DIES(reap_answered, "reap.answered:1")
