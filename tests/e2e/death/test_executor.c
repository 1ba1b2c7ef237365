/* SPDX-License-Identifier: MIT */
/*
 * Deaths of executors under load: nothing is lost, nothing happens twice, budgets are kept.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/scene.h"

#define EXECUTORS_MAX 16

/* G1 G5 G15 G19 G22 G42: kill -9 of random executors while transactional jobs run. */
Test(executor_death, loses_and_doubles_nothing_under_load)
{
    struct scene *s = scene_new(SCENE_PG);
    pid_t pids[EXECUTORS_MAX];
    size_t kills = 0;

    /* Crashes are counted by job: with this budget none is dead by bad luck. */
    scene_jobd(s, 0, (struct jobd_options){.executors = 4, .extra = "crash_budget = 100;"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 600);
    while (kills <= 30) {
        scene_wait_pending(s, 1, 20000);
        size_t n = jobd_executors(s->jobd[0], pids, EXECUTORS_MAX);
        if (n) {
            kill(pids[kills % n], SIGKILL);
            kills++;
        }
        scene_wait_more(s, 10, 30000);
    }
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G27 G29 G30: poison kills its crash budget of executors and no jobd; others go on. */
Test(executor_death, poison_is_contained_and_kept_as_a_dead_letter)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    jobq_id id = scene_enqueue(s, "segv", "{\"why\":\"poison\"}");
    (void)id;
    s->acked_count = 0; /* it has no effect */
    scene_enqueue_many(s, "effect", "{}", 200);
    scene_wait_dead(s, 1, 20000);
    scene_wait_drained(s, 30000);
    scene_check_effects(s);
    cr_assert_eq(process_count_log(s->jobd[0]->process, "executor.died"), 3);
    char *reason = scene_dead_field(s, "reason"), *error = scene_dead_field(s, "error"),
         *payload = scene_dead_field(s, "p"), *by = scene_dead_field(s, "by");
    cr_assert_str_eq(reason, "exhausted");
    cr_assert(strstr(error, "signal 11"), "%s", error);
    cr_assert_str_eq(payload, "{\"why\":\"poison\"}");
    cr_assert_gt(strlen(by), 10u);
    free(reason);
    free(error);
    free(payload);
    free(by);
    scene_drain(s, 0);
    scene_free(s);
}

/* G25 G27: a handler that never returns and ignores SIGTERM is killed at its hard limit, which
 * counts as a crash. */
Test(executor_death, a_deaf_handler_is_killed_at_its_hard_limit)
{
    struct scene *s = scene_new(0);
    jobq_job job = JOBQ_JOB_INIT;

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "crash_budget = 2;"});
    job.type = "spin";
    job.payload = "{}";
    job.soft_limit_ms = 200;
    job.hard_limit_ms = 500;
    scene_enqueue_job(s, &job);
    scene_wait_dead(s, 1, 30000);
    char *error = scene_dead_field(s, "error");
    cr_assert(strstr(error, "hard limit of 500 ms"), "%s", error);
    free(error);
    /* two deaths, two lines each */
    cr_assert_eq(process_count_log(s->jobd[0]->process, "hard limit of 500 ms"), 4);
    scene_drain(s, 0);
    scene_free(s);
}

/* One that has ended and whom nobody has waited for yet does no harm. */
static bool has_ended(void *ctx)
{
    char *text = read_file(fmt("/proc/%d/stat", (int)*(pid_t *)ctx));
    const char *end = text ? strrchr(text, ')') : NULL;
    bool ended = !end || strncmp(end, ") Z", 3) == 0;

    free(text);
    return ended;
}

/* G25: what a handler forks does not outlive it. */
Test(executor_death, leaves_no_orphan)
{
    struct scene *s = scene_new(0);
    const char *file = fmt("%s/orphan", tmp_dir());

    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_enqueue(s, "forkchild", fmt("{\"file\":\"%s\"}", file));
    scene_wait_drained(s, 20000);
    cr_assert(process_wait_log(s->jobd[0]->process, "job.done", NULL, patience_ms(20000)));
    char *text = read_file(file);
    cr_assert_not_null(text);
    pid_t orphan = (pid_t)strtol(text, NULL, 10);
    free(text);
    scene_drain(s, 0);
    cr_assert_gt(orphan, 1);
    cr_assert(wait_until(patience_ms(20000), has_ended, &orphan), "process %d lives on",
              (int)orphan);
    scene_free(s);
}

/* G19 G27: a handler that ends the runtime's transaction has broken the contract: a crash, and its
 * effect is gone or once. */
Test(executor_death, ending_the_transaction_counts_as_a_crash)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_enqueue(s, "endtx_rollback", "{}");
    scene_wait_dead(s, 1, 30000);
    char *error = scene_dead_field(s, "error"), *reason = scene_dead_field(s, "reason");
    cr_assert_str_eq(reason, "exhausted");
    cr_assert(strstr(error, "transaction"), "%s", error);
    free(error);
    free(reason);
    cr_assert_eq(scene_effects(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}
