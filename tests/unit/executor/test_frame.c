/* SPDX-License-Identifier: MIT */
/* Frames: what is written is read back, and nothing else is. The page: who wins when both sides act
 * at once. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "worker/frame.h"

static struct buf b;

static void set_up(void)
{
    buf_init(&b, 1 << 20);
}

static void tear_down(void)
{
    buf_done(&b);
}

TestSuite(frame, .init = set_up, .fini = tear_down);

static struct frame only_frame(void)
{
    struct frame f;
    size_t used;
    jobq_err err;

    cr_assert_eq(frame_next(b.data, b.len, &f, &used, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(used, b.len);
    return f;
}

static struct frame_str str(const char *text)
{
    return (struct frame_str){text, strlen(text)};
}

static bool same(struct frame_str s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.bytes, text, s.len) == 0;
}

static struct frame_job some_job(void)
{
    return (struct frame_job){.soft_ms = 60000,
                              .hard_ms = 70000,
                              .max_attempts = 10,
                              .enqueued_ms = 1700000000123,
                              .queue = str("mail"),
                              .h = str("header"),
                              .p = str("{\"a\":1}")};
}

static struct frame_child some_child(void)
{
    return (struct frame_child){.id = {1, 2, 3},
                                .lane = 2,
                                .delay_ms = 5,
                                .expires_ms = 6,
                                .max_attempts = 7,
                                .soft_ms = 8,
                                .hard_ms = 9,
                                .type = str("t"),
                                .queue = str("q"),
                                .unique = str("u"),
                                .p = str("{}")};
}

Test(frame, brings_a_job_over)
{
    struct frame_job in = some_job(), out;
    struct frame f;

    frame_put_job(&b, 7, &in);
    f = only_frame();
    cr_assert_eq(f.kind, FRAME_JOB);
    cr_assert_eq(f.seq, 7);
    cr_assert_eq(frame_get_job(&f, &out), JOBQ_OK);
    cr_assert_eq(out.soft_ms, 60000);
    cr_assert_eq(out.hard_ms, 70000);
    cr_assert_eq(out.max_attempts, 10);
    cr_assert_eq(out.enqueued_ms, 1700000000123);
    cr_assert(same(out.queue, "mail") && same(out.h, "header") && same(out.p, "{\"a\":1}"));
}

Test(frame, brings_an_outcome_over)
{
    struct frame_outcome in = {.verdict = FRAME_V_RELEASE, .delay_ms = -1, .text = str("why")}, out;
    struct frame f;

    frame_put_outcome(&b, 1, &in);
    f = only_frame();
    cr_assert_eq(frame_get_outcome(&f, &out), JOBQ_OK);
    cr_assert(out.verdict == FRAME_V_RELEASE && out.delay_ms == -1 && same(out.text, "why"));
}

Test(frame, brings_a_child_over)
{
    struct frame_child in = some_child(), out;
    struct frame f;

    frame_put_child(&b, 1, &in);
    f = only_frame();
    cr_assert_eq(frame_get_child(&f, &out), JOBQ_OK);
    cr_assert_arr_eq(out.id, in.id, 16);
    cr_assert(out.lane == 2 && out.delay_ms == 5 && out.expires_ms == 6 && out.max_attempts == 7);
    cr_assert(out.soft_ms == 8 && out.hard_ms == 9);
    cr_assert(same(out.type, "t") && same(out.queue, "q") && same(out.unique, "u") &&
              same(out.p, "{}"));
}

Test(frame, brings_texts_and_lists_over)
{
    const char *words[] = {"postgres", "", "schema"};
    struct frame_type types[] = {{str("a.b"), 3}, {str("c"), 0}}, type;
    struct frame_str s;
    struct frame f;
    uint8_t first;
    size_t at = 0;

    frame_put_text(&b, FRAME_LOG, 0, 2, "careful", 7);
    f = only_frame();
    cr_assert(frame_get_text(&f, &first, &s) == JOBQ_OK && first == 2 && same(s, "careful"));
    buf_clear(&b);
    frame_put_string(&b, FRAME_FAILED, 0, "no", 2);
    f = only_frame();
    cr_assert(frame_get_string(&f, &s) == JOBQ_OK && same(s, "no"));
    buf_clear(&b);
    frame_put_strings(&b, FRAME_CONFIG, words, 3);
    f = only_frame();
    for (size_t i = 0; i < 3; i++)
        cr_assert(frame_get_strings(&f, &at, &s) == JOBQ_OK && same(s, words[i]));
    cr_assert_eq(frame_get_strings(&f, &at, &s), JOBQ_ENOTFOUND);
    buf_clear(&b);
    at = 0;
    frame_put_ready(&b, types, 2);
    f = only_frame();
    cr_assert(frame_get_ready(&f, &at, &type) == JOBQ_OK && same(type.name, "a.b") &&
              type.flags == 3);
    cr_assert(frame_get_ready(&f, &at, &type) == JOBQ_OK && same(type.name, "c") &&
              type.flags == 0);
    cr_assert_eq(frame_get_ready(&f, &at, &type), JOBQ_ENOTFOUND);
}

Test(frame, knows_an_empty_list)
{
    struct frame_str s;
    struct frame f;
    size_t at = 0;

    frame_put_strings(&b, FRAME_START, NULL, 0);
    f = only_frame();
    cr_assert_eq(frame_get_strings(&f, &at, &s), JOBQ_ENOTFOUND);
}

Test(frame, asks_for_more_bytes_at_every_cut)
{
    struct frame_job job = some_job();
    struct frame f;
    size_t used;

    frame_put_job(&b, 1, &job);
    for (size_t n = 0; n < b.len; n++) {
        used = 99;
        cr_assert_eq(frame_next(b.data, n, &f, &used, NULL), JOBQ_OK);
        cr_assert_eq(used, 0, "at %zu", n);
    }
}

Test(frame, refuses_lengths_and_kinds_it_does_not_know)
{
    static const char too_short[] = "\4\0\0\0\1\0\0\0\0", too_long[] = "\1\0\0\x80\1\0\0\0\0";
    static const char kinds[] = {0, 6, 31, 41, 127, (char)200};
    struct frame f;
    size_t used;
    jobq_err err;

    cr_assert_eq(frame_next(too_short, 9, &f, &used, &err), JOBQ_EPROTO);
    cr_assert_eq(frame_next(too_long, 9, &f, &used, &err), JOBQ_EPROTO);
    for (size_t i = 0; i < sizeof(kinds); i++) {
        char bytes[] = {5, 0, 0, 0, kinds[i], 0, 0, 0, 0};

        cr_assert_eq(frame_next(bytes, 9, &f, &used, &err), JOBQ_EPROTO, "kind %d", kinds[i]);
    }
}

/* Every body, cut or made longer by a byte, is refused. */
static void refuses_every_other_length(int (*get)(const struct frame *f))
{
    struct frame f = only_frame();
    char longer[512];
    size_t whole = f.len;

    cr_assert_eq(get(&f), JOBQ_OK);
    for (f.len = 0; f.len < whole; f.len++)
        cr_assert_eq(get(&f), JOBQ_EPROTO, "cut to %zu of %zu", f.len, whole);
    memcpy(longer, f.body, whole);
    longer[whole] = 0;
    f.body = (const uint8_t *)longer;
    f.len = whole + 1;
    cr_assert_eq(get(&f), JOBQ_EPROTO);
}

static int get_job(const struct frame *f)
{
    struct frame_job out;

    return frame_get_job(f, &out);
}

static int get_outcome(const struct frame *f)
{
    struct frame_outcome out;

    return frame_get_outcome(f, &out);
}

static int get_child(const struct frame *f)
{
    struct frame_child out;

    return frame_get_child(f, &out);
}

static int get_first_string(const struct frame *f)
{
    struct frame_str out;
    size_t at = 0;

    return frame_get_strings(f, &at, &out);
}

static int get_first_type(const struct frame *f)
{
    struct frame_type out;
    size_t at = 0;

    return frame_get_ready(f, &at, &out);
}

Test(frame, refuses_bodies_of_another_length)
{
    struct frame_job job = some_job();
    struct frame_child child = some_child();
    struct frame_outcome outcome = {.text = str("x")};
    struct frame_type type = {str("x"), 1};
    const char *words[] = {"a", "bc"};

    frame_put_job(&b, 1, &job);
    refuses_every_other_length(get_job);
    buf_clear(&b);
    frame_put_child(&b, 1, &child);
    refuses_every_other_length(get_child);
    buf_clear(&b);
    frame_put_outcome(&b, 1, &outcome);
    refuses_every_other_length(get_outcome);
    buf_clear(&b);
    frame_put_strings(&b, FRAME_CONFIG, words, 2);
    refuses_every_other_length(get_first_string);
    buf_clear(&b);
    frame_put_ready(&b, &type, 1);
    refuses_every_other_length(get_first_type);
}

static int outcome_of(uint8_t verdict, int64_t delay, struct frame_str text)
{
    struct frame_outcome o = {.verdict = verdict, .delay_ms = delay, .text = text};
    struct frame f;

    buf_clear(&b);
    frame_put_outcome(&b, 1, &o);
    f = only_frame();
    return frame_get_outcome(&f, &o);
}

Test(frame, refuses_outcomes_that_make_no_sense)
{
    static char long_text[1025];

    memset(long_text, 'x', sizeof(long_text));
    cr_assert_eq(outcome_of(FRAME_V_CRASH, 0, str("")), JOBQ_OK);
    cr_assert_eq(outcome_of(FRAME_V_CRASH + 1, 0, str("")), JOBQ_EPROTO);
    cr_assert_eq(outcome_of(0, -2, str("")), JOBQ_EPROTO);
    cr_assert_eq(outcome_of(0, 0, str("\xFF")), JOBQ_EPROTO);
    cr_assert_eq(outcome_of(0, 0, (struct frame_str){long_text, 1024}), JOBQ_OK);
    cr_assert_eq(outcome_of(0, 0, (struct frame_str){long_text, 1025}), JOBQ_EPROTO);
}

static int child_after(void (*change)(struct frame_child *c))
{
    struct frame_child c = some_child();
    struct frame f;

    change(&c);
    buf_clear(&b);
    frame_put_child(&b, 1, &c);
    f = only_frame();
    return frame_get_child(&f, &c);
}

static void bad_lane(struct frame_child *c)
{
    c->lane = 3;
}

static void bad_delay(struct frame_child *c)
{
    c->delay_ms = -1;
}

static void bad_expiry(struct frame_child *c)
{
    c->expires_ms = -1;
}

static void bad_attempts(struct frame_child *c)
{
    c->max_attempts = 65536;
}

static void bad_type(struct frame_child *c)
{
    c->type = str("A");
}

static void bad_queue(struct frame_child *c)
{
    c->queue = str("");
}

static void bad_unique(struct frame_child *c)
{
    static char key[256];

    memset(key, 'k', sizeof(key));
    c->unique = (struct frame_str){key, 256};
}

Test(frame, refuses_children_that_make_no_sense)
{
    void (*const changes[])(struct frame_child *) = {bad_lane, bad_delay, bad_expiry, bad_attempts,
                                                     bad_type, bad_queue, bad_unique};

    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        cr_assert_eq(child_after(changes[i]), JOBQ_EPROTO, "change %zu", i);
}

Test(frame, leaves_nothing_behind_when_it_does_not_fit)
{
    static char big[2000];
    struct buf small;

    buf_init(&small, 1000);
    frame_put_string(&small, FRAME_RESULT, 1, "x", 1);
    size_t before = small.len;
    frame_put_string(&small, FRAME_RESULT, 1, big, sizeof(big));
    cr_assert(small.failed);
    cr_assert_eq(small.len, before);
    buf_done(&small);
}

/* ---- the page ---- */

Test(page, lets_a_job_start_once_unless_it_was_taken_back)
{
    static struct frame_page p;

    cr_assert(frame_page_start(&p, 1, 10));
    cr_assert_eq(frame_page_started(&p), 1);
    frame_page_finish(&p, 1, 77);
    cr_assert_eq(frame_page_done(&p), 1);
    cr_assert_eq(p.run_us[1], 77);
    cr_assert_eq(frame_page_recall(&p, 3), 1);
    cr_assert_not(frame_page_start(&p, 2, 11));
    cr_assert_not(frame_page_start(&p, 3, 11));
    cr_assert(frame_page_start(&p, 4, 12));
    cr_assert_eq(p.started_ms, 12);
    /* Taking back less than before takes nothing forth. */
    cr_assert_eq(frame_page_recall(&p, 2), 4);
    cr_assert_not(frame_page_start(&p, 3, 13));
}

#define RACE_JOBS 200000u
static struct frame_page race;
static unsigned char started[RACE_JOBS + 1];
static unsigned char taken[RACE_JOBS + 1];
static atomic_bool executor_is_through;

static void *start_all(void *ctx)
{
    (void)ctx;
    for (uint32_t seq = 1; seq <= RACE_JOBS; seq++) {
        started[seq] = frame_page_start(&race, seq, seq);
        if (started[seq])
            frame_page_finish(&race, seq, 1);
    }
    executor_is_through = true;
    return NULL;
}

Test(page, gives_every_job_to_exactly_one_side)
{
    unsigned ran = 0, back = 0;
    pthread_t executor;

    cr_assert_eq(pthread_create(&executor, NULL, start_all, NULL), 0);
    while (!executor_is_through) {
        uint32_t ahead = frame_page_started(&race) + 20;
        uint32_t upto = MIN(ahead, RACE_JOBS);
        uint32_t began = frame_page_recall(&race, upto);

        for (uint32_t seq = began + 1; seq <= upto; seq++)
            taken[seq] = 1;
    }
    cr_assert_eq(pthread_join(executor, NULL), 0);
    for (uint32_t seq = 1; seq <= RACE_JOBS; seq++) {
        cr_assert_eq(started[seq] + taken[seq], 1, "job %u: started %d, taken back %d", seq,
                     started[seq], taken[seq]);
        ran += started[seq];
        back += taken[seq];
    }
    cr_assert_gt(ran, 0);
    cr_assert_eq(ran + back, RACE_JOBS);
}
