/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/base.h"
#include "broker/reply.h"

/* What a server says, parsed. */
static redisReply *parse(const char *bytes, size_t len)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;

    cr_assert_eq(redisReaderFeed(reader, bytes, len), REDIS_OK);
    cr_assert_eq(redisReaderGetReply(reader, &r), REDIS_OK);
    cr_assert_not_null(r);
    redisReaderFree(reader);
    return r;
}
#define PARSE(text) parse(text, sizeof(text) - 1)

struct known {
    const char *text;
    enum reply_class is;
    jobq_cause cause;
};

static void expect_known(const struct known *errors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(errors[i].text);
        cr_expect_eq(reply_classify(errors[i].text, len), errors[i].is, "%s", errors[i].text);
        cr_expect_eq(reply_cause(errors[i].text, len), errors[i].cause, "%s", errors[i].text);
    }
}

Test(reply, knows_errors_of_scripts_and_of_blocked_reads)
{
    static const struct known errors[] = {
        {"NOSCRIPT No matching script. Please use EVAL.", REPLY_NOSCRIPT, JOBQ_CAUSE_SERVER},
        {"NOGROUP No such key 'x' or consumer group 'jobq' in XREADGROUP with GROUP option",
         REPLY_LOST_DATA, JOBQ_CAUSE_SERVER},
        {"-NOGROUP the consumer group this client was blocked on no longer exists", REPLY_LOST_DATA,
         JOBQ_CAUSE_SERVER},
        {"UNBLOCKED the stream key no longer exists", REPLY_LOST_DATA, JOBQ_CAUSE_SERVER},
        {"UNBLOCKED force unblock from blocking operation, instance state changed (master -> "
         "replica?)",
         REPLY_DEMOTED, JOBQ_CAUSE_READ_ONLY},
        {"UNBLOCKED client unblocked via CLIENT UNBLOCK", REPLY_OTHER, JOBQ_CAUSE_SERVER},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, knows_errors_of_a_server_that_will_not_now)
{
    static const struct known errors[] = {
        {"READONLY You can't write against a read only replica.", REPLY_DEMOTED,
         JOBQ_CAUSE_READ_ONLY},
        {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
         REPLY_DEMOTED, JOBQ_CAUSE_READ_ONLY},
        {"LOADING Redis is loading the dataset in memory", REPLY_LOADING, JOBQ_CAUSE_LOADING},
        {"NOREPLICAS Not enough good replicas to write.", REPLY_NOT_WRITABLE,
         JOBQ_CAUSE_NO_REPLICAS},
        {"MISCONF Redis is configured to save RDB snapshots, but", REPLY_NOT_WRITABLE,
         JOBQ_CAUSE_CANNOT_PERSIST},
        {"OOM command not allowed when used memory > 'maxmemory'.", REPLY_OOM,
         JOBQ_CAUSE_OUT_OF_MEMORY},
        {"BUSY Redis is busy running a script.", REPLY_BUSY, JOBQ_CAUSE_BUSY},
        {"ERR max number of clients reached", REPLY_TOO_MANY, JOBQ_CAUSE_SERVER},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, knows_errors_of_rights)
{
    static const struct known errors[] = {
        {"NOAUTH Authentication required.", REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
        {"WRONGPASS invalid username-password pair or user is disabled.", REPLY_AUTH,
         JOBQ_CAUSE_PERMISSION},
        {"NOPERM this user has no permissions to run the 'xadd' command", REPLY_AUTH,
         JOBQ_CAUSE_PERMISSION},
        {"ERR The user executing the script can't run this command or subcommand script: 0, on x",
         REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
        {"ERR ACL failure in script: User least has no permissions to run the 'set' command script: 0",
         REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
        {"ERR AUTH <password> called without any password configured for the default user.",
         REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
        {"DENIED Redis is running in protected mode", REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, knows_errors_of_a_cluster)
{
    static const struct known errors[] = {
        {"MOVED 3999 127.0.0.1:6381", REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
        {"ASK 3999 127.0.0.1:6381", REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
        {"TRYAGAIN Multiple keys request during rehashing of slot", REPLY_CLUSTER,
         JOBQ_CAUSE_SERVER},
        {"CLUSTERDOWN The cluster is down", REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
        {"CROSSSLOT Keys in request don't hash to the same slot", REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, knows_other_errors_for_what_they_are)
{
    static const struct known errors[] = {
        {"BUSYGROUP Consumer Group name already exists", REPLY_OTHER, JOBQ_CAUSE_SERVER},
        {"ERR unknown command 'XADD'", REPLY_OTHER, JOBQ_CAUSE_SERVER},
        {"ERR Protocol error: invalid bulk length", REPLY_OTHER, JOBQ_CAUSE_SERVER},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", REPLY_OTHER,
         JOBQ_CAUSE_SERVER},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, needs_the_whole_first_word_and_no_more)
{
    static const struct known errors[] = {
        {"OOM", REPLY_OOM, JOBQ_CAUSE_OUT_OF_MEMORY},  {"OOMPH", REPLY_OTHER, JOBQ_CAUSE_SERVER},
        {"UNBLOCKED", REPLY_OTHER, JOBQ_CAUSE_SERVER}, {"ERR", REPLY_OTHER, JOBQ_CAUSE_SERVER},
        {"-", REPLY_OTHER, JOBQ_CAUSE_SERVER},         {"", REPLY_OTHER, JOBQ_CAUSE_SERVER},
    };
    expect_known(errors, ARRAY_LEN(errors));
}

Test(reply, reads_no_byte_beyond_the_length)
{
    cr_assert_eq(reply_classify("READONLY", 4), REPLY_OTHER);
    cr_assert_eq(reply_classify("OOM command", 3), REPLY_OOM);
}

Test(reply, classifies_only_errors)
{
    redisReply *fine = PARSE("+OOM command\r\n");
    redisReply *error = PARSE("-OOM command\r\n");

    cr_assert_eq(reply_class_of(NULL), REPLY_FINE);
    cr_assert_not(reply_is_error(NULL)); /* of a connection that broke */
    cr_assert_not(reply_is_nil(NULL));
    cr_assert_not(reply_is_array(NULL));
    cr_assert_eq(reply_class_of(fine), REPLY_FINE);
    cr_assert_eq(reply_class_of(error), REPLY_OOM);
    cr_assert(reply_is_error(error));
    cr_assert_not(reply_is_error(fine));
    reply_free(fine);
    reply_free(error);
    reply_free(NULL);
}

Test(reply, has_a_different_word_for_every_class)
{
    for (int a = REPLY_FINE; a <= REPLY_OTHER; a++)
        for (int b = REPLY_FINE; b < a; b++)
            cr_assert_str_neq(reply_class_name((enum reply_class)a),
                              reply_class_name((enum reply_class)b));
}

Test(reply, reads_elements_as_bytes_and_numbers)
{
    redisReply *r =
        PARSE("*9\r\n$3\r\na\0b\r\n+OK\r\n:-5\r\n$2\r\n42\r\n$20\r\n-9223372036854775808\r\n"
              "$19\r\n9223372036854775808\r\n$-1\r\n$1\r\n-\r\n$2\r\n4x\r\n");
    const char *bytes;
    size_t len;
    int64_t n;

    cr_assert(reply_bytes(r, 0, &bytes, &len));
    cr_assert_eq(len, 3u);
    cr_assert_arr_eq(bytes, "a\0b", 3);
    cr_assert(reply_is_word(r, 1, "OK"));
    cr_assert_not(reply_is_word(r, 1, "O"));
    cr_assert(reply_int(r, 2, &n) && n == -5);
    cr_assert_not(reply_bytes(r, 2, &bytes, &len));
    cr_assert(reply_int(r, 3, &n) && n == 42);
    cr_assert(reply_int(r, 4, &n) && n == INT64_MIN);
    cr_assert_not(reply_int(r, 5, &n), "beyond int64");
    cr_assert_not(reply_bytes(r, 6, &bytes, &len), "nil");
    cr_assert_not(reply_int(r, 7, &n));
    cr_assert_not(reply_int(r, 8, &n));
    cr_assert_not(reply_int(r, 9, &n), "past the end");
    cr_assert_not(reply_bytes(NULL, 0, &bytes, &len));
    reply_free(r);
    r = PARSE("$2\r\nOK\r\n");
    cr_assert_not(reply_is_word(r, 0, "OK"), "not an array");
    cr_assert_not(reply_is_nil(r));
    reply_free(r);
    r = PARSE("*-1\r\n");
    cr_assert(reply_is_nil(r));
    reply_free(r);
}
