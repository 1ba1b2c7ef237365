/* SPDX-License-Identifier: MIT */
/* G19, G20: an effect happens exactly once, if and only if its job is done, whoever dies where.
 * Real PostgreSQL. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

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

TestSuite(effect, .init = set_up, .fini = tear_down);

Test(effect, happens_once_however_often_the_job_runs)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    for (int i = 0; i < 3; i++) {
        const struct said *s = db_run(r, &id, "effect", NULL);

        cr_assert_not(s->told, "%s", s->text);
        cr_assert_eq(db_effects(p, &id), 1);
    }
    db_run_elsewhere(p, &id, "effect", NULL, FRAME_V_DONE);
    cr_assert_eq(db_effects(p, &id), 1);
    cr_assert_eq(db_done(p, &id), 1);
    rig_free(r);
}

Test(effect, of_a_failed_run_is_rolled_back)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "effect", "{\"fail_n\":1}"), FRAME_V_RETRY, NULL);
    cr_assert_eq(db_effects(p, &id), 0);
    cr_assert_eq(db_done(p, &id), 0);
    rig_expect(rig_run_job(r, &(struct rig_job){.type = "effect",
                                                .payload = "{\"fail_n\":1}",
                                                .id = &id,
                                                .attempts = 1}),
               FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(effect, of_many_jobs_handed_over_together)
{
    struct rig *r = db_rig(p, NULL);
    struct buf b;

    buf_init(&b, 1 << 20);
    for (int i = 0; i < 200; i++)
        (void)rig_put(&b, r, &(struct rig_job){.type = "effect"});
    rig_send(r, b.data, b.len);
    rig_wait(r, rig_is_idle);
    for (uint32_t seq = 1; seq <= 200; seq++)
        rig_expect(&r->said[seq], FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, NULL), 200);
    cr_assert_eq(
        pg_int(p, "SELECT count(DISTINCT job_id) FROM effects JOIN jobq.done ON id = job_id"), 200);
    buf_done(&b);
    rig_free(r);
}

/* Dies at the point, runs again elsewhere; how many effects there were in between. */
static long long effects_after_death_at(const char *point)
{
    const char *env[] = {fmt("JOBQ_CRASH_AT=%s", point), NULL};
    struct rig *r = db_rig(p, env);
    jobq_id id = db_id();
    long long between;

    (void)db_run(r, &id, "parent", "{\"n\":2}");
    cr_assert(r->ended && WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGKILL,
              "did not die at %s", point);
    cr_assert_eq(frame_page_done(r->page), 0);
    rig_free(r);
    /* Its backend ends by itself: that it is gone is what the next run waits for, by the row. */
    db_wait(
        p, "SELECT (count(*) = 0)::int FROM pg_stat_activity WHERE application_name LIKE 'jobq %'");
    between = db_effects(p, &id);
    r = db_rig(p, NULL);
    const struct said *s = db_run(r, &id, "parent", "{\"n\":2}");
    rig_expect(s, FRAME_V_DONE, NULL);
    cr_assert_eq(s->children, 2, "after %s: %u children", point, s->children);
    cr_assert_eq(db_effects(p, &id), 1, "after %s", point);
    rig_free(r);
    return between;
}

Test(effect, happens_once_when_the_executor_dies_anywhere)
{
    cr_assert_eq(effects_after_death_at("execute.started"), 0);
    cr_assert_eq(effects_after_death_at("execute.before_commit"), 0);
    cr_assert_eq(effects_after_death_at("execute.commit_sent"), 1);
    cr_assert_eq(effects_after_death_at("execute.committed"), 1);
}

Test(effect, happens_once_when_two_executors_run_the_job_at_once)
{
    struct rig *a = db_rig(p, NULL), *b = db_rig(p, NULL);
    jobq_id id = db_id();
    const char *payload = fmt("{\"ms\":300,\"file\":\"%s/runs\"}", tmp_dir());
    struct rig_job job = {.type = "effect_slow", .payload = payload, .id = &id};

    (void)rig_give(a, &job);
    (void)rig_give(b, &job);
    rig_wait(a, rig_is_idle);
    rig_wait(b, rig_is_idle);
    rig_expect(&a->said[1], FRAME_V_DONE, NULL);
    rig_expect(&b->said[1], FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    char *runs = read_file(fmt("%s/runs", tmp_dir()));
    cr_assert_str_eq(runs, "x\n", "the second one ran its handler");
    free(runs);
    rig_free(a);
    rig_free(b);
}

/* ---- children ---- */

Test(effect, is_committed_with_the_jobs_it_enqueues)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();
    const struct said *first = db_run(r, &id, "parent", "{\"n\":3}"), *again;
    char stored[16];
    struct buf b;

    rig_expect(first, FRAME_V_DONE, NULL);
    cr_assert_eq(first->children, 3);
    cr_assert_str_eq(first->last_child, "effect default {\"i\":2}");
    cr_assert_eq(pg_int(p, "SELECT count(*) FROM jobq.done WHERE children IS NOT NULL"), 1);
    /* A rerun sends them again, under the same ids, whatever it would enqueue now. */
    again = db_run(r, &id, "parent", "{\"n\":1}");
    cr_assert_not(again->told);
    cr_assert_eq(again->children, 3);
    cr_assert_arr_eq(again->child_ids, first->child_ids, 3 * sizeof(jobq_id));

    memcpy(stored, id.bytes, 16);
    buf_init(&b, 64);
    frame_put(&b, FRAME_SENT, 0, stored, 16);
    rig_send(r, b.data, b.len);
    buf_done(&b);
    db_wait(p, "SELECT count(*) FROM jobq.done WHERE children IS NULL");
    cr_assert_eq(db_run(r, &id, "parent", "{\"n\":3}")->children, 0);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(effect, of_a_rerun_whose_stored_children_are_damaged_is_not_lost_silently)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    (void)db_run(r, &id, "parent", "{\"n\":3}");
    pg_do(p, "UPDATE jobq.done SET children = substr(children, 1, 40)");
    rig_expect(db_run(r, &id, "parent", "{\"n\":3}"), FRAME_V_RETRY,
               "stored children cannot be read");
    pg_do(p, "UPDATE jobq.done SET children = '\\x63'");
    rig_expect(db_run(r, &id, "parent", "{\"n\":3}"), FRAME_V_RETRY,
               "stored children cannot be read");
    rig_free(r);
}

Test(effect, keeps_the_payload_byte_for_byte)
{
    static const char payload[] =
        "{ \"a\" : \"\\u0000 \\\"quoted\\\" \xC3\xA4\xF0\x9F\x90\x98\",\t\"n\":1.0e2 }\n";
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();
    char hex[sizeof(payload) * 2 + 1];

    for (size_t i = 0; i + 1 < sizeof(payload); i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)payload[i]);
    rig_expect(rig_run_job(r, &(struct rig_job){.type = "echo",
                                                .payload = payload,
                                                .payload_len = sizeof(payload) - 1,
                                                .id = &id}),
               FRAME_V_DONE, NULL);
    cr_assert_eq(pg_int(p, "SELECT count(*) FROM echoes WHERE job_id = '%s' AND payload = '\\x%s'",
                        db_id_text(&id), hex),
                 1);
    rig_free(r);
}

/* ---- manual ---- */

Test(effect, of_a_manual_type_happens_once)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();
    const struct said *s;

    rig_expect(db_run(r, &id, "manual", "{\"fail_n\":1,\"n\":2}"), FRAME_V_RETRY, NULL);
    cr_assert_eq(db_effects(p, &id), 0);
    s = db_run(r, &id, "manual", "{\"n\":2}");
    rig_expect(s, FRAME_V_DONE, NULL);
    cr_assert_eq(s->children, 2);
    s = db_run(r, &id, "manual", "{\"n\":5}");
    rig_expect(s, FRAME_V_DONE, NULL);
    cr_assert_eq(s->children, 2);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(effect, of_a_manual_type_happens_once_even_if_it_ignores_what_complete_says)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "manual_ignore", NULL), FRAME_V_DONE, NULL);
    rig_expect(db_run(r, &id, "manual_ignore", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

Test(effect, is_not_believed_when_a_manual_type_did_not_commit)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "manual_open", NULL), FRAME_V_CRASH, "left its transaction open");
    rig_expect(db_run(r, &id, "manual_rollback", NULL), FRAME_V_CRASH, "was not committed");
    cr_assert_eq(db_effects(p, &id), 0);
    cr_assert_eq(db_done(p, &id), 0);
    rig_free(r);
}

/* ---- breaches ---- */

Test(effect, counts_as_a_crash_when_the_handler_ends_the_transaction)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id(), other = db_id();

    rig_expect(db_run(r, &id, "endtx", NULL), FRAME_V_CRASH, "ended the runtime's transaction");
    rig_expect(db_run(r, &id, "endtx", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_expect(db_run(r, &other, "endtx_rollback", NULL), FRAME_V_CRASH,
               "ended the runtime's transaction");
    rig_expect(db_run(r, &other, "endtx_begin", NULL), FRAME_V_CRASH, "and began another");
    rig_expect(db_run(r, &other, "pg_unfinished", NULL), FRAME_V_CRASH,
               "left a statement unfinished");
    cr_assert_eq(db_effects(p, &other), 0);
    rig_expect(db_run(r, &other, "effect", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &other), 1);
    rig_free(r);
}

Test(effect, may_use_savepoints)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();

    rig_expect(db_run(r, &id, "savepoint", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(db_effects(p, &id), 1);
    rig_free(r);
}

/* ---- G24 ---- */

Test(effect, leaves_nothing_in_the_session_for_the_next_job)
{
    struct rig *r = db_rig(p, NULL);

    rig_expect(rig_run(r, "pg_checkstate", NULL), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "pg_setstate", NULL), FRAME_V_DONE, NULL);
    rig_expect(rig_run(r, "pg_checkstate", NULL), FRAME_V_DONE, NULL);
    cr_assert_eq(pg_int(p, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
    rig_free(r);
}

Test(effect, names_job_and_type_in_its_session_and_limits_it)
{
    struct rig *r = db_rig(p, NULL);
    jobq_id id = db_id();
    char *seen;

    pg_do(p, "CREATE TABLE seen (name text, value text)");
    rig_expect(
        db_run(r, &id, "sql",
               "{\"sql\":\"INSERT INTO seen SELECT name, setting FROM pg_settings WHERE name IN"
               " ('application_name', 'transaction_isolation', 'lock_timeout', "
               "'client_connection_check_interval',"
               " 'idle_in_transaction_session_timeout', 'statement_timeout')\"}"),
        FRAME_V_DONE, NULL);
    seen = pg_str(p, "SELECT string_agg(name || '=' || value, ' ' ORDER BY name) FROM seen"
                     " WHERE name NOT LIKE '%%timeout' OR name = 'lock_timeout'");
    cr_assert_str_eq(
        seen,
        fmt("application_name=jobq sql %s client_connection_check_interval=500 lock_timeout=2000"
            " transaction_isolation=read committed",
            db_id_text(&id)));
    free(seen);
    cr_assert_eq(pg_int(p, "SELECT count(*) FROM seen WHERE name ~ 'statement_timeout|idle_in'"
                           " AND value::int BETWEEN 60000 AND 70000"),
                 2);
    rig_expect(
        db_run(r, NULL, "pg",
               "{\"sql\":\"INSERT INTO seen SELECT 'pg', current_setting('application_name')\"}"),
        FRAME_V_DONE, NULL);
    cr_assert_eq(
        pg_int(p, "SELECT count(*) FROM seen WHERE name = 'pg' AND value LIKE 'jobq pg %%'"), 1);
    rig_free(r);
}

/* ---- housekeeping ---- */

Test(effect, is_forgotten_after_its_retention)
{
    const char *extra[] = {"done_retention", "20000", NULL};
    struct rig *r = db_rig_of(p->conninfo, NULL, extra);
    jobq_id id = db_id();

    pg_do(p, "INSERT INTO jobq.done (id, at) SELECT gen_random_uuid(), now() - interval '1 hour'"
             " FROM generate_series(1, 700)");
    rig_expect(db_run(r, &id, "effect", NULL), FRAME_V_DONE, NULL);
    pg_do(p, "UPDATE jobq.done SET at = now() + interval '1 hour' WHERE id = '%s'",
          db_id_text(&id));
    /* One batch of 500 and, as that was full, soon another. */
    db_wait(p, "SELECT (count(*) = 1)::int FROM jobq.done");
    cr_assert_eq(db_done(p, &id), 1);
    rig_free(r);
}
