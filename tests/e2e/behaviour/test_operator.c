/* SPDX-License-Identifier: MIT */
/* What an operator does with jobctl while jobd works. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/integration/jobctl/run.h"

/* For jobctl; jobd, started before, is another user. */
static void be_operator(const struct scene *s)
{
    setenv("JOBQ_REDIS", s->redis->operator_url, 1);
}

static void end(struct scene *s)
{
    redis_check_refused(s->redis);
    scene_free(s);
}

/* G27 G29: all its attempts are there again, under the same id; with another payload it succeeds.
 */
Test(operator, retries_a_dead_letter_that_then_runs)
{
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(
        s, 0, (struct jobd_options){.executors = 1, .extra = "backoff = 1; max_attempts = 2;"});
    be_operator(s);
    jobq_id id = scene_enqueue(s, "fail_n", "{\"n\":9,\"text\":\"bad\"}");
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id_format(&id, text);
    scene_wait_dead(s, 1, 20000);
    struct run r = JOBCTL("dead", "retry", text);
    expect(&r, 0, NULL);
    run_free(&r);
    const char *const again[] = {" job.failed ", text, "attempt=2 ", "fate=dead", NULL};
    wait_log(j, "fate=dead", 2, 20000);
    free(log_line(j, again));
    cr_assert_eq(process_count_log(j->process, " job.failed "), 4, "two attempts, and two more");
    scene_wait_dead(s, 1, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 2, 0, 0, 0);
    entry_free(e);
    r = JOBCTL("dead", "retry", text, "--payload", "{\"n\":0}");
    expect(&r, 0, NULL);
    run_free(&r);
    wait_log(j, " job.done ", 1, 20000);
    const char *const done[] = {" job.done ", text, "attempt=1 ", NULL};
    free(log_line(j, done));
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    end(s);
}

static struct process *start_retry(const char *name)
{
    return process_start(
        name, (const char *const[]){bin_path("jobctl"), "dead", "retry", "--all", "--yes", NULL},
        NULL);
}

/* G19 G29: the cause is mended, two operators retry everything at once: each job takes effect
 * once. */
Test(operator, retries_all_when_the_cause_is_mended)
{
    struct scene *s = scene_new(SCENE_PG);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "max_attempts = 1;"});
    be_operator(s);
    pg_do(s->postgres, "ALTER TABLE effects RENAME TO effects_away");
    scene_enqueue_many(s, "effect", "{}", 300);
    scene_wait_dead(s, 300, 60000);
    pg_do(s->postgres, "ALTER TABLE effects_away RENAME TO effects");
    struct process *a = start_retry("one"), *b = start_retry("two");
    cr_assert_eq(process_wait(a, patience_ms(30000)), 0);
    cr_assert_eq(process_wait(b, patience_ms(30000)), 0);
    process_free(a);
    process_free(b);
    scene_wait_drained(s, 60000);
    cr_assert_eq(scene_dead(s), 0);
    scene_check_effects(s);
    cr_assert_eq(process_count_log(s->jobd[0]->process, " job.done "), 300,
                 "none of them ran twice");
    scene_drain(s, 0);
    end(s);
}

/* G12: every job either runs once or is purged; the lane goes on. */
Test(operator, purges_a_queue_that_is_being_worked_on)
{
    struct scene *s = scene_new(0);
    char file[300];
    snprintf(file, sizeof(file), "%s/marks", tmp_dir());
    char payload[400];
    snprintf(payload, sizeof(payload), "{\"ms\":40,\"file\":\"%s\"}", file);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_jobd(s, 1, (struct jobd_options){.executors = 2});
    be_operator(s);
    scene_enqueue_many(s, "sleep", payload, 5000); /* most of a minute of work */
    wait_lines(file, 1, 20000);
    struct run r = JOBCTL("queue", "purge", "default", "--yes", "--json");
    expect(&r, 0, NULL);
    long long purged = number_at(&r, "purge.purged");
    cr_assert_gt(purged, 0);
    run_free(&r);
    scene_wait_drained(s, 60000);
    cr_assert_eq((long long)count_lines(file) + purged, 5000, "%zu ran, %lld purged",
                 count_lines(file), purged);
    scene_enqueue_many(s, "sleep", payload, 10);
    scene_wait_drained(s, 20000);
    cr_assert_eq((long long)count_lines(file) + purged, 5010);
    scene_drain(s, 0);
    scene_drain(s, 1);
    end(s);
}

/* G38 */
Test(operator, sees_what_is_parked)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    be_operator(s);
    scene_enqueue(s, "nobody.knows", "{}");
    wait_parked(s, 1, 20000);
    struct run r = JOBCTL("parked", "list", "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "parked.0.type"), "nobody.knows");
    run_free(&r);
    scene_drain(s, 0);
    end(s);
}
