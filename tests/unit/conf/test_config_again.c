/* SPDX-License-Identifier: MIT */
/*
 * jobd's configuration: what the forum's own variables add to it, and reading it again.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "tests/support/support.h"
#include "tests/unit/conf/config_load.h"

/* ---- the forum's variables ---- */

Test(config_forum, composes_servers_where_ours_are_not_set)
{
    struct worker_config *c = must_load(
        ENV("POSTGRES_HOST=db", "POSTGRES_PORT=5433", "POSTGRES_DB=a'b", "POSTGRES_USER=u\\v",
            "POSTGRES_PASSWORD=p w='x'", "REDIS_HOST=cache", "REDIS_PORT=6380",
            "REDIS_PASSWORD=a:b@c/d?e%f", "MISAGO_EMAIL_HOST=mx", "MISAGO_EMAIL_PORT=587",
            "MISAGO_EMAIL_USER=mu", "MISAGO_EMAIL_PASSWORD=mp", "MISAGO_EMAIL_USE_TLS=yes",
            "MISAGO_DEFAULT_FROM_EMAIL=Forum <f@example.org>"),
        NO_ENV);
    cr_assert_str_eq(c->postgres,
                     "host='db' port=5433 dbname='a\\'b' user='u\\\\v' password='p w=\\'x\\''");
    cr_assert_str_eq(host_value(c, "postgres"), c->postgres);
    cr_assert_str_eq(c->redis.host, "cache");
    cr_assert_eq(c->redis.port, 6380);
    cr_assert_str_eq(c->redis.password, "a:b@c/d?e%f");
    cr_assert_str_eq(host_value(c, "mail.url"), "smtp://mx:587");
    cr_assert_str_eq(host_value(c, "mail.tls"), "require");
    cr_assert_str_eq(host_value(c, "mail.user"), "mu");
    cr_assert_str_eq(host_value(c, "mail.password"), "mp");
    cr_assert_str_eq(host_value(c, "mail.from"), "Forum <f@example.org>");
    cr_assert_str_eq(worker_config_source(c, "redis"), "environment REDIS_HOST");
    worker_config_free(c);
}

Test(config_forum, fills_in_the_usual_ports)
{
    struct worker_config *c =
        must_load(ENV("REDIS_HOST=::1", "MISAGO_EMAIL_HOST=mx", "MISAGO_EMAIL_USE_SSL=1"), NO_ENV);
    cr_assert_str_eq(c->redis.host, "::1");
    cr_assert_eq(c->redis.port, 6379);
    cr_assert_null(c->redis.password);
    cr_assert_str_eq(host_value(c, "mail.url"), "smtps://mx:465");
    worker_config_free(c);
    c = must_load(ENV("MISAGO_EMAIL_HOST=mx"), NO_ENV);
    cr_assert_str_eq(host_value(c, "mail.url"), "smtp://mx:25");
    cr_assert_str_eq(host_value(c, "mail.tls"), "none");
    worker_config_free(c);
}

Test(config_forum, never_mixes_its_credentials_into_servers_of_ours)
{
    struct worker_config *c =
        must_load(ENV("POSTGRES_HOST=db", "POSTGRES_PASSWORD=hunter2", "REDIS_HOST=cache",
                      "REDIS_PASSWORD=hunter2", "MISAGO_EMAIL_HOST=mx", "MISAGO_EMAIL_USER=hunter2",
                      "MISAGO_EMAIL_PASSWORD=hunter2"),
                  ENV("-c", conf_file("redis = \"redis://ours\"; postgres = \"host=ours\"; mail = "
                                      "{ url = \"smtp://ours\"; };")));
    cr_assert_str_eq(c->redis.host, "ours");
    cr_assert_null(c->redis.password);
    cr_assert_str_eq(c->postgres, "host=ours");
    cr_assert_str_eq(host_value(c, "mail.url"), "smtp://ours");
    cr_assert_null(host_value(c, "mail.user"));
    cr_assert_null(host_value(c, "mail.password"));
    worker_config_free(c);
    c = must_load(ENV("POSTGRES_HOST=db"), ENV("--postgres", ""));
    cr_assert_null(c->postgres);
    worker_config_free(c);
    c = must_load(ENV("POSTGRES_PASSWORD=x", "REDIS_PASSWORD=x"), NO_ENV);
    cr_assert_null(c->postgres);
    cr_assert_null(c->redis.password);
    worker_config_free(c);
}

Test(config_forum, refuses_what_is_no_host_or_port)
{
    struct worker_config *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(load(ENV("REDIS_HOST=a@b"), &c, &err, NO_ENV), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "environment REDIS_HOST: must be a host name or an address");
    cr_assert_eq(load(ENV("MISAGO_EMAIL_HOST=a/b"), &c, &err, NO_ENV), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "environment MISAGO_EMAIL_HOST: must be a host name or an address");
    cr_assert_eq(load(ENV("POSTGRES_PORT=abc"), &c, &err, NO_ENV), JOBQ_ECONFIG);
    cr_assert_str_eq(
        err.msg, "environment POSTGRES_PORT: must be a whole number from 1 to 65535, not \"abc\"");
}

Test(config_forum, keeps_state_where_the_service_manager_says)
{
    struct worker_config *c = must_load(ENV("STATE_DIRECTORY=/run/a:/run/b"), NO_ENV);
    cr_assert_str_eq(c->state_dir, "/run/a");
    worker_config_free(c);
    c = must_load(ENV("STATE_DIRECTORY=/run/a"), ENV("--state-dir", "/x:y"));
    cr_assert_str_eq(c->state_dir, "/x:y");
    worker_config_free(c);
}

/* ---- for other programs ---- */

static const char *const some[] = {"redis", "postgres", "key_prefix", "mail.url", NULL};

Test(config_pick, reads_what_is_named_as_jobd_does_and_passes_over_the_rest)
{
    struct conf_option rows[ARRAY_LEN(some)];
    struct conf *conf = NULL;
    jobq_err err = {0};
    const char *file = conf_file("key_prefix = \"p\"; executors = \"many\"; queues = 5; other = 1; "
                                 "mail = { tls = 7; rate = 1; };");
    const char *const *env =
        ENV("JOBQ_LEASE=never", "JOBQ_MAIL_PASSWORD_FILE=/nothing/there", "POSTGRES_HOST=db",
            "POSTGRES_PASSWORD=p w", "MISAGO_EMAIL_HOST=mx", "MISAGO_EMAIL_USE_SSL=yes",
            "MISAGO_EMAIL_USE_TLS=perhaps", "MISAGO_EMAIL_PASSWORD_FILE=/nothing/there");
    const char *const argv[] = {"jobd", "-c", file, "--redis=redis://h/2"};
    cr_assert_eq(worker_config_pick(ARRAY_LEN(argv), argv, env, some, rows, &conf, &err), JOBQ_OK,
                 "%s", err.msg);
    cr_assert_str_eq(conf_string(conf, "redis"), "redis://h/2");
    cr_assert_str_eq(conf_string(conf, "postgres"), "host='db' password='p w'");
    cr_assert_str_eq(conf_source(conf, "postgres"), "environment POSTGRES_HOST");
    cr_assert_str_eq(conf_string(conf, "key_prefix"), "p");
    cr_assert_str_eq(conf_string(conf, "mail.url"), "smtps://mx:465");
    cr_assert(conf_knows(conf, "redis") && !conf_knows(conf, "lease"));
    conf_free(conf);
}

Test(config_pick, refuses_what_is_wrong_with_those_it_names)
{
    struct conf_option rows[ARRAY_LEN(some)];
    struct conf *conf = NULL;
    struct redis_url url = {0};
    jobq_err err = {0};
    static const char *const argv[] = {"jobd", "--key-prefix", ""};
    cr_assert_eq(worker_config_pick(1, argv, ENV("REDIS_HOST=a@b"), some, rows, &conf, &err),
                 JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "environment REDIS_HOST: must be a host name or an address");
    cr_assert_eq(worker_config_pick(1, argv, ENV("POSTGRES_PORT=0"), some, rows, &conf, &err),
                 JOBQ_ECONFIG);
    cr_assert_null(conf);
    cr_assert_eq(worker_config_pick(3, argv, NO_ENV, some, rows, &conf, &err), JOBQ_OK);
    cr_assert_eq(worker_config_take_redis(conf, &url, &err), JOBQ_ECONFIG);
    cr_assert_str_eq(err.msg, "flag --key-prefix: key_prefix: must not be empty");
    conf_free(conf);
}

/* ---- reload ---- */

Test(config_reload, applies_what_is_live)
{
    struct worker_config *next = NULL;
    jobq_err err = {0};
    struct worker_config *c = must_load(ENV("JOBQ_MAX_ATTEMPTS=4"),
                                        ENV("--backoff=9", "-c", conf_file("executors = 2;")));
    conf_file("executors = 5; backoff = 10; max_attempts = 6; types = ( { name = \"a\"; soft_limit "
              "= 5; } );");
    cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_OK, "%s", err.msg);
    cr_assert(c->executors == 2 && next->executors == 5);
    cr_assert_eq(next->limits.backoff_ms, 9);
    cr_assert_eq(next->limits.max_attempts, 4);
    cr_assert_eq(worker_config_limits(next, "a", 1)->soft_limit_ms, 5);
    worker_config_free(c);
    c = next;
    cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_OK, "%s", err.msg);
    worker_config_free(next);
    worker_config_free(c);
}

Test(config_reload, refuses_the_rest_as_a_whole)
{
    struct worker_config *next = NULL;
    jobq_err err = {0};
    struct worker_config *c = of_text("lease = 1000; queues = ( { name = \"a\"; } );");
    static const char *const wrong[] = {
        "lease = 2000; queues = ( { name = \"a\"; } ); executors = 9;",
        "lease = 1000; queues = ( { name = \"b\"; } );",
        "lease = 1000; queues = ( { name = \"a\"; } ); key_prefix = \"x\";",
        "lease = 1000; queues = ( { name = \"a\"; } ); redis = \"redis://other\";",
        "lease = 1000; queues = ( { name = \"a\"; } ); executors = 0;",
        "lease = ",
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        conf_file(wrong[i]);
        cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_ECONFIG, "%s", wrong[i]);
        cr_assert_null(next);
    }
    conf_file("lease = 2000; queues = ( { name = \"a\"; } );");
    cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "a change needs a restart, nothing was applied: lease ("), "%s",
              err.msg);
    conf_file("lease = 1000; queues = ( { name = \"a\"; weight = 7; } );");
    cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(next->queues[0].weight, 7);
    worker_config_free(next);
    worker_config_free(c);
}

Test(config_reload, knows_when_handlers_are_told_otherwise)
{
    struct worker_config *next = NULL;
    jobq_err err = {0};
    struct worker_config *c = of_text("mail = { rate = \"10/s\"; };");
    static const struct {
        const char *text;
        bool otherwise;
    } reloads[] = {
        {"mail = { rate = \"10/s\"; }; backoff = 3; executors = 7;", false},
        {"mail = { rate = \"9/s\"; };", true},
        {"", true},
        {"mail = { rate = \"10/s\"; enabled = false; };", true},
        {"mail = { rate = \"10/s\"; password = \"x\"; };", true},
        {"mail = { rate = \"10/s\"; }; done_retention = \"1d\";", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(reloads); i++) {
        conf_file(reloads[i].text);
        cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_OK, "%s", err.msg);
        cr_assert_eq(worker_config_tells_otherwise(c, next), reloads[i].otherwise, "%s",
                     reloads[i].text);
        worker_config_free(next);
    }
    worker_config_free(c);
}

Test(config_reload, refuses_a_change_of_the_forums_own_variables)
{
    struct worker_config *next = NULL;
    jobq_err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/env", tmp_dir());
    write_file(path, "POSTGRES_HOST=a\n");
    struct worker_config *c = must_load(NO_ENV, ENV("--env-file", path));
    write_file(path, "POSTGRES_HOST=b\n");
    cr_assert_eq(worker_config_reload(c, &next, &err), JOBQ_ECONFIG);
    cr_assert(strstr(err.msg, "postgres ("), "%s", err.msg);
    worker_config_free(c);
}
