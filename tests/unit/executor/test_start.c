/* SPDX-License-Identifier: MIT */
/* What an executor says when it cannot start. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"

/* Fails unless the executor says this and exits with 78. */
static void expect_refusal(const char *const *config, const char *const *modules, const char *text)
{
    struct rig *r = rig_start(config, modules, NULL);

    cr_assert_not(r->ready, "it started; expected: %s", text);
    rig_wait(r, rig_has_ended);
    cr_assert(strstr(r->failed, text), "said \"%s\", expected \"%s\"", r->failed, text);
    cr_assert(WIFEXITED(r->status) && WEXITSTATUS(r->status) == 78, "%s: status %x", r->failed,
              r->status);
    rig_free(r);
}

static void expect_bad_module(const char *name, const char *text)
{
    const char *modules[] = {lib_path(fmt("jobq-test/%s", name)), NULL};

    expect_refusal(NULL, modules, text);
}

Test(start, names_the_file_that_is_missing)
{
    expect_bad_module("nowhere.so", "jobq-test/nowhere.so: No such file or directory");
}

Test(start, refuses_what_is_no_module)
{
    const char *text = fmt("%s/text.so", tmp_dir());
    const char *modules[] = {text, NULL}, *relative[] = {"test.so", NULL};

    write_file(text, "hello");
    expect_refusal(NULL, modules, "text.so: ");
    expect_refusal(NULL, relative, "not an absolute path");
    expect_bad_module("bad_symbol.so", "no symbol jobq_module_v1");
    expect_bad_module("bad_undefined.so", "undefined symbol: nowhere_to_be_found");
}

Test(start, refuses_a_module_that_breaks_the_binary_interface)
{
    expect_bad_module("bad_size.so", "size 8 of jobq_module_v1 is smaller than");
    expect_bad_module("bad_empty.so", "it serves no type");
    expect_bad_module("bad_name.so", "\"Not A Name\" is no name of a type");
    expect_bad_module("bad_run.so", "type bad has no run function");
    expect_bad_module("bad_flags.so", "(0x40000000)");
    expect_bad_module("bad_both.so", "type bad is flagged transactional and manual");
}

Test(start, refuses_a_type_that_two_modules_serve)
{
    const char *modules[] = {lib_path("jobq-test/test.so"), lib_path("jobq-test/test.so"), NULL};

    expect_refusal(NULL, modules, "type noop is already served by");
}

Test(start, tells_why_a_module_did_not_start)
{
    expect_bad_module("bad_start.so", "start() failed: bad.key is not set");
}

Test(start, gives_modules_their_configuration)
{
    const char *modules[] = {lib_path("jobq-test/bad_start.so"), NULL};
    const char *config[] = {"other", "1", "bad.key", "2", NULL};
    struct rig *r = rig_start(config, modules, NULL);

    cr_assert(r->ready, "%s", r->failed);
    cr_assert_str_eq(r->type_list, "bad/0 ");
    rig_expect(rig_run(r, "bad", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(rig_drain(r), 0);
    rig_free(r);
}

Test(start, wants_postgres_only_for_types_that_want_it)
{
    const char *modules[] = {lib_path("jobq-test/test_pg.so"), NULL};
    const char *malformed[] = {"postgres", "host=x password=sesame sesame", NULL};
    const char *schema[] = {"postgres", "host=/nowhere", "schema", "no\"schema", NULL};
    const char *runtime[] = {"postgres", "host=/nowhere", "runtime_pg", "/nowhere/runtime-pg.so",
                             NULL};

    expect_refusal(NULL, modules, "a module wants PostgreSQL and \"postgres\" is not set");
    expect_refusal(malformed, modules, "postgres: neither a libpq connection string nor a URI");
    expect_refusal(schema, modules, "schema \"no\"schema\" is not");
    expect_refusal(runtime, modules, "/nowhere/runtime-pg.so: No such file or directory");
}

Test(start, goes_when_told_to_before_it_began)
{
    struct rig *r = rig_start_bare(NULL);

    cr_assert_eq(rig_drain(r), 0);
    rig_free(r);
}

Test(start, by_hand_is_refused)
{
    const char *argv[] = {bin_path("jobq-executor"), NULL},
               *version[] = {argv[0], "--version", NULL};
    char *out;

    cr_assert_eq(run_command(&out, NULL, argv), 2);
    cr_assert(strstr(out, "started by jobd"), "%s", out);
    free(out);
    cr_assert_eq(run_command(&out, NULL, version), 0);
    cr_assert(strstr(out, "jobq-executor 0."), "%s", out);
    free(out);
}

Test(start, needs_no_library_that_a_handler_may_do_without)
{
    static const char *const heavy[] = {"hiredis",   "libpq",     "libssl",
                                        "libcrypto", "libconfig", "jansson"};
    const char *argv[] = {"ldd", bin_path("jobq-executor"), NULL};
    char *out;

    cr_assert_eq(run_command(&out, NULL, argv), 0, "%s", out);
    cr_assert(strstr(out, "libc.so"), "%s", out);
    for (size_t i = 0; i < sizeof(heavy) / sizeof(heavy[0]); i++)
        cr_assert_not(strstr(out, heavy[i]), "%s in: %s", heavy[i], out);
    free(out);
}
