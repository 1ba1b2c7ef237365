/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/buf.h"
#include "broker/codec.h"
#include "tests/integration/client/client_world.h"

static struct redis *redis;

static void start(void)
{
    redis = redis_start(NULL);
}

static void end(void)
{
    redis_stop(redis);
}

TestSuite(client, .init = start, .fini = end);

static void read_header(const redisReply *h, struct job_header *out)
{
    jobq_err err;

    cr_assert_eq(codec_decode(h->str, (size_t)h->len, out, &err), CODEC_OK, "%s", err.msg);
}

Test(client, stores_a_plain_job_as_one_entry_of_its_lane)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();
    jobq_answer a;
    struct job_header h;

    job.max_attempts = 7;
    job.expires_after_ms = 90000;
    must_enqueue(c, &job, &a);
    cr_assert_eq(a.status, JOBQ_STATUS_OK);
    redisReply *all = redis_do(redis, "XRANGE " LANE " - +");
    cr_assert_eq(all->elements, 1u);
    redisReply *fields = all->element[0]->element[1];
    cr_assert_eq(fields->elements, 4u);
    cr_assert_str_eq(fields->element[0]->str, "h");
    cr_assert_str_eq(fields->element[2]->str, "p");
    cr_assert_str_eq(fields->element[3]->str, job.payload);
    read_header(fields->element[1], &h);
    cr_assert_arr_eq(h.id.bytes, a.id.bytes, 16);
    cr_assert_eq(h.max_attempts, 7);
    cr_assert_eq(h.expires_ms, 90000);
    freeReplyObject(all);
    cr_assert_eq(redis_int(redis, "DBSIZE"), 2, "the lane and jobq:queues, nothing else");
    char *partitions = redis_str(redis, "HGET jobq:queues default");
    cr_assert_str_eq(partitions, "1");
    free(partitions);
    jobq_client_close(c);
}

Test(client, puts_each_lane_and_queue_where_it_belongs)
{
    jobq_client *c = open_client(redis->tcp_url, LONG_MS);
    jobq_job job = plain_job();

    job.lane = JOBQ_LANE_HIGH;
    must_enqueue(c, &job, NULL);
    job.lane = JOBQ_LANE_LOW;
    job.queue = "mail";
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "XLEN jobq:{default:0}:ready:high"), 1);
    cr_assert_eq(redis_int(redis, "XLEN jobq:{mail:0}:ready:low"), 1);
    cr_assert_eq(redis_int(redis, "HLEN jobq:queues"), 2);
    jobq_client_close(c);
}

Test(client, uses_the_partitions_that_exist)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();
    long long sum = 0;

    freeReplyObject(redis_do(redis, "HSET jobq:queues default 4"));
    for (int i = 0; i < 200; i++)
        must_enqueue(c, &job, NULL);
    for (int i = 0; i < 4; i++) {
        long long n = redis_int(redis, "XLEN jobq:{default:%d}:ready:normal", i);
        cr_assert_gt(n, 10);
        sum += n;
    }
    cr_assert_eq(sum, 200);
    jobq_client_close(c);
}

/* G5 */
Test(client, keeps_every_byte_of_a_payload)
{
    static const char *const nasty[] = {
        "{}",
        " \t\r\n{ } \n",
        "{\"a\":\"\\u0000\\ud83d\\ude00\"}",
        "{\"\\r\\n$-1\\r\\n\":\"*1\\r\\n\"}",
        "{\"utf8\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\"}",
        "{\"dup\":1,\"dup\":2,\"n\":1e-400,\"m\":-0}",
        "{\"nul\":\"\x7f\"}",
        "{\"big\":123456789012345678901234567890.000000000000000000001}",
    };
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    size_t large_len = JOBQ_PAYLOAD_DEFAULT_MAX;
    char *large = malloc(large_len + 1);

    memset(large, ' ', large_len + 1);
    memcpy(large, "{\"x\":1", 6);
    large[large_len - 1] = '}';
    for (size_t i = 0; i <= ARRAY_LEN(nasty); i++) {
        jobq_job job = plain_job();
        job.payload = i < ARRAY_LEN(nasty) ? nasty[i] : large;
        job.payload_len = i < ARRAY_LEN(nasty) ? 0 : large_len;
        size_t len = job.payload_len != 0 ? job.payload_len : strlen(job.payload);
        must_enqueue(c, &job, NULL);
        redisReply *last = redis_do(redis, "XREVRANGE " LANE " + - COUNT 1");
        const redisReply *p = last->element[0]->element[1]->element[3];
        cr_assert_eq((size_t)p->len, len);
        cr_assert_arr_eq(p->str, job.payload, len);
        freeReplyObject(last);
    }
    jobq_job job = plain_job();
    job.payload = large;
    job.payload_len = large_len + 1;
    must_reject(c, &job, JOBQ_CAUSE_TOO_LARGE);
    free(large);
    jobq_client_close(c);
}

Test(client, takes_payloads_up_to_the_hard_limit_when_allowed)
{
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *c;
    jobq_job job = plain_job();
    char *large = malloc(JOBQ_PAYLOAD_HARD_MAX);

    o.redis = redis->producer_url;
    o.deadline_ms = 60000; /* the longest there is: how long 16 MiB take is the machine's affair */
    o.max_payload_bytes = JOBQ_PAYLOAD_HARD_MAX;
    memset(large, ' ', JOBQ_PAYLOAD_HARD_MAX);
    memcpy(large, "{}", 2);
    job.payload = large;
    job.payload_len = JOBQ_PAYLOAD_HARD_MAX;
    cr_assert_eq(jobq_client_open(&o, &c, NULL), JOBQ_OK);
    must_enqueue(c, &job, NULL);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1);
    free(large);
    jobq_client_close(c);
}

/* G4 */
Test(client, stores_one_job_for_a_unique_key)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();
    jobq_answer first, second, again;

    job.unique_key = "user:7 {x} \xc3\xa9";
    must_enqueue(c, &job, &first);
    cr_assert_eq(first.status, JOBQ_STATUS_OK);
    must_enqueue(c, &job, &second);
    cr_assert_eq(second.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_arr_eq(second.holder.bytes, first.id.bytes, 16);
    cr_assert_neq(memcmp(second.id.bytes, first.id.bytes, 16), 0);
    job.id = first.id;
    must_enqueue(c, &job, &again);
    cr_assert_eq(again.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_arr_eq(again.holder.bytes, first.id.bytes, 16);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1);
    job.id = (jobq_id){{0}};
    job.unique_key = "user:8";
    must_enqueue(c, &job, &again);
    cr_assert_eq(again.status, JOBQ_STATUS_OK);
    jobq_client_close(c);
}

Test(client, holds_a_delayed_job_until_it_is_due)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();
    jobq_answer a, again;
    char id[JOBQ_ID_TEXT_SIZE];
    struct job_header h;

    job.delay_ms = 3600000;
    redisReply *before = redis_do(redis, "TIME");
    must_enqueue(c, &job, &a);
    redisReply *after = redis_do(redis, "TIME");
    jobq_id_format(&a.id, id);
    char *score = redis_str(redis, "ZSCORE jobq:{default:0}:later %s", id);
    double due = strtod(score, NULL);
    cr_assert_geq(due, (strtod(before->element[0]->str, NULL) + 3600) * 1000);
    cr_assert_leq(due, (strtod(after->element[0]->str, NULL) + 3601) * 1000);
    free(score);
    redisReply *held = redis_do(redis, "HGET jobq:{default:0}:held %s", id);
    size_t h_len = load_le32(held->str);
    cr_assert_eq(codec_decode(held->str + 4, h_len, &h, NULL), CODEC_OK);
    cr_assert_gt(h.enqueued_ms, INT64_C(1500000000000), "the header says when it was enqueued");
    cr_assert_str_eq(held->str + 4 + h_len, job.payload);
    cr_assert_eq(redis_int(redis, "EXISTS " LANE), 0);
    job.id = a.id;
    must_enqueue(c, &job, &again);
    cr_assert_eq(again.status, JOBQ_STATUS_DUPLICATE);
    cr_assert_eq(redis_int(redis, "ZCARD jobq:{default:0}:later"), 1);
    job = plain_job();
    job.due_ms = 1000;
    must_enqueue(c, &job, &a);
    cr_assert_eq(redis_int(redis, "XLEN " LANE), 1, "what is due already waits for nothing");
    freeReplyObject(before);
    freeReplyObject(after);
    freeReplyObject(held);
    jobq_client_close(c);
}

Test(client, loads_its_script_again_when_redis_forgot_it)
{
    jobq_client *c = open_client(redis->producer_url, LONG_MS);
    jobq_job job = plain_job();

    job.delay_ms = 3600000;
    for (int i = 0; i < 3; i++) {
        must_enqueue(c, &job, NULL);
        freeReplyObject(redis_do(redis, "SCRIPT FLUSH"));
    }
    cr_assert_eq(redis_int(redis, "ZCARD jobq:{default:0}:later"), 3);
    jobq_client_close(c);
}

Test(client, answers_each_job_of_a_bulk)
{
    enum { N = 12000 };
    jobq_client *c = open_client(redis->producer_url, 60000);
    jobq_job *jobs = calloc(N, sizeof(*jobs));
    jobq_answer *answers = calloc(N, sizeof(*answers));
    jobq_err err = {0};
    size_t bad = 0;

    for (int i = 0; i < N; i++) {
        jobs[i] = plain_job();
        if (i % 7 == 0)
            jobs[i].delay_ms = 3600000 + i;
        if (i % 1000 == 3)
            jobs[i].unique_key = "one";
        if (i % 500 == 5)
            jobs[i].payload = "[]";
    }
    cr_assert_eq(jobq_enqueue_many(c, jobs, N, answers, &err), JOBQ_EREJECTED);
    cr_assert_eq(strncmp(err.msg, "job 5: ", 7), 0, "%s", err.msg);
    for (int i = 0; i < N; i++) {
        jobq_status want = i % 1000 == 3 && i > 3 ? JOBQ_STATUS_DUPLICATE : JOBQ_STATUS_OK;
        if (i % 500 == 5)
            want = JOBQ_STATUS_REJECTED;
        cr_assert_eq(answers[i].status, want, "%d: %s", i, answers[i].text);
        if (want == JOBQ_STATUS_DUPLICATE)
            cr_assert_arr_eq(answers[i].holder.bytes, answers[3].id.bytes, 16);
        bad += want != JOBQ_STATUS_OK;
    }
    cr_assert_eq(redis_int(redis, "XLEN " LANE) + redis_int(redis, "ZCARD jobq:{default:0}:later"),
                 (long long)(N - bad));
    free(jobs);
    free(answers);
    jobq_client_close(c);
}

Test(client, shows_its_name_and_takes_user_database_and_prefix)
{
    jobq_client_options o = JOBQ_CLIENT_OPTIONS_INIT;
    jobq_client *c;
    jobq_job job = plain_job();

    freeReplyObject(redis_do(redis, "ACL SETUSER bob on >p:w ~shop:* +@all"));
    o.redis = fmt("redis://bob:p%%3Aw@127.0.0.1:%d/3", redis->port);
    o.key_prefix = "shop";
    o.name = "forum-web";
    cr_assert_eq(jobq_client_open(&o, &c, NULL), JOBQ_OK);
    must_enqueue(c, &job, NULL);
    char *clients = redis_str(redis, "CLIENT LIST");
    cr_assert_not_null(strstr(clients, "name=forum-web"));
    free(clients);
    freeReplyObject(redis_do(redis, "SELECT 3"));
    cr_assert_eq(redis_int(redis, "XLEN shop:{default:0}:ready:normal"), 1);
    jobq_client_close(c);
}
