/* SPDX-License-Identifier: MIT */
/*
 * jobd's configuration: from command line, environment and files to plain fields.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/support.h"
#include "tests/unit/conf/config_load.h"

Test(config, has_the_documented_defaults)
{
    struct worker_config *c = of_text("");
    cr_assert_str_eq(c->redis.host, "localhost");
    cr_assert_eq(c->redis.port, 6379);
    cr_assert_null(c->postgres);
    cr_assert_str_eq(c->schema, "jobq");
    cr_assert_str_eq(c->key_prefix, "jobq");
    cr_assert_str_eq(c->instance, "default");
    cr_assert_str_eq(c->state_dir, "/var/lib/jobq");
    cr_assert_eq(c->queue_count, 1);
    cr_assert_str_eq(c->queues[0].name, "default");
    cr_assert(c->queues[0].weight == 1 && c->queues[0].partitions == 1);
    cr_assert_eq(c->lease_ms, 5000);
    cr_assert_eq(c->drain_grace_ms, 25000);
    cr_assert_eq(c->done_retention_ms, INT64_C(7) * 24 * 3600 * 1000);
    cr_assert_eq(c->dead_max, 100000);
    cr_assert_eq(c->dead_retention_ms, INT64_C(90) * 24 * 3600 * 1000);
    cr_assert_eq(c->max_payload_bytes, 256 * 1024);
    cr_assert_eq(c->limits.soft_limit_ms, 60000);
    cr_assert_eq(c->limits.hard_limit_ms, 70000);
    cr_assert_eq(c->limits.backoff_ms, 5000);
    cr_assert_eq(c->limits.backoff_cap_ms, 3600000);
    cr_assert_eq(c->limits.max_attempts, 10);
    cr_assert(c->crash_budget == 3 && c->loss_budget == 20);
    cr_assert(c->executors >= 1 && c->executors <= sysconf(_SC_NPROCESSORS_CONF));
    cr_assert_eq(c->executor_max_jobs, 10000);
    cr_assert_eq(c->executor_max_rss_bytes, 256 * 1024 * 1024);
    cr_assert_eq(c->max_held, 256);
    cr_assert_eq(c->prefetch_us, 5000);
    cr_assert(c->log_level == LOG_INFO && c->log_format == LOG_KEY_VALUE);
    cr_assert(!c->lanes_strict);
    cr_assert_eq(c->module_count, 0);
    cr_assert_null(c->modules[0]);
    cr_assert_str_eq(host_value(c, "schema"), "jobq");
    cr_assert_null(host_value(c, "postgres"));
    cr_assert_null(host_value(c, "mail.url"));
    worker_config_free(c);
}

Test(config, takes_the_documented_shape)
{
    const char *dir = tmp_dir();
    write_file(fmt("%s/recount.so", dir), "");
    write_file(fmt("%s/ours.so", dir), "");
    struct worker_config *c = of_text(fmt(
        "redis = \"redis://localhost:6379/0\";\n"
        "postgres = \"host=localhost dbname=forum\";\n"
        "queues = ( { name = \"mail\"; weight = 3; }, { name = \"default\"; partitions = 4; } );\n"
        "types  = ( { name = \"avatar.resize\"; soft_limit = \"30s\"; max_attempts = 5; } );\n"
        "modules = ( \"recount\", \"%s/ours.so\" );\n"
        "module_dir = \"%s\";\n"
        "executors = 8;\n"
        "mail = { url = \"smtp://localhost:25\"; from = \"Forum <no-reply@example.org>\"; tls = "
        "\"require\"; };\n"
        "forum = { media_root = \"/srv/forum/media\"; address = \"https://forum.example.org/\"; "
        "};\n",
        dir, dir));
    cr_assert_str_eq(c->postgres, "host=localhost dbname=forum");
    cr_assert_eq(c->queue_count, 2);
    cr_assert_str_eq(c->queues[0].name, "mail");
    cr_assert_eq(c->queues[0].weight, 3);
    cr_assert_eq(c->queues[1].partitions, 4);
    cr_assert_eq(c->module_count, 2);
    cr_assert_str_eq(c->modules[0], fmt("%s/recount.so", dir));
    cr_assert_str_eq(c->modules[1], fmt("%s/ours.so", dir));
    cr_assert_null(c->modules[2]);
    cr_assert_eq(c->executors, 8);
    cr_assert_str_eq(host_value(c, "mail.url"), "smtp://localhost:25");
    cr_assert_str_eq(host_value(c, "mail.from"), "Forum <no-reply@example.org>");
    cr_assert_str_eq(host_value(c, "mail.tls"), "require");
    cr_assert_str_eq(host_value(c, "forum.media_root"), "/srv/forum/media");
    cr_assert_str_eq(host_value(c, "forum.address"), "https://forum.example.org/");
    cr_assert_str_eq(host_value(c, "postgres"), "host=localhost dbname=forum");
    cr_assert_null(host_value(c, "redis"));
    cr_assert_str_eq(worker_config_source(c, "executors"), fmt("%s/jobd.conf:7", dir));
    worker_config_free(c);
}

Test(config, finds_the_limits_of_a_type)
{
    struct worker_config *c = of_text(
        "soft_limit = \"20s\"; hard_limit = \"40s\"; backoff = 100; backoff_cap = 1000; "
        "max_attempts = 7;\n"
        "types = ( { name = \"m\"; soft_limit = \"1s\"; }, { name = \"b\"; hard_limit = \"21s\"; "
        "},\n"
        "          { name = \"ba\"; backoff = 5000; }, { name = \"a\"; soft_limit = 5; hard_limit "
        "= 6; },\n"
        "          { name = \"z\"; max_attempts = 1; backoff_cap = 200; hard_limit = 0; } );\n");
    const struct worker_limits *l = worker_config_limits(c, "mX", 1);
    cr_assert_str_eq(l->type, "m");
    cr_assert(l->soft_limit_ms == 1000 && l->hard_limit_ms == 11000 && l->max_attempts == 7);
    l = worker_config_limits(c, "b", 1);
    cr_assert(l->soft_limit_ms == 20000 && l->hard_limit_ms == 21000 && l->backoff_ms == 100);
    l = worker_config_limits(c, "ba", 2);
    cr_assert(l->backoff_ms == 5000 && l->backoff_cap_ms == 5000 && l->hard_limit_ms == 40000);
    l = worker_config_limits(c, "a", 1);
    cr_assert(l->soft_limit_ms == 5 && l->hard_limit_ms == 6);
    l = worker_config_limits(c, "z", 1);
    cr_assert(l->max_attempts == 1 && l->backoff_cap_ms == 200 && l->hard_limit_ms == 30000);
    static const char *const others[] = {"", "c", "bab", "A", "zz", "\xFF"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        cr_assert_eq(worker_config_limits(c, others[i], strlen(others[i])), &c->limits, "%s",
                     others[i]);
    cr_assert(c->limits.hard_limit_ms == 40000 && c->limits.backoff_cap_ms == 1000);
    worker_config_free(c);
}

Test(config, refuses_what_contradicts_itself)
{
    expect_refusal("redis = \"\";", "jobd.conf:1: redis: must not be empty");
    expect_refusal(
        "queues = ( { name = \"a\"; },\n{ name = \"b\"; },\n { name = \"a\"; } );",
        fmt("jobd.conf:3: queues: \"a\" was already given at %s/jobd.conf:1", tmp_dir()));
    expect_refusal("queues = ( { weight = 2; } );", "jobd.conf:1: queues: a name is missing");
    expect_refusal("queues = ( { name = \"A b\"; } );",
                   "jobd.conf:1: queues: name \"A b\" must be 1 to 64 of a-z 0-9 _ . : -");
    expect_refusal("types = ( { name = \"x/y\"; } );",
                   "jobd.conf:1: types: name \"x/y\" must be 1 to 64 of a-z 0-9 _ . : -");
    expect_refusal("types = ( { name = \"x\"; },\n{ name = \"x\"; } );",
                   fmt("jobd.conf:2: types: \"x\" was already given at %s/jobd.conf:1", tmp_dir()));
    expect_refusal("\nsoft_limit = 5000; hard_limit = 5000;",
                   "jobd.conf:2: hard_limit must be above soft_limit (5000 ms, 5000 ms)");
    expect_refusal(
        "\ntypes = ( { name = \"x\"; soft_limit = 2000; hard_limit = 1000; } );",
        "jobd.conf:2: types: \"x\": hard_limit must be above soft_limit (1000 ms, 2000 ms)");
    expect_refusal("backoff = 2000;\nbackoff_cap = 1000;",
                   "jobd.conf:2: backoff_cap must not be below backoff (1000 ms, 2000 ms)");
    expect_refusal(
        "types = ( { name = \"x\"; backoff = 2000; backoff_cap = 1000; } );",
        "jobd.conf:1: types: \"x\": backoff_cap must not be below backoff (1000 ms, 2000 ms)");
    expect_refusal("instance = \"../x\";",
                   "jobd.conf:1: instance: must be 1 to 64 of letters, digits, _ . -");
    expect_refusal("instance = \"\";",
                   "jobd.conf:1: instance: must be 1 to 64 of letters, digits, _ . -");
    expect_refusal("schema = \"a;b\";",
                   "jobd.conf:1: schema: must be a name of letters, digits and _");
    expect_refusal("schema = \"1a\";",
                   "jobd.conf:1: schema: must be a name of letters, digits and _");
    expect_refusal("mail = { queue = \"Mail\"; };",
                   "jobd.conf:1: mail.queue: must be 1 to 64 of a-z 0-9 _ . : -");
    expect_refusal("state_dir = \"\";", "jobd.conf:1: state_dir: must not be empty");
    expect_refusal("key_prefix = \"\";", "jobd.conf:1: key_prefix: must not be empty");
    expect_refusal("lane_order = \"any\";",
                   "jobd.conf:1: lane_order: must be one of \"weighted\", \"strict\", not \"any\"");
}

Test(config, refuses_what_it_cannot_open)
{
    expect_refusal("module_dir = \"/nowhere\";\nmodules = ( \"recount\" );",
                   "jobd.conf:2: modules: /nowhere/recount.so: No such file or directory");
    expect_refusal("modules = ( \"./a.so\" );",
                   "jobd.conf:1: modules: ./a.so: not an absolute path");
    expect_refusal(
        "modules = ( \"a.so\" );",
        "jobd.conf:1: modules: must be names of letters, digits, _ and -, or absolute paths");
    expect_refusal("modules = ( \"/tmp\" );", "jobd.conf:1: modules: /tmp: not a file");
    expect_refusal("modules = ( \"/bin/true\", \"/bin/true\" );",
                   "jobd.conf:1: modules: \"/bin/true\" is there twice");
    struct worker_config *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("--executor-path", "/nowhere/x")), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg,
                     "flag --executor-path: executor_path: /nowhere/x: No such file or directory");
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("--executor-path", "true")), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "flag --executor-path: executor_path: true: not an absolute path");
}

Test(config, refuses_urls_it_cannot_serve_without_showing_their_password)
{
    static const char *const urls[] = {"rediss://:hunter2@h",
                                       "redis+sentinel://:hunter2@h/m/0",
                                       "redis+cluster://:hunter2@h",
                                       "http://:hunter2@h",
                                       "redis://:hunter2@h:99999",
                                       "redis://:hunter2@h/x",
                                       "hunter2"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct worker_config *c = NULL;
        jobq_err err = {0};
        cr_assert_eq(load(ENV(fmt("JOBQ_REDIS=%s", urls[i])), &c, &err, NO_ENV), JOBQ_ECONFIG, "%s",
                     urls[i]);
        cr_assert(strstr(err.msg, "environment JOBQ_REDIS: redis: ") == err.msg, "%s", err.msg);
        cr_assert_null(strstr(err.msg, "hunter2"), "%s", err.msg);
    }
}

Test(config, understands_its_command_line)
{
    struct worker_config *c =
        must_load(ENV("JOBQ_EXECUTORS=3", "JOBQ_LEASE=3s"),
                  ENV("--executors", "4", "--mail-url=smtp://a=b", "--log-format", "json",
                      fmt("-c%s", conf_file("executors = 2; lease = 2000; backoff = 7;"))));
    cr_assert_eq(c->executors, 4);
    cr_assert_eq(c->lease_ms, 3000);
    cr_assert_eq(c->limits.backoff_ms, 7);
    cr_assert_eq(c->log_format, LOG_JSON);
    cr_assert_str_eq(host_value(c, "mail.url"), "smtp://a=b");
    cr_assert_str_eq(worker_config_source(c, "executors"), "flag --executors");
    worker_config_free(c);
    write_file(fmt("%s/env", tmp_dir()), "JOBQ_EXECUTORS=5\nJOBQ_LEASE=4s\n");
    c = must_load(ENV("JOBQ_LEASE=3s"), ENV("--env-file", fmt("%s/env", tmp_dir())));
    cr_assert_eq(c->executors, 5);
    cr_assert_eq(c->lease_ms, 3000);
    worker_config_free(c);
}

Test(config, tells_a_wrong_use_from_a_wrong_value)
{
    static const struct {
        const char *flag;
        const char *message;
    } rows[] = {
        {"stray", "unexpected argument stray; see --help"},
        {"", "unexpected argument ; see --help"},
        {"-x", "unexpected argument -x; see --help"},
        {"--", "unexpected argument --; see --help"},
        {"--=x", "unexpected argument --=x; see --help"},
        {"--executers=1", "flag --executers: unknown option; did you mean --executors?"},
        {"--nothing", "flag --nothing: unknown option"},
        {"--executors", "--executors needs a value"},
        {"-c", "--config needs a value"},
        {"--check=yes", "--check takes no value"},
    };
    struct worker_config *c = NULL;
    jobq_err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cr_assert_eq(load(NO_ENV, &c, &err, ENV(rows[i].flag)), JOBQ_EINVAL, "%s", rows[i].flag);
        cr_assert_str_eq(err.msg, rows[i].message);
        cr_assert_eq(err.code, JOBQ_EINVAL);
    }
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("--executors", "0")), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "flag --executors: must be a whole number from 1 to 1024, not \"0\"");
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("-c", "/nowhere/jobd.conf")), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "cannot read /nowhere/jobd.conf: No such file or directory");
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("--env-file", "/nowhere/env")), JOBQ_ECONFIG);
    cr_assert_eq(load(NO_ENV, &c, NULL, ENV("--nothing")), JOBQ_EINVAL);
    cr_assert_eq(worker_config_exit_status(JOBQ_ECONFIG), 78);
    cr_assert_eq(worker_config_exit_status(JOBQ_EINVAL), 2);
    cr_assert_eq(worker_config_exit_status(JOBQ_EINTERNAL), 70);
}

/* What a command writes to stdout. */
static char *output_of(const char *const *env, const char *const *flags)
{
    const char *path = fmt("%s/stdout", tmp_dir());
    struct worker_config *c = NULL;
    jobq_err err = {0};
    fflush(stdout);
    int saved = dup(1);
    cr_assert_not_null(freopen(path, "we", stdout));
    int code = load(env, &c, &err, flags);
    fflush(stdout);
    cr_assert(dup2(saved, 1) == 1 && close(saved) == 0);
    cr_assert_eq(code, JOBQ_OK, "%s", err.msg);
    cr_assert_null(c);
    return read_file(path);
}

Test(config, does_what_commands_ask_for_and_no_more)
{
    char *text = output_of(NO_ENV, ENV("--version"));
    cr_assert_str_eq(text, fmt("jobd %s\n", JOBQ_VERSION));
    free(text);
    text = output_of(NO_ENV, ENV("--help", "-c", "/nowhere"));
    cr_assert(strstr(text, "usage: jobd ") == text && strstr(text, "--soft-limit VALUE"), "%s",
              text);
    free(text);
    text = output_of(NO_ENV, ENV("-h"));
    cr_assert(strstr(text, "usage: jobd ") == text);
    free(text);
    text = output_of(NO_ENV, ENV("--print-markdown"));
    cr_assert(strstr(text, "# Options of jobd\n") == text && strstr(text, "\n| `mail.url` | "));
    free(text);
    text = output_of(NO_ENV, ENV("--print-sample"));
    cr_assert(strstr(text, "\n#lease = \"5s\";\n"), "%s", text);
    struct worker_config *c = of_text(text);
    worker_config_free(c);
    free(text);
}

Test(config, check_shows_values_and_sources_but_no_secret)
{
    const char *path = conf_file("lease = 3000;\nmail = { password = \"hunter2\"; };");
    char *text = output_of(
        ENV("JOBQ_REDIS=redis://:hunter2@h", "POSTGRES_HOST=db", "POSTGRES_PASSWORD=hunter2"),
        ENV("--check", "-c", path));
    cr_assert(strstr(text, fmt("lease = 3s  # %s:1\n", path)), "%s", text);
    cr_assert(strstr(text, "redis = redis://:***@h  # environment JOBQ_REDIS\n"), "%s", text);
    cr_assert(strstr(text, "postgres = host='db' password=***  # environment POSTGRES_HOST\n"),
              "%s", text);
    cr_assert_null(strstr(text, "hunter2"));
    free(text);
    struct worker_config *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("--check", "--lease", "1")), JOBQ_ECONFIG);
}

Test(config, survives_the_lack_of_memory_at_every_allocation)
{
    const char *path = conf_file("queues = ( { name = \"a\"; } ); types = ( { name = \"b\"; } ); "
                                 "modules = ( \"/bin/true\" );");
    const char *const *env = ENV("POSTGRES_HOST=a", "POSTGRES_PASSWORD=x", "REDIS_HOST=b",
                                 "REDIS_PASSWORD=y", "MISAGO_EMAIL_HOST=c", "MISAGO_EMAIL_USER=d");
    const char *argv[] = {"jobd", "--executor-path=/bin/true", "-c", path, "--lease", "1s", NULL};
    for (int sticky = 0; sticky < 2; sticky++) {
        long tried = 0;
        int code = JOBQ_ENOMEM;
        for (long n = 1; code != JOBQ_OK; n++) {
            struct worker_config *c = NULL;
            struct worker_config *next = NULL;
            jobq_err err = {0};
            mem_fail_at(n, sticky);
            code = worker_config_load(6, argv, env, NULL, &c, &err);
            if (code == JOBQ_OK)
                code = worker_config_reload(c, &next, &err);
            mem_fail_at(0, 0);
            cr_assert(code == JOBQ_OK || (code == JOBQ_ENOMEM && err.code == code), "%ld: %d %s", n,
                      code, err.msg);
            worker_config_free(next);
            worker_config_free(c);
            tried = n;
        }
        cr_assert(tried > 50, "%ld", tried);
    }
}

Test(config_mail, tells_handlers_and_refuses_rates_that_are_none)
{
    struct worker_config *c =
        of_text("mail = { rate = \"500/d\"; enabled = false; deadline = \"7s\"; };");
    cr_assert_str_eq(host_value(c, "mail.rate"), "500/d");
    cr_assert_str_eq(host_value(c, "mail.enabled"), "false");
    cr_assert_str_eq(host_value(c, "mail.deadline"), "7000");
    cr_assert_str_eq(host_value(c, "mail.language"), "en");
    worker_config_free(c);
    c = must_load(ENV("MISAGO_LANGUAGE_CODE=pt-br", "MISAGO_ADDRESS=https://f.example"), NO_ENV);
    cr_assert_str_eq(host_value(c, "mail.enabled"), "true");
    cr_assert_str_eq(host_value(c, "mail.language"), "pt-br");
    cr_assert_str_eq(host_value(c, "forum.address"), "https://f.example");
    cr_assert_null(host_value(c, "mail.rate"));
    worker_config_free(c);
    static const char *const wrong[] = {"10",     "/s",   "0/s",       "10/",  "10/w",
                                        "10/sec", "-1/s", "1000001/s", "10 /s"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refusal(
            fmt("mail = { rate = \"%s\"; };", wrong[i]),
            "jobd.conf:1: mail.rate: must be such as \"10/s\", \"300/m\", \"2000/h\" or \"500/d\"");
}
