/* SPDX-License-Identifier: MIT */
/*
 * The four counts of a job: attempts, crashes, losses, releases. Each is moved by its own cause
 * alone.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

#define LOSS_BUDGET 3

static void start_jobd(struct scene *s, const char *extra)
{
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = LONG_LEASE, .extra = extra});
}

/* G27 G42: a job under which jobd dies again and again is dead once beyond its budget, all other
 * counts at 0. */
Test(losses, beyond_the_budget_end_a_job)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/runs", tmp_dir()));
    const char *extra = fmt("loss_budget = %d; crash_budget = 1; max_attempts = 1;", LOSS_BUDGET);
    char *configuration = strdup(extra);

    scene_enqueue(s, "sleep", fmt("{\"ms\":600000,\"file\":\"%s\"}", file));
    for (size_t run = 1; run <= LOSS_BUDGET + 1; run++) {
        start_jobd(s, configuration);
        wait_lines(file, run, 20000);
        scene_kill(s, 0);
    }
    start_jobd(s, configuration);
    scene_wait_dead(s, 1, 20000);
    scene_wait_drained(s, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 0, 0, LOSS_BUDGET + 1, 0);
    cr_assert_str_eq(e->reason, "exhausted");
    cr_assert(strstr(e->error, "declared dead"), "%s", e->error);
    cr_assert(e->header.flags & CODEC_FLAG_EXHAUSTED);
    entry_free(e);
    cr_assert_eq(count_lines(file), LOSS_BUDGET + 1, "beyond the budget it is not run");
    /* The worker is in order, and others run. */
    scene_enqueue(s, "noop", "{}");
    wait_log(s->jobd[0], " job.done ", 1, 20000);
    free(file);
    free(configuration);
    scene_drain(s, 0);
    scene_free(s);
}

/* G1 G27: what is beyond its budget is not run, so it ends also where nobody knows its type. */
Test(losses, beyond_the_budget_end_a_job_of_an_unknown_type)
{
    struct scene *s = scene_new(0);
    struct job_header exhausted = {.losses = 21, .flags = CODEC_FLAG_EXHAUSTED};
    struct job_header expired = {.expires_ms = 1, .enqueued_ms = 1};

    entry_add(s, "ready:recovered", exhausted, "unheard-of", "{}");
    entry_add(s, "ready:normal", expired, "unheard-of", "{}");
    start_jobd(s, NULL);
    scene_wait_dead(s, 2, 20000);
    scene_wait_drained(s, 20000);
    struct entry *first = entry_at(s, "dead", 0), *second = entry_at(s, "dead", 1);
    cr_assert_str_eq(first->reason, "exhausted");
    cr_assert_str_eq(second->reason, "expired");
    entry_check_counts(first, 0, 0, 21, 0);
    entry_free(first);
    entry_free(second);
    cr_assert_eq(scene_parked(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* Runs a job of so many losses in an executor that has run something before; true: in that one. */
static bool keeps_executor(struct scene *s, uint8_t losses, int done)
{
    pid_t before, after;

    scene_enqueue(s, "noop", "{}");
    wait_log(s->jobd[0], " job.done ", done + 1, 20000);
    note_executors(s->jobd[0], &before, 1);
    entry_add(s, "ready:recovered", (struct job_header){.losses = losses}, "noop", "{}");
    wait_log(s->jobd[0], " job.done ", done + 2, 20000);
    scene_wait_drained(s, 20000);
    note_executors(s->jobd[0], &after, 1);
    return before == after;
}

/* G30: from the third loss on a job runs in a fresh executor. */
Test(losses, of_three_and_more_run_in_a_fresh_executor)
{
    struct scene *s = scene_new(0);

    start_jobd(s, NULL);
    cr_assert(keeps_executor(s, 2, 0));
    cr_assert_not(keeps_executor(s, 3, 2));
    cr_assert_not(keeps_executor(s, 9, 4));
    cr_assert(keeps_executor(s, 0, 6));
    cr_assert_eq(process_count_log(s->jobd[0]->process, "executor.died"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G30: it runs alone there: whatever else is waiting goes to others, however short it is known to
 * be. */
Test(losses, of_three_and_more_run_alone)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/alone", tmp_dir())), *others = strdup(fmt("%s/others", tmp_dir()));

    /* Everything is known to be short: two executors hold many jobs each. */
    scene_jobd(s, 0,
               (struct jobd_options){
                   .executors = 2, .lease = LONG_LEASE, .extra = "prefetch_time = \"1s\";"});
    scene_enqueue_many(s, "sleep", fmt("{\"ms\":0,\"file\":\"%s\"}", others), 200);
    wait_lines(others, 200, 20000);
    scene_wait_drained(s, 20000);
    entry_add(s, "ready:recovered", (struct job_header){.losses = 3}, "sleep",
              fmt("{\"ms\":600000,\"file\":\"%s\"}", file));
    wait_lines(file, 1, 20000);
    scene_enqueue_many(s, "sleep", fmt("{\"ms\":0,\"file\":\"%s\"}", others), 300);
    wait_lines(others, 500, 20000);
    wait_log(s->jobd[0], " job.done ", 500, 20000);
    cr_assert_eq(process_count_log(s->jobd[0]->process, " job.done "), 500,
                 "the long one is running");
    free(file);
    free(others);
    scene_kill(s, 0);
    scene_free(s);
}

/* ---- counted apart ---- */

static void kill_executor(struct scene *s)
{
    pid_t pid;

    cr_assert_eq(jobd_executors(s->jobd[0], &pid, 1), 1u);
    kill(pid, SIGKILL);
}

/* G15 G22 G27 G37: a failure, a crash, a loss and a drain, each seen in its own count alone. */
Test(losses, crashes_attempts_and_releases_are_counted_apart)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/runs", tmp_dir()));
    struct job_header h = {.attempts = 1, .max_attempts = 2};

    jobq_id id =
        entry_add(s, "ready:normal", h, "sleep", fmt("{\"ms\":600000,\"file\":\"%s\"}", file));
    start_jobd(s, "drain_grace = \"50ms\";");
    wait_lines(file, 1, 20000);
    kill_executor(s);
    wait_lines(file, 2, 20000);
    scene_kill(s, 0);
    start_jobd(s, "drain_grace = \"50ms\";");
    wait_lines(file, 3, 20000);
    scene_drain(s, 0);
    struct entry *e = entry_at(s, "ready:recovered", 0);
    entry_check_counts(e, 1, 1, 1, 1);
    cr_assert_eq(memcmp(&e->header.id, &id, sizeof(id)), 0, "one id for life");
    entry_free(e);
    cr_assert_eq(scene_queued(s), 1);
    /* Handed over again: the attempt is the second still. */
    char *text = read_file(file);
    cr_assert_eq(count_lines(file), 3u);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        cr_assert_eq(line[37], '2', "%s", text);
    free(text);
    free(file);
    scene_free(s);
}

/* G27 G30: crashes end a job at their own budget, and are told. */
Test(losses, crashes_end_a_job_at_their_budget)
{
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "crash_budget = 2;"});

    scene_enqueue(s, "exit0", "{}");
    scene_wait_dead(s, 1, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 0, 2, 0, 0);
    cr_assert_str_eq(e->reason, "exhausted");
    cr_assert(strstr(e->error, "executor died"), "%s", e->error);
    entry_free(e);
    cr_assert_eq(process_count_log(j->process, "executor.died"), 2);
    cr_assert_eq(process_count_log(j->process, "job.crashed"), 2);
    scene_drain(s, 0);
    scene_free(s);
}
