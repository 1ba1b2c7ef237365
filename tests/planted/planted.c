/* SPDX-License-Identifier: MIT */
/*
 * planted: faults that must turn a run red. Each test here is run alone, under AddressSanitizer, and has to fail: see
 * must_fail.sh. A test that passes means that a leak or an overflow would go unseen.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include "tests/support/support.h"

static void *volatile lost;

Test(planted, leak_in_a_test)
{
    lost = malloc(40);
    lost = NULL;
}

Test(planted, leak_in_a_program)
{
    const char *argv[] = {PROGRAM, "leak", NULL};
    struct process *p = process_start("program", argv, NULL);

    cr_assert(WIFEXITED(process_wait(p, patience_ms(10000))));
}

Test(planted, overflow_in_a_program)
{
    const char *argv[] = {PROGRAM, "overflow", NULL};

    run_command(NULL, NULL, argv);
}

Test(planted, overflow_in_a_program_that_closed_its_stderr)
{
    const char *argv[] = {PROGRAM, "quiet-overflow", NULL};
    struct process *p = process_start("program", argv, NULL);

    process_wait(p, patience_ms(10000));
    process_free(p);
}
