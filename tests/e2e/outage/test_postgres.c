/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL fails under a running jobd in other ways than by dying: read-only, frozen, full,
 * without its table.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/outage/outage.h"

static void set_read_only(struct scene *s, bool on)
{
    pg_do(s->postgres, "ALTER SYSTEM SET default_transaction_read_only = %s", on ? "on" : "off");
    pg_do(s->postgres, "SELECT pg_reload_conf()");
}

/* Who has nothing to do does not notice; when each session has read the setting nobody knows. */
static bool is_noticed(void *ctx)
{
    struct scene *s = ctx;

    if (jobd_wait_notify(s->jobd[0], "STATUS=not ready: postgres", 0))
        return true;
    scene_enqueue(s, "effect", "{}");
    return false;
}

/* G19 G27 G36: it turns read-only under load: no attempt is used up for it, it heals, every effect
 * once. */
Test(postgres, that_turns_read_only_is_waited_for)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "max_attempts = 1;"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 10}", 200);
    for (int i = 1; i <= 2; i++) {
        scene_wait_more(s, 30, 30000);
        scene_wait_pending(s, 1, 20000);
        set_read_only(s, true);
        cr_assert(wait_until(patience_ms(30000), is_noticed, s));
        set_read_only(s, false);
        outage_wait_status(s->jobd[0], "STATUS=ready");
    }
    outage_end(s);
}

/* The sessions of executors: all but the one that asks. */
#define SESSIONS                                                                                   \
    "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

/* Every session of an executor, and the server that would make new ones. */
static void signal_postgres(struct scene *s, int signal_number, const char *pids)
{
    for (const char *at = pids; *at; at += strcspn(at, ","), at += *at == ',')
        kill((pid_t)strtol(at, NULL, 10), signal_number);
    process_signal(s->postgres->process, signal_number);
}

static bool freeze_postgres(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);

    (void)what;
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 20}", 200);
    for (int i = 1; i <= 2; i++) {
        scene_wait_more(s, 40, 30000);
        scene_wait_pending(s, 1, 20000);
        char *pids = pg_str(s->postgres, "SELECT string_agg(pid::text, ',') " SESSIONS);
        cr_assert_not_null(pids);
        signal_postgres(s, SIGSTOP, pids);
        outage_lasts(s, 3 * lease_ms);
        signal_postgres(s, SIGCONT, pids);
        free(pids);
    }
    return outage_end_without_steal(s);
}

/* G16 G19 G36: it is frozen for three leases with transactions under way: 0 steals, every effect
 * once. */
Test(postgres, frozen_for_three_leases_steals_nothing)
{
    outage_without_steal(freeze_postgres, 500, NULL);
}

/* They may be on their way back. */
static bool are_ended(void *ctx)
{
    struct scene *s = ctx;

    return pg_int(s->postgres, "SELECT count(pg_terminate_backend(pid)) " SESSIONS) > 0;
}

/* G19 G27 G36: all its sessions are ended, as an administrator does: no attempt is used up for it.
 */
Test(postgres, whose_sessions_are_ended_is_come_back_to)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 3, .extra = "max_attempts = 1;"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 10}", 300);
    for (int i = 1; i <= 6; i++) {
        scene_wait_more(s, 30, 30000);
        cr_assert(wait_until(patience_ms(20000), are_ended, s));
    }
    outage_end(s);
}

/* G36: while it is down nothing spins: jobd and its executors together use less than 5 % of a core.
 */
Test(postgres, that_is_down_costs_no_cpu)
{
    struct scene *s = scene_new(SCENE_PG);
    pid_t pids[8];
    int64_t before = 0, after = 0;

    scene_jobd(s, 0, (struct jobd_options){.executors = 4});
    /* What they need to start is not looked at. */
    scene_enqueue_held(s, 4);
    scene_wait_held(s, 4, 20000);
    scene_let_go(s);
    scene_wait_drained(s, 20000);
    postgres_kill(s->postgres);
    scene_enqueue_many(s, "effect", "{}", 50);
    outage_wait_status(s->jobd[0], "STATUS=not ready: postgres");
    size_t n = jobd_executors(s->jobd[0], pids, 8);
    cr_assert_eq(n, 4u);
    before = outage_cpu_ms(s->jobd[0]->process->pid);
    for (size_t i = 0; i < n; i++)
        before += outage_cpu_ms(pids[i]);
    int64_t from = now_ms();
    outage_lasts(s, 4000);
    after = outage_cpu_ms(s->jobd[0]->process->pid);
    for (size_t i = 0; i < n; i++)
        after += outage_cpu_ms(pids[i]);
    outage_check_idle(after - before, now_ms() - from);
    postgres_restart(s->postgres);
    from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    outage_end(s);
}
