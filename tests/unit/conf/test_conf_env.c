/* SPDX-License-Identifier: MIT */
/*
 * Environment, environment file, flags: names, precedence, sources, and what a mistake is told.
 */
#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "tests/support/support.h"
#include "tests/unit/conf/table.h"

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_env(const char *const *env, int code, const char *message)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_env(c, env, &err), code, "%s", err.msg);
    cr_assert_str_eq(without_directory(err.msg), message);
    conf_free(c);
}

static void expect_env_file(const char *text, int code, const char *message)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_env_file(c, file_with("env", text, 0600), &err), code, "%s: %s", text,
                 err.msg);
    cr_assert_str_eq(without_directory(err.msg), message);
    conf_free(c);
}

static void expect_flag(const char *name, const char *value, int code, const char *message)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_set_flag(c, name, value, &err), code, "%s", err.msg);
    cr_assert_str_eq(without_directory(err.msg), message);
    conf_free(c);
}

Test(conf_env, reads_every_scalar_by_its_name)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    const char *const *env =
        ENV("PATH=/bin", "JOBQ_REDIS=unix:///x", "JOBQ_EXECUTORS=8", "JOBQ_LEASE=10s",
            "JOBQ_MAX_PAYLOAD=1M", "JOBQ_FAST=Yes", "JOBQ_ORDER=strict", "JOBQ_MAIL_URL=smtp://m",
            "JOBQ_MAIL_PASSWORD=hunter2", "JOBQ_CRASH_AT=x", "JOBQ", "=x", "JOBQ_BIG");
    cr_assert_eq(conf_load_env(c, env, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "redis"), "unix:///x");
    cr_assert_eq(conf_int(c, "executors"), 8);
    cr_assert_eq(conf_int(c, "lease"), 10000);
    cr_assert_eq(conf_int(c, "max_payload"), 1048576);
    cr_assert(conf_bool(c, "fast"));
    cr_assert_str_eq(conf_string(c, "order"), "strict");
    cr_assert_str_eq(conf_string(c, "mail.url"), "smtp://m");
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    cr_assert_str_eq(conf_source(c, "mail.url"), "environment JOBQ_MAIL_URL");
    conf_free(c);
}

Test(conf_env, says_which_variable_is_wrong_and_what_is_allowed)
{
    expect_env(ENV("JOBQ_EXECUTORS=many"), JOBQ_ECONFIG,
               "environment JOBQ_EXECUTORS: must be a whole number from 1 to 1024, not \"many\"");
    expect_env(ENV("JOBQ_EXECUTORS=99999999999999999999"), JOBQ_ECONFIG,
               "environment JOBQ_EXECUTORS: must be a whole number from 1 to 1024, not "
               "\"99999999999999999999\"");
    expect_env(
        ENV("JOBQ_LEASE=2h"), JOBQ_ECONFIG,
        "environment JOBQ_LEASE: must be a duration from 100ms to 1h, such as \"30s\", not \"2h\"");
    expect_env(ENV("JOBQ_FAST=perhaps"), JOBQ_ECONFIG,
               "environment JOBQ_FAST: must be true or false, not \"perhaps\"");
    expect_env(ENV("FAST=perhaps"), JOBQ_ECONFIG,
               "environment FAST: must be true or false, not \"perhaps\"");
    expect_env(ENV("JOBQ_QUEUES=a"), JOBQ_ECONFIG,
               "environment JOBQ_QUEUES: a list can be given in the configuration file only");
}

Test(conf_env, takes_an_empty_variable_for_none)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(
        conf_load_env(c, ENV("JOBQ_REDIS=", "JOBQ_EXECUTORS=", "CACHE_URL=", "BROKER_URL=b"), &err),
        JOBQ_OK);
    cr_assert_str_eq(conf_string(c, "redis"), "b");
    cr_assert_str_eq(conf_source(c, "redis"), "environment BROKER_URL");
    cr_assert(!conf_is_set(c, "executors"));
    conf_free(c);
}

Test(conf_env, reads_a_secret_from_a_file)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    const char *file = file_with("secret", "hunter2\r\nsecond line\n", 0644);
    cr_assert_eq(conf_load_env(c, ENV(fmt("JOBQ_MAIL_PASSWORD_FILE=%s", file)), &err), JOBQ_OK,
                 "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    cr_assert_str_eq(conf_source(c, "mail.password"), "environment JOBQ_MAIL_PASSWORD_FILE");
    conf_free(c);
    c = new_set();
    cr_assert_eq(conf_load_env(c, ENV(fmt("EMAIL_PASSWORD_FILE=%s", file)), &err), JOBQ_OK, "%s",
                 err.msg);
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    conf_free(c);
    c = new_set();
    cr_assert_eq(conf_set_flag(c, "mail-password-file", file, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    conf_free(c);
    expect_env(ENV("JOBQ_MAIL_PASSWORD_FILE=secret"), JOBQ_ECONFIG,
               "environment JOBQ_MAIL_PASSWORD_FILE: must be the absolute path of a file");
    expect_env(
        ENV("JOBQ_MAIL_PASSWORD_FILE=/nowhere/x"), JOBQ_ECONFIG,
        "environment JOBQ_MAIL_PASSWORD_FILE: cannot read /nowhere/x: No such file or directory");
    expect_env(ENV("JOBQ_MAIL_PASSWORD=a", "JOBQ_MAIL_PASSWORD_FILE=/b"), JOBQ_ECONFIG,
               "environment JOBQ_MAIL_PASSWORD: JOBQ_MAIL_PASSWORD_FILE is set too; only one of "
               "them may be");
    expect_env(ENV("JOBQ_EXECUTORS_FILE=/nowhere/x"), JOBQ_OK, "");
}

Test(conf_env, prefers_flag_to_environment_to_its_file_to_the_file_to_foreign_names)
{
    jobq_err err = {0};
    const char *conf_file = file_with("a.conf", "redis = \"file\";", 0600);
    const char *env_file = file_with("env", "JOBQ_REDIS=envfile\nCACHE_URL=foreignfile\n", 0600);
    const char *foreign_file = file_with("env2", "CACHE_URL=foreignfile\n", 0600);
    static const char *const expected[] = {
        "redis://localhost/0", "foreignfile", "foreign", "file", "envfile", "env", "flag"};
    for (int reverse = 0; reverse < 2; reverse++) {
        for (int upto = 0; upto < (int)ARRAY_LEN(expected); upto++) {
            struct conf *c = new_set();
            for (int k = 0; k <= upto; k++) {
                int code = JOBQ_OK;
                switch (reverse ? upto - k : k) {
                case 1:
                    code = conf_load_env_file(c, foreign_file, &err);
                    break;
                case 2:
                    code = conf_load_env(c, ENV("CACHE_URL=foreign"), &err);
                    break;
                case 3:
                    code = conf_load_file(c, conf_file, &err);
                    break;
                case 4:
                    code = conf_load_env_file(c, env_file, &err);
                    break;
                case 5:
                    code = conf_load_env(c, ENV("JOBQ_REDIS=env", "CACHE_URL=foreign"), &err);
                    break;
                case 6:
                    code = conf_set_flag(c, "redis", "flag", &err);
                    break;
                default:
                    break;
                }
                cr_assert_eq(code, JOBQ_OK, "%s", err.msg);
            }
            cr_assert_str_eq(conf_string(c, "redis"), expected[upto]);
            conf_free(c);
        }
    }
}

Test(conf_env, file_knows_quotes_comments_and_export)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    static const char text[] = "# comment\n\n  \t\n"
                               "JOBQ_REDIS=first\n"
                               "export JOBQ_REDIS = \"a \\\"b\\\" \\\\ \\n \\$x\"  \r\n"
                               "JOBQ_MAIL_PASSWORD='it is # \"quoted\" \\'\n"
                               "JOBQ_MAIL_URL=smtp://h # not a comment  \t\n"
                               "OTHER=\"x\"\n"
                               "JOBQ_EXECUTORS=\n"
                               "JOBQ_LEASE=500ms";
    cr_assert_eq(conf_load_env_file(c, file_with("env", text, 0600), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "redis"), "a \"b\" \\ \\n $x");
    cr_assert_str_eq(conf_string(c, "mail.password"), "it is # \"quoted\" \\");
    cr_assert_str_eq(conf_string(c, "mail.url"), "smtp://h # not a comment");
    cr_assert_eq(conf_int(c, "lease"), 500);
    cr_assert_str_eq(without_directory(conf_source(c, "redis")), "env:5: JOBQ_REDIS");
    conf_free(c);
}

Test(conf_env, file_with_a_broken_line_is_told_without_showing_it)
{
    static const char what[] = "must be NAME=value, or NAME=\"value\", or a # comment";
    static const char *const lines[] = {
        "hunter2",        "=hunter2",    "1A=hunter2", "A-B=hunter2", "A=\"hunter2", "A='hunter2",
        "A=\"hunter2\"x", "A B=hunter2", "export",     "export =x",   "\xC3\xA9=x"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        expect_env_file(fmt("# x\n%s\n", lines[i]), JOBQ_ECONFIG, fmt("env:2: %s", what));
    expect_env_file(
        "JOBQ_LEASE=1\nJOBQ_LEASE=5x", JOBQ_ECONFIG,
        "env:2: JOBQ_LEASE: must be a duration from 100ms to 1h, such as \"30s\", not \"5x\"");
    expect_env_file("", JOBQ_OK, "");
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_env_file(c, "/dev/null", &err), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "cannot read /dev/null: not a regular file");
    conf_free(c);
}

Test(conf_env, flags_take_dashes_dots_and_underscores)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_set_flag(c, "mail-url", "a", &err), JOBQ_OK);
    cr_assert_str_eq(conf_string(c, "mail.url"), "a");
    cr_assert_str_eq(conf_source(c, "mail.url"), "flag --mail-url");
    cr_assert_eq(conf_set_flag(c, "mail.url", "b", &err), JOBQ_OK);
    cr_assert_str_eq(conf_string(c, "mail.url"), "b");
    cr_assert_eq(conf_set_flag(c, "max_payload", "2K", &err), JOBQ_OK);
    cr_assert_eq(conf_set_flag(c, "max-payload", "4K", &err), JOBQ_OK);
    cr_assert_eq(conf_int(c, "max_payload"), 4096);
    cr_assert_eq(conf_set_flag(c, "redis", "", &err), JOBQ_OK);
    cr_assert(!conf_is_set(c, "redis"));
    conf_free(c);
}

Test(conf_env, flags_are_told_what_is_wrong)
{
    expect_flag("executers", "1", JOBQ_ECONFIG,
                "flag --executers: unknown option; did you mean --executors?");
    expect_flag("mail-ur", "1", JOBQ_ECONFIG,
                "flag --mail-ur: unknown option; did you mean --mail-url?");
    expect_flag("", "1", JOBQ_ECONFIG, "flag --: unknown option");
    expect_flag("no-such-thing", "1", JOBQ_ECONFIG, "flag --no-such-thing: unknown option");
    expect_flag("executors", "", JOBQ_ECONFIG,
                "flag --executors: must be a whole number from 1 to 1024, not \"\"");
    expect_flag("queues", "a", JOBQ_ECONFIG,
                "flag --queues: a list can be given in the configuration file only");
    expect_flag("executors-file", "/x", JOBQ_ECONFIG, "flag --executors-file: unknown option");
    jobq_err err = {0};
    cr_assert_eq(conf_check_flag(conf_test_table, "mail-url", &err), JOBQ_OK);
    cr_assert_eq(conf_check_flag(conf_test_table, "mail-url-file", &err), JOBQ_OK);
    cr_assert_eq(conf_check_flag(conf_test_table, "mail", &err), JOBQ_ECONFIG);
    cr_assert_eq(conf_check_flag(conf_test_table, "mail-url-files", NULL), JOBQ_ECONFIG);
}

Test(conf_env, takes_what_was_made_of_foreign_variables_below_ours)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_set_foreign(c, "redis", "made", "environment HOST", &err), JOBQ_OK);
    cr_assert_str_eq(conf_string(c, "redis"), "made");
    cr_assert_str_eq(conf_source(c, "redis"), "environment HOST");
    cr_assert_eq(conf_load_file(c, file_with("a.conf", "redis = \"ours\";", 0600), &err), JOBQ_OK);
    cr_assert_eq(conf_set_foreign(c, "redis", "made", "environment HOST", &err), JOBQ_OK);
    cr_assert_str_eq(conf_string(c, "redis"), "ours");
    cr_assert_eq(conf_set_foreign(c, "order", "made", "environment HOST", &err), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg,
                     "environment HOST: must be one of \"weighted\", \"strict\", not \"made\"");
    conf_free(c);
}

Test(conf_env, survives_the_lack_of_memory_at_every_allocation)
{
    const char *secret = file_with("secret", "hunter2\n", 0600);
    const char *file = file_with("env", "JOBQ_LEASE=1s\nJOBQ_REDIS=x\n", 0600);
    const char *const *env =
        ENV("JOBQ_ORDER=strict", "JOBQ_EXECUTORS=8", fmt("JOBQ_MAIL_PASSWORD_FILE=%s", secret));
    for (int sticky = 0; sticky < 2; sticky++) {
        long tried = 0;
        int code = JOBQ_ENOMEM;
        for (long n = 1; code != JOBQ_OK; n++) {
            struct conf *c = new_set();
            jobq_err err = {0};
            mem_fail_at(n, sticky);
            code = conf_load_env_file(c, file, &err);
            if (code == JOBQ_OK)
                code = conf_load_env(c, env, &err);
            if (code == JOBQ_OK)
                code = conf_set_flag(c, "redis", "y", &err);
            mem_fail_at(0, 0);
            cr_assert(code == JOBQ_OK || (code == JOBQ_ENOMEM && err.code == code), "%ld: %d %s", n,
                      code, err.msg);
            conf_free(c);
            tried = n;
        }
        cr_assert(tried > 10, "%ld", tried);
    }
}
