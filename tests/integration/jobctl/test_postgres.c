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
#include "tests/support/support.h"

static struct redis *redis;
static struct postgres *pg;

static void start(void)
{
    redis = redis_start((const char *const[]){"--appendonly", "yes", NULL});
    pg = postgres_start(false);
    setenv("JOBQ_REDIS", redis->operator_url, 1);
    setenv("JOBQ_POSTGRES", pg->conninfo, 1);
}

static void stop(void)
{
    postgres_stop(pg);
    redis_stop(redis);
}

TestSuite(jobctl_postgres, .init = start, .fini = stop);

static void init(void)
{
    struct run r = JOBCTL("init");
    expect(&r, 0, NULL);
    run_free(&r);
}

static void expect_fault(const char *check, const char *found, const char *mend)
{
    struct run r = JOBCTL("doctor", "--json");
    expect(&r, 1, "1 fault");
    cr_assert(number_at(&r, "faults") == 1, "%s", r.out);
    bool met = false;
    for (size_t i = 0; i < json_array_size(member(&r, "checks")); i++) {
        bool ours = strcmp(text_at(&r, fmt("checks.%zu.check", i)), check) == 0;
        met = met || ours;
        cr_assert((strcmp(text_at(&r, fmt("checks.%zu.status", i)), "fault") == 0) == ours, "%s",
                  r.out);
        if (ours) {
            cr_assert(strstr(text_at(&r, fmt("checks.%zu.found", i)), found) != NULL, "%s", r.out);
            cr_assert(strstr(text_at(&r, fmt("checks.%zu.mend", i)), mend) != NULL, "%s", r.out);
        }
    }
    cr_assert(met, "no check %s: %s", check, r.out);
    run_free(&r);
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

Test(jobctl_postgres, doctor_finds_nothing_wrong_after_init)
{
    init();
    struct run r = JOBCTL("doctor", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_array_size(member(&r, "checks")) == 10);
    for (size_t i = 0; i < 10; i++)
        cr_assert_str_eq(text_at(&r, fmt("checks.%zu.status", i)), "ok");
    run_free(&r);
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
