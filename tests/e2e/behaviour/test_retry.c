/* SPDX-License-Identifier: MIT */
/*
 * Failures that are said: retry, backoff, exhaustion, permanent failure, snooze; unique keys at the
 * end of a job.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

/* G27 G28: fails three times, then succeeds; each wait is within its jittered, doubled and capped
 * bound. */
Test(retry, comes_back_with_backoff_until_it_succeeds)
{
    static const long long bounds[] = {40, 80, 100}; /* 40 ms, doubled, capped */
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0,
                   (struct jobd_options){
                       .executors = 1,
                       .extra = "backoff = \"40ms\"; backoff_cap = \"100ms\"; max_attempts = 4;"});

    jobq_id id = scene_enqueue(s, "fail_n", "{\"n\":3,\"text\":\"not yet\"}");
    scene_wait_drained(s, 20000);
    for (int i = 0; i < 3; i++) {
        const char *const texts[] = {" job.failed ", id_text(&id),        fmt("attempt=%d ", i + 1),
                                     "fate=later",   "error=\"not yet\"", NULL};
        char *line = log_line(j, texts);
        cr_assert_leq(line_number(line, "delay_ms"), bounds[i], "%s", line);
        free(line);
    }
    const char *const texts[] = {" job.done ", id_text(&id), "attempt=4 ", NULL};
    free(log_line(j, texts));
    cr_assert_eq(process_count_log(j->process, " job.failed "), 3);
    cr_assert_eq(process_count_log(j->process, " job.done "), 1);
    cr_assert_eq(scene_dead(s), 0);
    cr_assert_eq(stats_sum(s, "retried"), 3);
    scene_drain(s, 0);
    scene_free(s);
}

static void start_two(struct scene *s)
{
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 1, .lease = LONG_LEASE});
}

/* The job waits, so long, with what was said of it; when it is due by Redis's clock. */
static long long check_waiting(struct scene *s, const jobq_id *id, long long least)
{
    char *due = redis_str(s->redis, "ZSCORE jobq:{default:0}:later %s", id_text(id));
    long long due_ms = due ? strtoll(due, NULL, 10) : 0;

    free(due);
    if (!due_ms)
        return 0; /* no longer */
    cr_assert_geq(due_ms, least);
    return due_ms;
}

static void check_waits_whole(struct scene *s, const jobq_id *id)
{
    struct entry *e = entry_later(s, id);

    entry_check_counts(e, 1, 0, 0, 0);
    cr_assert(e->header.error_len == 13 && memcmp(e->header.error, "later, please", 13) == 0);
    entry_free(e);
}

/* G28: the wait that a handler asks for is kept to by Redis's clock, and survives the death of
 * jobd. */
Test(retry, waits_as_long_as_asked_across_a_restart)
{
    struct scene *s = scene_new(0);
    jobq_id id;
    long long due;

    /* Where both are not gone before the job is due, with a longer wait. */
    for (long long delay = 1500;; delay *= 4) {
        start_two(s);
        long long before = redis_now_ms(s);
        id = scene_enqueue(s, "fail_n",
                           fmt("{\"n\":1,\"delay_ms\":%lld,\"text\":\"later, please\"}", delay));
        wait_later(s, 1, 20000);
        due = check_waiting(s, &id, before + delay);
        scene_kill(s, 0);
        scene_drain(s, 1);
        if (due && scene_later(s) == 1)
            break;
        cr_assert_lt(delay, 60000, "it never waits");
    }
    /* Due while nobody is there: run by who comes next. */
    check_waits_whole(s, &id);
    wait_redis_ms(s, due + 1);
    cr_assert_eq(scene_later(s), 1);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = LONG_LEASE});
    scene_wait_drained(s, 20000);
    const char *const texts[] = {" job.done ", id_text(&id), "attempt=2 ", NULL};
    free(log_line(s->jobd[0], texts));
    scene_drain(s, 0);
    scene_free(s);
}

/* G27 G29: after max attempts one complete dead letter, and no run more. */
Test(retry, ends_as_a_complete_dead_letter)
{
    struct scene *s = scene_new(0);
    jobq_job job = JOBQ_JOB_INIT;
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "backoff = 1;"});

    job.type = "fail";
    job.payload = "{\"text\":\"na\xc3\xafve \\\"quotes\\\"\\nand lines\"}";
    job.max_attempts = 3;
    job.lane = JOBQ_LANE_LOW;
    jobq_answer a = scene_enqueue_job(s, &job);
    scene_wait_dead(s, 1, 20000);
    scene_wait_drained(s, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 3, 0, 0, 0);
    cr_assert_eq(memcmp(&e->header.id, &a.id, sizeof(a.id)), 0);
    cr_assert_eq(e->header.flags & CODEC_FLAG_LANE, JOBQ_LANE_LOW);
    cr_assert_str_eq(e->reason, "exhausted");
    cr_assert(strstr(e->error, "na\xc3\xafve \"quotes\"") && strstr(e->error, "and lines"), "%s",
              e->error);
    cr_assert_str_eq(e->p, job.payload);
    cr_assert(strstr(e->by, fmt("-%d-", (int)j->process->pid)), "%s", e->by);
    entry_free(e);
    cr_assert_eq(process_count_log(j->process, " job.failed "), 3);
    cr_assert_eq(stats_sum(s, "dead"), 1);
    cr_assert_eq(stats_sum(s, "retried"), 2);
    scene_drain(s, 0);
    scene_free(s);
}

/* G29: a text longer than is kept is cut between characters: the dead letter is bounded and valid
 * UTF-8. */
Test(retry, keeps_a_bounded_valid_text)
{
    struct scene *s = scene_new(0);
    char payload[3000] = "{\"text\":\"";

    for (size_t n = strlen(payload); n < 2500; n += 2)
        memcpy(payload + n, "\xc3\xa9", 3);
    strncat(payload, "\"}", 3);
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "max_attempts = 1;"});
    scene_enqueue(s, "fail", payload);
    scene_wait_dead(s, 1, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    size_t len = strlen(e->error);
    cr_assert(len > 1000 && len <= CODEC_ERROR_MAX, "%zu bytes", len);
    for (size_t i = 0; i + 1 < len; i += 2)
        cr_assert(e->error[i] == '\xc3' && e->error[i + 1] == '\xa9', "broken at byte %zu", i);
    cr_assert_eq(len % 2, 0u, "cut inside a character");
    entry_free(e);
    scene_drain(s, 0);
    scene_free(s);
}

/* G29: a permanent failure is not tried again. */
Test(retry, does_not_follow_a_permanent_failure)
{
    struct scene *s = scene_new(0);
    struct jobd *j =
        scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "backoff = 1;"});

    scene_enqueue(s, "dead", "{\"why\":1}");
    scene_wait_dead(s, 1, 20000);
    scene_wait_drained(s, 20000);
    struct entry *e = entry_at(s, "dead", 0);
    entry_check_counts(e, 1, 0, 0, 0);
    cr_assert_str_eq(e->reason, "permanent");
    cr_assert_str_eq(e->error, "told to die");
    cr_assert_str_eq(e->p, "{\"why\":1}");
    entry_free(e);
    cr_assert_eq(process_count_log(j->process, " job.failed "), 1);
    cr_assert_eq(stats_sum(s, "retried"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G27: with one attempt only, a job that snoozes again and again is still alive and has used
 * nothing. */
Test(retry, snooze_costs_nothing)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/go", tmp_dir()));
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 1, .extra = "max_attempts = 1; crash_budget = 1;"});

    jobq_id id = scene_enqueue(s, "snooze", fmt("{\"file\":\"%s\",\"ms\":20}", file));
    wait_log(j, " job.snoozed ", 6, 20000);
    write_file(file, "");
    scene_wait_drained(s, 20000);
    const char *const texts[] = {" job.done ", id_text(&id), "attempt=1 ", NULL};
    free(log_line(j, texts));
    cr_assert_eq(scene_dead(s), 0);
    cr_assert_eq(stats_sum(s, "snoozed"), process_count_log(j->process, " job.snoozed "));
    cr_assert_eq(stats_sum(s, "retried"), 0);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- unique keys ---- */

static jobq_answer enqueue_unique(struct scene *s, const char *type, const char *payload,
                                  int64_t expires_ms)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = type;
    job.payload = payload;
    job.unique_key = "the key";
    job.expires_after_ms = expires_ms;
    return scene_enqueue_job(s, &job);
}

static void check_duplicate(struct scene *s, const jobq_answer *holder)
{
    jobq_answer a = enqueue_unique(s, "noop", "{}", 0);

    cr_assert_eq(a.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_eq(memcmp(&a.holder, &holder->id, sizeof(a.holder)), 0);
}

/* G4 G34: while a job lives, waiting, retrying or snoozing, its key admits no other; success frees
 * it. */
Test(unique, is_held_through_life_and_freed_by_success)
{
    struct scene *s = scene_new(0);
    char *file = strdup(fmt("%s/go", tmp_dir()));

    jobq_answer first = enqueue_unique(s, "snooze", fmt("{\"file\":\"%s\",\"ms\":30}", file), 0);
    cr_assert_eq(first.status, JOBQ_STATUS_OK);
    check_duplicate(s, &first);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    wait_log(j, " job.snoozed ", 2, 20000);
    check_duplicate(s, &first);
    write_file(file, "");
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 1, 20000);
    jobq_answer second = enqueue_unique(s, "noop", "{}", 0);
    cr_assert_eq(second.status, JOBQ_STATUS_OK);
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 2, 20000);
    /* The same id again: done already, stored nowhere. */
    jobq_job again = JOBQ_JOB_INIT;
    again.id = second.id;
    again.type = "noop";
    again.unique_key = "the key";
    cr_assert_eq(scene_enqueue_job(s, &again).status, JOBQ_STATUS_DUPLICATE);
    cr_assert_eq(scene_queued(s), 0);
    free(file);
    scene_drain(s, 0);
    scene_free(s);
}

/* G34: death frees the key, whatever the reason: permanent, exhausted, by crashes, expired. */
Test(unique, is_freed_by_every_death)
{
    static const struct {
        const char *type, *reason;
        int64_t expires_ms;
    } deaths[] = {{"dead", "permanent", 0},
                  {"fail", "exhausted", 0},
                  {"segv", "exhausted", 0},
                  {"noop", "expired", 1}};
    struct scene *s = scene_new(0);

    for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
        jobq_answer a = enqueue_unique(s, deaths[i].type, "{}", deaths[i].expires_ms);
        cr_assert_eq(a.status, JOBQ_STATUS_OK, "not freed before %s", deaths[i].type);
        check_duplicate(s, &a);
        wait_redis_ms(s, redis_now_ms(s) + 5);
        scene_jobd(
            s, 0,
            (struct jobd_options){.executors = 1, .extra = "max_attempts = 1; crash_budget = 1;"});
        scene_wait_dead(s, (long long)i + 1, 20000);
        struct entry *e = entry_at(s, "dead", i);
        cr_assert_str_eq(e->reason, deaths[i].reason);
        entry_free(e);
        scene_drain(s, 0);
    }
    cr_assert_eq(enqueue_unique(s, "noop", "{}", 0).status, JOBQ_STATUS_OK);
    scene_free(s);
}
