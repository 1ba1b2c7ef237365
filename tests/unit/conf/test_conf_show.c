/* SPDX-License-Identifier: MIT */
/*
 * What conf shows: values without secrets, changes that need a restart, documents.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/mem.h"
#include "tests/support/support.h"
#include "tests/unit/conf/table.h"

static const char *show_flag(const char *name, const char *value)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_set_flag(c, name, value, &err), JOBQ_OK, "%s", err.msg);
    const char *shown = fmt("%s", conf_show(c, name));
    conf_free(c);
    return shown;
}

Test(conf_show, shows_values_as_people_write_them)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_str_eq(show_flag("lease", "90000"), "1m 30s");
    cr_assert_str_eq(show_flag("max_payload", "1048576"), "1MiB");
    cr_assert_str_eq(show_flag("max_payload", "1000"), "1000");
    cr_assert_str_eq(show_flag("fast", "on"), "true");
    cr_assert_str_eq(show_flag("executors", "8"), "8");
    cr_assert_str_eq(show_flag("order", "strict"), "strict");
    cr_assert_str_eq(conf_show(c, "executors"), "(not set)");
    const char *text = "modules = ( \"a\", \"b \\\"\" ); queues = ( { name = \"x\"; weight = 2; }, "
                       "{ name = \"y\"; } );";
    cr_assert_eq(conf_load_file(c, file_with("a.conf", text, 0600), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_str_eq(conf_show(c, "modules"), "\"a\", \"b \\\"\"");
    cr_assert_str_eq(conf_show(c, "queues"),
                     "{ name = x; weight = 2; }, { name = y; weight = 1; }");
    cr_assert_str_eq(conf_show(c, "lease"), "5s");
    conf_free(c);
}

Test(conf_show, never_shows_a_password)
{
    static const char *const rows[][2] = {
        {"redis://host:6379/0", "redis://host:6379/0"},
        {"redis://user@host/0", "redis://user@host/0"},
        {"redis://user:@host/0", "redis://user:@host/0"},
        {"redis://user:hunter2@host:1/0", "redis://user:***@host:1/0"},
        {"redis://:hunter2@host", "redis://:***@host"},
        {"redis://:hunter2@hunter2@host", "redis://:***@host"},
        {"redis://:hunter2/hunter2@host", "redis://:***@host"},
        {"redis://:hunter2?hunter2@host", "redis://***"},
        {"unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"},
        {"postgresql://u:hunter2@a:1,b:2/db?sslmode=require",
         "postgresql://u:***@a:1,b:2/db?sslmode=require"},
        {"postgresql:///db?host=/run&password=hunter2&user=u",
         "postgresql:///db?host=/run&password=***&user=u"},
        {"postgresql:///db?p%61ssword=hunter2", "postgresql:///db?p%61ssword=***"},
        {"postgresql:///db?password=", "postgresql:///db?password="},
        {"postgresql:///db?sslpassword=hunter2", "postgresql:///db?sslpassword=***"},
        {"postgresql://u:hunter2@h/db?password=hunter2", "postgresql://u:***@h/db?password=***"},
        {"postgresql:///db?password=hunter2@hunter2", "postgresql://***"},
        {"smtp://u:hunter2@h", "smtp://u:***@h"},
        {"host=h user=u password=hunter2 dbname=d", "host=h user=u password=*** dbname=d"},
        {"password = 'hunter2 \\' hunter2' host = 'h'", "password = *** host = 'h'"},
        {"password=hun\\ ter2 host=h", "password=*** host=h"},
        {"password='hunter2", "password=***"},
        {"passfile=/x host=h", "passfile=/x host=h"},
        {"password='' host=h", "password='' host=h"},
        {"sslpassword=hunter2", "sslpassword=***"},
        {"host=h password hunter2", "***"},
        {"host=h options='-c a=b' password=hunter2", "host=h options='-c a=b' password=***"},
        {"host=x@y application_name='see http://x' password=hunter2",
         "host=x@y application_name='see http://x' password=***"},
        {"a = b = c", "a = b = c"},
        {"host=h\\", "host=h\\"},
        {"/srv/media", "/srv/media"},
        {"Forum <no-reply@example.org>", "Forum <no-reply@example.org>"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *shown = show_flag("redis", rows[i][0]);
        cr_assert_str_eq(shown, rows[i][1], "%s: %s", rows[i][0], shown);
        cr_assert_null(strstr(shown, "hunter2"));
    }
    cr_assert_str_eq(show_flag("mail.password", "hunter2"), "***");
    cr_assert_str_eq(show_flag("mail.url", "hunter2"), "***", "no address, so it may be anything");
    cr_assert_str_eq(show_flag("mail.url", "smtp://h"), "smtp://h");
}

/* ---- reload ---- */

static struct conf *set_of(const char *text)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    cr_assert_eq(conf_load_file(c, file_with("a.conf", text, 0600), &err), JOBQ_OK, "%s", err.msg);
    return c;
}

static void expect_reload(const char *before, const char *after, const char *message)
{
    struct conf *a = set_of(before);
    struct conf *b = set_of(after);
    jobq_err err = {0};
    int code = conf_check_reload(a, b, &err);
    cr_assert_eq(code, *message ? JOBQ_ECONFIG : JOBQ_OK, "%s / %s: %s", before, after, err.msg);
    cr_assert_str_eq(without_directory(err.msg), message);
    conf_free(a);
    conf_free(b);
}

Test(conf_reload, lets_live_options_change)
{
    expect_reload("", "", "");
    expect_reload("executors = 1;",
                  "executors = 2; fast = true; order = \"strict\"; max_payload = 1;", "");
    expect_reload("redis = \"redis://localhost/0\"; lease = \"5s\";", "lease = 5000;", "");
    expect_reload("types = ( { name = \"a\"; } );",
                  "types = ( { name = \"b\"; limit = 5; }, { name = \"c\"; } );", "");
    expect_reload("queues = ( { name = \"a\"; weight = 1; } );",
                  "queues = ( { name = \"a\"; weight = 2; } );", "");
}

Test(conf_reload, names_every_option_that_needs_a_restart)
{
    static const char begin[] = "a change needs a restart, nothing was applied: ";
    expect_reload("", "lease = 1000;", fmt("%slease (a.conf:1)", begin));
    expect_reload("lease = 1000;", "executors = 2;", fmt("%slease (default)", begin));
    expect_reload("", "mail = { url = \"a\"; };\nredis = \"x\";",
                  fmt("%sredis (a.conf:2), mail.url (a.conf:1)", begin));
    expect_reload("mail = { password = \"a\"; };", "mail = { password = \"b\"; };",
                  fmt("%smail.password (a.conf:1)", begin));
    expect_reload("modules = ( \"a\" );", "modules = ( \"b\" );",
                  fmt("%smodules (a.conf:1)", begin));
    expect_reload("modules = ( \"a\" );", "modules = ( \"a\", \"b\" );",
                  fmt("%smodules (a.conf:1)", begin));
    expect_reload("queues = ( { name = \"a\"; } );", "queues = ( { name = \"b\"; } );",
                  fmt("%squeues (a.conf:1)", begin));
    expect_reload("queues = ( { name = \"a\"; } );", "queues = ( { name = \"a\"; limit = 1; } );",
                  fmt("%squeues (a.conf:1)", begin));
    expect_reload("queues = ( { name = \"a\"; } );", "queues = ( );",
                  fmt("%squeues (a.conf:1)", begin));
}

Test(conf_reload, keeps_its_message_when_names_do_not_fit)
{
    char dir[300];
    struct conf *a = new_set();
    struct conf *b = new_set();
    jobq_err err = {0};
    snprintf(dir, sizeof(dir), "%0100d.conf", 1);
    const char *text = "redis = \"x\"; lease = 1000; mail = { url = \"a\"; password = \"b\"; }; "
                       "modules = ( \"a\" );";
    cr_assert_eq(conf_load_file(b, file_with(dir, text, 0600), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(conf_check_reload(a, b, &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "nothing was applied: redis ("), "%s", err.msg);
    cr_assert(strstr(err.msg, ", …"), "%s", err.msg);
    conf_free(a);
    conf_free(b);
}

/* ---- documents ---- */

static char *document(enum conf_document what)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    conf_print(conf_test_table, what, f);
    cr_assert_eq(fclose(f), 0);
    return text;
}

Test(conf_print, help_has_every_flag)
{
    char *text = document(CONF_HELP);
    cr_assert(strstr(text, "  --mail-url VALUE\n      Mail server.\n"), "%s", text);
    cr_assert(
        strstr(
            text,
            "  --lease VALUE\n      Lease.\n      A duration from 100ms to 1h, such as \"30s\".\n"
            "      Default: 5s.\n"),
        "%s", text);
    cr_assert_null(strstr(text, "--queues"));
    free(text);
}

Test(conf_print, markdown_has_a_row_for_every_option_and_field)
{
    char *text = document(CONF_MARKDOWN);
    for (const struct conf_option *o = conf_test_table; o->name; o++)
        cr_assert(strstr(text, fmt("\n| `%s` | ", o->name)), "%s", o->name);
    cr_assert(
        strstr(text,
               "| `redis` | a string in quotes | `redis://localhost/0` | at start | `JOBQ_REDIS`, "
               "else `CACHE_URL BROKER_URL` | Redis. |"),
        "%s", text);
    cr_assert(strstr(text, "## Fields of `queues`"));
    cr_assert(
        strstr(text, "| `weight` | a whole number from 1 to 1000 | `1` | at reload | Weight. |"),
        "%s", text);
    free(text);
}

/* Takes the # off every line of code: those where no space follows it. */
static void uncomment(char *text)
{
    for (char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (p[0] == '#' && (p[1] != ' ' || strncmp(p, "#    ", 5) == 0))
            *p = ' ';
}

Test(conf_print, sample_loads_as_it_is_and_uncommented)
{
    char *text = document(CONF_SAMPLE);
    jobq_err err = {0};
    struct conf *c = new_set();
    cr_assert_eq(conf_load_file(c, file_with("sample.conf", text, 0644), &err), JOBQ_OK, "%s",
                 err.msg);
    for (const struct conf_option *o = conf_test_table; o->name; o++)
        cr_assert_str_eq(conf_source(c, o->name), "default");
    conf_free(c);
    c = new_set();
    uncomment(text);
    cr_assert_eq(conf_load_file(c, file_with("sample.conf", text, 0600), &err), JOBQ_OK, "%s\n%s",
                 err.msg, text);
    for (const struct conf_option *o = conf_test_table; o->name; o++)
        cr_assert(strstr(conf_source(c, o->name), "sample.conf:"), "%s", o->name);
    cr_assert_eq(conf_int(c, "lease"), 5000);
    cr_assert_str_eq(conf_string(c, "redis"), "redis://localhost/0");
    conf_free(c);
    free(text);
}

Test(conf_show, says_so_when_there_is_no_memory)
{
    struct conf *c = new_set();
    mem_fail_at(1, 1);
    const char *shown = conf_show(c, "redis");
    mem_fail_at(0, 0);
    cr_assert_str_eq(shown, "(out of memory)");
    cr_assert_str_eq(conf_show(c, "redis"), "redis://localhost/0");
    conf_free(c);
}
