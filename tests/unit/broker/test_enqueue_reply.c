/* SPDX-License-Identifier: MIT */
/* enqueue: what Redis answers, and what a caller makes of it. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/base.h"
#include "broker/enqueue.h"

static int read_answer(const char *bytes, jobq_answer *answer, jobq_err *err)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;

    memset(answer, 0x5a, sizeof(*answer));
    redisReaderFeed(reader, bytes, strlen(bytes));
    cr_assert_eq(redisReaderGetReply(reader, &r), REDIS_OK);
    cr_assert_not_null(r, "%s", bytes);
    int code = enqueue_reply(r, "h:1/0", answer, err);
    freeReplyObject(r);
    redisReaderFree(reader);
    return code;
}

Test(enqueue_reply, reads_success_and_duplicate)
{
    jobq_answer a;
    char holder[JOBQ_ID_TEXT_SIZE];

    cr_assert_eq(read_answer("$15\r\n1718000000000-0\r\n", &a, NULL), JOBQ_OK);
    cr_assert_eq(a.status, JOBQ_STATUS_OK);
    cr_assert_eq(a.cause, JOBQ_CAUSE_NONE);
    cr_assert_str_eq(a.text, "");
    cr_assert_eq(read_answer("*1\r\n$2\r\nOK\r\n", &a, NULL), JOBQ_OK);
    cr_assert_eq(a.status, JOBQ_STATUS_OK);
    cr_assert_eq(
        read_answer("*2\r\n$9\r\nDUPLICATE\r\n$36\r\n01900000-0000-7000-8000-00000000abcd\r\n", &a,
                    NULL),
        JOBQ_OK);
    cr_assert_eq(a.status, JOBQ_STATUS_DUPLICATE);
    jobq_id_format(&a.holder, holder);
    cr_assert_str_eq(holder, "01900000-0000-7000-8000-00000000abcd");
}

Test(enqueue_reply, takes_every_refusal_for_what_it_is)
{
    static const struct {
        const char *reply;
        jobq_cause cause;
        const char *text;
    } cases[] = {
        {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", JOBQ_CAUSE_OUT_OF_MEMORY,
         "maxmemory"},
        {"-READONLY You can't write against a read only replica.\r\n", JOBQ_CAUSE_READ_ONLY,
         "master"},
        {"-MASTERDOWN Link with MASTER is down\r\n", JOBQ_CAUSE_READ_ONLY, "master"},
        {"-MISCONF Redis is configured to save RDB snapshots\r\n", JOBQ_CAUSE_CANNOT_PERSIST,
         "disk"},
        {"-NOREPLICAS Not enough good replicas to write.\r\n", JOBQ_CAUSE_NO_REPLICAS,
         "min-replicas-to-write"},
        {"-LOADING Redis is loading the dataset in memory\r\n", JOBQ_CAUSE_LOADING, "loading"},
        {"-BUSY Redis is busy running a script.\r\n", JOBQ_CAUSE_BUSY, "script"},
        {"-NOPERM this user has no permissions to run the 'xadd' command\r\n",
         JOBQ_CAUSE_PERMISSION, "xadd"},
        {"-NOAUTH Authentication required.\r\n", JOBQ_CAUSE_PERMISSION, "NOAUTH"},
        {"-WRONGTYPE Operation against a key\r\n", JOBQ_CAUSE_SERVER, "WRONGTYPE"},
        {"-CROSSSLOT Keys in request\r\n", JOBQ_CAUSE_SERVER, "CROSSSLOT"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jobq_answer a;
        jobq_err err = {0};
        cr_expect_eq(read_answer(cases[i].reply, &a, &err), JOBQ_EREJECTED, "%s", cases[i].reply);
        cr_expect_eq(a.status, JOBQ_STATUS_REJECTED);
        cr_expect_eq(a.cause, cases[i].cause, "%s", cases[i].reply);
        cr_expect_not_null(strstr(a.text, cases[i].text), "%s", a.text);
        cr_expect_not_null(strstr(a.text, "h:1/0"), "%s", a.text);
        cr_expect_str_eq(a.text, err.msg);
    }
}

Test(enqueue_reply, does_not_call_stored_or_refused_what_may_be_either)
{
    static const char *const cases[] = {
        /* raised by a command inside the script: something may have been written before */
        ("-WRONGTYPE Operation against a key script: 60a1eacd4e842e050ff8407c0e873b2a4eb2a68d, on "
         "@user_script:2.\r\n"),
        "-ERR The user executing the script can't publish script: 60a1, on @user_script:2.\r\n",
        /* answers that no Redis gives */
        ":1\r\n",
        "+QUEUED\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n$3\r\nBAD\r\n",
        "*1\r\n$9\r\nDUPLICATE\r\n",
        "*2\r\n$9\r\nDUPLICATE\r\n$3\r\nabc\r\n",
        "*2\r\n$9\r\nDUPLICATE\r\n$36\r\n01900000-0000-7000-8000-00000000abcx\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jobq_answer a;
        jobq_err err = {0};
        cr_expect_eq(read_answer(cases[i], &a, &err), JOBQ_EUNKNOWN, "%s", cases[i]);
        cr_expect_eq(a.status, JOBQ_STATUS_UNKNOWN);
        cr_expect_gt(strlen(a.text), 10u);
    }
}

Test(enqueue_reply, asks_for_the_script_when_redis_lacks_it)
{
    jobq_answer a;
    jobq_err err = {0};

    cr_assert_eq(read_answer("-NOSCRIPT No matching script. Please use EVAL.\r\n", &a, &err),
                 JOBQ_ESCRIPT);
}

Test(enqueue_reply, reads_the_number_of_partitions)
{
    static const struct {
        const char *reply;
        int code;
        unsigned partitions;
    } cases[] = {
        {"$1\r\n1\r\n", JOBQ_OK, 1},       {"$3\r\n256\r\n", JOBQ_OK, 256},
        {"$1\r\n0\r\n", JOBQ_EPROTO, 0},   {"$3\r\n257\r\n", JOBQ_EPROTO, 0},
        {"$2\r\n-1\r\n", JOBQ_EPROTO, 0},  {"$-1\r\n", JOBQ_EPROTO, 0},
        {"$3\r\nabc\r\n", JOBQ_EPROTO, 0}, {"-OOM x\r\n", JOBQ_EREDIS, 0},
        {":4\r\n", JOBQ_EPROTO, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        redisReader *reader = redisReaderCreate();
        void *r = NULL;
        unsigned n = 0;
        redisReaderFeed(reader, cases[i].reply, strlen(cases[i].reply));
        cr_assert_eq(redisReaderGetReply(reader, &r), REDIS_OK);
        cr_expect_eq(enqueue_partitions_reply(r, &n, NULL), cases[i].code, "%s", cases[i].reply);
        cr_expect_eq(n, cases[i].partitions);
        freeReplyObject(r);
        redisReaderFree(reader);
    }
}
