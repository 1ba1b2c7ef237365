/* SPDX-License-Identifier: MIT */
/* What an executor says of the jobs it runs, without a database. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"
#include "worker/executor/run.h"

static struct rig *start(void)
{
    const char *modules[] = {lib_path("jobq-test/test.so"), NULL};
    struct rig *r = rig_start(NULL, modules, NULL);

    cr_assert(r->ready, "%s", r->failed);
    return r;
}

Test(executor, says_which_types_it_serves_and_ends_when_drained)
{
    struct rig *r = start();

    cr_assert(strstr(r->type_list, "noop/0 "), "%s", r->type_list);
    cr_assert(strstr(r->type_list, "keepfd/8 "), "%s", r->type_list);
    cr_assert_eq(rig_drain(r), 0);
    rig_free(r);
}

Test(executor, says_nothing_of_a_job_that_is_simply_done)
{
    struct rig *r = start();
    const struct said *s = rig_run(r, "noop", NULL);

    cr_assert_not(s->told);
    cr_assert_eq(r->idles, 1);
    cr_assert_eq(frame_page_started(r->page), 1);
    cr_assert_eq(frame_page_done(r->page), 1);
    cr_assert_eq(r->log[0], '\0', "%s", r->log);
    rig_free(r);
}

Test(executor, tells_every_verdict_with_its_text_and_delay)
{
    struct rig *r = start();
    const struct said *s;

    rig_expect(s = rig_run(r, "fail", "{\"text\":\"no luck\",\"delay_ms\":1234}"), FRAME_V_RETRY,
               "no luck");
    cr_assert_eq(s->delay_ms, 1234);
    rig_expect(s = rig_run(r, "fail", NULL), FRAME_V_RETRY, "told to fail");
    cr_assert_eq(s->delay_ms, -1);
    rig_expect(s = rig_run(r, "snooze", NULL), FRAME_V_SNOOZE, NULL);
    cr_assert_eq(s->delay_ms, RUN_SNOOZE_DEFAULT_MS);
    rig_expect(rig_run(r, "dead", NULL), FRAME_V_DEAD, "told to die");
    rig_expect(rig_run(r, "verdict", "{\"verdict\":77}"), FRAME_V_RETRY,
               "returned 77, which is no verdict");
    rig_expect(rig_run(r, "verdict", "{\"verdict\":-1}"), FRAME_V_RETRY,
               "returned -1, which is no verdict");
    rig_expect(rig_run(r, "nobody", NULL), FRAME_V_RELEASE, "serves type nobody");
    rig_free(r);
}

Test(executor, counts_attempts_from_one)
{
    struct rig *r = start();

    rig_expect(
        rig_run_job(r, &(struct rig_job){.type = "fail_n", .payload = "{\"n\":2}", .attempts = 1}),
        FRAME_V_RETRY, NULL);
    rig_expect(
        rig_run_job(r, &(struct rig_job){.type = "fail_n", .payload = "{\"n\":2}", .attempts = 2}),
        FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(executor, cuts_texts_at_a_character_and_makes_them_valid)
{
    struct rig *r = start();
    char payload[4200] = "{\"text\":\"";
    const struct said *s;

    for (int i = 0; i < 600; i++)
        strcat(payload, "\xC3\xA4"); /* 1,200 bytes of two-byte characters */
    strcat(payload, "\"}");
    rig_expect(s = rig_run(r, "fail", payload), FRAME_V_RETRY, NULL);
    cr_assert_eq(strlen(s->text), 1024);
    rig_expect(rig_run(r, "fail", "{\"text\":\"a\xFF\"}"), FRAME_V_RETRY, "a?");
    rig_free(r);
}

Test(executor, passes_on_logs_progress_and_a_result)
{
    struct rig *r = start();
    const struct said *s =
        rig_run(r, "say", "{\"text\":\"hello\",\"percent\":70,\"result\":\"[1,2]\"}");

    rig_expect(s, FRAME_V_DONE, NULL);
    cr_assert_str_eq(s->log, "hello\n");
    cr_assert_str_eq(s->result, "[1,2]");
    cr_assert_eq(s->percent, 70);
    rig_expect(rig_run(r, "say", "{\"result\":\"nonsense\"}"), FRAME_V_DEAD, "result refused");
    rig_free(r);
}

Test(executor, runs_jobs_in_order_and_says_idle_once)
{
    struct rig *r = start();
    const char *file = fmt("%s/marks", tmp_dir());
    const char *payload = fmt("{\"file\":\"%s\"}", file);
    char expected[4096] = "", id[JOBQ_ID_TEXT_SIZE];
    struct buf b;
    char *marks;

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 50; i++) {
        uint32_t seq = rig_put(&b, r, &(struct rig_job){.type = "mark", .payload = payload});

        jobq_id_format(&r->ids[seq], id);
        strcat(strcat(expected, id), " 1\n");
    }
    rig_send(r, b.data, b.len);
    rig_wait(r, rig_is_idle);
    marks = read_file(file);
    cr_assert_str_eq(marks, expected);
    cr_assert_eq(frame_page_done(r->page), 50);
    cr_assert_eq(r->idles, 1);
    free(marks);
    buf_done(&b);
    rig_free(r);
}

Test(executor, does_not_run_what_was_taken_back)
{
    struct rig *r = start();
    const char *payload = fmt("{\"file\":\"%s/marks\"}", tmp_dir());
    struct buf b;

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 3; i++)
        (void)rig_put(&b, r, &(struct rig_job){.type = "mark", .payload = payload});
    cr_assert_eq(frame_page_recall(r->page, 2), 0);
    rig_send(r, b.data, b.len);
    rig_wait(r, rig_is_idle);
    cr_assert_eq(frame_page_done(r->page), 3);
    cr_assert_eq(frame_page_started(r->page), 3);
    char *marks = read_file(fmt("%s/marks", tmp_dir()));
    cr_assert_eq(strlen(marks), 36 + 3, "%s", marks);
    free(marks);
    buf_done(&b);
    rig_free(r);
}

Test(executor, understands_frames_cut_anywhere)
{
    struct rig *r = start();
    struct buf b;

    buf_init(&b, 1 << 20);
    (void)rig_put(&b, r, &(struct rig_job){.type = "noop", .payload = "{\"a\":1}"});
    (void)rig_put(&b, r, &(struct rig_job){.type = "dead"});
    for (size_t i = 0; i < b.len; i++)
        rig_send(r, b.data + i, 1);
    while (frame_page_done(r->page) < 2)
        rig_wait(r, rig_is_idle);
    rig_expect(&r->said[1], FRAME_V_DONE, NULL);
    rig_wait(r, rig_is_idle);
    buf_done(&b);
    rig_free(r);
}

Test(executor, takes_the_longest_payload)
{
    struct rig *r = start();
    size_t len = JOBQ_PAYLOAD_HARD_MAX;
    char *payload = malloc(len + 1);

    memset(payload, ' ', len);
    payload[0] = '{';
    payload[len - 1] = '}';
    payload[len] = '\0';
    rig_expect(rig_run(r, "noop", payload), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "dead", NULL), FRAME_V_DEAD, NULL);
    free(payload);
    rig_free(r);
}

/* ---- children ---- */

Test(executor, sends_the_jobs_of_a_job_before_it_is_done_under_ids_that_stay)
{
    struct rig *r = start();
    const struct said *first, *second;
    jobq_id id;

    first = rig_run(r, "spawn", "{\"n\":3,\"type\":\"mail\",\"queue\":\"letters\"}");
    rig_expect(first, FRAME_V_DONE, NULL);
    cr_assert_eq(first->children, 3);
    cr_assert_str_eq(first->last_child, "mail letters {\"i\":2}");
    id = r->ids[r->last_seq];
    second = rig_run_job(r, &(struct rig_job){.type = "spawn", .payload = "{\"n\":2}", .id = &id});
    cr_assert_eq(second->children, 2);
    cr_assert_str_eq(second->last_child, "noop default {\"i\":1}");
    cr_assert_arr_eq(first->child_ids, second->child_ids, 2 * sizeof(jobq_id));
    cr_assert_neq(memcmp(&first->child_ids[0], &first->child_ids[1], sizeof(jobq_id)), 0);
    rig_free(r);
}

Test(executor, sends_no_jobs_of_a_job_that_failed)
{
    struct rig *r = start();
    const struct said *s = rig_run(r, "spawn", "{\"n\":3,\"fail\":1}");

    rig_expect(s, FRAME_V_RETRY, NULL);
    cr_assert_eq(s->children, 0);
    rig_free(r);
}

Test(executor, says_why_a_child_is_refused)
{
    struct rig *r = start();

    rig_expect(rig_run(r, "spawn", "{\"bad\":1}"), FRAME_V_DEAD, "enqueue: payload: ");
    rig_expect(rig_run(r, "spawn", "{\"type\":\"Not A Name\"}"), FRAME_V_DEAD,
               "enqueue: type \"Not A Name\"");
    rig_expect(rig_run(r, "spawn", "{\"queue\":\"\"}"), FRAME_V_DEAD, "enqueue: queue");
    rig_expect(rig_run(r, "spawn", "{\"delay_ms\":-5}"), FRAME_V_DEAD, "enqueue: delay_ms");
    rig_free(r);
}

Test(executor, keeps_the_payloads_of_children_within_the_configured_length)
{
    const char *modules[] = {lib_path("jobq-test/test.so"), NULL};
    const char *config[] = {"max_payload", "7", NULL};
    struct rig *r = rig_start(config, modules, NULL);

    rig_expect(rig_run(r, "spawn", "{\"n\":10}"), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "spawn", "{\"n\":11}"), FRAME_V_DEAD, "payload of 8 bytes, at most 7");
    rig_free(r);
}

/* ---- stopping ---- */

static bool has_started(struct rig *r)
{
    return frame_page_started(r->page) == r->last_seq;
}

Test(executor, tells_a_job_to_stop_at_its_soft_limit)
{
    struct rig *r = start();

    rig_expect(
        rig_run_job(
            r, &(struct rig_job){.type = "stoppable", .payload = "{\"ms\":60000}", .soft_ms = 50}),
        FRAME_V_SNOOZE, "told to stop");
    rig_free(r);
}

static bool has_run_a_while(struct rig *r)
{
    return has_started(r) && clock_mono_ms() >= atomic_load(&r->page->started_ms) + 150;
}

Test(executor, tells_a_job_to_stop_on_sigterm)
{
    struct rig *r = start();

    (void)rig_give(r, &(struct rig_job){.type = "stoppable", .payload = "{\"ms\":60000}"});
    rig_wait(r, has_run_a_while);
    child_signal(&r->child, SIGTERM);
    rig_wait(r, rig_is_idle);
    rig_expect(&r->said[1], FRAME_V_SNOOZE, "told to stop");
    rig_free(r);
}

Test(executor, does_not_take_a_late_sigterm_for_the_next_job)
{
    struct rig *r = start();
    const struct said *s;

    child_signal(&r->child, SIGTERM);
    s = rig_run(r, "stoppable", "{\"ms\":200}");
    rig_expect(s, FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(executor, tells_a_job_to_stop_on_drain_and_then_goes)
{
    struct rig *r = start();

    (void)rig_give(r, &(struct rig_job){.type = "stoppable", .payload = "{\"ms\":60000}"});
    rig_wait(r, has_started);
    cr_assert_eq(rig_drain(r), 0);
    rig_expect(&r->said[1], FRAME_V_SNOOZE, "told to stop");
    cr_assert_eq(frame_page_done(r->page), 1);
    rig_free(r);
}

Test(executor, finishes_what_it_holds_when_drained)
{
    struct rig *r = start();
    struct buf b;

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 20; i++)
        (void)rig_put(&b, r, &(struct rig_job){.type = i == 19 ? "dead" : "noop"});
    frame_put(&b, FRAME_DRAIN, 0, NULL, 0);
    rig_send(r, b.data, b.len);
    rig_wait(r, rig_has_ended);
    cr_assert(WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0);
    cr_assert_eq(frame_page_done(r->page), 20);
    rig_expect(&r->said[20], FRAME_V_DEAD, NULL);
    buf_done(&b);
    rig_free(r);
}

Test(executor, ends_when_jobd_is_gone)
{
    struct rig *r = start();

    shutdown(r->fd, SHUT_RDWR);
    rig_wait(r, rig_has_ended);
    cr_assert(WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0);
    rig_free(r);
}

/* ---- dying ---- */

static void expect_death(const char *type, int signal_number)
{
    struct rig *r = start();

    (void)rig_run(r, "noop", NULL);
    (void)rig_run(r, type, NULL);
    cr_assert(r->ended);
    if (signal_number != 0)
        cr_assert(WIFSIGNALED(r->status) && WTERMSIG(r->status) == signal_number, "%x", r->status);
    cr_assert_eq(frame_page_started(r->page), 2);
    cr_assert_eq(frame_page_done(r->page), 1);
    rig_free(r);
}

Test(executor, leaves_in_the_page_which_job_it_died_under)
{
    expect_death("segv", SIGSEGV);
    expect_death("abort", SIGABRT);
    expect_death("exit0", 0);
}

Test(executor, is_killed_by_sigkill_whatever_its_handler_ignores)
{
    struct rig *r = start();

    (void)rig_give(r, &(struct rig_job){.type = "spin", .soft_ms = 20});
    rig_wait(r, has_run_a_while);
    child_signal(&r->child, SIGTERM);
    child_signal_group(&r->child, SIGKILL);
    rig_wait(r, rig_has_ended);
    cr_assert(WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGKILL);
    rig_free(r);
}

/* ---- what does not follow the protocol ---- */

static int status_after(const void *bytes, size_t len)
{
    struct rig *r = start();
    int status;

    rig_send(r, bytes, len);
    rig_wait(r, rig_has_ended);
    status = WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128;
    rig_free(r);
    return status;
}

Test(executor, ends_with_70_on_what_is_not_the_protocol)
{
    static const char job[] = "\x0A\0\0\0\x01\x01\0\0\0hello", result[] = "\x05\0\0\0\x25\0\0\0\0";

    cr_assert_eq(status_after("garbage garbage garbage", 23), 70);
    cr_assert_eq(status_after(job, sizeof(job) - 1), 70);
    cr_assert_eq(status_after(result, sizeof(result) - 1), 70);
}
