/* SPDX-License-Identifier: MIT */
/*
 * Executors: replaced when worn, clean from job to job, heard with the job they speak of, never
 * holding short jobs hostage behind a long one.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

/* ---- recycling ---- */

/* G22: after so many jobs an executor is replaced; its successor is there before it goes; no job
 * notices. */
Test(recycle, by_count_leaves_no_gap)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/lines", tmp_dir()));
    struct jobd *j =
        scene_jobd(s, 0,
                   (struct jobd_options){
                       .executors = 1,
                       .extra = "executor_max_jobs = 20; prefetch_time = 0; crash_budget = 1;"});

    size_t from = 0;
    cr_assert(process_wait_log(j->process, " ready incarnation=", &from, patience_ms(20000)));
    scene_enqueue_many(s, "sleep", fmt("{\"ms\":2,\"file\":\"%s\"}", file), 300);
    wait_lines(file, 300, 60000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(count_lines(file), 300u, "no job ran twice");
    cr_assert_geq(process_count_log(j->process, "executor.recycle"), 3);
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    if (process_wait_log(j->process, " not_ready why=\"executors", &from, 0))
        fail_test("there was a gap");
    wait_executors(j, 1, 20000);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

/* G40: memory that grows is given back: the executor is replaced after its job. */
Test(recycle, by_memory)
{
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "crash_budget = 1;"});
    pid_t before;

    note_executors(j, &before, 1);
    scene_enqueue(s, "leak", "{\"bytes\":1000000}");
    scene_wait_drained(s, 20000);
    cr_assert_eq(process_count_log(j->process, "executor.recycle"), 0);
    scene_enqueue(s, "leak", "{\"bytes\":340000000}");
    wait_log(j, "executor.recycle", 1, 30000);
    const char *const texts[] = {"executor.recycle", NULL};
    char *line = log_line(j, texts);
    cr_assert_geq(line_number(line, "memory_bytes"), 256 * 1024 * 1024);
    cr_assert_eq(line_number(line, "pid"), before);
    free(line);
    scene_enqueue(s, "noop", "{}");
    wait_log(j, " job.done ", 3, 20000);
    wait_replaced(j, &before, 1, 1, 20000);
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- isolation ---- */

static void check_isolation(struct scene *s, const char *spoil, const char *look)
{
    scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1, .extra = "max_attempts = 1; crash_budget = 1;"});
    for (int i = 0; i < 3; i++) {
        scene_enqueue(s, spoil, "{\"n\":3}");
        scene_enqueue(s, look, "{}");
    }
    scene_wait_drained(s, 30000);
    if (scene_dead(s) > 0) {
        struct entry *e = entry_at(s, "dead", 0);
        fail_test("left behind: %s", e->error);
    }
    wait_log(s->jobd[0], " job.done ", 6, 20000);
    scene_drain(s, 0);
    scene_free(s);
}

/* G24: umask, directory, locale, signals, timers, descriptors of one job are unknown to the next.
 */
Test(isolation, of_the_process)
{
    check_isolation(scene_new(0), "setstate", "checkstate");
}

/* G24: settings, temporary tables, locks, listens, prepared statements and cursors likewise. */
Test(isolation, of_the_session)
{
    check_isolation(scene_new(SCENE_PG), "pg_setstate", "pg_checkstate");
}

/* G24: a transaction left open is nobody's: not committed, and not the next job's. */
Test(isolation, of_an_open_transaction)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1, .extra = "max_attempts = 1; crash_budget = 1;"});
    scene_enqueue(s, "pg_open", "{}");
    scene_wait_drained(s, 20000);
    s->acked_count = 0; /* it has no effect */
    scene_enqueue_many(s, "effect", "{}", 3);
    scene_wait_effects(s, 3, 20000);
    scene_wait_drained(s, 20000);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- what is heard of a job ---- */

/* G41 and support: what a handler says carries its job, queue, type and attempt. */
Test(heard, with_job_queue_and_attempt)
{
    static const char *const events[] = {" job.log ", " job.result ", " job.progress "};
    struct scene *s = scene_new(0);
    jobq_job job = JOBQ_JOB_INIT;
    struct jobd *j = scene_jobd(s, 0,
                                (struct jobd_options){.executors = 1,
                                                      .queues = "{ name = \"news\"; }",
                                                      .extra = "log_level = \"debug\";"});

    job.type = "say";
    job.queue = "news";
    job.payload =
        "{\"text\":\"first\\nsecond \\\"quoted\\\"\",\"result\":\"[1,2]\",\"percent\":42}";
    jobq_answer a = scene_enqueue_job(s, &job);
    wait_log(j, " job.done ", 1, 20000);
    for (size_t i = 0; i < 3; i++) {
        const char *const texts[] = {events[i],    id_text(&a.id), " queue=news ",
                                     " type=say ", " attempt=1 ",  NULL};
        free(log_line(j, texts));
    }
    const char *const text[] = {" job.log ", "first", "second", NULL},
                      *const result[] = {" job.result ", "[1,2]", NULL},
                      *const progress[] = {" job.progress ", " percent=42", NULL};
    free(log_line(j, text)); /* one line, however many the handler wrote */
    free(log_line(j, result));
    free(log_line(j, progress));
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- hostages ---- */

static void learn_short(struct scene *s, const char *file, size_t n)
{
    scene_enqueue_many(s, "sleep", fmt("{\"ms\":0,\"file\":\"%s\"}", file), n);
    wait_lines(file, n, 20000);
    scene_wait_drained(s, 20000);
}

/* G8: of jobs known to be short one turns out endless: those handed over behind it run elsewhere.
 */
Test(hostages, are_taken_back_from_behind_a_long_job)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/short", tmp_dir())), *slow = strdup(fmt("%s/long", tmp_dir()));
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "prefetch_time = \"1s\";"});

    learn_short(s, file, 200);
    scene_enqueue(s, "sleep", fmt("{\"ms\":600000,\"file\":\"%s\"}", slow));
    scene_enqueue_many(s, "sleep", fmt("{\"ms\":0,\"file\":\"%s\"}", file), 400);
    wait_lines(file, 600, 30000);
    wait_lines(slow, 1, 20000);
    wait_log(j, " job.done ", 600, 20000);
    cr_assert_eq(process_count_log(j->process, " job.done "), 600);
    wait_exactly_pending(s, 1, 20000); /* the long one alone */
    cr_assert_eq(count_lines(file), 600u, "each ran once");
    free(file);
    free(slow);
    scene_kill(s, 0);
    scene_free(s);
}

/* G8 G22 G27: where no other executor is, they go to another jobd, with no budget used. */
Test(hostages, are_given_back_to_another_jobd)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/short", tmp_dir())), *slow = strdup(fmt("%s/long", tmp_dir()));
    const char *extra = "prefetch_time = \"1s\"; max_attempts = 1; crash_budget = 1;";

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 1, .extra = extra});
    learn_short(s, file, 200);
    /* Whoever claims the long one holds what it read with it. */
    jobq_job jobs[101];
    jobq_answer answers[101];
    char *short_payload = strdup(fmt("{\"ms\":0,\"file\":\"%s\"}", file));
    char *long_payload = strdup(fmt("{\"ms\":600000,\"file\":\"%s\"}", slow));
    for (size_t i = 0; i < 101; i++) {
        jobs[i] = (jobq_job)JOBQ_JOB_INIT;
        jobs[i].type = "sleep";
        jobs[i].payload = i ? short_payload : long_payload;
    }
    cr_assert_eq(jobq_enqueue_many(s->client, jobs, 101, answers, NULL), JOBQ_OK);
    wait_lines(file, 300, 30000);
    wait_lines(slow, 1, 20000);
    cr_assert_eq(count_lines(file), 300u, "each ran once");
    cr_assert_eq(scene_dead(s), 0);
    free(short_payload);
    free(long_payload);
    free(file);
    free(slow);
    scene_kill(s, 0);
    scene_kill(s, 1);
    scene_free(s);
}

/* G8: with max_held = 1 nothing is ever handed over ahead. */
Test(hostages, are_none_with_max_held_1)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/short", tmp_dir()));
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1, .extra = "prefetch_time = \"1s\"; max_held = 1;"});

    learn_short(s, file, 50);
    scene_enqueue(s, "spin", fmt("{\"file\":\"%s.spin\"}", file));
    wait_lines(fmt("%s.spin", file), 1, 20000);
    scene_enqueue_many(s, "sleep", "{\"ms\":0}", 50);
    wait_beats(s, 2, 20000);
    cr_assert_eq(scene_pending(s), 1);
    cr_assert_eq(process_count_log(j->process, " job.done "), 50);
    free(file);
    scene_kill(s, 0);
    scene_free(s);
}
