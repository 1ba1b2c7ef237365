/* SPDX-License-Identifier: MIT */
/* What the users of contrib/redis/users.conf may not do; that they may do what they need is shown
 * by the tests that run as them. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "broker/rights.h"
#include "tests/support/support.h"

#define BASE "jobq:{default:0}"

static struct redis *server;

static void start(void)
{
    server = redis_start((const char *const[]){"--enable-debug-command", "yes", NULL});
    freeReplyObject(redis_do(server, "XADD " BASE ":ready:normal * h x p y"));
    freeReplyObject(redis_do(server, "XGROUP CREATE " BASE ":ready:normal jobq 0"));
    freeReplyObject(redis_do(server, "HSET " BASE ":held id x"));
    freeReplyObject(redis_do(server, "HSET jobq:queues default 1"));
    freeReplyObject(redis_do(server, "SET other x"));
}

static void stop(void)
{
    redis_stop(server);
}

TestSuite(rights, .init = start, .fini = stop);

static redisContext *login(const char *user)
{
    redisContext *c = redisConnectUnix(server->socket);
    cr_assert(c != NULL && c->err == 0);
    redisReply *r = redisCommand(c, "AUTH jobq-%s s3cret", user);
    cr_assert(r != NULL && r->type == REDIS_REPLY_STATUS, "%s cannot log in", user);
    freeReplyObject(r);
    r = redisCommand(c, "PING");
    cr_assert(r != NULL && r->type == REDIS_REPLY_STATUS);
    freeReplyObject(r);
    return c;
}

/* Every command, words parted by blanks, is refused for want of permission and for no other
 * reason. */
static void must_refuse(const char *user, const char *const *commands)
{
    redisContext *c = login(user);
    for (; *commands != NULL; commands++) {
        redisReply *r = redisCommand(c, *commands);
        cr_assert(r != NULL, "%s: %s: %s", user, *commands, c->errstr);
        cr_assert(r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOPERM", 6) == 0,
                  "%s may %s (%s)", user, *commands, r->str != NULL ? r->str : "a reply");
        freeReplyObject(r);
    }
    redisFree(c);
}

static const char *const of_nobody[] = {
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "KEYS *",
    "SCAN 0",
    "SHUTDOWN",
    "DEBUG SLEEP 0",
    "REPLICAOF 127.0.0.1 1",
    "ACL LIST",
    "ACL SETUSER eve on nopass +@all ~*",
    "MONITOR",
    "SAVE",
    "BGREWRITEAOF",
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "MODULE LIST",
    "CLIENT LIST",
    "CLIENT PAUSE 1",
    "SWAPDB 0 1",
    "GET other",
    "DEL other",
    "RENAME other x",
    "MIGRATE 127.0.0.1 1 other 0 1",
    "SUBSCRIBE secrets",
    "PUBLISH secrets x",
    NULL,
};

Test(rights, nobody_may_administer_or_touch_what_is_not_jobqs)
{
    must_refuse("producer", of_nobody);
    must_refuse("worker", of_nobody);
    must_refuse("operator", of_nobody);
    must_refuse("viewer", of_nobody);
}

Test(rights, a_producer_may_neither_read_nor_delete)
{
    must_refuse("producer",
                (const char *const[]){"XRANGE " BASE ":ready:normal - +",
                                      "XREVRANGE " BASE ":ready:normal + -",
                                      "XREAD STREAMS " BASE ":ready:normal 0",
                                      "XLEN " BASE ":ready:normal",
                                      "XREADGROUP GROUP jobq me STREAMS " BASE ":ready:normal >",
                                      "XCLAIM " BASE ":ready:normal jobq me 0 1-1",
                                      "XACK " BASE ":ready:normal jobq 1-1",
                                      "XDEL " BASE ":ready:normal 1-1",
                                      "XTRIM " BASE ":ready:normal MAXLEN 0",
                                      "DEL " BASE ":ready:normal",
                                      "UNLINK " BASE ":ready:normal",
                                      "EXPIRE " BASE ":ready:normal 1",
                                      "XGROUP DESTROY " BASE ":ready:normal jobq",
                                      "XADD " BASE ":ready:recovered * h x p y",
                                      "XADD " BASE ":dead * h x p y",
                                      "SET " BASE ":ready:normal x",
                                      "SET jobq:queues x",
                                      "SET " BASE ":held x",
                                      "GET " BASE ":control",
                                      "XADD " BASE ":audit * act x",
                                      "XREVRANGE " BASE ":audit + -",
                                      "HGET " BASE ":totals purged",
                                      "HINCRBY " BASE ":totals purged 1",
                                      "HGET " BASE ":held id",
                                      "HGETALL " BASE ":held",
                                      "HDEL " BASE ":held id",
                                      "ZREM " BASE ":later id",
                                      "HSET " BASE ":alive eve 1",
                                      "HSET " BASE ":types eve x",
                                      "HDEL jobq:queues default",
                                      "HSET jobq:queues default 9",
                                      "HSET " BASE ":control paused 1",
                                      "EVAL return 0",
                                      "INFO",
                                      NULL});
}

/* In the words of Redis 7.0, and of later ones. */
static bool is_acl_failure(const char *text)
{
    return strstr(text, "ACL failure") != NULL ||
           strstr(text, "The user executing the script can't") != NULL;
}

/* A script runs with the rights of its caller. */
static void script_must_fail(const char *user, const char *script, const char *key)
{
    redisContext *c = login(user);
    redisReply *sha = redisCommand(c, "SCRIPT LOAD %s", script);
    cr_assert(sha != NULL && sha->type == REDIS_REPLY_STRING, "%s", sha != NULL ? sha->str : "");
    redisReply *r = redisCommand(c, "EVALSHA %s 1 %s", sha->str, key);
    cr_assert(r != NULL && r->type == REDIS_REPLY_ERROR && is_acl_failure(r->str), "%s ran %s: %s",
              user, script, r->str != NULL ? r->str : "");
    freeReplyObject(r);
    freeReplyObject(sha);
    redisFree(c);
}

Test(rights, a_script_lends_no_rights)
{
    const char *lane = BASE ":ready:normal";
    script_must_fail("producer", "return redis.call('XRANGE', KEYS[1], '-', '+')", lane);
    script_must_fail("producer", "return redis.call('XDEL', KEYS[1], '1-1')", lane);
    script_must_fail("producer", "return redis.call('SET', KEYS[1], 'x')", lane);
    script_must_fail("producer", "return redis.call('HGET', KEYS[1], 'id')", BASE ":held");
    script_must_fail("worker", "return redis.call('FLUSHALL')", lane);
    script_must_fail("operator", "return redis.call('KEYS', '*')", lane);
    cr_assert_eq(redis_int(server, "XLEN %s", lane), 1);
}

Test(rights, a_viewer_may_not_write)
{
    must_refuse("viewer",
                (const char *const[]){"XADD " BASE ":ready:normal * h x p y",
                                      "XDEL " BASE ":ready:normal 1-1",
                                      "XADD " BASE ":audit * act x",
                                      "XDEL " BASE ":audit 1-1",
                                      "HINCRBY " BASE ":totals purged 1",
                                      "PUBLISH " BASE ":events {}",
                                      "XTRIM " BASE ":ready:normal MAXLEN 0",
                                      "XACK " BASE ":ready:normal jobq 1-1",
                                      "XREADGROUP GROUP jobq me STREAMS " BASE ":ready:normal >",
                                      "XCLAIM " BASE ":ready:normal jobq me 0 1-1",
                                      "XGROUP DESTROY " BASE ":ready:normal jobq",
                                      "DEL " BASE ":dead",
                                      "UNLINK " BASE ":dead",
                                      "EXPIRE " BASE ":dead 1",
                                      "SET " BASE ":x y",
                                      "HSET " BASE ":held id x",
                                      "HDEL " BASE ":held id",
                                      "HINCRBY " BASE ":alive eve 1",
                                      "ZADD " BASE ":later 1 x",
                                      "ZREM " BASE ":later x",
                                      "HSETNX jobq:queues mine 1",
                                      "SCRIPT LOAD x",
                                      "EVAL return 0",
                                      "EVALSHA 0123456789012345678901234567890123456789 0",
                                      "PUBLISH " BASE ":wake 1",
                                      "CLIENT KILL ID 1",
                                      NULL});
}

Test(rights, an_operator_may_not_pose_as_a_worker)
{
    must_refuse("operator",
                (const char *const[]){"XREADGROUP GROUP jobq me STREAMS " BASE ":ready:normal >",
                                      "XCLAIM " BASE ":ready:normal jobq me 0 1-1",
                                      "XGROUP CREATE " BASE ":ready:high jobq 0 MKSTREAM",
                                      "XGROUP DESTROY " BASE ":ready:normal jobq",
                                      "CLIENT KILL ID 1", NULL});
}

Test(rights, a_worker_may_not_throw_away_a_group_or_look_for_keys)
{
    must_refuse("worker", (const char *const[]){"XGROUP DESTROY " BASE ":ready:normal jobq",
                                                "XGROUP SETID " BASE ":ready:normal jobq $",
                                                "XSETID " BASE ":ready:normal 9-9",
                                                "XCLAIM " BASE ":ready:normal jobq me 0 1-1 FORCE",
                                                "RANDOMKEY", "DUMP " BASE ":held", "OBJECT HELP",
                                                "PSUBSCRIBE *", NULL});
}

/* As Redis counts the words of a command: so many, or so many at least (negative). */
static long long arity_of(const char *command)
{
    char name[64];
    size_t first = strcspn(command, " ");
    const char *parents[] = {"CLIENT ", "XGROUP ", "XINFO ", "PUBSUB "};
    snprintf(name, sizeof(name), "%.*s", (int)first, command);
    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
        if (strncmp(command, parents[i], strlen(parents[i])) == 0)
            snprintf(name, sizeof(name), "%.*s|%.*s", (int)first, command,
                     (int)strcspn(command + first + 1, " "), command + first + 1);
    redisReply *r = redis_do(server, "COMMAND INFO %s", name);
    cr_assert(r->type == REDIS_REPLY_ARRAY && r->elements == 1 && r->element[0]->elements > 1, "%s",
              name);
    long long arity = r->element[0]->element[1]->integer;
    freeReplyObject(r);
    return arity;
}

Test(rights, are_asked_for_whole_commands)
{
    size_t i = 0;
    for (const char *command; (command = rights_needed(i)) != NULL; i++) {
        long long words = 1, arity = arity_of(command);
        for (const char *at = command; (at = strchr(at, ' ')) != NULL; at++)
            words++;
        cr_assert(arity > 0 ? words == arity : words >= -arity, "%s: %lld words, arity %lld",
                  command, words, arity);
    }
    cr_assert_gt(i, 40u);
}

Test(rights, a_user_without_a_password_cannot_log_in)
{
    char *text = read_file(source_path("contrib/redis/users.conf"));
    size_t users = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "user ", 5) != 0)
            continue;
        users++;
        cr_assert(strstr(line, "nopass") == NULL && strstr(line, " >") == NULL, "%s", line);
        cr_assert(strstr(line, "+@all") == NULL && strstr(line, "allkeys") == NULL, "%s", line);
    }
    cr_assert_eq(users, 4u);
    free(text);
}
