/* SPDX-License-Identifier: MIT */
/*
 * Time: delays and due times, expiry, the soft limit, the end of SQL whose executor is gone.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

#define DELAYED 24

/* Redis, PostgreSQL and this test share one machine's clock, so an effect's time compares with
 * Redis's. */
static long long effect_ms(struct scene *s, const jobq_id *id)
{
    return pg_int(s->postgres,
                  "SELECT floor(extract(epoch FROM at) * 1000)::bigint FROM public.effects WHERE "
                  "job_id = '%s'",
                  id_text(id));
}

/* G31: causality: no delayed or due job starts before its time by Redis's clock, with two jobd
 * moving them. */
Test(schedule, starts_nothing_early)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_id ids[DELAYED];
    long long due[DELAYED];

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2});
    for (size_t i = 0; i < DELAYED; i++) {
        jobq_job job = JOBQ_JOB_INIT;
        job.type = "effect";
        due[i] = redis_now_ms(s) + (long long)(i * 37 % 500);
        if (i % 2)
            job.delay_ms = (int64_t)(i * 37 % 500);
        else
            job.due_ms = due[i];
        ids[i] = scene_enqueue_job(s, &job).id;
    }
    scene_wait_effects(s, DELAYED, 20000);
    scene_wait_drained(s, 20000);
    for (size_t i = 0; i < DELAYED; i++)
        cr_assert_geq(effect_ms(s, &ids[i]), due[i], "job %zu started early", i);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G31: a job due far away stays, one due in the past runs at once, one that fell due while nobody
 * was there runs then. */
Test(schedule, tells_past_from_future)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_job past = JOBQ_JOB_INIT, soon = JOBQ_JOB_INIT, future = JOBQ_JOB_INIT;

    past.type = soon.type = future.type = "effect";
    past.due_ms = redis_now_ms(s) - 3600000;
    soon.delay_ms = 100;
    future.due_ms = redis_now_ms(s) + 3600000;
    scene_enqueue_job(s, &past);
    scene_enqueue_job(s, &soon);
    jobq_id id = scene_enqueue_job(s, &future).id;
    cr_assert_eq(scene_later(s), 2);
    wait_redis_ms(s, redis_now_ms(s) + 101);
    cr_assert_eq(scene_later(s), 2, "nobody moves it but jobd");
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "500ms"});
    scene_wait_effects(s, 2, 20000);
    wait_beats(s, 10, 20000);
    cr_assert_eq(scene_effects(s), 2);
    cr_assert_eq(scene_later(s), 1);
    struct entry *e = entry_later(s, &id);
    entry_check_counts(e, 0, 0, 0, 0);
    entry_free(e);
    scene_drain(s, 0);
    scene_free(s);
}

/* A job that becomes the next one due is not held up by the one that was: the worker is woken. */
Test(schedule, a_nearer_due_time_overtakes)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_job far = JOBQ_JOB_INIT, near = JOBQ_JOB_INIT;

    far.type = near.type = "effect";
    far.delay_ms = 600000;
    near.delay_ms = 50;
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = LONG_LEASE});
    scene_enqueue_job(s, &far);
    cr_assert_eq(scene_later(s), 1);
    scene_enqueue_job(s, &near);
    /* Far less than a beat, which is two minutes here. */
    scene_wait_effects(s, 1, 20000);
    cr_assert_eq(scene_later(s), 1);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- expiry ---- */

/* G29 G39: what was not started in time never starts: a dead letter, counted as expired; attempts
 * unchanged. */
Test(expiry, ends_what_was_not_started_in_time)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_job stale = JOBQ_JOB_INIT, fresh = JOBQ_JOB_INIT, late = JOBQ_JOB_INIT;

    stale.type = fresh.type = late.type = "effect";
    stale.expires_after_ms = 20;
    stale.payload = "{\"stale\":true}";
    fresh.expires_after_ms = 3600000;
    late.expires_after_ms = 20; /* counted from the enqueue, not from the time it is due */
    late.delay_ms = 40;
    scene_enqueue_job(s, &stale);
    scene_enqueue_job(s, &late);
    wait_redis_ms(s, redis_now_ms(s) + 45);
    jobq_id id = scene_enqueue_job(s, &fresh).id;
    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_wait_dead(s, 2, 20000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_effects(s), 1);
    cr_assert_gt(effect_ms(s, &id), 0);
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = entry_at(s, "dead", i);
        entry_check_counts(e, 0, 0, 0, 0);
        cr_assert_str_eq(e->reason, "expired");
        cr_assert_eq(e->header.expires_ms, 20);
        cr_assert(strstr(e->error, "expired"), "%s", e->error);
        entry_free(e);
    }
    cr_assert_eq(stats_sum(s, "expired"), 2);
    cr_assert_eq(stats_sum(s, "dead"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- limits ---- */

/* G25 G27: at its soft limit a handler is told, and may give up at no cost; drain ends it in the
 * same way. */
Test(limit, the_soft_limit_tells)
{
    struct scene *s = scene_new(0);
    jobq_job job = JOBQ_JOB_INIT;
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1,
                              .extra = "max_attempts = 1; crash_budget = 1; backoff = 1;"});

    job.type = "stoppable";
    job.payload = "{\"ms\":600000}";
    job.soft_limit_ms = 60;
    job.hard_limit_ms = 600000;
    scene_enqueue_job(s, &job);
    wait_log(j, " job.snoozed ", 2, 20000);
    const char *const texts[] = {" job.snoozed ", "attempt=1 ", "told to stop", NULL};
    free(log_line(j, texts));
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G25: the limits of a type in the configuration hold for jobs that bring none of their own. */
Test(limit, a_type_has_its_own)
{
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0,
                   (struct jobd_options){
                       .executors = 1,
                       .types = "{ name = \"stoppable\"; soft_limit = 50; hard_limit = \"10m\"; }, "
                                "{ name = \"spin\"; soft_limit = 50; hard_limit = 150; }",
                       .extra = "crash_budget = 1;"});

    scene_enqueue(s, "spin", "{}");
    scene_wait_dead(s, 1, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    cr_assert(strstr(e->error, "hard limit of 150 ms"), "%s", e->error);
    entry_check_counts(e, 0, 1, 0, 0);
    entry_free(e);
    scene_enqueue(s, "stoppable", "{\"ms\":600000}");
    wait_log(j, "told to stop", 1, 20000);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- SQL of the dead ---- */

static bool is_no_statement_left(void *ctx)
{
    struct scene *s = ctx;

    return pg_int(s->postgres,
                  "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%%'") ==
           0;
}

/* G19 G25: a statement that would run for ten minutes more ends with its executor, and so do its
 * locks. */
Test(limit, sql_of_a_killed_executor_is_cancelled)
{
    struct scene *s = scene_new(SCENE_PG);
    char *file = strdup(fmt("%s/started", tmp_dir()));
    jobq_job job = JOBQ_JOB_INIT;
    pid_t pid;

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "crash_budget = 1;"});
    job.type = "pg_deaf";
    job.payload = fmt("{\"s\":600,\"file\":\"%s\"}", file);
    job.soft_limit_ms = 900000;
    job.hard_limit_ms = 900000;
    scene_enqueue_job(s, &job);
    wait_lines(file, 1, 20000);
    cr_assert_eq(jobd_executors(s->jobd[0], &pid, 1), 1u);
    kill(pid, SIGKILL);
    scene_wait_dead(s, 1, 20000);
    if (!wait_until(now_ms() + patience_ms(20000), is_no_statement_left, s))
        fail_test("its statement runs on");
    cr_assert_eq(scene_effects(s), 0);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

/* G25: at the hard limit too; the job is charged with a crash, and the next one runs. */
Test(limit, sql_ends_at_the_hard_limit)
{
    struct scene *s = scene_new(SCENE_PG);
    jobq_job job = JOBQ_JOB_INIT;

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "crash_budget = 2;"});
    job.type = "pg_deaf";
    job.payload = "{\"s\":600}";
    job.soft_limit_ms = 100;
    job.hard_limit_ms = 1500; /* to have its row is part of it */
    scene_enqueue_job(s, &job);
    scene_wait_dead(s, 1, 60000);
    struct entry *e = entry_at(s, "dead", 0);
    /* Given back where there was not even time for its row. */
    entry_check_counts(e, 0, 2, 0, e->header.releases);
    cr_assert_str_eq(e->reason, "exhausted");
    cr_assert(strstr(e->error, "hard limit"), "%s", e->error);
    entry_free(e);
    if (!wait_until(now_ms() + patience_ms(20000), is_no_statement_left, s))
        fail_test("its statement runs on");
    s->acked_count = 0; /* it has no effect */
    scene_enqueue_many(s, "effect", "{}", 5);
    scene_wait_drained(s, 20000);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_free(s);
}
