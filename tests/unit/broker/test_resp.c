/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "broker/resp.h"

static struct buf out;

static void start(void)
{
    buf_init(&out, 1 << 20);
}

static void end(void)
{
    buf_done(&out);
}

TestSuite(resp, .init = start, .fini = end);

static void expect(const char *bytes, size_t len)
{
    cr_assert_not(out.failed);
    cr_assert_eq(out.len, len, "%zu bytes: %s", out.len, out.data);
    cr_assert_arr_eq(out.data, bytes, len);
    cr_assert_eq(out.data[out.len], '\0');
}
#define EXPECT(text) expect(text, sizeof(text) - 1)

Test(resp, writes_a_command_as_an_array_of_bulk_strings)
{
    resp_begin(&out, 2);
    resp_str(&out, "GET");
    resp_bytes(&out, "a\0b\r\n", 5);
    EXPECT("*2\r\n$3\r\nGET\r\n$5\r\na\0b\r\n\r\n");
}

Test(resp, writes_an_empty_word)
{
    resp_bytes(&out, NULL, 0);
    resp_str(&out, "");
    EXPECT("$0\r\n\r\n$0\r\n\r\n");
}

Test(resp, writes_every_int64)
{
    resp_int(&out, 0);
    resp_int(&out, -1);
    resp_int(&out, INT64_MAX);
    resp_int(&out, INT64_MIN);
    EXPECT("$1\r\n0\r\n$2\r\n-1\r\n$19\r\n9223372036854775807\r\n$20\r\n-9223372036854775808\r\n");
}

Test(resp, counts_the_words_of_a_whole_command)
{
    resp_command(&out, "XGROUP", "CREATE", "k", "g", "0", (char *)NULL);
    EXPECT("*5\r\n$6\r\nXGROUP\r\n$6\r\nCREATE\r\n$1\r\nk\r\n$1\r\ng\r\n$1\r\n0\r\n");
}

Test(resp, keeps_what_was_there_when_a_word_does_not_fit)
{
    buf_done(&out);
    buf_init(&out, 100);
    resp_str(&out, "here");
    size_t before = out.len;
    char large[200];
    memset(large, 'x', sizeof(large));
    resp_bytes(&out, large, sizeof(large));
    cr_assert(out.failed);
    cr_assert_eq(out.len, before);
    resp_bytes(&out, "", SIZE_MAX);
    cr_assert_eq(out.len, before);
    cr_assert_arr_eq(out.data, "$4\r\nhere\r\n", before);
}

Test(resp, keeps_what_was_there_when_memory_ends)
{
    static char large[5000];
    resp_str(&out, "here");
    mem_fail_at(1, 1);
    resp_bytes(&out, large, sizeof(large));
    mem_fail_at(0, 0);
    cr_assert(out.failed);
    cr_assert_arr_eq(out.data, "$4\r\nhere\r\n", out.len);
}
