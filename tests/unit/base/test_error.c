/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>

#include <criterion/criterion.h>

#include <jobq/job.h>

#include "base/error.h"
#include "base/text.h"

Test(error, every_code_has_its_row)
{
    static const int codes[] = {
#define CODE(name, number, text, retryable, status) JOBQ_##name,
        JOBQ_ERRORS(CODE)
#undef CODE
    };
#define CHECK(name, number, text, retryable, status)                                               \
    cr_assert_eq(JOBQ_##name, number);                                                             \
    cr_assert_str_eq(jobq_strerror(JOBQ_##name), text);                                            \
    cr_assert_str_eq(jobq_error_name(JOBQ_##name), #name);                                         \
    cr_assert_eq(jobq_is_retryable(JOBQ_##name), retryable);                                       \
    cr_assert_eq(jobq_exit_status(JOBQ_##name), status);
    JOBQ_ERRORS(CHECK)
#undef CHECK
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(codes[i], codes[k]);
    }
}

Test(error, knows_what_is_no_code)
{
    static const int codes[] = {1, 100, INT_MAX, -18, -1000, INT_MIN, INT_MIN + 1};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        cr_assert_str_eq(jobq_strerror(codes[i]), "unknown error");
        cr_assert_str_eq(jobq_error_name(codes[i]), "unknown");
        cr_assert_not(jobq_is_retryable(codes[i]));
        cr_assert_eq(jobq_exit_status(codes[i]), 70);
    }
    cr_assert_str_eq(jobq_strerror(JOBQ_OK), "ok");
    cr_assert_eq(jobq_exit_status(JOBQ_OK), 0);
    cr_assert_not(jobq_is_retryable(JOBQ_OK));
}

Test(error, every_cause_and_status_has_its_word)
{
#define CHECK(name, word, retryable, status)                                                       \
    cr_assert_str_eq(jobq_cause_name(JOBQ_CAUSE_##name), word);                                    \
    cr_assert_eq(jobq_cause_is_retryable(JOBQ_CAUSE_##name), retryable);                           \
    cr_assert_eq(jobq_cause_exit_status(JOBQ_CAUSE_##name), status);
    JOBQ_CAUSES(CHECK)
#undef CHECK
    cr_assert_str_eq(jobq_cause_name((jobq_cause)15), "unknown");
    cr_assert_str_eq(jobq_cause_name((jobq_cause)-1), "unknown");
    cr_assert_not(jobq_cause_is_retryable((jobq_cause)99));
    cr_assert_eq(jobq_cause_exit_status((jobq_cause)99), 70);
    cr_assert_str_eq(jobq_status_name(JOBQ_STATUS_OK), "ok");
    cr_assert_str_eq(jobq_status_name(JOBQ_STATUS_DUPLICATE), "duplicate");
    cr_assert_str_eq(jobq_status_name(JOBQ_STATUS_REJECTED), "rejected");
    cr_assert_str_eq(jobq_status_name(JOBQ_STATUS_UNKNOWN), "unknown");
    cr_assert_str_eq(jobq_status_name((jobq_status)77), "unknown");
}

Test(error, sets_and_prefixes_the_text)
{
    jobq_err err = {0};
    cr_assert_eq(error_set(&err, JOBQ_ECONN, "no answer from %s", "here"), JOBQ_ECONN);
    cr_assert_eq(err.code, JOBQ_ECONN);
    cr_assert_str_eq(err.msg, "no answer from here");
    cr_assert_eq(error_prefix(&err, "queue %d", 7), JOBQ_ECONN);
    cr_assert_str_eq(err.msg, "queue 7: no answer from here");
    cr_assert_eq(error_set(NULL, JOBQ_EAUTH, "x"), JOBQ_EAUTH);
    cr_assert_eq(error_prefix(NULL, "x"), JOBQ_EINTERNAL);
}

Test(error, may_quote_its_own_text)
{
    jobq_err err = {0};
    cr_assert_eq(error_set(&err, JOBQ_EINVAL, "inner"), JOBQ_EINVAL);
    cr_assert_eq(error_set(&err, JOBQ_ECONFIG, "outer (%s)", err.msg), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "outer (inner)");
    cr_assert_eq(error_prefix(&err, "%s", err.msg), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "outer (inner): outer (inner)");
}

Test(error, keeps_the_text_one_line)
{
    jobq_err err = {0};
    cr_assert_eq(error_set(&err, JOBQ_EINVAL, "a\nb\tc\x1b[31m\x7f\xc3\xa9"), JOBQ_EINVAL);
    cr_assert_str_eq(err.msg, "a?b?c?[31m?\xc3\xa9");
    cr_assert_eq(error_prefix(&err, "x\ry"), JOBQ_EINVAL);
    cr_assert_str_eq(err.msg, "x?y: a?b?c?[31m?\xc3\xa9");
}

/* Every alignment of two-, three- and four-byte characters to the end of msg. */
Test(error, cuts_at_a_character)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
        size_t size = strlen(characters[c]);
        for (size_t pad = 0; pad < 5; pad++) {
            char text[600] = "";
            memset(text, 'x', pad);
            for (size_t at = pad; at < 400; at += size)
                memcpy(text + at, characters[c], size);
            jobq_err err = {0};
            cr_assert_eq(error_set(&err, JOBQ_EINVAL, "%s", text), JOBQ_EINVAL);
            size_t len = strlen(err.msg);
            cr_assert(text_is_utf8(err.msg, len, NULL), "size %zu pad %zu", size, pad);
            cr_assert_eq(len, pad + (255 - pad) / size * size);
            cr_assert_eq(memcmp(err.msg, text, len), 0);
        }
    }
}
