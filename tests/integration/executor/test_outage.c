/* SPDX-License-Identifier: MIT */
/* G21, G25, G36: the database is away, comes back, breaks off in the middle, has no tables, may not
 * be written. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/executor/rig_pg.h"

static struct postgres *p;

static void set_up(void)
{
    p = db_start();
}

static void tear_down(void)
{
    postgres_stop(p);
}

TestSuite(outage, .init = set_up, .fini = tear_down);

Test(outage, is_told_and_its_end_too)
{
    struct rig *r = db_rig(p, NULL);
    const struct said *s;
    jobq_id id = db_id();

    postgres_kill(p);
    rig_wait(r, db_is_down);
    cr_assert(strstr(r->pg_text, "connection to server"), "%s", r->pg_text);
    s = db_run(r, &id, "effect", NULL);
    rig_expect(s, FRAME_V_RELEASE, "PostgreSQL: connection to server");
    cr_assert(s->delay_ms >= 1000 && s->delay_ms < 2000);
    rig_expect(rig_run(r, "pg", "{\"sql\":\"SELECT 1\"}"), FRAME_V_RELEASE, NULL);
    postgres_restart(p);
    rig_wait(r, db_is_up);
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(outage, at_the_start_does_not_keep_an_executor_from_being_ready)
{
    struct rig *r;

    postgres_stop_fast(p);
    r = db_rig_of(p->conninfo, NULL, NULL);
    rig_wait(r, db_is_down);
    postgres_restart(p);
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(outage, between_two_jobs_costs_no_job)
{
    struct rig *r = db_rig(p, NULL);

    for (int i = 0; i < 3; i++) {
        static const char *const types[] = {"effect", "manual", "pg"};

        rig_expect(rig_run(r, types[i], "{\"sql\":\"SELECT 1\"}"), FRAME_V_DONE, NULL);
        pg_do(p, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
        rig_expect(rig_run(r, types[i], "{\"sql\":\"SELECT 1\"}"), FRAME_V_DONE, NULL);
    }
    rig_free(r);
}

Test(outage, in_the_middle_of_a_job_gives_it_back)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();
    static const char suicide[] = "{\"sql\":\"SELECT pg_terminate_backend(pg_backend_pid())\"}";
    struct rig_job often = {.type = "sql", .payload = suicide, .id = &id, .releases = 20};

    rig_expect(db_run(r, &id, "sql", suicide), FRAME_V_RELEASE, "PostgreSQL 57P01");
    rig_expect(db_run(r, &id, "pg", suicide), FRAME_V_RELEASE, "PostgreSQL 57P01");
    /* A job that always loses its connection is not given back for ever. */
    rig_expect(rig_run_job(r, &often), FRAME_V_RETRY, "given back 20 times");
    cr_assert_eq(db_effects(p, &id), 0);
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

/* ---- COMMIT without an answer ---- */

static bool waits_for_sync(struct rig *r)
{
    (void)r;
    return pg_int(p, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                     " AND backend_type = 'client backend'") == 1;
}

static bool waits_for_sync_or_is_idle(struct rig *r)
{
    return rig_is_idle(r) || waits_for_sync(r);
}

/* Ends the backend whose COMMIT hangs, and waits until it is gone: what it did is seen from then
 * on. */
static void end_hanging_commit(void)
{
    long long pid = pg_int(p, "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                              " AND backend_type = 'client backend'");

    cr_assert_gt(pid, 1);
    pg_do(p, "SELECT pg_terminate_backend(%lld)", pid);
    db_wait(p, fmt("SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE pid = %lld", pid));
}

/*
 * Makes COMMIT do its work and then not answer: it waits for a standby that does not exist. Hands
 * over jobs like this one, each of a new id, until one of them hangs: the server learns of it in
 * its own time. Gives its seq.
 */
static uint32_t give_until_a_commit_hangs(struct rig *r, struct rig_job job, jobq_id *id)
{
    uint32_t seq;

    pg_do(p, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    pg_do(p, "SET synchronous_commit TO local; SELECT pg_reload_conf()");
    job.id = id;
    do {
        *id = db_id();
        r->idles_seen = r->idles;
        seq = rig_give(r, &job);
        rig_wait(r, waits_for_sync_or_is_idle);
    } while (rig_is_idle(r));
    return seq;
}

Test(outage, that_swallows_the_answer_to_a_commit_that_happened_is_found_out)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id;
    uint32_t seq = give_until_a_commit_hangs(
        r, (struct rig_job){.type = "parent", .payload = "{\"n\":2}"}, &id);

    end_hanging_commit();
    rig_wait(r, rig_is_idle);
    rig_expect(&r->said[seq], FRAME_V_DONE, NULL);
    cr_assert_not(r->said[seq].told, "%s", r->said[seq].text);
    cr_assert_eq(r->said[seq].children, 2);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(outage, that_swallows_a_commit_that_did_not_happen_gives_the_job_back)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    pg_do(p, "CREATE TABLE fatal (x int);"
             "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
             " $$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END$$;"
             "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON fatal DEFERRABLE INITIALLY DEFERRED"
             " FOR EACH ROW EXECUTE FUNCTION die()");
    rig_expect(db_run(r, &id, "sql", "{\"sql\":\"INSERT INTO fatal VALUES (1)\"}"), FRAME_V_RELEASE,
               "COMMIT was not answered and did not happen");
    cr_assert_eq(db_effects(p, &id), 0);
    cr_assert_eq(db_done(p, &id), 0);
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(outage, that_lasts_past_the_hard_limit_leaves_the_question_to_the_next_run)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id;
    uint32_t seq = give_until_a_commit_hangs(
        r, (struct rig_job){.type = "effect", .soft_ms = 1000, .hard_ms = 2000}, &id);

    rig_wait(r, rig_is_idle);
    rig_expect(&r->said[seq], FRAME_V_RELEASE, "COMMIT was not answered; the next run finds out");
    end_hanging_commit();
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

/* ---- a server that does not move ---- */

static void signal_server(int signal_number)
{
    kill(p->process->pid, signal_number);
}

Test(outage, of_a_server_that_accepts_and_says_nothing_is_noticed)
{
    struct rig *r;

    signal_server(SIGSTOP);
    r = db_rig_of(p->conninfo, NULL, NULL);
    rig_wait(r, db_is_down);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, NULL);
    signal_server(SIGCONT);
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(outage, of_a_frozen_server_is_over_for_the_job_before_its_hard_limit)
{
    static const char *const types[] = {"effect", "manual"};
    struct rig *r = db_rig(p, NULL);

    pg_do(p, "CREATE TABLE backends (pid int)");
    for (size_t i = 0, late = 0; i < 2;) {
        struct rig_job job = {.type = types[i], .soft_ms = 2000, .hard_ms = 4000};

        rig_wait(r, db_is_up);
        /* Its own: of connections that it gave up while the server was frozen some may be listed
         * still. */
        rig_expect(rig_run(r, "sql", "{\"sql\":\"INSERT INTO backends SELECT pg_backend_pid()\"}"),
                   FRAME_V_DONE, NULL);
        pid_t backend = (pid_t)pg_int(p, "DELETE FROM backends RETURNING pid");
        cr_assert_gt(backend, 1);
        signal_server(SIGSTOP);
        kill(backend, SIGSTOP);
        rig_expect(rig_run_job(r, &job), FRAME_V_RELEASE, "PostgreSQL");
        bool is_in_time = r->page->run_us[r->last_seq % FRAME_HELD_MAX] < 4000000;
        kill(backend, SIGCONT);
        signal_server(SIGCONT);
        /* Half a second is left for it: a machine may stand still for longer, but not each time. */
        cr_assert(is_in_time || ++late < 5, "never over before the hard limit");
        i += is_in_time;
    }
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

/* ---- what is left on the server ---- */

Test(outage, of_the_executor_cancels_its_sql)
{
    struct rig *r = db_rig(p, NULL);

    (void)rig_give(r, &(struct rig_job){.type = "pg_deaf"});
    db_wait(p, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state "
               "= 'active'"
               " AND pid <> pg_backend_pid()");
    child_signal_group(&r->child, SIGKILL);
    rig_wait(r, rig_has_ended);
    db_wait(p, "SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'"
               " AND pid <> pg_backend_pid()");
    rig_free(r);
}

/* ---- what only a human can mend ---- */

Test(outage, by_a_missing_schema_says_how_to_mend_it)
{
    struct rig *r;

    pg_do(p, "DROP SCHEMA jobq CASCADE");
    r = db_rig_of(p->conninfo, NULL, NULL);
    rig_wait(r, db_is_down);
    cr_assert(strstr(r->pg_text, "no table \"jobq\".done in database test: run \"jobctl init\""),
              "%s", r->pg_text);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, "run \"jobctl init\"");
    pg_load(p, source_path("contrib/postgres/schema.sql"));
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    /* And when it goes away under a connection that is up. */
    pg_do(p, "ALTER TABLE jobq.done RENAME TO gone");
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, "run \"jobctl init\"");
    rig_wait(r, db_is_down);
    rig_free(r);
}

Test(outage, by_a_missing_right_says_how_to_mend_it)
{
    struct rig *r;

    pg_do(p, "CREATE ROLE worker LOGIN; GRANT USAGE ON SCHEMA jobq TO worker; GRANT SELECT ON "
             "jobq.done TO worker");
    r = db_rig_of(fmt("%s user=worker", p->conninfo), NULL, NULL);
    rig_wait(r, db_is_down);
    cr_assert(strstr(r->pg_text, "role worker may not read and write \"jobq\".done"), "%s",
              r->pg_text);
    pg_do(p, "GRANT INSERT, UPDATE, DELETE ON jobq.done TO worker; GRANT ALL ON effects TO worker");
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(outage, by_a_server_that_is_read_only_is_no_failure_of_a_job)
{
    struct rig *r = db_rig(p, NULL);

    pg_do(p, "ALTER DATABASE test SET default_transaction_read_only TO on");
    pg_do(p, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
             " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
    rig_wait(r, db_is_down);
    cr_assert(strstr(r->pg_text, "read-only"), "%s", r->pg_text);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, "read-only");
    pg_do(p, "SET default_transaction_read_only TO off; ALTER DATABASE test RESET "
             "default_transaction_read_only");
    rig_wait(r, db_is_up);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_DONE, NULL);
    rig_free(r);
}

Test(outage, by_too_many_connections_is_no_failure_of_a_job)
{
    struct rig *r;

    pg_do(p, "CREATE ROLE worker LOGIN CONNECTION LIMIT 0; GRANT ALL ON SCHEMA jobq TO worker;"
             "GRANT ALL ON jobq.done, effects TO worker");
    r = db_rig_of(fmt("%s user=worker", p->conninfo), NULL, NULL);
    rig_wait(r, db_is_down);
    cr_assert(strstr(r->pg_text, "too many connections"), "%s", r->pg_text);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, "too many connections");
    rig_free(r);
}

Test(outage, tells_no_password)
{
    struct rig *r = db_rig_of("host=/nowhere user=me password=sesame", NULL, NULL);

    rig_wait(r, db_is_down);
    rig_expect(rig_run(r, "effect", NULL), FRAME_V_RELEASE, NULL);
    cr_assert(!strstr(r->pg_text, "sesame") && !strstr(r->said[1].text, "sesame") &&
              !strstr(r->log, "sesame"));
    rig_free(r);
}
