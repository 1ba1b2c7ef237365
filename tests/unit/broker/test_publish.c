/* SPDX-License-Identifier: MIT */
/* Durations as histograms in the stats of a minute, events, who listens. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "broker/publish.h"

static struct buf out;
static struct shard_keys k;

static void start(void)
{
    buf_init(&out, 1 << 20);
    cr_assert_eq(keys_init(&k, NULL, "a", 0, NULL), JOBQ_OK);
}

static void end(void)
{
    buf_done(&out);
    keys_done(&k);
}

TestSuite(publish, .init = start, .fini = end);

static int bucket_of(int64_t us)
{
    struct publish_time t = {0};
    publish_add(&t, us);
    cr_assert_eq(t.count, 1);
    for (int i = 0; i < PUBLISH_BUCKETS; i++)
        if (t.buckets[i])
            return i;
    return -1;
}

Test(publish, sorts_durations_by_powers_of_two_of_a_millisecond)
{
    cr_assert_eq(bucket_of(-5), 0);
    cr_assert_eq(bucket_of(0), 0);
    cr_assert_eq(bucket_of(1000), 0);
    for (int i = 1; i < PUBLISH_BUCKETS; i++) {
        int64_t bound_us = (INT64_C(1) << i) * 1000;
        cr_assert_eq(bucket_of(bound_us), i, "at most 2^%d ms", i);
        cr_assert_eq(bucket_of(bound_us / 2 + 1), i, "more than 2^%d ms", i - 1);
    }
    cr_assert_eq(bucket_of((INT64_C(1) << 24) * 1000 + 1), PUBLISH_BUCKETS - 1);
    cr_assert_eq(bucket_of(INT64_MAX), PUBLISH_BUCKETS - 1);
}

/* The words of all commands, each followed by a blank. */
static const char *words(void)
{
    static char text[4096];
    char *at = text;
    for (size_t i = 0; i < out.len;) {
        size_t n = strcspn(out.data + i, "\r\n");
        if (n && out.data[i] != '*' && out.data[i] != '$') {
            memcpy(at, out.data + i, n);
            at += n;
            *at++ = ' ';
        }
        i += n + 2;
    }
    *at = '\0';
    return text;
}

Test(publish, adds_durations_to_the_minute_and_starts_again)
{
    struct publish_times t = {0};
    cr_assert_eq(publish_append_times(&out, &k, 7, &t), 0u);
    cr_assert_eq(out.len, 0u);
    publish_add(&t.run, 1500);
    publish_add(&t.run, 1600);
    publish_add(&t.wait, 900);
    cr_assert_eq(publish_append_times(&out, &k, 7, &t), 7u);
    cr_assert_str_eq(words(),
                     "HINCRBY jobq:{a:0}:stats:7 runs 2 HINCRBY jobq:{a:0}:stats:7 run_ms 3 "
                     "HINCRBY jobq:{a:0}:stats:7 run:1 2 HINCRBY jobq:{a:0}:stats:7 waits 1 "
                     "HINCRBY jobq:{a:0}:stats:7 wait_ms 0 HINCRBY jobq:{a:0}:stats:7 wait:0 1 "
                     "EXPIRE jobq:{a:0}:stats:7 10800 ");
    buf_clear(&out);
    cr_assert_eq(publish_append_times(&out, &k, 7, &t), 0u, "it was told");
    publish_add(&t.wait, 100);
    publish_append_times(&out, &k, 7, &t);
    cr_assert(strstr(words(), "wait_ms 1 "), "microseconds are not lost: %s", words());
}

Test(publish, finds_its_listeners)
{
    char *channel = k.events;
    redisReply name = {.type = REDIS_REPLY_STRING, .str = channel, .len = strlen(channel)};
    redisReply other = {
        .type = REDIS_REPLY_STRING, .str = (char[]){"jobq:{b:0}:events"}, .len = 17};
    redisReply three = {.type = REDIS_REPLY_INTEGER, .integer = 3};
    redisReply *elements[] = {&other, &three, &name, &three};
    redisReply r = {.type = REDIS_REPLY_ARRAY, .elements = 4, .element = elements};
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = (char[]){"NOPERM"}, .len = 6};

    cr_assert_eq(publish_listeners(&r, 0, &k), -1);
    cr_assert_eq(publish_listeners(&r, 1, &k), 3);
    cr_assert_eq(publish_listeners(&r, 2, &k), -1);
    cr_assert_eq(publish_listeners(&error, 0, &k), -1);
    cr_assert_eq(publish_listeners(NULL, 0, &k), -1);
}

Test(publish, sends_lines_as_they_are)
{
    publish_append_events(&out, &k, "{}\n{}", 5);
    cr_assert_str_eq(out.data,
                     "*3\r\n$7\r\nPUBLISH\r\n$17\r\njobq:{a:0}:events\r\n$5\r\n{}\n{}\r\n");
}

Test(publish, believes_no_depth_of_another_shape)
{
    struct publish_depth d = {.dead = 7};
    redisReply ok = {.type = REDIS_REPLY_STRING, .str = (char[]){"OK"}, .len = 2};
    redisReply one = {.type = REDIS_REPLY_INTEGER, .integer = 1};
    redisReply bad = {.type = REDIS_REPLY_INTEGER, .integer = -2};
    redisReply *elements[12] = {&ok,  &one, &one, &one, &one, &one,
                                &one, &one, &one, &one, &one, &one};
    redisReply r = {.type = REDIS_REPLY_ARRAY, .elements = 12, .element = elements};

    cr_assert_eq(publish_depth_reply(&r, &d, NULL), JOBQ_OK);
    cr_assert(d.dead == 1 && d.ready[LANE_LOW] == 1 && d.oldest_ms[LANE_LOW] == 1);
    d.dead = 7;
    for (size_t i = 0; i < 12; i++) {
        redisReply *kept = elements[i];
        elements[i] = &bad;
        cr_assert_eq(publish_depth_reply(&r, &d, NULL), JOBQ_EPROTO, "%zu", i);
        elements[i] = kept;
    }
    for (r.elements = 0; r.elements < 12; r.elements++)
        cr_assert_eq(publish_depth_reply(&r, &d, NULL), JOBQ_EPROTO);
    cr_assert_eq(publish_depth_reply(NULL, &d, NULL), JOBQ_EPROTO);
    cr_assert_eq(d.dead, 7, "written on success only");
}
