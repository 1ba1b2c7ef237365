/* SPDX-License-Identifier: MIT */
/*
 * Entries as they are found: payloads of any kind, types nobody knows, formats of tomorrow,
 * garbage.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

#define NORMAL "jobq:{default:0}:ready:normal"

/* ---- payloads ---- */

static char *hex_of(const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = calloc(1, len * 2 + 1);

    if (!hex)
        abort();
    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
    }
    return hex;
}

static void check_echo(struct scene *s, const char *payload, size_t len)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = "echo";
    job.payload = payload;
    job.payload_len = len;
    jobq_id id = scene_enqueue_job(s, &job).id;
    scene_wait_drained(s, 20000);
    char *found =
        pg_str(s->postgres, "SELECT encode(payload, 'hex') FROM public.echoes WHERE job_id = '%s'",
               id_text(&id));
    char *wanted = hex_of(payload, len);
    cr_assert_not_null(found, "no effect of %.60s", payload);
    cr_assert(strcmp(found, wanted) == 0, "other bytes than %.60s: %.200s", payload, found);
    free(found);
    free(wanted);
}

/* G5: the bytes at the handler are the bytes that were enqueued, whatever JSON and UTF-8 allow. */
Test(payload, arrives_byte_for_byte)
{
    static const char *const nasty[] = {
        "{}",
        " {\t\"a\" :\r\n 1 , \"a\":1.0e+00 } \n",
        "{\"nul\":\"\\u0000\",\"esc\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
        "{\"\xf0\x9f\x90\x98\":\"\xf4\x8f\xbf\xbf \xee\x80\x80 \xef\xbb\xbf \xe2\x80\xae rtl\"}",
        "{\"combining\":\"e\xcc\x81 \xc3\xa9\",\"pair\":\"\\ud83d\\udc18\",\"del\":\"\x7f\"}",
        "{\"n\":[-0,1e-400,123456789012345678901234567890.10]}",
        "{\"h\":\"x\",\"p\":\"y\",\"%s%n\":\"'; --\"}",
    };
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    for (size_t i = 0; i < sizeof(nasty) / sizeof(nasty[0]); i++)
        check_echo(s, nasty[i], strlen(nasty[i]));
    scene_drain(s, 0);
    scene_free(s);
}

/* G5: the largest payload that is taken by default. */
Test(payload, arrives_whole_at_its_largest)
{
    struct scene *s = scene_new(SCENE_PG);
    char *large = malloc(JOBQ_PAYLOAD_DEFAULT_MAX + 1);

    if (!large)
        abort();
    memset(large, 'x', JOBQ_PAYLOAD_DEFAULT_MAX);
    memcpy(large, "{\"x\":\"", 6);
    memcpy(large + 1000, "\xe2\x82\xac", 3);
    memcpy(large + JOBQ_PAYLOAD_DEFAULT_MAX - 2, "\"}", 3);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    check_echo(s, large, JOBQ_PAYLOAD_DEFAULT_MAX);
    free(large);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- parked ---- */

/* G38: a type that no jobd here knows is parked as it is, and taken by one that knows it, counts
 * unchanged. */
Test(parked, an_unknown_type_waits_for_who_knows_it)
{
    struct scene *s = scene_new(SCENE_PG);
    struct job_header h = {.attempts = 2,
                           .crashes = 1,
                           .losses = 1,
                           .releases = 3,
                           .max_attempts = 7,
                           .error = "before",
                           .error_len = 6};

    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1,
                                     .lease = "500ms",
                                     .modules = fmt("\"%s\"", lib_path("jobq-test/test.so"))});
    jobq_id id = entry_add(s, "ready:normal", h, "effect", "{\"for\":\"later\"}");
    wait_parked(s, 1, 20000);
    wait_beats(s, 12, 20000); /* two leases and more: it is walked past, and stays */
    cr_assert_eq(scene_parked(s), 1);
    cr_assert_eq(process_count_log(s->jobd[0]->process, " job.parked "), 1);
    struct entry *e = entry_at(s, "parked", 0);
    entry_check_counts(e, 2, 1, 1, 3);
    cr_assert_str_eq(e->p, "{\"for\":\"later\"}");
    cr_assert_eq(memcmp(&e->header.id, &id, sizeof(id)), 0);
    entry_free(e);

    struct jobd *j = scene_jobd(s, 1, (struct jobd_options){.executors = 1, .lease = "500ms"});
    scene_wait_effects(s, 1, 30000);
    wait_parked(s, 0, 20000);
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 1, 20000);
    const char *const texts[] = {" job.done ", id_text(&id), "attempt=3 ", NULL};
    free(log_line(j, texts));
    cr_assert_eq(scene_effects(s), 1);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G38: many are taken one page after the other, not a page in each lease. */
Test(parked, many_do_not_wait_a_lease_for_each_page)
{
    enum { MANY = 600 };
    struct scene *s = scene_new(SCENE_PG);
    struct job_header h = {.max_attempts = 7};

    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1,
                                     .modules = fmt("\"%s\"", lib_path("jobq-test/test.so"))});
    for (int i = 0; i < MANY; i++)
        entry_add(s, "ready:normal", h, "effect", "{}");
    wait_parked(s, MANY, 20000);
    scene_drain(s, 0);
    scene_jobd(s, 1, (struct jobd_options){.executors = 2, .lease = "60s"});
    scene_wait_effects(s, MANY, 60000);
    cr_assert_eq(scene_parked(s), 0);
    scene_wait_drained(s, 20000);
    scene_drain(s, 1);
    scene_free(s);
}

/* G38: an entry of a newer format is parked with its bytes untouched, once, and does not spin. */
Test(parked, a_newer_format_waits_untouched)
{
    static const char newer[] = "\x02what comes next, in any shape";
    struct scene *s = scene_new(0);
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1, .lease = "500ms"});

    freeReplyObject(redis_do(s->redis, "XADD " NORMAL " * h %b p %s", newer, sizeof(newer) - 1,
                             "\x01 not JSON"));
    wait_parked(s, 1, 20000);
    scene_enqueue_many(s, "noop", "{}", 50);
    scene_wait_drained(s, 20000);
    wait_beats(s, 12, 20000);
    struct entry *e = entry_at(s, "parked", 0);
    cr_assert_eq(e->readable, CODEC_NEWER);
    cr_assert_eq(e->h_len, sizeof(newer) - 1);
    cr_assert_eq(memcmp(e->h, newer, e->h_len), 0);
    cr_assert_str_eq(e->p, "\x01 not JSON");
    entry_free(e);
    cr_assert_eq(process_count_log(j->process, " job.parked "), 1);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* ---- corrupt ---- */

/* G43: every kind of garbage costs its entry, which is kept as a dead letter, and nothing else. */
Test(corrupt, entries_are_quarantined_with_their_bytes)
{
    struct scene *s = scene_new(0);
    struct job_header h = {0};

    entry_add(s, "ready:normal", h, "noop", "{}");
    freeReplyObject(
        redis_do(s->redis, "XADD " NORMAL " * foreign field another %b", "a\0b\xff", (size_t)4));
    freeReplyObject(redis_do(s->redis, "XADD " NORMAL " * h %b p %s", "\x01\x00half a head",
                             (size_t)13, "{\"kept\":1}"));
    freeReplyObject(
        redis_do(s->redis, "XADD " NORMAL " * h %b p %b", "", (size_t)0, "", (size_t)0));
    freeReplyObject(redis_do(s->redis, "XADD " NORMAL " * p %s h %s", "{}", "in the other order"));
    freeReplyObject(redis_do(s->redis, "XADD " NORMAL " * h %s p %s more than-two", "x", "y"));
    entry_add(s, "ready:normal", h, "noop", "{}");
    struct jobd *j = scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_wait_dead(s, 5, 20000);
    scene_wait_drained(s, 20000);
    wait_log(j, " job.done ", 2, 20000);
    for (size_t i = 0; i < 5; i++) {
        struct entry *e = entry_at(s, "dead", i);
        cr_assert_str_eq(e->reason, "corrupt");
        cr_assert_gt(strlen(e->error), 5u);
        entry_free(e);
    }
    struct entry *foreign = entry_at(s, "dead", 0), *half = entry_at(s, "dead", 1),
                 *more = entry_at(s, "dead", 4);
    cr_assert(foreign->p_len == 27 &&
                  memcmp(foreign->p, "foreign=field\nanother=a\0b\xff\n", 28) == 0,
              "%s", foreign->p);
    cr_assert(half->h_len == 13 && memcmp(half->h, "\x01\x00half a head", 13) == 0);
    cr_assert_str_eq(half->p, "{\"kept\":1}");
    cr_assert(strstr(more->p, "more=than-two"), "%s", more->p);
    entry_free(foreign);
    entry_free(half);
    entry_free(more);
    cr_assert_eq(stats_sum(s, "corrupt"), 5);
    cr_assert_eq(process_count_log(j->process, "executor.died"), 0);
    cr_assert_eq(process_count_log(j->process, "incarnation.lost"), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G43: a queue that is nothing but garbage is worked off, and its jobd remains in order. */
Test(corrupt, a_flood_of_garbage_is_worked_off)
{
    struct scene *s = scene_new(0);

    for (int i = 0; i < 300; i++)
        freeReplyObject(
            redis_do(s->redis, "XADD " NORMAL " * h %b p %d", "\x01garbage", (size_t)8, i));
    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    scene_wait_dead(s, 300, 30000);
    scene_wait_drained(s, 20000);
    cr_assert_eq(scene_dead(s), 300);
    scene_enqueue(s, "noop", "{}");
    wait_log(s->jobd[0], " job.done ", 1, 20000);
    scene_drain(s, 0);
    scene_free(s);
}
