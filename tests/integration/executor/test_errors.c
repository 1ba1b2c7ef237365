/* SPDX-License-Identifier: MIT */
/* What each error of PostgreSQL means for the job that meets it (guarantees: how errors must be
 * read). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/executor/rig_pg.h"
#include "worker/executor/run.h"

static struct postgres *p;

static void set_up(void)
{
    p = db_start();
}

static void tear_down(void)
{
    postgres_stop(p);
}

TestSuite(errors, .init = set_up, .fini = tear_down);

/* A payload whose SQL fails with this state until its n-th run. A sequence is not rolled back. */
static const char *failing_until(const char *state, int n)
{
    pg_do(p, "CREATE SEQUENCE IF NOT EXISTS tries; ALTER SEQUENCE tries RESTART");
    return fmt("{\"sql\":\"DO $$BEGIN IF nextval('tries') < %d THEN RAISE EXCEPTION 'planted' "
               "USING ERRCODE = '%s';"
               " END IF; END$$\"}",
               n, state);
}

static long long tries(void)
{
    return pg_int(p, "SELECT last_value FROM tries");
}

Test(errors, conflicts_are_tried_again_inside_the_attempt)
{
    static const char *const states[] = {"40001", "40P01"};
    struct rig *r = db_rig(p, NULL);

    for (size_t i = 0; i < 2; i++) {
        jobq_id id = db_id();

        rig_expect(db_run(r, &id, "sql", failing_until(states[i], 3)), FRAME_V_DONE, NULL);
        cr_assert_eq(tries(), 3);
        cr_assert_eq(db_effects(p, &id), 1);
    }
    rig_expect(rig_run(r, "sql", failing_until("40001", 1000)), FRAME_V_RETRY,
               "PostgreSQL 40001: planted");
    cr_assert_eq(tries(), 1 + RUN_AGAIN_MAX);
    rig_free(r);
}

/*
 * Takes one row, and the other one when somebody has that. They meet once: who runs again after the
 * deadlock finds that two have met before. A sequence is not rolled back.
 */
static const char *crosswise(int first, int second)
{
    return fmt("{\"sql\":\"UPDATE two SET n = n + 1 WHERE id = %d;"
               " DO $$BEGIN IF nextval('meetings') <= 2 THEN"
               " PERFORM pg_advisory_xact_lock(%d);"
               " WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') < 2"
               " LOOP PERFORM pg_sleep(0.01); END LOOP; END IF; END$$;"
               " UPDATE two SET n = n + 1 WHERE id = %d\"}",
               first, first, second);
}

Test(errors, a_real_deadlock_fails_neither_job)
{
    /* So that it is found long before a job has waited too long for a lock, also on a slow machine.
     */
    pg_do(p, "ALTER DATABASE test SET deadlock_timeout = '50ms'");
    pg_do(p, "CREATE TABLE two (id int PRIMARY KEY, n int); INSERT INTO two VALUES (1, 0), (2, 0);"
             " CREATE SEQUENCE meetings");
    struct rig *a = db_rig(p, NULL), *b = db_rig(p, NULL);

    (void)rig_give(a, &(struct rig_job){.type = "sql", .payload = crosswise(1, 2)});
    (void)rig_give(b, &(struct rig_job){.type = "sql", .payload = crosswise(2, 1)});
    rig_wait(a, rig_is_idle);
    rig_wait(b, rig_is_idle);
    rig_expect(&a->said[1], FRAME_V_DONE, NULL);
    rig_expect(&b->said[1], FRAME_V_DONE, NULL);
    cr_assert_eq(pg_int(p, "SELECT sum(n) FROM two"), 4);
    db_wait(p, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    rig_free(a);
    rig_free(b);
}

static void expect_state(struct rig *r, const char *state, enum frame_verdict verdict,
                         const char *text)
{
    jobq_id id = db_id();
    const struct said *s = db_run(r, &id, "sql", failing_until(state, 2));

    rig_expect(s, verdict, text);
    cr_assert_eq(tries(), 1);
    cr_assert_eq(db_effects(p, &id), 0);
    cr_assert_eq(db_done(p, &id), 0);
    rig_expect(db_run(r, &id, "sql", "{}"), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
}

Test(errors, say_whether_the_job_or_the_moment_is_at_fault)
{
    struct rig *r = db_rig(p, NULL);

    expect_state(r, "55P03", FRAME_V_RELEASE, "PostgreSQL 55P03");
    expect_state(r, "53100", FRAME_V_RELEASE, "PostgreSQL 53100");
    expect_state(r, "25006", FRAME_V_RELEASE, "PostgreSQL 25006");
    expect_state(r, "57014", FRAME_V_RETRY, "PostgreSQL 57014");
    expect_state(r, "23505", FRAME_V_RETRY, "planted");
    expect_state(r, "P0001", FRAME_V_RETRY, "planted");
    rig_free(r);
}

Test(errors, make_a_handlers_dead_a_second_chance_when_they_are_not_its_own)
{
    struct rig *r = db_rig(p, NULL);
    static const char dead[] =
        "{\"verdict\":3,\"sql\":\"DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '%s'; END$$\"}";

    rig_expect(rig_run(r, "sql", fmt(dead, "55P03")), FRAME_V_RELEASE, NULL);
    rig_expect(rig_run(r, "sql", fmt(dead, "23505")), FRAME_V_DEAD, "x");
    rig_free(r);
}

Test(errors, done_after_a_failed_statement_is_not_done)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "sql", "{\"verdict\":0,\"sql\":\"SELECT 1/0\"}"), FRAME_V_RETRY,
               "said done, but its transaction had failed: PostgreSQL 22012");
    cr_assert_eq(db_done(p, &id), 0);
    rig_free(r);
}

Test(errors, a_lock_that_is_not_free_releases_the_job)
{
    struct rig *r = db_rig(p, NULL);
    struct rig *holder = db_rig(p, NULL);

    (void)rig_give(holder, &(struct rig_job){.type = "pg_deaf", .payload = "{\"s\":20}"});
    db_wait(
        p,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'"
        " AND pid <> pg_backend_pid()");
    rig_expect(rig_run(r, "sql", "{\"sql\":\"LOCK TABLE effects IN ACCESS EXCLUSIVE MODE\"}"),
               FRAME_V_RELEASE, "PostgreSQL 55P03");
    rig_free(holder);
    rig_free(r);
}

Test(errors, sql_that_runs_into_the_hard_limit_counts_as_a_crash)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(
        rig_run_job(
            r, &(struct rig_job){.type = "pg_deaf", .id = &id, .soft_ms = 1000, .hard_ms = 2000}),
        FRAME_V_CRASH, "hard limit");
    cr_assert_eq(db_effects(p, &id), 0);
    rig_free(r);
}

Test(errors, a_subject_that_is_gone_at_commit_ends_the_job_well_without_effect)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id(), other = db_id();

    pg_do(p, "INSERT INTO subjects VALUES (7)");
    rig_expect(db_run(r, &other, "subject", "{\"subject\":7}"), FRAME_V_DONE, NULL);
    rig_expect(db_run(r, &id, "subject", "{\"subject\":8}"), FRAME_V_DONE, "its subject is gone");
    cr_assert_eq(db_done(p, &id), 1);
    cr_assert_eq(pg_int(p, "SELECT count(*) FROM subject_effects"), 1);
    rig_free(r);
}

Test(errors, a_constraint_that_fails_at_commit_fails_the_job)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    pg_do(p, "CREATE TABLE once (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    rig_expect(db_run(r, &id, "sql", "{\"sql\":\"INSERT INTO once VALUES (1), (1)\"}"),
               FRAME_V_RETRY, "PostgreSQL 23505");
    cr_assert_eq(db_done(p, &id), 0);
    cr_assert_eq(db_effects(p, &id), 0);
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(errors, a_transaction_left_open_by_a_plain_type_is_a_crash_and_ends)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "pg_open", NULL), FRAME_V_CRASH, "left its transaction open");
    cr_assert_eq(db_effects(p, &id), 0);
    rig_expect(rig_run(r, "pg", "{\"sql\":\"SELECT 1\"}"), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "pg", "{\"sql\":\"SELECT 1/0\"}"), FRAME_V_RETRY, "division by zero");
    rig_free(r);
}
