/* SPDX-License-Identifier: MIT */
/*
 * Deaths of jobd: by presence, by silence, by the lock of its state file; zombies; drains.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/scene.h"

static bool are_subscribed(void *ctx)
{
    struct scene *s = ctx;
    redisReply *r = redis_do(s->redis, "PUBSUB CHANNELS jobq:node:*");
    bool both = r->elements == 2;

    freeReplyObject(r);
    return both;
}

struct looks {
    struct scene *scene;
    long long at_least;
};

/* How often somebody has asked who is subscribed. */
static long long count_looks(struct scene *s)
{
    char *info = redis_str(s->redis, "INFO commandstats");
    const char *at = strstr(info, "cmdstat_pubsub|numsub:calls=");
    long long n = at ? strtoll(strchr(at, '=') + 1, NULL, 10) : 0;

    free(info);
    return n;
}

static bool has_looked(void *ctx)
{
    struct looks *l = ctx;

    return count_looks(l->scene) >= l->at_least;
}

/*
 * Until jobd 1 has seen jobd 0 subscribed: what is not seen cannot be missed. Jobd 0 stands still meanwhile, so that
 * but what it had sent before all are of jobd 1: most of them such looks.
 */
static void wait_seen(struct scene *s)
{
    cr_assert(wait_until(patience_ms(20000), are_subscribed, s));
    process_signal(s->jobd[0]->process, SIGSTOP);
    struct looks l = {s, count_looks(s) + 8};
    cr_assert(wait_until(patience_ms(20000), has_looked, &l));
}

/* G1 G13 G15 G19 G42: with a lease of ten minutes only presence can tell so fast that a jobd is
 * dead. */
Test(jobd_death, presence_hands_its_jobs_over_at_once)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "10m"});
    scene_enqueue_held(s, 12);
    scene_wait_held(s, 4, 20000); /* two each */
    wait_seen(s);
    scene_kill(s, 0);
    scene_let_go(s);
    scene_wait_drained(s, 60000);
    cr_assert_geq(process_count_log(s->jobd[1]->process, "reaped"), 1);
    scene_check_effects(s);
    scene_drain(s, 1);
    scene_free(s);
}

/* G15: two jobd of one host, one restarted: it declares its predecessor dead by the lock, however
 * long the lease. */
Test(jobd_death, a_successor_takes_over_by_the_lock)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "10m"});
    scene_enqueue_held(s, 6);
    scene_wait_held(s, 2, 20000);
    scene_kill(s, 0);
    scene_let_go(s);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "10m"});
    scene_wait_drained(s, 30000);
    cr_assert_geq(process_count_log(s->jobd[0]->process, "reaped"), 1);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* A second jobd of the same instance is refused with 78. */
Test(jobd_death, one_instance_runs_once)
{
    struct scene *s = scene_new(0);

    scene_jobd(s, 0, (struct jobd_options){.executors = 1});
    struct jobd *second = scene_jobd(s, 1, (struct jobd_options){
        .executors = 1, .instance = "a", .state_dir = scene_state_dir(s, 0), .do_not_wait = true});
    int status = process_wait(second->process, patience_ms(20000));
    cr_assert_eq(status >> 8, 78);
    cr_assert(process_wait_log(second->process, "runs already", NULL, 1000));
    scene_drain(s, 0);
    scene_free(s);
}

/* G13 G14: a jobd frozen past its lease wakes up and changes nothing; it starts anew under a new
 * name. */
Test(jobd_death, a_zombie_is_powerless)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "500ms"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 200}", 8);
    scene_wait_pending(s, 4, 20000);
    process_signal(s->jobd[0]->process, SIGSTOP);
    cr_assert(process_wait_log(s->jobd[1]->process, "fenced", NULL, patience_ms(30000)));
    scene_wait_drained(s, 60000);
    long long effects = scene_effects(s);
    process_signal(s->jobd[0]->process, SIGCONT);
    cr_assert(process_wait_log(s->jobd[0]->process, "incarnation.lost", NULL, patience_ms(30000)));
    cr_assert(jobd_wait_notify(s->jobd[0], "STATUS=ready", patience_ms(30000)));
    cr_assert_eq(scene_effects(s), effects);
    scene_enqueue_many(s, "effect", "{}", 50);
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G1 G19 G22 G42 under load: jobd are killed in turn and come back. */
Test(jobd_death, loses_and_doubles_nothing_under_load)
{
    struct scene *s = scene_new(SCENE_PG);
    size_t kills = 0;

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "1s"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 10}", 800);
    while (kills < 6) {
        size_t victim = kills % 2;
        scene_wait_more(s, 30, 60000);
        scene_wait_pending(s, 1, 20000);
        scene_kill(s, victim);
        kills++;
        scene_jobd(s, victim, (struct jobd_options){.executors = 2, .lease = "1s"});
    }
    scene_wait_drained(s, 90000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_drain(s, 1);
    scene_free(s);
}

/* G22 G37: a drain under load: running jobs end or are released; exit 0; no budget used, nothing
 * twice. */
Test(jobd_drain, finishes_or_releases_and_exits_0)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 50}", 100);
    scene_wait_effects(s, 10, 20000);
    scene_wait_pending(s, 1, 20000);
    scene_drain(s, 0);
    cr_assert_eq(scene_pending(s), 0);
    cr_assert_eq(redis_int(s->redis, "HLEN jobq:{default:0}:alive"), 0);
    scene_jobd(s, 1, (struct jobd_options){.executors = 2});
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    /* One run per job: what the drain met was finished, not cut off. */
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM jobq.done"),
                 (long long)s->acked_count);
    scene_drain(s, 1);
    scene_free(s);
}

/* G37: what outlives the grace is cut off and released; it runs again elsewhere, with no budget
 * used. */
Test(jobd_drain, gives_back_what_outlives_the_grace)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = "drain_grace = \"300ms\";"});
    scene_enqueue_held(s, 1);
    scene_wait_held(s, 1, 20000);
    scene_drain(s, 0);
    cr_assert_eq(scene_queued(s), 1);
    scene_let_go(s);
    scene_jobd(
        s, 1,
        (struct jobd_options){.executors = 1, .extra = "crash_budget = 1; max_attempts = 1;"});
    scene_wait_drained(s, 60000);
    cr_assert_eq(scene_dead(s), 0);
    scene_check_effects(s);
    scene_drain(s, 1);
    scene_free(s);
}
