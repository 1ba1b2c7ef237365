/* SPDX-License-Identifier: MIT */
/*
 * client_helpers: what the tests of libjobq begin with.
 */
#ifndef TESTS_UNIT_CLIENT_CLIENT_HELPERS_H
#define TESTS_UNIT_CLIENT_CLIENT_HELPERS_H

#include <criterion/criterion.h>
#include <stdint.h>

#include <jobq/jobq.h>

#include "tests/support/client.h"
#include "tests/support/support.h"

#define LONG_MS 60000

/* What must hold of every answer by itself. */
static inline void check_answer(int code, const jobq_answer *a, const jobq_err *err)
{
    switch (code) {
    case JOBQ_OK:
        cr_assert(a->status == JOBQ_STATUS_OK || a->status == JOBQ_STATUS_DUPLICATE);
        cr_assert_eq(a->cause, JOBQ_CAUSE_NONE);
        cr_assert_str_eq(a->text, "");
        return;
    case JOBQ_EREJECTED:
        cr_assert_eq(a->status, JOBQ_STATUS_REJECTED);
        cr_assert_neq(a->cause, JOBQ_CAUSE_NONE);
        break;
    case JOBQ_EUNKNOWN:
        cr_assert_eq(a->status, JOBQ_STATUS_UNKNOWN);
        break;
    default:
        cr_assert_fail("code %d", code);
    }
    cr_assert_gt(strlen(a->text), 10u);
    cr_assert_eq(err->code, code);
    cr_assert_str_eq(err->msg, a->text);
}

#endif
