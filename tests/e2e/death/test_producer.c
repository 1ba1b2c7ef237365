/* SPDX-License-Identifier: MIT */
/*
 * Deaths of an application while it enqueues: repeated with the same id, the job has its effect
 * once (G4 G5 G42).
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "tests/e2e/scene.h"

#define NORMAL "jobq:{default:0}:ready:normal"

static int produce(struct scene *s, const char *id, const char *crash_at)
{
    const char *program = fmt("%s/../tests/e2e_producer", bin_path("."));
    const char *argv[] = {program, s->redis->producer_url, id, NULL};
    const char *env[] = {crash_at ? fmt("JOBQ_CRASH_AT=%s", crash_at) : NULL, NULL};
    struct process *p = process_start("producer", argv, env);
    int status = process_wait(p, patience_ms(20000));

    process_free(p);
    return status;
}

static void dies_and_repeats(const char *point, long long least, long long most)
{
    struct scene *s = scene_new(SCENE_PG);
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id id;

    cr_assert_eq(jobq_id_new(&id, NULL), JOBQ_OK);
    jobq_id_format(&id, text);
    int status = produce(s, text, point);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s was not reached", point);
    cr_assert_eq(produce(s, text, NULL), 0);
    /* What was on its way may have arrived before the repeat: then it is stored twice under one
     * id. */
    long long stored = redis_int(s->redis, "XLEN " NORMAL);
    cr_assert(stored >= least && stored <= most, "stored %lld times", stored);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_wait_drained(s, 30000);
    cr_assert_eq(scene_effects(s), 1);
    cr_assert_eq(
        pg_int(s->postgres, "SELECT count(*) FROM public.effects WHERE job_id = '%s'", text), 1);
    scene_drain(s, 0);
    scene_free(s);
}

Test(producer_death, before_anything_was_sent)
{
    dies_and_repeats("enqueue.before_send", 1, 1);
}

Test(producer_death, with_the_job_on_its_way)
{
    dies_and_repeats("enqueue.sent", 1, 2);
}
