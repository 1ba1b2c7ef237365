/* SPDX-License-Identifier: MIT */
/* jobctl init, and doctor's lines about PostgreSQL: each is broken alone. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "tests/integration/jobctl/proxy.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/fixture.h"
#include "tests/support/support.h"

static struct postgres *pg;

static void start(void)
{
    redis = redis_start((const char *const[]){"--appendonly", "yes", NULL});
    pg = postgres_start(false);
    setenv("JOBQ_REDIS", redis->operator_url, 1);
    setenv("JOBQ_POSTGRES", pg->conninfo, 1);
}

static void stop_both(void)
{
    postgres_stop(pg);
    stop();
}

TestSuite(jobctl_postgres, .init = start, .fini = stop_both);

static void init(void)
{
    struct run r = JOBCTL("init");
    expect(&r, 0, NULL);
    run_free(&r);
}

static void expect_fault(const char *check, const char *found, const char *mend)
{
    expect_doctor_fault(NULL, check, found, mend);
}

/* With a configuration that names modules, and with what they need on this host. */
static void expect_fault_of(const char *modules, const char *found, const char *mend)
{
    const char *conf = fmt("%s/jobd.conf", tmp_dir());
    write_file(conf, fmt("modules = ( %s ); state_dir = \"%s\";\n", modules, tmp_dir()));
    expect_doctor_fault(conf, "postgres forum", found, mend);
}

Test(jobctl_postgres, init_makes_the_schema_once)
{
    struct run r = JOBCTL("init", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_is_true(member(&r, "init.created")));
    cr_assert_str_eq(text_at(&r, "init.schema"), "jobq");
    run_free(&r);
    pg_do(pg, "INSERT INTO jobq.done (id) VALUES ('01a206f3-d7fd-7c54-842d-66aa3b4f5791')");
    pg_do(pg, "INSERT INTO jobq.mail_sent (message_id) VALUES ('x')");
    r = JOBCTL("init", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_is_false(member(&r, "init.created")));
    run_free(&r);
    cr_assert(pg_int(pg, "SELECT count(*) FROM jobq.done WHERE at <= now() AND children IS NULL") ==
              1);
}

Test(jobctl_postgres, init_in_a_schema_of_any_name_touches_nothing_else)
{
    const char *name = "odd\"; DROP TABLE x; --";
    struct run r = JOBCTL("init", "--schema", name);
    expect(&r, 0, NULL);
    run_free(&r);
    cr_assert(
        pg_int(pg, "SELECT count(*) FROM pg_tables WHERE schemaname = 'odd\"; DROP TABLE x; --'") ==
        2);
    cr_assert(pg_int(pg, "SELECT count(*) FROM pg_namespace WHERE nspname = 'jobq'") == 0);
    cr_assert(pg_int(pg, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0);
    r = JOBCTL("doctor", "--schema", name);
    expect(&r, 0, NULL);
    run_free(&r);
}

Test(jobctl_postgres, the_file_for_psql_makes_the_same)
{
    pg_load(pg, source_path("contrib/postgres/schema.sql"));
    pg_load(pg, source_path("contrib/postgres/schema.sql"));
    struct run r = JOBCTL("init", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_is_false(member(&r, "init.created")), "%s", r.out);
    run_free(&r);
}

Test(jobctl_postgres, init_completes_what_was_half_there)
{
    pg_do(pg, "CREATE SCHEMA jobq; CREATE TABLE jobq.mail_sent (message_id text PRIMARY KEY, at "
              "timestamptz NOT NULL)");
    struct run r = JOBCTL("init", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_is_true(member(&r, "init.created")));
    run_free(&r);
    cr_assert(pg_int(pg, "SELECT count(*) FROM jobq.done") == 0);
}

Test(jobctl_postgres, init_says_when_a_table_of_another_shape_is_in_the_way)
{
    pg_do(pg, "CREATE SCHEMA jobq; CREATE TABLE jobq.done (id uuid PRIMARY KEY, at timestamptz, "
              "children json)");
    struct run r = JOBCTL("init");
    expect(&r, 1, "done.children bytea");
    run_free(&r);
}

Test(jobctl_postgres, two_inits_at_once_both_succeed)
{
    char jobctl[512];
    struct process *p[6];
    snprintf(jobctl, sizeof(jobctl), "%s", bin_path("jobctl"));
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        p[i] = process_start(fmt("init%zu", i), (const char *const[]){jobctl, "init", NULL}, NULL);
    for (size_t i = 0; i < ARRAY_LEN(p); i++) {
        if (process_wait(p[i], patience_ms(30000)) != 0)
            fail_test("init %zu failed: %s", i, read_file(p[i]->log));
        process_free(p[i]);
    }
}

Test(jobctl_postgres, init_exits_with_the_reason_it_cannot)
{
    pg_do(pg, "CREATE ROLE limited LOGIN");
    struct run r = JOBCTL("init", "--postgres",
                          fmt("host=%s port=%d dbname=test user=limited", pg->dir, pg->port));
    expect(&r, 77, "42501");
    run_free(&r);
    r = JOBCTL("init", "--postgres", fmt("%s user=stranger", pg->conninfo));
    expect(&r, 77, "stranger");
    run_free(&r);
    r = JOBCTL("init", "--postgres", fmt("%s dbname=nowhere", pg->conninfo));
    expect(&r, 78, "nowhere");
    run_free(&r);
    pg_do(pg, "ALTER DATABASE test SET default_transaction_read_only = on");
    r = JOBCTL("init");
    expect(&r, 73, "25006");
    run_free(&r);
}

static bool has_standby_names(void *ctx)
{
    (void)ctx;
    return pg_int(pg, "SELECT (current_setting('synchronous_standby_names') <> '')::int") == 1;
}

Test(jobctl_postgres, doctor_finds_nothing_wrong_after_init)
{
    init();
    struct run r = JOBCTL("doctor", "--json");
    expect(&r, 0, NULL);
    for (size_t i = 0; i < json_array_size(member(&r, "checks")); i++) {
        const char *check = text_at(&r, fmt("checks.%zu.check", i));
        if (strncmp(check, "postgres ", 9) == 0 && strcmp(check, "postgres forum") != 0)
            cr_assert_str_eq(text_at(&r, fmt("checks.%zu.status", i)), "ok", "%s", check);
    }
    run_free(&r);
}

Test(jobctl_postgres, doctor_finds_that_a_commit_would_wait_for_a_standby)
{
    init();
    pg_do(pg, "ALTER SYSTEM SET synchronous_standby_names = 'away'");
    pg_do(pg, "SELECT pg_reload_conf()");
    cr_assert(wait_until(now_ms() + patience_ms(20000), has_standby_names, NULL));
    expect_fault("postgres standbys", "none is connected", "synchronous_standby_names");
}

/* The clock's milliseconds come as text: their first digits become those of another year. */
Test(jobctl_postgres, doctor_finds_another_clock)
{
    static struct proxy p;
    char now[24];
    init();
    snprintf(now, sizeof(now), "%lld",
             pg_int(pg, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"));
    p = (struct proxy){.target = strdup(fmt("%s/.s.PGSQL.%d", pg->dir, pg->port)),
                       .find = strndup(now, 4),
                       .replace = "1234",
                       .length = 4};
    mkdir(fmt("%s/clock", tmp_dir()), 0755);
    p.listen = strdup(fmt("%s/clock/.s.PGSQL.%d", tmp_dir(), pg->port));
    proxy_start(&p);
    setenv("JOBQ_POSTGRES", fmt("%s host=%s/clock", pg->conninfo, tmp_dir()), 1);
    expect_fault("postgres clock", "s behind this host's", "NTP");
}

static void load_forum(const char *version)
{
    fixture_stay_public(pg);
    fixture_load(pg,
                 &(struct fixture){.version = version, .threads = 20, .posts = 60, .users = 15});
    pg_load(pg, source_path("contrib/postgres/roles.sql"));
    setenv("JOBQ_POSTGRES", fmt("%s user=jobq_admin", pg->conninfo), 1);
    init();
    setenv("JOBQ_POSTGRES", fmt("%s user=jobq_worker", pg->conninfo), 1);
}

Test(jobctl_postgres, doctor_finds_no_forum)
{
    init();
    expect_fault_of("\"recount\"", "no table misago_threads_thread", "name the forum's database");
}

Test(jobctl_postgres, doctor_finds_rights_missing_in_a_forum_0_40)
{
    load_forum("0.40");
    expect_fault_of("\"recount\"", "for module recount (", "contrib/postgres/grants");
    pg_load(pg, source_path("contrib/postgres/grants/recount-0.40.sql"));
    struct run r = JOBCTL("doctor", "-c", fmt("%s/jobd.conf", tmp_dir()));
    expect(&r, 0, NULL);
    run_free(&r);
    expect_fault_of("\"recount\", \"notify\"", "for module notify", "contrib/postgres/grants");
    pg_load(pg, source_path("contrib/postgres/grants/notify-0.40.sql"));
    r = JOBCTL("doctor", "-c", fmt("%s/jobd.conf", tmp_dir()));
    expect(&r, 0, NULL);
    run_free(&r);
    pg_do(pg, "REVOKE UPDATE (unread_notifications) ON misago_users_user FROM jobq_notify");
    expect_fault_of("\"recount\", \"notify\"",
                    "role jobq_worker lacks UPDATE (unread_notifications) on misago_users_user for "
                    "module notify (1 in all)",
                    "contrib/postgres/grants");
    pg_do(pg, "GRANT UPDATE (unread_notifications) ON misago_users_user TO jobq_notify");
    pg_do(pg, "REVOKE DELETE ON misago_notifications_watchedthread FROM jobq_notify");
    expect_fault_of("\"notify\"", "lacks DELETE on misago_notifications_watchedthread",
                    "contrib/postgres/grants");
}

Test(jobctl_postgres, doctor_finds_rights_missing_in_a_forum_0_39)
{
    load_forum("0.39");
    pg_load(pg, source_path("contrib/postgres/grants/recount-0.39.sql"));
    pg_do(pg, "REVOKE SELECT (is_event) ON misago_threads_post FROM jobq_recount");
    expect_fault_of("\"/opt/lib/recount.so\"", "lacks SELECT (is_event) on misago_threads_post",
                    "contrib/postgres/grants");
}

Test(jobctl_postgres, doctor_finds_postgres_unreachable)
{
    setenv("JOBQ_POSTGRES",
           fmt("host=%s/nothing port=5432 dbname=test password=verysecret", tmp_dir()), 1);
    expect_fault("postgres reachable", "nothing", "start PostgreSQL");
    struct run r = JOBCTL("doctor");
    cr_assert(strstr(r.out, "verysecret") == NULL && strstr(r.err, "verysecret") == NULL);
    run_free(&r);
}

Test(jobctl_postgres, doctor_finds_a_role_that_may_not_log_in)
{
    setenv("JOBQ_POSTGRES", fmt("%s user=stranger", pg->conninfo), 1);
    expect_fault("postgres reachable", "stranger", "correct user, password and database");
}

Test(jobctl_postgres, doctor_finds_an_old_version)
{
    static struct proxy p;
    init();
    /* The server announces itself as server_version, NUL, "15.…": the digits become those of 9.6's
     * time. */
    p = (struct proxy){.target = strdup(fmt("%s/.s.PGSQL.%d", pg->dir, pg->port)),
                       .find = "server_version\0"
                               "1",
                       .replace = "server_version\0"
                                  "0",
                       .length = 16};
    mkdir(fmt("%s/old", tmp_dir()), 0755);
    p.listen = strdup(fmt("%s/old/.s.PGSQL.%d", tmp_dir(), pg->port));
    proxy_start(&p);
    setenv("JOBQ_POSTGRES", fmt("%s host=%s/old", pg->conninfo, tmp_dir()), 1);
    expect_fault("postgres version", ".", "PostgreSQL 13 or newer");
}

Test(jobctl_postgres, doctor_finds_a_database_that_is_read_only)
{
    init();
    pg_do(pg, "ALTER DATABASE test SET default_transaction_read_only = on");
    expect_fault("postgres writable", "read-only", "default_transaction_read_only");
}

Test(jobctl_postgres, doctor_finds_the_schema_missing_or_incomplete)
{
    expect_fault("postgres schema", "there is no schema jobq", "jobctl init");
    init();
    pg_do(pg, "ALTER TABLE jobq.done DROP COLUMN children");
    expect_fault("postgres schema", "misses done.children bytea", "jobctl init");
}

Test(jobctl_postgres, doctor_finds_privileges_missing)
{
    init();
    pg_do(pg, "CREATE ROLE app LOGIN");
    setenv("JOBQ_POSTGRES", fmt("%s user=app", pg->conninfo), 1);
    expect_fault("postgres privileges", "role app lacks USAGE on schema jobq", "GRANT");
    pg_do(pg, "GRANT USAGE ON SCHEMA jobq TO app; GRANT SELECT, INSERT, UPDATE ON jobq.done TO app;"
              "GRANT ALL ON jobq.mail_sent TO app");
    expect_fault("postgres privileges", "role app lacks DELETE on done", "GRANT");
    pg_do(pg, "GRANT DELETE ON jobq.done TO app");
    struct run r = JOBCTL("doctor");
    expect(&r, 0, NULL);
    run_free(&r);
}
