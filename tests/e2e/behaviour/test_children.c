/* SPDX-License-Identifier: MIT */
/*
 * Jobs that handlers enqueue: stored with the effect, sent once it is committed, whatever dies in
 * between.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/e2e/behaviour/behaviour.h"

/* Each of so many jobs has one effect, and nothing is left. */
static void check_family(struct scene *s, long long members)
{
    scene_wait_effects(s, members, 30000);
    scene_wait_drained(s, 30000);
    cr_assert_eq(scene_effects(s), members);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(DISTINCT job_id) FROM public.effects"), members);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM jobq.done"), members);
    cr_assert_eq(scene_dead(s), 0);
}

/* The record of what was to be sent is cleared once it is. */
static bool is_nothing_kept(void *ctx)
{
    struct scene *s = ctx;

    return pg_int(s->postgres, "SELECT count(*) FROM jobq.done WHERE children IS NOT NULL") == 0;
}

static void check_nothing_kept(struct scene *s)
{
    if (!wait_until(now_ms() + patience_ms(20000), is_nothing_kept, s))
        fail_test("children that were sent are still kept");
}

/* G19 G20: children of a transactional job: one effect each, beside their parent's. */
Test(children, are_sent_with_the_effect)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    for (int i = 0; i < 5; i++)
        scene_enqueue(s, "parent", "{\"n\":4}");
    check_family(s, 25);
    check_nothing_kept(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- jobd dies between the effect and the acknowledgement ---- */

static void kill_jobd_with_a_family(const char *point)
{
    struct scene *s = scene_new(SCENE_PG);
    char at[64];
    const char *env[] = {at, NULL};

    snprintf(at, sizeof(at), "JOBQ_CRASH_AT=%s", point);
    struct jobd *first =
        scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = LONG_LEASE, .env = env});
    scene_enqueue(s, "parent", "{\"n\":5}");
    int status = process_wait(first->process, patience_ms(30000));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point);
    cr_assert_gt(scene_effects(s), 0, "the effect was committed before");
    jobd_free(first);
    s->jobd[0] = NULL;
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = LONG_LEASE});
    /* Children that were kept and whose parent is acknowledged stay until their record is pruned by
     * age. */
    check_family(s, 6);
    scene_drain(s, 0);
    scene_free(s);
}

/* G1 G11 G19 G20 G26: the children are in Redis, their parent is not acknowledged: it runs again,
 * they have one effect. */
Test(children, have_one_effect_when_jobd_dies_after_sending)
{
    kill_jobd_with_a_family("finish.before_ack:1");
}

/* G1 G11 G19 G20 G26: likewise, with the acknowledgement on its way. */
Test(children, have_one_effect_when_jobd_dies_acknowledging)
{
    kill_jobd_with_a_family("finish.sent:1");
}

/* G1 G19 G20: the executor dies right after its COMMIT: the rerun finds the effect done and sends
 * what was stored. */
Test(children, are_sent_by_the_rerun_when_nobody_could_report)
{
    static const char *const env[] = {"JOBQ_CRASH_AT=execute.committed:2", NULL};
    struct scene *s = scene_new(SCENE_PG);
    struct jobd *j = scene_jobd(
        s, 0, (struct jobd_options){.executors = 1, .env = env, .extra = "crash_budget = 100;"});

    scene_enqueue(s, "effect", "{}"); /* the first one each executor commits is spared */
    scene_enqueue(s, "parent", "{\"n\":3}");
    check_family(s, 5);
    cr_assert_geq(process_count_log(j->process, "executor.died"), 1);
    scene_drain(s, 0);
    scene_free(s);
}

/* G2 G20: no effect, no children: an executor that dies before its COMMIT leaves neither. */
Test(children, are_not_sent_without_the_effect)
{
    static const char *const env[] = {"JOBQ_CRASH_AT=execute.before_commit:1", NULL};
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .env = env});
    scene_enqueue(s, "parent", "{\"n\":3}");
    scene_wait_dead(s, 1, 30000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_effects(s), 0);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM jobq.done"), 0);
    cr_assert_eq(scene_dead(s), 1, "the parent alone");
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- without a transaction ---- */

/* G1 G5: a thousand children of one job, each once. */
Test(children, a_thousand_of_one_job)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_enqueue(s, "spawn", "{\"n\":1000,\"type\":\"effect\"}");
    scene_wait_effects(s, 1000, 60000);
    scene_wait_drained(s, 30000);
    cr_assert_eq(scene_effects(s), 1000);
    cr_assert_eq(pg_int(s->postgres, "SELECT count(DISTINCT job_id) FROM public.effects"), 1000);
    scene_drain(s, 0);
    scene_free(s);
}

/* G1 G19 G20: the same in one transaction. */
Test(children, a_thousand_of_one_transaction)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_enqueue(s, "parent", "{\"n\":1000}");
    check_family(s, 1001);
    check_nothing_kept(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* A run that does not end well sends none, whether it fails, or asks for a child that cannot be. */
Test(children, of_a_failed_run_are_forgotten)
{
    struct scene *s = scene_new(0);

    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .extra = "max_attempts = 2; backoff = 1;"});
    scene_enqueue(s, "spawn", "{\"n\":5,\"type\":\"dead\",\"fail\":1}");
    scene_wait_dead(s, 1, 20000);
    scene_enqueue(s, "spawn", "{\"n\":5,\"type\":\"dead\",\"bad\":1}");
    scene_wait_dead(s, 2, 20000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_dead(s), 2, "no child ran");
    struct entry *failed = entry_at(s, "dead", 0), *bad = entry_at(s, "dead", 1);
    cr_assert_str_eq(failed->reason, "exhausted");
    cr_assert_str_eq(bad->reason, "permanent");
    cr_assert(strstr(bad->error, "payload"), "the reason is told: %s", bad->error);
    entry_free(failed);
    entry_free(bad);
    scene_drain(s, 0);
    scene_free(s);
}

/* Children may go to a queue that no worker works on and nobody has used: it is registered, they
 * wait there. */
Test(children, may_open_a_new_queue)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1});

    scene_enqueue(s, "spawn", "{\"n\":7,\"queue\":\"elsewhere\"}");
    wait_log(j, " job.done ", 1, 20000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(redis_int(s->redis, "XLEN jobq:{elsewhere:0}:ready:normal"), 7);
    cr_assert_eq(redis_int(s->redis, "HEXISTS jobq:queues elsewhere"), 1);
    cr_assert_eq(process_count_log(j->process, " job.done "), 1, "it is not ours to work on");
    scene_drain(s, 0);
    scene_jobd(s, 1, (struct jobd_options){.executors = 1, .queues = "{ name = \"elsewhere\"; }"});
    wait_log(s->jobd[1], " job.done ", 7, 20000);
    scene_drain(s, 1);
    scene_free(s);
}

/* G31: children with a delay wait in `later`, and come. */
Test(children, may_be_delayed)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1});

    scene_enqueue(s, "spawn", "{\"n\":3,\"delay_ms\":400}");
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 4, 20000);
    cr_assert_eq(process_count_log(j->process, " job.done "), 4);
    scene_drain(s, 0);
    scene_free(s);
}
