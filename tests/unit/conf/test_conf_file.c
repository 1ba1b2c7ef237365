/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: what it gives, and what a mistake in it is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "tests/support/support.h"
#include "tests/unit/conf/table.h"

static const char everything[] = "// all types\n"
                                 "redis = \"unix:///run/redis.sock\";\n"
                                 "executors = 8;\n"
                                 "big = 123456789012;\n"
                                 "lease = \"1m\"; max_payload = 4096;\n"
                                 "fast = true;\n"
                                 "order = \"strict\";\n"
                                 "mail = {\n"
                                 "    url = \"smtp://localhost\";\n"
                                 "    password = \"hunter2\";\n"
                                 "};\n"
                                 "modules = ( \"recount\", \"/opt/ours.so\" );\n"
                                 "queues = (\n"
                                 "    { name = \"mail\"; weight = 3; limit = 250; },\n"
                                 "    { name = \"default\"; }\n"
                                 ");\n"
                                 "types = ();\n";

Test(conf_file, gives_every_type_of_value_and_its_line)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    const char *const *modules = NULL;
    cr_assert_eq(conf_load_file(c, file_with("a.conf", everything, 0600), &err), JOBQ_OK, "%s",
                 err.msg);
    cr_assert_str_eq(conf_string(c, "redis"), "unix:///run/redis.sock");
    cr_assert_eq(conf_int(c, "executors"), 8);
    cr_assert_eq(conf_int(c, "big"), INT64_C(123456789012));
    cr_assert_eq(conf_int(c, "lease"), 60000);
    cr_assert_eq(conf_int(c, "max_payload"), 4096);
    cr_assert(conf_bool(c, "fast"));
    cr_assert_str_eq(conf_string(c, "order"), "strict");
    cr_assert_str_eq(conf_string(c, "mail.url"), "smtp://localhost");
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    cr_assert_eq(conf_strings(c, "modules", &modules), 2);
    cr_assert_str_eq(modules[0], "recount");
    cr_assert_str_eq(modules[1], "/opt/ours.so");
    cr_assert_eq(conf_groups(c, "queues"), 2);
    const struct conf_group *mail = conf_group_at(c, "queues", 0);
    const struct conf_group *other = conf_group_at(c, "queues", 1);
    cr_assert_str_eq(conf_group_string(mail, "name"), "mail");
    cr_assert_eq(conf_group_int(mail, "weight"), 3);
    cr_assert_eq(conf_group_int(mail, "limit"), 250);
    cr_assert_eq(conf_group_int(other, "weight"), 1);
    cr_assert(conf_group_is_set(mail, "limit") && !conf_group_is_set(other, "limit"));
    cr_assert(conf_is_set(c, "types") && conf_groups(c, "types") == 0);
    cr_assert_str_eq(without_directory(conf_group_source(other)), "a.conf:15");
    cr_assert_str_eq(without_directory(conf_source(c, "lease")), "a.conf:5");
    cr_assert_str_eq(without_directory(conf_source(c, "mail.password")), "a.conf:10");
    conf_free(c);
}

Test(conf_file, leaves_defaults_where_it_says_nothing)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_file(c, file_with("a.conf", "", 0644), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "redis"), "redis://localhost/0");
    cr_assert_str_eq(conf_source(c, "redis"), "default");
    cr_assert_eq(conf_int(c, "lease"), 5000);
    cr_assert_eq(conf_int(c, "max_payload"), 262144);
    cr_assert(!conf_is_set(c, "executors") && conf_int(c, "executors") == 0);
    cr_assert_null(conf_string(c, "mail.url"));
    cr_assert_eq(conf_groups(c, "queues"), 0);
    conf_free(c);
}

Test(conf_file, takes_an_empty_string_for_not_set)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_file(c, file_with("a.conf", "redis = \"\";", 0644), &err), JOBQ_OK, "%s",
                 err.msg);
    cr_assert(!conf_is_set(c, "redis"));
    cr_assert_null(conf_string(c, "redis"));
    conf_free(c);
}

Test(conf_file, names_file_line_key_and_the_nearest_name)
{
    expect_file("executers = 5;", JOBQ_ECONFIG,
                "x.conf:1: executers: unknown option; did you mean executors?");
    expect_file("\n\nsomething_else = 5;", JOBQ_ECONFIG,
                "x.conf:3: something_else: unknown option");
    expect_file("mail = {\n ur = \"x\";\n};", JOBQ_ECONFIG,
                "x.conf:2: mail.ur: unknown option; did you mean mail.url?");
    expect_file("queues = ( { name = \"a\"; },\n { nam = \"b\"; } );", JOBQ_ECONFIG,
                "x.conf:2: queues.nam: unknown option; did you mean name?");
    expect_file("mall = { url = \"x\"; };", JOBQ_ECONFIG, "x.conf:1: mall: unknown option");
    expect_file("mail = { deep = { url = 1; }; };", JOBQ_ECONFIG,
                "x.conf:1: mail.deep: unknown option");
}

Test(conf_file, says_what_is_allowed)
{
    expect_file("executors = \"5\";", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024, without quotes");
    expect_file("executors = 0;", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024, not \"0\"");
    expect_file("executors = 1025;", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024, not \"1025\"");
    expect_file("executors = 1.5;", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024");
    expect_file("executors = [ 1 ];", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024");
    expect_file("big = -1;", JOBQ_ECONFIG,
                "x.conf:1: big: must be a whole number of at least 0, not \"-1\"");
    expect_file(
        "lease = 99;", JOBQ_ECONFIG,
        "x.conf:1: lease: must be a duration from 100ms to 1h, such as \"30s\", not \"99\"");
    expect_file("lease = \"5 fortnights, or maybe more\";", JOBQ_ECONFIG,
                "x.conf:1: lease: must be a duration from 100ms to 1h, such as \"30s\", "
                "not \"5 fortnights, or maybe m…\"");
    expect_file("lease = true;", JOBQ_ECONFIG,
                "x.conf:1: lease: must be a duration from 100ms to 1h, such as \"30s\"");
    expect_file(
        "max_payload = \"17MiB\";", JOBQ_ECONFIG,
        "x.conf:1: max_payload: must be a size from 1 to 16MiB, such as \"256KiB\", not \"17MiB\"");
    expect_file("fast = 1;", JOBQ_ECONFIG, "x.conf:1: fast: must be true or false");
    expect_file("fast = \"true\";", JOBQ_ECONFIG,
                "x.conf:1: fast: must be true or false, without quotes");
    expect_file("order = \"loose\";", JOBQ_ECONFIG,
                "x.conf:1: order: must be one of \"weighted\", \"strict\", not \"loose\"");
    expect_file("order = \"\";", JOBQ_ECONFIG,
                "x.conf:1: order: must be one of \"weighted\", \"strict\", not \"\"");
    expect_file(
        "order = \"weighted strict\";", JOBQ_ECONFIG,
        "x.conf:1: order: must be one of \"weighted\", \"strict\", not \"weighted strict\"");
    expect_file("redis = 1;", JOBQ_ECONFIG, "x.conf:1: redis: must be a string in quotes");
    expect_file("redis = \"a\\x01\";", JOBQ_ECONFIG,
                "x.conf:1: redis: must be without control characters");
    expect_file("mail = { password = 12345; };", JOBQ_ECONFIG,
                "x.conf:1: mail.password: must be a string in quotes");
    expect_file("mail = 1;", JOBQ_ECONFIG, "x.conf:1: mail: must be a group, mail = { … };");
    expect_file("modules = \"a\";", JOBQ_ECONFIG,
                "x.conf:1: modules: must be a list of strings, ( \"…\", \"…\" )");
    expect_file("modules = ( \"a\", 1 );", JOBQ_ECONFIG,
                "x.conf:1: modules: must be a list of strings, ( \"…\", \"…\" )");
    expect_file("queues = { };", JOBQ_ECONFIG,
                "x.conf:1: queues: must be a list of groups, ( { … }, { … } )");
    expect_file("queues = ( 1 );", JOBQ_ECONFIG,
                "x.conf:1: queues: must be a list of groups, ( { … }, { … } )");
    expect_file("queues = ( { weight = 0; } );", JOBQ_ECONFIG,
                "x.conf:1: queues.weight: must be a whole number from 1 to 1000, not \"0\"");
}

/* libconfig 1.5 would read these as 1, 10 and -1. */
Test(conf_file, does_not_cut_numbers_to_32_bits)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    expect_file("executors = 4294967297;", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024, not \"4294967297\"");
    expect_file("executors = 0x10000000a;", JOBQ_ECONFIG,
                "x.conf:1: executors: must be a whole number from 1 to 1024, not \"4294967306\"");
    expect_file("big = -4294967295;", JOBQ_ECONFIG,
                "x.conf:1: big: must be a whole number of at least 0, not \"-4294967295\"");
    expect_file("big = 99999999999999999999;", JOBQ_ECONFIG, "x.conf:1: a number that is too big");
    expect_file("big = 0xfffffffffffffffff;", JOBQ_ECONFIG, "x.conf:1: a number that is too big");
    cr_assert_eq(conf_load_file(
                     c,
                     file_with("a.conf", "big = 0xFFFFFFFF; lease = 3000L; x1234567890 = 1;", 0600),
                     &err),
                 JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "x1234567890: unknown option"), "%s", err.msg);
    cr_assert_eq(conf_int(c, "big"), INT64_C(4294967295));
    cr_assert_eq(conf_int(c, "lease"), 3000);
    conf_free(c);
}

Test(conf_file, tells_where_the_syntax_is_broken)
{
    expect_file("redis = \"a\";\nlease = = 5;", JOBQ_ECONFIG, "x.conf:2: syntax error");
    expect_file("lease = 500;\n\nlease = 600;", JOBQ_ECONFIG, "x.conf:3: duplicate setting name");
    expect_file("redis = \"a;\nlease = 5;\n", JOBQ_ECONFIG, "x.conf:1: a string without an end");
    expect_file("\n/* redis", JOBQ_ECONFIG, "x.conf:2: a comment without an end");
    expect_file("redis \"a string without a place\" = 5;", JOBQ_ECONFIG, "x.conf:1: syntax error");
    expect_file("queues = (", JOBQ_ECONFIG, "x.conf:1: syntax error");
    expect_file("redis = \"a\"; @foo", JOBQ_ECONFIG,
                "x.conf:1: '@' only begins a line of the form @include \"FILE\"");
}

Test(conf_file, understands_comments_and_strings_as_libconfig_does)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    static const char text[] = "# @include \"nowhere\"\n/* \"\n@include \"nowhere\"\n*/ // \"\n"
                               "redis = \"a\\\\\"; # \"\n"
                               "mail = { url = \"b\\\"\n@include \\\"nowhere\\\"c\"; };\n"
                               "executors\n=\n7;";
    cr_assert_eq(conf_load_file(c, file_with("a.conf", text, 0600), &err), JOBQ_ECONFIG);
    cr_assert_str_eq(without_directory(err.msg),
                     "a.conf:6: mail.url: must be without control characters");
    cr_assert_str_eq(conf_string(c, "redis"), "a\\");
    conf_free(c);
}

Test(conf_file, reads_regular_files_of_a_sane_size_only)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    const char *path = fmt("%s/nowhere.conf", tmp_dir());
    cr_assert_eq(conf_load_file(c, path, &err), JOBQ_ECONFIG);
    cr_assert_str_eq(without_directory(err.msg),
                     "cannot read nowhere.conf: No such file or directory");
    cr_assert_eq(conf_load_file(c, tmp_dir(), &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "not a regular file"), "%s", err.msg);
    cr_assert_eq(conf_load_file(c, "/dev/zero", &err), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "cannot read /dev/zero: not a regular file");
    path = fmt("%s/fifo", tmp_dir());
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(conf_load_file(c, path, &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "not a regular file"), "%s", err.msg);

    char *big = malloc(1024 * 1024 + 2);
    memset(big, '\n', 1024 * 1024 + 1);
    big[1024 * 1024 + 1] = '\0';
    cr_assert_eq(conf_load_file(c, file_with("big.conf", big + 1, 0600), &err), JOBQ_OK, "%s",
                 err.msg);
    cr_assert_eq(conf_load_file(c, file_with("big.conf", big, 0600), &err), JOBQ_ECONFIG);
    cr_assert_str_eq(without_directory(err.msg), "cannot read big.conf: more than 1024 KiB");
    free(big);

    FILE *f = fopen(fmt("%s/nul.conf", tmp_dir()), "we");
    cr_assert_eq(fwrite("lease = 500;\0x", 1, 14, f), 14);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(conf_load_file(c, fmt("%s/nul.conf", tmp_dir()), &err), JOBQ_ECONFIG);
    cr_assert_str_eq(without_directory(err.msg), "cannot read nul.conf: a NUL byte inside");
    conf_free(c);
}

Test(conf_file, includes_from_beside_itself_and_keeps_count_of_lines)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(mkdir(fmt("%s/sub", tmp_dir()), 0700), 0);
    file_with("sub/b.conf", "executors = 3;\n\tfast = true", 0600);
    file_with("sub/a.conf", "lease = 1000;\n@include \"b.conf\" order = \"strict\";\nbig = 7;",
              0600);
    const char *main_file =
        file_with("a.conf", "\n  @include \"sub/a.conf\"\nredis = \"x\";\n", 0600);
    cr_assert_eq(conf_load_file(c, main_file, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(without_directory(conf_source(c, "lease")), "sub/a.conf:1");
    cr_assert_str_eq(without_directory(conf_source(c, "executors")), "sub/b.conf:1");
    cr_assert_str_eq(without_directory(conf_source(c, "fast")), "sub/b.conf:2");
    cr_assert_str_eq(without_directory(conf_source(c, "order")), "sub/a.conf:2");
    cr_assert_str_eq(without_directory(conf_source(c, "big")), "sub/a.conf:3");
    cr_assert_str_eq(without_directory(conf_source(c, "redis")), "a.conf:3");
    conf_free(c);
}

Test(conf_file, refuses_includes_that_do_not_end_well)
{
    file_with("bad.conf", "\nlease = = 1;", 0600);
    file_with("open.conf", "redis = \"x", 0600);
    expect_file("@include \"gone.conf\"", JOBQ_ECONFIG,
                "x.conf:1: cannot read gone.conf: No such file or directory");
    expect_file("\n@include \"/dev/zero\"", JOBQ_ECONFIG,
                "x.conf:2: cannot read /dev/zero: not a regular file");
    expect_file("\n@include \"bad.conf\"\n", JOBQ_ECONFIG, "bad.conf:2: syntax error");
    expect_file("@include \"open.conf\"\n\"; @include \"/dev/zero\"", JOBQ_ECONFIG,
                "open.conf:1: a string without an end");
    expect_file("@include \"x.conf\"", JOBQ_ECONFIG, "x.conf:1: files include each other too deep");
    expect_file("fast = true; @include \"bad.conf\"", JOBQ_ECONFIG,
                "x.conf:1: '@' only begins a line of the form @include \"FILE\"");
    char many[2048] = "";
    file_with("empty.conf", "", 0600);
    for (int i = 0; i < 70; i++)
        strcat(many, "@include \"empty.conf\"\n");
    expect_file(many, JOBQ_ECONFIG, "more than 64 files are included");
}

static const char *load_with_mode(const char *text, mode_t mode)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    int code = conf_load_file(c, file_with("s.conf", text, mode), &err);
    conf_free(c);
    return code == JOBQ_OK ? "" : fmt("%s", without_directory(err.msg));
}

Test(conf_file, refuses_passwords_in_a_file_that_everybody_may_read)
{
    static const char plain[] =
        "redis = \"redis://user@host/0\"; mail = { url = \"host=x user=y\"; };";
    static const char *const secrets[] = {
        "\nmail = { password = \"hunter2\"; };", "\nredis = \"redis://:hunter2@h/0\";",
        "\nredis = \"host=x password=hunter2\";",
        "\nredis = \"postgresql://h/d?user=u&password=hunter2\";"};
    cr_assert_str_eq(load_with_mode(plain, 0644), "");
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        cr_assert_str_eq(load_with_mode(secrets[i], 0640), "");
        const char *why = load_with_mode(secrets[i], 0644);
        cr_assert(strstr(why, "s.conf:2: "), "%s", why);
        cr_assert(strstr(why, "everybody may read the file (mode 0644); run: chmod o-r s.conf"),
                  "%s", why);
        cr_assert_null(strstr(why, "hunter2"));
    }
    file_with("inner.conf", "mail = { password = \"hunter2\"; };", 0604);
    const char *why = load_with_mode("@include \"inner.conf\"", 0600);
    cr_assert(strstr(why, "inner.conf:1: mail.password: holds a password"), "%s", why);
}

Test(conf_file, reads_a_value_from_another_file)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    const char *secret = file_with("secret", "hunter2\n", 0644);
    const char *text = fmt("mail = { password_file = \"%s\"; };", secret);
    cr_assert_eq(conf_load_file(c, file_with("a.conf", text, 0644), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_string(c, "mail.password"), "hunter2");
    conf_free(c);
    expect_file("mail = { password_file = \"secret\"; };", JOBQ_ECONFIG,
                "x.conf:1: mail.password_file: must be the absolute path of a file");
    expect_file("mail = { password_file = 1; };", JOBQ_ECONFIG,
                "x.conf:1: mail.password_file: must be the absolute path of a file");
    expect_file("mail = { password_file = \"/nowhere/x\"; };", JOBQ_ECONFIG,
                "x.conf:1: mail.password_file: cannot read /nowhere/x: No such file or directory");
    expect_file("executors_file = \"/nowhere\";", JOBQ_ECONFIG,
                "x.conf:1: executors_file: unknown option");
    text = fmt("mail = { password = \"a\";\n password_file = \"%s\"; };", secret);
    expect_file(text, JOBQ_ECONFIG, "x.conf:2: mail.password_file: was already given at x.conf:1");
}

Test(conf_file, may_belong_to_another_program)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    static const char text[] =
        "other = 5; group = { redis = 1; }; mail = { other = 1; url = \"u\"; }; lease = 700;";
    conf_ignore_unknown(c);
    cr_assert_eq(conf_load_file(c, file_with("a.conf", text, 0600), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(conf_int(c, "lease"), 700);
    cr_assert_str_eq(conf_string(c, "mail.url"), "u");
    cr_assert_eq(conf_load_file(c, file_with("a.conf", "executors = \"x\";", 0600), &err),
                 JOBQ_ECONFIG);
    conf_free(c);
}

Test(conf_file, keeps_messages_whole_with_a_very_long_path)
{
    char dir[3000];
    struct conf *c = new_set();
    jobq_err err = {0};
    snprintf(dir, sizeof(dir), "%s", tmp_dir());
    for (int i = 0; i < 8; i++) {
        size_t n = strlen(dir);
        snprintf(dir + n, sizeof(dir) - n, "/%0100d", i);
        cr_assert_eq(mkdir(dir, 0700), 0);
    }
    char path[3100];
    snprintf(path, sizeof(path), "%s/a.conf", dir);
    write_file(path, "\nexecutors = 0;");
    cr_assert_eq(conf_load_file(c, path, &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg,
                     "0007/a.conf:2: executors: must be a whole number from 1 to 1024, not \"0\""),
              "%s", err.msg);
    conf_free(c);
}

Test(conf_file, survives_the_lack_of_memory_at_every_allocation)
{
    file_with("inc.conf", "# nothing\n", 0600);
    const char *path = file_with("a.conf", fmt("@include \"inc.conf\"\n%s", everything), 0600);
    for (int sticky = 0; sticky < 2; sticky++) {
        long tried = 0;
        int code = JOBQ_ENOMEM;
        for (long n = 1; code != JOBQ_OK; n++) {
            struct conf *c = NULL;
            jobq_err err = {0};
            mem_fail_at(n, sticky);
            code = conf_new(conf_test_table, &c, &err);
            if (code == JOBQ_OK)
                code = conf_load_file(c, path, &err);
            mem_fail_at(0, 0);
            cr_assert(code == JOBQ_OK || (code == JOBQ_ENOMEM && err.code == code), "%ld: %d %s", n,
                      code, err.msg);
            conf_free(c);
            tried = n;
        }
        cr_assert(tried > 30, "%ld", tried);
    }
}
