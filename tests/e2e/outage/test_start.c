/* SPDX-License-Identifier: MIT */
/*
 * jobd starts before what it depends on, or beside the wrong one: it stays, says what is missing,
 * and goes to work when that is healed, without a restart.
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/outage/outage.h"

#define LONG_LEASE "20m" /* a beat is four minutes */

/* One job must come through; then everything is drained. */
static void check_works(struct scene *s, const char *type)
{
    outage_wait_status(s->jobd[0], "STATUS=ready");
    scene_enqueue_many(s, type, "{}", 20);
    outage_end(s);
}

/* G36: Redis is down when jobd starts. */
Test(start, without_redis_it_waits_and_says_so)
{
    struct scene *s = scene_new(SCENE_PG);

    redis_kill(s->redis);
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], fmt("STATUS=not ready: redis: %s", s->redis->socket));
    cr_assert_eq(process_count_log(s->jobd[0]->process, " registered "), 0);
    redis_restart(s->redis);
    check_works(s, "effect");
}

/* G36 G41: a password that is not (yet) right; the credentials rotate; the log never shows it. */
Test(start, with_a_wrong_password_it_waits_until_it_is_right)
{
    struct scene *s = scene_new(0);

    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker on >right ~* &* +@all"));
    scene_jobd(s, 0,
               (struct jobd_options){
                   .do_not_wait = true,
                   .redis = fmt("redis://worker:s3cretnew@127.0.0.1:%d/0", s->redis->port)});
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis");
    outage_wait_status(s->jobd[0], "WRONGPASS");
    cr_assert_null(strstr(s->jobd[0]->status, "s3cretnew"));
    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker >s3cretnew"));
    int64_t from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    cr_assert_eq(process_count_log(s->jobd[0]->process, "s3cretnew"), 0);
    check_works(s, "noop");
}

/* G36: a password that is withdrawn while it runs: the connection lives on in Redis, and dies with
 * it. */
Test(start, a_password_that_changes_under_it_is_waited_for_too)
{
    struct scene *s = scene_new(0);

    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker on >first ~* &* +@all"));
    scene_jobd(
        s, 0,
        (struct jobd_options){.redis = fmt("redis://worker:first@127.0.0.1:%d/0", s->redis->port)});
    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker <first"));
    freeReplyObject(redis_do(s->redis, "CLIENT KILL USER worker"));
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis");
    outage_wait_status(s->jobd[0], "WRONGPASS");
    scene_enqueue_many(s, "noop", "{}", 5);
    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker >first"));
    check_works(s, "noop");
}

/* G36: it is pointed at a replica, which is promoted later. */
Test(start, beside_a_replica_it_names_it_and_waits_for_a_primary)
{
    struct scene *s = scene_new(SCENE_PG);
    struct redis *primary = redis_start(NULL);

    freeReplyObject(redis_do(s->redis, "REPLICAOF 127.0.0.1 %d", primary->port));
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "a replica, not a primary");
    cr_assert_not_null(strstr(s->jobd[0]->status, s->redis->socket), "%s", s->jobd[0]->status);
    freeReplyObject(redis_do(s->redis, "REPLICAOF NO ONE"));
    outage_wait_status(s->jobd[0], "STATUS=ready");
    check_works(s, "effect");
    redis_stop(primary);
}

/* G36: PostgreSQL is down when jobd starts; nothing is claimed for want of it. */
Test(start, without_postgres_it_waits_and_says_so)
{
    struct scene *s = scene_new(SCENE_PG);

    postgres_stop_fast(s->postgres);
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "STATUS=not ready: postgres: ");
    scene_enqueue_many(s, "effect", "{}", 20);
    postgres_restart(s->postgres);
    outage_wait_status(s->jobd[0], "STATUS=ready");
    check_works(s, "effect");
}

/* Comes back when the server has read it: the postmaster does so before it tells its sessions. */
static void set_read_only(struct scene *s, const char *value)
{
    pg_do(s->postgres, "ALTER SYSTEM SET default_transaction_read_only = %s", value);
    pg_do(s->postgres, "SELECT pg_reload_conf()");
    while (!pg_int(s->postgres,
                   "SELECT (current_setting('default_transaction_read_only') = '%s')::int", value))
        continue;
}

/* G36: a PostgreSQL that takes no writes (a standby, or set so) is as good as none. */
Test(start, beside_a_read_only_postgres_it_waits_and_says_so)
{
    struct scene *s = scene_new(SCENE_PG);

    set_read_only(s, "on");
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "read-only"); /* "connecting" comes first, now and then */
    cr_assert_not_null(strstr(s->jobd[0]->status, "not ready: postgres: "), "%s",
                       s->jobd[0]->status);
    set_read_only(s, "off");
    outage_wait_status(s->jobd[0], "STATUS=ready");
    check_works(s, "effect");
}

/* G36: the database was never prepared: the text says what to do. */
Test(start, without_our_schema_it_says_what_to_do)
{
    struct scene *s = scene_new(SCENE_PG);

    pg_do(s->postgres, "DROP SCHEMA jobq CASCADE");
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "run \"jobctl init\"");
    cr_assert_not_null(strstr(s->jobd[0]->status, "not ready: postgres: "), "%s",
                       s->jobd[0]->status);
    scene_enqueue_many(s, "effect", "{}", 20);
    pg_load(s->postgres, source_path("contrib/postgres/schema.sql"));
    pg_load(s->postgres, source_path("contrib/postgres/roles.sql"));
    check_works(s, "effect");
}

/* G36: nothing of what it needs is there; each comes alone. */
Test(start, without_anything_it_waits_for_each)
{
    struct scene *s = scene_new(SCENE_PG);

    postgres_stop_fast(s->postgres);
    redis_kill(s->redis);
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true});
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis");
    redis_restart(s->redis);
    outage_wait_status(s->jobd[0], "STATUS=not ready: postgres");
    postgres_restart(s->postgres);
    check_works(s, "effect");
}

/* Never ready yet, with a long lease: the reason is told, and healing it takes no lease but
 * moments. */
static void begin_refused(struct scene *s, const char *name, const char *wrong, const char *right,
                          const char *text)
{
    freeReplyObject(redis_do(s->redis, "CONFIG SET %s %s", name, wrong));
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true, .lease = LONG_LEASE});
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis: ");
    outage_wait_status(s->jobd[0], text);
    freeReplyObject(redis_do(s->redis, "CONFIG SET %s %s", name, right));
    int64_t from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    check_works(s, "effect");
}

/* G36: Redis is out of memory from the start. */
Test(start, beside_a_full_redis_it_waits_and_says_so)
{
    begin_refused(scene_new(SCENE_PG), "maxmemory", "1", "0", "OOM");
}

/* G36: Redis takes no writes from the start. */
Test(start, beside_a_redis_without_its_replicas_it_waits_and_says_so)
{
    begin_refused(scene_new(SCENE_PG), "min-replicas-to-write", "1", "0", "NOREPLICAS");
}

/* G36: it may log in, but not write: the text says what Redis said; the rights are given while it
 * runs. */
Test(start, without_the_rights_it_waits_and_says_so)
{
    struct scene *s = scene_new(SCENE_PG);

    freeReplyObject(
        redis_do(s->redis, "ACL SETUSER worker on >right ~* &* +@all -@write -@scripting"));
    scene_jobd(
        s, 0,
        (struct jobd_options){.do_not_wait = true,
                              .lease = LONG_LEASE,
                              .redis = fmt("redis://worker:right@127.0.0.1:%d/0", s->redis->port)});
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis: ");
    outage_wait_status(s->jobd[0], "NOPERM");
    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker +@all"));
    int64_t from = now_ms();
    outage_wait_status(s->jobd[0], "STATUS=ready");
    outage_check_healed(from);
    check_works(s, "effect");
}
