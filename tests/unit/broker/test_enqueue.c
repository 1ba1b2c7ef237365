/* SPDX-License-Identifier: MIT */
/* enqueue: which jobs are refused before they are sent, and what is sent. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/mem.h"
#include "broker/enqueue.h"
#include "broker/script.h"

#define MAX_PAYLOAD ((size_t)1000)

static jobq_job plain(void)
{
    jobq_job job = JOBQ_JOB_INIT;

    job.type = "mail.send";
    job.queue = "mail";
    job.payload = "{\"to\":1}";
    return job;
}

/* ---- checking ---- */

static void refuses(const jobq_job *job, jobq_cause want, const char *field)
{
    jobq_cause cause = JOBQ_CAUSE_NONE;
    jobq_err err = {0};

    cr_expect_eq(enqueue_check(job, MAX_PAYLOAD, &cause, &err), JOBQ_EREJECTED, "%s", field);
    cr_expect_eq(cause, want, "%s: %s", field, jobq_cause_name(cause));
    cr_expect_eq(err.code, JOBQ_EREJECTED);
    cr_expect_eq(strncmp(err.msg, field, strlen(field)), 0, "%s: %s", field, err.msg);
}

static void accepts(const jobq_job *job)
{
    jobq_cause cause = JOBQ_CAUSE_NONE;
    jobq_err err = {0};

    cr_expect_eq(enqueue_check(job, MAX_PAYLOAD, &cause, &err), JOBQ_OK, "%s", err.msg);
    cr_expect_eq(cause, JOBQ_CAUSE_NONE);
}

#define WITH(field, value, cause)                                                                  \
    do {                                                                                           \
        jobq_job job_ = plain();                                                                   \
        job_.field = value;                                                                        \
        refuses(&job_, cause, #field);                                                             \
    } while (0)
#define WITH_FINE(field, value)                                                                    \
    do {                                                                                           \
        jobq_job job_ = plain();                                                                   \
        job_.field = value;                                                                        \
        accepts(&job_);                                                                            \
    } while (0)

static char *repeated(char c, size_t n)
{
    char *text = malloc(n + 1);

    memset(text, c, n);
    text[n] = '\0';
    return text;
}

Test(enqueue, refuses_names_outside_the_alphabet)
{
    char *long_name = repeated('a', JOBQ_NAME_MAX + 1);
    static const char *const bad[] = {"", "A", "a b", "a/b", "a{b}", "caf\xc3\xa9", "a\n"};

    WITH(type, NULL, JOBQ_CAUSE_BAD_NAME);
    WITH(type, long_name, JOBQ_CAUSE_BAD_NAME);
    WITH(queue, long_name, JOBQ_CAUSE_BAD_NAME);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        WITH(type, bad[i], JOBQ_CAUSE_BAD_NAME);
        WITH(queue, bad[i], JOBQ_CAUSE_BAD_NAME);
    }
    WITH_FINE(type, long_name + 1);
    WITH_FINE(queue, "az09_.:-");
    WITH_FINE(queue, NULL);
    free(long_name);
}

Test(enqueue, refuses_payloads_that_are_not_json_objects)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "[]",
                                      "1",
                                      "null",
                                      "\"x\"",
                                      "{",
                                      "{}x",
                                      "{'a':1}",
                                      "{\"a\":01}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"\xed\xa0\x80\"}",
                                      "\xef\xbb\xbf{}",
                                      "{\"a\":\"\\ud800\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        WITH(payload, bad[i], JOBQ_CAUSE_BAD_PAYLOAD);
    WITH_FINE(payload, NULL);
    WITH_FINE(payload, "{}");
    WITH_FINE(payload, " {\"a\":[1,2.5e3,\"\\u0000\",null]} \n");
    jobq_job job = plain();
    job.payload = NULL;
    job.payload_len = 3;
    refuses(&job, JOBQ_CAUSE_BAD_PAYLOAD, "payload");
    job.payload = "{}x";
    job.payload_len = 2;
    accepts(&job);
    job.payload = "{\0}";
    job.payload_len = 3;
    refuses(&job, JOBQ_CAUSE_BAD_PAYLOAD, "payload");
}

Test(enqueue, refuses_payloads_over_the_limit)
{
    char *text = repeated(' ', MAX_PAYLOAD + 1);

    memcpy(text, "{}", 2);
    WITH(payload, text, JOBQ_CAUSE_TOO_LARGE);
    jobq_job job = plain();
    job.payload = text;
    job.payload_len = MAX_PAYLOAD + 1;
    refuses(&job, JOBQ_CAUSE_TOO_LARGE, "payload");
    job.payload_len = SIZE_MAX;
    refuses(&job, JOBQ_CAUSE_TOO_LARGE, "payload");
    text[MAX_PAYLOAD] = '\0';
    WITH_FINE(payload, text);
    free(text);
}

Test(enqueue, refuses_options_out_of_range)
{
    char *key = repeated('k', JOBQ_UNIQUE_KEY_MAX + 1);

    WITH(lane, (jobq_lane)3, JOBQ_CAUSE_BAD_OPTION);
    WITH(delay_ms, -1, JOBQ_CAUSE_BAD_OPTION);
    WITH(delay_ms, INT64_MAX, JOBQ_CAUSE_BAD_OPTION);
    WITH(due_ms, -1, JOBQ_CAUSE_BAD_OPTION);
    WITH(due_ms, INT64_MAX, JOBQ_CAUSE_BAD_OPTION);
    WITH(expires_after_ms, -1, JOBQ_CAUSE_BAD_OPTION);
    WITH(expires_after_ms, INT64_MAX, JOBQ_CAUSE_BAD_OPTION);
    WITH(max_attempts, 65536, JOBQ_CAUSE_BAD_OPTION);
    WITH(unique_key, "", JOBQ_CAUSE_BAD_OPTION);
    WITH(unique_key, key, JOBQ_CAUSE_BAD_OPTION);
    WITH(unique_key, "a\xff", JOBQ_CAUSE_BAD_OPTION);
    jobq_job job = plain();
    job.delay_ms = 5;
    job.due_ms = 5;
    refuses(&job, JOBQ_CAUSE_BAD_OPTION, "delay_ms and due_ms");
    job = plain();
    job.soft_limit_ms = 2;
    job.hard_limit_ms = 1;
    refuses(&job, JOBQ_CAUSE_BAD_OPTION, "soft_limit_ms");
    WITH_FINE(soft_limit_ms, UINT32_MAX);
    WITH_FINE(hard_limit_ms, 1);
    WITH_FINE(max_attempts, 65535);
    WITH_FINE(unique_key, key + 1);
    WITH_FINE(unique_key, "na\xc3\xafve {x} \n");
    WITH_FINE(lane, JOBQ_LANE_LOW);
    WITH_FINE(delay_ms, INT64_C(86400000));
    WITH_FINE(due_ms, INT64_C(253402300799999));
    free(key);
}

/* ---- writing ---- */

static struct buf out;
static struct shard_keys keys;
static redisReply *command; /* what was written, read back: a command is an array of strings */
static jobq_id id;

static void start(void)
{
    buf_init(&out, (size_t)64 << 20);
    cr_assert_eq(keys_init(&keys, NULL, "mail", 3, NULL), JOBQ_OK);
    cr_assert_eq(jobq_id_new(&id, NULL), JOBQ_OK);
}

static void end(void)
{
    buf_done(&out);
    keys_done(&keys);
    if (command != NULL)
        freeReplyObject(command);
}

static void append(const jobq_job *job)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;
    void *more = NULL;
    jobq_err err = {0};

    cr_assert_eq(enqueue_append(&out, &keys, job, &id, &err), JOBQ_OK, "%s", err.msg);
    redisReaderFeed(reader, out.data, out.len);
    cr_assert_eq(redisReaderGetReply(reader, &r), REDIS_OK);
    cr_assert_not_null(r);
    command = r;
    cr_assert_eq(redisReaderGetReply(reader, &more), REDIS_OK);
    cr_assert_null(more, "one command, and whole");
    redisReaderFree(reader);
}

static void word_is(size_t i, const char *text)
{
    cr_assert_lt(i, command->elements);
    cr_assert_str_eq(command->element[i]->str, text);
}

static void header_is(size_t i, struct job_header *h)
{
    jobq_err err = {0};

    cr_assert_eq(codec_decode(command->element[i]->str, (size_t)command->element[i]->len, h, &err),
                 CODEC_OK, "%s", err.msg);
    cr_assert_arr_eq(h->id.bytes, id.bytes, sizeof(id.bytes));
    cr_assert_eq(h->type_len, strlen("mail.send"));
    cr_assert_arr_eq(h->type, "mail.send", h->type_len);
    cr_assert_eq(h->attempts, 0);
    cr_assert_eq(h->crashes, 0);
    cr_assert_eq(h->losses, 0);
    cr_assert_eq(h->enqueued_ms, 0);
}

Test(enqueue, writes_a_plain_job_as_one_bare_xadd, .init = start, .fini = end)
{
    jobq_job job = plain();
    struct job_header h;

    append(&job);
    cr_assert_eq(command->elements, 7u);
    word_is(0, "XADD");
    word_is(1, "jobq:{mail:3}:ready:normal");
    word_is(2, "*");
    word_is(3, "h");
    word_is(5, "p");
    word_is(6, "{\"to\":1}");
    header_is(4, &h);
    cr_assert_eq(command->element[4]->len, CODEC_FIXED_SIZE + 9);
    cr_assert_not(enqueue_needs_script(&job));
}

Test(enqueue, packs_every_option_into_the_header, .init = start, .fini = end)
{
    jobq_job job = plain();
    struct job_header h;

    job.lane = JOBQ_LANE_HIGH;
    job.expires_after_ms = INT64_C(5000000000);
    job.max_attempts = 65535;
    job.soft_limit_ms = 4000000000u;
    job.hard_limit_ms = 4000000001u;
    job.payload = NULL;
    append(&job);
    word_is(1, "jobq:{mail:3}:ready:high");
    word_is(6, "{}");
    header_is(4, &h);
    cr_assert_eq(h.flags, JOBQ_LANE_HIGH);
    cr_assert_eq(h.expires_ms, INT64_C(5000000000));
    cr_assert_eq(h.max_attempts, 65535);
    cr_assert_eq(h.soft_limit_ms, 4000000000u);
    cr_assert_eq(h.hard_limit_ms, 4000000001u);
    cr_assert_eq(h.unique_len, 0u);
}

Test(enqueue, keeps_the_payload_byte_for_byte, .init = start, .fini = end)
{
    static const char nasty[] = "{\"\\u0000\": \"\r\n$-1\r\n*2\xf0\x9f\x98\x80\"}";
    jobq_job job = plain();

    job.payload = nasty;
    job.payload_len = sizeof(nasty) - 2;
    append(&job);
    cr_assert_eq((size_t)command->element[6]->len, sizeof(nasty) - 2);
    cr_assert_arr_eq(command->element[6]->str, nasty, sizeof(nasty) - 2);
}

Test(enqueue, writes_a_delayed_job_as_the_script, .init = start, .fini = end)
{
    jobq_job job = plain();
    struct job_header h;
    char text[JOBQ_ID_TEXT_SIZE];

    job.delay_ms = 1500;
    job.lane = JOBQ_LANE_LOW;
    cr_assert(enqueue_needs_script(&job));
    append(&job);
    jobq_id_format(&id, text);
    word_is(0, "EVALSHA");
    word_is(1, script_sha(SCRIPT_ENQUEUE));
    word_is(2, "3");
    word_is(3, "jobq:{mail:3}:ready:low");
    word_is(4, "jobq:{mail:3}:later");
    word_is(5, "jobq:{mail:3}:held");
    word_is(6, text);
    header_is(7, &h);
    word_is(8, "{\"to\":1}");
    word_is(9, "in");
    word_is(10, "1500");
    word_is(11, "jobq:{mail:3}:wake");
    word_is(12, "0");
    cr_assert_eq(command->elements, 13u);
}

Test(enqueue, writes_due_time_and_unique_key, .init = start, .fini = end)
{
    jobq_job job = plain();
    struct job_header h;

    job.due_ms = INT64_C(1893456000000);
    job.unique_key = "user:7 {x}";
    cr_assert(enqueue_needs_script(&job));
    append(&job);
    word_is(2, "4");
    word_is(6, "jobq:{mail:3}:unique:user:7 {x}");
    header_is(8, &h);
    cr_assert_eq(h.unique_len, strlen(job.unique_key));
    cr_assert_arr_eq(h.unique, job.unique_key, h.unique_len);
    word_is(10, "at");
    word_is(11, "1893456000000");
    word_is(13, "1");
    freeReplyObject(command);
    buf_clear(&out);
    job.due_ms = 0;
    cr_assert(enqueue_needs_script(&job));
    append(&job);
    word_is(10, "now");
    word_is(11, "0");
}

Test(enqueue, leaves_no_half_command_behind, .init = start, .fini = end)
{
    jobq_job job = plain();
    char *before;
    size_t len;

    append(&job);
    len = out.len;
    before = malloc(len);
    memcpy(before, out.data, len);
    for (int with_script = 0; with_script < 2; with_script++) {
        job.delay_ms = with_script;
        for (size_t max = len; max < 2 * len; max++) {
            jobq_err err = {0};
            buf_done(&out);
            buf_init(&out, max);
            buf_append(&out, before, len);
            cr_assert_eq(enqueue_append(&out, &keys, &job, &id, &err), JOBQ_ENOMEM);
            cr_assert_not(out.failed);
            cr_assert_eq(out.len, len);
            cr_assert_arr_eq(out.data, before, len);
        }
    }
    free(before);
}

Test(enqueue, writes_the_registration_of_a_queue, .init = start, .fini = end)
{
    static const char want[] =
        "*4\r\n$6\r\nHSETNX\r\n$11\r\njobq:queues\r\n$4\r\nmail\r\n$1\r\n2\r\n"
        "*3\r\n$4\r\nHGET\r\n$11\r\njobq:queues\r\n$4\r\nmail\r\n";

    enqueue_register_queue(&out, NULL, "mail", 2);
    cr_assert_eq(out.len, sizeof(want) - 1);
    cr_assert_arr_eq(out.data, want, out.len);
}
