/* SPDX-License-Identifier: MIT */
/*
 * Redis fails in other ways than by dying or freezing: busy, paused for writes, of the wrong type,
 * full of clients, demoted, failed over, empty after a restart; and jobd is drained meanwhile.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/outage/outage.h"

#define LANE "jobq:{default:0}:ready:normal"

static struct scene *begin_two(int64_t lease_ms)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 30}", 200);
    scene_wait_effects(s, 10, 20000);
    scene_wait_pending(s, 2, 20000);
    return s;
}

static void do_quietly(struct scene *s, const char *command)
{
    freeReplyObject(redis_do(s->redis, command));
}

static bool is_busy(void *ctx)
{
    struct scene *s = ctx;
    redisReply *r = redis_do(s->redis, "PING");
    bool busy = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "BUSY", 4) == 0;

    freeReplyObject(r);
    return busy;
}

static bool keep_busy(int64_t lease_ms, const void *what)
{
    struct scene *s = begin_two(lease_ms);
    const char *argv[] = {"redis-cli", "-s", s->redis->socket, "EVAL", "while true do end",
                          "0",         NULL};

    do_quietly(s, "CONFIG SET busy-reply-threshold 50");
    (void)what;
    struct process *stranger = process_start("redis-cli", argv, NULL);
    cr_assert(wait_until(patience_ms(20000), is_busy, s));
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=not ready: ");
    outage_lasts(s, 3 * lease_ms);
    cr_assert(process_is_alive(stranger), "the stranger's script was killed");
    do_quietly(s, "SCRIPT KILL");
    int64_t from = now_ms();
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=ready");
    outage_check_healed(from);
    process_free(stranger);
    do_quietly(s, "CONFIG SET busy-reply-threshold 5000");
    return outage_end_without_steal(s);
}

/* G16 G36: somebody's script keeps Redis busy for three leases; it is not ours to kill. */
Test(server, busy_with_a_script_of_others_is_waited_for)
{
    outage_without_steal(keep_busy, 500, NULL);
}

static bool pause_writes(int64_t lease_ms, const void *what)
{
    struct scene *s = begin_two(lease_ms);

    (void)what;
    do_quietly(s, "CLIENT PAUSE 600000 WRITE");
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=not ready: lease");
    outage_lasts(s, 3 * lease_ms);
    do_quietly(s, "CLIENT UNPAUSE");
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=ready");
    return outage_end_without_steal(s);
}

/* G16: as at a failover: reads are answered, writes are held back for three leases. */
Test(server, paused_for_writes_steals_nothing)
{
    outage_without_steal(pause_writes, 500, NULL);
}

/* G36 G42: a key of ours is of another type: it is told, nothing spins, and mended it goes on. */
Test(server, with_a_key_of_the_wrong_type_is_waited_for)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.lease = "1s"});
    outage_wait_blocked(s);
    do_quietly(s, "DEL " LANE);
    do_quietly(s, "SET " LANE " nonsense");
    outage_wait_log(s->jobd[0], "WRONGTYPE");
    int64_t cpu = outage_cpu_ms(s->jobd[0]->process->pid), since = now_ms();
    outage_lasts(s, 2000);
    cpu = outage_cpu_ms(s->jobd[0]->process->pid) - cpu;
    outage_check_idle(cpu, now_ms() - since);
    do_quietly(s, "DEL " LANE);
    scene_enqueue_many(s, "effect", "{}", 20);
    int64_t from = now_ms();
    scene_wait_effects(s, 20, 20000);
    outage_check_healed(from);
    outage_end(s);
}

/* G36: Redis is down long enough for the pauses between attempts to have grown; back again it is
 * found in time. */
Test(server, down_for_long_is_found_again_in_time)
{
    struct scene *s = scene_new(SCENE_PG | SCENE_AOF);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "10s"});
    redis_kill(s->redis);
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis");
    outage_lasts(s, 6000);
    redis_restart(s->redis);
    int64_t from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    scene_enqueue_many(s, "effect", "{}", 20);
    outage_end(s);
}

/* G19 G36 G42: Redis comes back without its data, under load, where client numbers begin anew. */
Test(server, empty_after_a_restart_is_taken_up_with)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .lease = "1s"});
    for (int i = 0; i < 3; i++) {
        scene_enqueue_many(s, "effect_slow", "{\"ms\": 20}", 60);
        scene_wait_pending(s, 2, 20000);
        redis_kill(s->redis);
        redis_restart(s->redis);
        s->unknown += s->acked_count;
        s->acked_count = 0;
        outage_wait_status(s->jobd[0], "STATUS=ready");
    }
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 1}", 60);
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    scene_drain(s, 0);
    scene_free(s);
}

/* G36: it is demoted under a waiting jobd, and promoted again. */
Test(server, demoted_is_left_and_promoted_is_come_back_to)
{
    struct scene *s = scene_new(SCENE_PG);
    struct redis *other = redis_start(NULL);

    scene_jobd(s, 0, (struct jobd_options){0});
    for (int i = 0; i < 3; i++) {
        outage_wait_blocked(s);
        freeReplyObject(redis_do(s->redis, "REPLICAOF 127.0.0.1 %d", other->port));
        outage_wait_status(s->jobd[0], "a replica, not a primary");
        do_quietly(s, "REPLICAOF NO ONE");
        int64_t from = now_ms();
        outage_wait_status(s->jobd[0], "STATUS=ready");
        outage_check_healed(from);
        scene_enqueue_many(s, "effect", "{}", 10);
        scene_wait_effects(s, (i + 1) * 10, 20000);
    }
    scene_wait_drained(s, 20000);
    scene_check_effects(s);
    scene_drain(s, 0);
    redis_stop(other);
    scene_free(s);
}

static bool fail_over(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);
    struct redis *old = s->redis, *replica = redis_start(NULL);
    char path[256];

    (void)what;
    snprintf(path, sizeof(path), "%s/relay", tmp_dir());
    freeReplyObject(redis_do(replica, "REPLICAOF 127.0.0.1 %d", old->port));
    struct process *relay = outage_relay(old, path);
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i,
                   (struct jobd_options){.executors = 2,
                                         .lease = outage_lease(lease_ms),
                                         .redis = redis_worker_url(path)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 20}", 200);
    scene_wait_effects(s, 40, 30000);
    scene_wait_pending(s, 2, 20000);
    /* WAIT asks for what its own connection has written; the jobs were written before. */
    do_quietly(s, "SET test:marker 1");
    cr_assert_eq(redis_int(old, "WAIT 1 %d", (int)patience_ms(20000)), 1);
    process_kill_group(relay);
    process_free(relay);
    /* What went to the old one after WAIT is what a failover loses: acknowledgements too, so jobs
     * run again. */
    freeReplyObject(redis_do(replica, "REPLICAOF NO ONE"));
    s->redis = replica;
    relay = outage_relay(replica, path);
    for (size_t i = 0; i < 2; i++)
        outage_wait_status(s->jobd[i], "STATUS=ready");
    bool spared = outage_end_without_steal(s);
    redis_stop(old);
    process_free(relay);
    return spared;
}

/* G1 G16 G19: a failover to a replica that has everything, with jobs running on two jobd. */
Test(server, failed_over_goes_on_where_it_was)
{
    outage_without_steal(fail_over, 1000, NULL);
}

/* G19 G37 G42: a drain while Redis is away ends within its grace; the next jobd goes on, no effect
 * is doubled. */
Test(server, away_does_not_hold_up_a_drain)
{
    struct scene *s = scene_new(SCENE_PG | SCENE_AOF);

    scene_jobd(s, 0, (struct jobd_options){.executors = 2, .extra = "drain_grace = \"2s\";"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 100}", 20);
    scene_wait_effects(s, 2, 20000);
    scene_wait_pending(s, 2, 20000);
    redis_kill(s->redis);
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis");
    int64_t from = now_ms();
    int status = jobd_drain(s->jobd[0], patience_ms(30000));
    cr_assert_leq(now_ms() - from, patience_ms(20000), "the drain took %d ms",
                  (int)(now_ms() - from));
    cr_assert_lt(status, 128, "jobd died of signal %d", status - 128);
    jobd_free(s->jobd[0]);
    s->jobd[0] = NULL;
    redis_restart(s->redis);
    scene_jobd(s, 0, (struct jobd_options){.executors = 2});
    scene_wait_drained(s, 60000);
    scene_check_effects(s);
    cr_assert_eq(scene_dead(s), 0);
    scene_drain(s, 0);
    scene_free(s);
}

/* G36: no client is let in any more; jobd waits outside. */
Test(server, full_of_clients_is_waited_for)
{
    struct scene *s = scene_new(SCENE_PG);

    do_quietly(s, "CONFIG SET maxclients 1");
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "max number of clients");
    do_quietly(s, "CONFIG SET maxclients 1000");
    int64_t from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    scene_enqueue_many(s, "effect", "{}", 20);
    outage_end(s);
}
