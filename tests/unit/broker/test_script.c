/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "broker/script.h"

Test(script, has_every_script_whole)
{
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        enum script_name s = (enum script_name)i;
        const struct script_text *t = &script_table[i];
        cr_assert_gt(strlen(script_word(s)), 2u);
        cr_assert_eq(strlen(script_sha(s)), (size_t)SCRIPT_SHA_LEN);
        cr_assert_eq(strspn(script_sha(s), "0123456789abcdef"), (size_t)SCRIPT_SHA_LEN);
        cr_assert_eq(strlen(t->body), t->len, "%s has a NUL", t->word);
        cr_assert_eq(strncmp(t->body, "#!lua", 5), 0, "%s: the first line must say #!lua", t->word);
        cr_assert_null(strstr(t->body, "\n--@include"), "%s", t->word);
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(script_sha(s), script_sha((enum script_name)j));
    }
}

Test(script, calls_by_sha_and_loads_by_text)
{
    struct buf out;
    char head[128];

    buf_init(&out, 1 << 20);
    script_call(&out, SCRIPT_ACK, 2, 3);
    int n = snprintf(head, sizeof(head), "*8\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n2\r\n",
                     script_sha(SCRIPT_ACK));
    cr_assert_eq(out.len, (size_t)n);
    cr_assert_arr_eq(out.data, head, out.len);
    buf_clear(&out);
    script_load(&out, SCRIPT_BEAT);
    n = snprintf(head, sizeof(head), "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%zu\r\n#!lua",
                 script_table[SCRIPT_BEAT].len);
    cr_assert_arr_eq(out.data, head, (size_t)n);
    buf_done(&out);
}
