/* SPDX-License-Identifier: MIT */
/* jobctl queue list, worker list, dead list. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "broker/codec.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

static void start(void)
{
    redis = redis_start(
        (const char *const[]){"--appendonly", "yes", "--enable-debug-command", "yes", NULL});
    setenv("JOBQ_REDIS", redis->operator_url, 1);
    unsetenv("JOBQ_POSTGRES");
}

TestSuite(jobctl_redis, .init = start, .fini = stop);

/* h of a job of that type. */
static struct buf header(const char *type, unsigned attempts)
{
    struct buf b;
    struct job_header h = {.attempts = (uint16_t)attempts,
                           .type = type,
                           .type_len = strlen(type),
                           .enqueued_ms = 1700000000000};
    cr_assert(jobq_id_new(&h.id, NULL) == JOBQ_OK);
    buf_init(&b, CODEC_HEADER_MAX);
    codec_encode(&h, &b);
    cr_assert(!b.failed);
    return b;
}

static void add_dead(const char *key, const char *id, const char *type, const char *reason,
                     const char *error)
{
    struct buf h = header(type, 10);
    done(redis_do(redis, "XADD %s %s h %b p %s reason %s error %s by %s", key, id, h.data, h.len,
                  "{\"a\":1}", reason, error, "host-boot-1-aa"));
    buf_done(&h);
}

Test(jobctl_redis, an_empty_redis_has_nothing_to_list)
{
    struct run r = JOBCTL("queue", "list", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "queue_list_empty");
    run_free(&r);
    r = JOBCTL("queue", "list", "--queue", "none");
    expect(&r, 1, "there is no queue none");
    run_free(&r);
    r = JOBCTL("worker", "list");
    expect(&r, 0, NULL);
    cr_assert_str_eq(r.out, "no workers\n");
    run_free(&r);
    cr_assert(redis_int(redis, "DBSIZE") == 0, "looking changed Redis");
}

static void fill_queue(void)
{
    done(redis_do(redis, "HSET jobq:queues mail 2 default 1 broken-entry nonsense"));
    done(redis_do(redis, "XGROUP CREATE jobq:{mail:0}:ready:normal jobq 0 MKSTREAM"));
    for (int i = 0; i < 5; i++) {
        struct buf h = header("a.b", 0);
        done(redis_do(redis, "XADD jobq:{mail:0}:ready:normal * h %b p {}", h.data, h.len));
        done(redis_do(redis, "XADD jobq:{mail:1}:ready:high * h %b p {}", h.data, h.len));
        done(redis_do(redis, "XADD jobq:{mail:1}:parked * h %b p {}", h.data, h.len));
        buf_done(&h);
    }
    done(redis_do(redis, "XREADGROUP GROUP jobq w COUNT 2 STREAMS jobq:{mail:0}:ready:normal >"));
    done(redis_do(redis, "ZADD jobq:{mail:0}:later 4080000000000 x 4070908800000 y"));
    done(redis_do(redis, "HSET jobq:{mail:0}:alive w 17 dead-one F"));
    add_dead("jobq:{mail:1}:dead", "*", "a.b", "permanent", "no");
}

Test(jobctl_redis, queue_list_counts_jobs_in_every_state)
{
    fill_queue();
    struct run r = JOBCTL("queue", "list", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "queue_list");
    run_free(&r);
    r = JOBCTL("queue", "list", "--queue", "mail", "--json");
    expect(&r, 0, NULL);
    cr_assert_str_eq(text_at(&r, "queues.0.queue"), "mail");
    cr_assert(number_at(&r, "queues.0.next_due_ms") == 4070908800000);
    cr_assert(json_array_size(member(&r, "queues")) == 1);
    run_free(&r);
    r = JOBCTL("queue", "list");
    expect(&r, 0, NULL);
    cr_assert(strncmp(r.out, "QUEUE ", 6) == 0 && strstr(r.out, "2099-01-01T00:00:00.000Z") != NULL,
              "%s", r.out);
    run_free(&r);
}

Test(jobctl_redis, queue_list_says_when_redis_cannot_tell_the_number)
{
    fill_queue();
    struct redisReply *entries = redis_do(redis, "XRANGE jobq:{mail:0}:ready:normal - +");
    done(redis_do(redis, "XDEL jobq:{mail:0}:ready:normal %s",
                  entries->element[3]->element[0]->str));
    freeReplyObject(entries);
    struct run r = JOBCTL("queue", "list", "--queue", "mail", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_is_false(member(&r, "queues.0.waiting_exact")), "%s", r.out);
    cr_assert(number_at(&r, "queues.0.waiting") == 7, "%s", r.out);
    run_free(&r);
    r = JOBCTL("queue", "list", "--queue", "mail");
    cr_assert(strstr(r.out, " ~7 ") != NULL, "%s", r.out);
    run_free(&r);
}

Test(jobctl_redis, looking_changes_nothing_in_redis)
{
    fill_queue();
    char *before = redis_str(redis, "DEBUG DIGEST");
    const char *const lists[][2] = {{"queue", "list"}, {"worker", "list"}, {"dead", "list"}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct run r = JOBCTL(lists[i][0], lists[i][1]);
        expect(&r, 0, NULL);
        run_free(&r);
    }
    char *after = redis_str(redis, "DEBUG DIGEST");
    cr_assert(before != NULL && strcmp(before, after) == 0);
    cr_assert(redis_int(redis, "EXISTS jobq:{default:0}:ready:normal") == 0);
    free(before);
    free(after);
}

/* How often a command ran, by INFO commandstats. */
static long long calls_of(const char *command)
{
    char *info = redis_str(redis, "INFO commandstats");
    const char *line = strstr(info, fmt("cmdstat_%s:calls=", command));
    long long calls = line != NULL ? strtoll(strchr(line, '=') + 1, NULL, 10) : 0;
    free(info);
    return calls;
}

Test(jobctl_redis, dead_list_shows_the_newest_of_all_partitions_first)
{
    done(redis_do(redis, "HSET jobq:queues mail 2 other 1"));
    for (int i = 0; i < 60; i++)
        add_dead(i % 2 ? "jobq:{mail:0}:dead" : "jobq:{mail:1}:dead", fmt("%d-1", 1000 + i), "a.b",
                 "exhausted", "no");
    done(redis_do(redis, "XADD jobq:{other:0}:dead 1-1 p garbage reason corrupt by x"));
    add_dead("jobq:{other:0}:dead", "1058-2", "c.d", "permanent", "\033[2Jbad\nthing \302\233");
    struct run r = JOBCTL("dead", "list", "--limit", "3", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_array_size(member(&r, "dead")) == 3);
    cr_assert(number_at(&r, "dead.0.died_ms") == 1059);
    cr_assert_str_eq(text_at(&r, "dead.1.place"), "other/0/dead/1058-2");
    cr_assert_str_eq(text_at(&r, "dead.1.type"), "c.d");
    cr_assert_str_eq(text_at(&r, "dead.2.reason"), "exhausted");
    run_free(&r);
    r = JOBCTL("dead", "list", "--queue", "other", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "dead_list");
    cr_assert(strchr(r.out, '\033') == NULL && strstr(r.out, "\302\233") == NULL,
              "raw bytes reached the terminal");
    run_free(&r);
    r = JOBCTL("dead", "list", "--queue", "other");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "\\x1b[2Jbad\\nthing \\u009b") != NULL, "%s", r.out);
    cr_assert(strchr(r.out, '\033') == NULL && strstr(r.out, "\302\233") == NULL,
              "raw bytes reached the terminal");
    run_free(&r);
}

Test(jobctl_redis, lists_are_read_in_pages_and_never_by_scanning)
{
    struct buf h = header("a.b", 10);
    done(redis_do(redis, "HSET jobq:queues mail 1"));
    char *big = calloc(1, 200001);
    memset(big, 'x', 200000);
    for (int i = 0; i < 100; i++)
        done(redis_do(redis, "XADD jobq:{mail:0}:dead * h %b p %s reason permanent error no by x",
                      h.data, h.len, big));
    struct run r = JOBCTL("dead", "list", "--limit", "100", "--json");
    expect(&r, 0, NULL);
    cr_assert(json_array_size(member(&r, "dead")) == 100);
    cr_assert(number_at(&r, "dead.99.payload_bytes") == 200000);
    run_free(&r);
    cr_assert(calls_of("xrevrange") >= 20, "100 entries of 200 kB came in %lld pages",
              calls_of("xrevrange"));
    cr_assert(calls_of("keys") == 0 && calls_of("scan") == 0);
    buf_done(&h);
    free(big);
}

Test(jobctl_redis, worker_list_tells_the_living_from_the_silent_fenced_and_gone)
{
    done(redis_do(redis, "HSET jobq:queues mail 2"));
    done(redis_do(redis,
                  "HSET jobq:{mail:0}:alive web-1-4f2a-77-aa 17 db-4f2a-78-bb 18 db-4f2a-79-cc F"));
    done(redis_do(redis, "HSET jobq:{mail:1}:alive web-1-4f2a-77-aa 17"));
    done(redis_do(redis, "HSET jobq:{mail:0}:types web-1-4f2a-77-aa %s", "a.b c.d"));
    done(redis_do(redis, "XGROUP CREATE jobq:{mail:0}:ready:high jobq 0 MKSTREAM"));
    done(redis_do(redis, "XADD jobq:{mail:0}:ready:high * h x p y"));
    done(redis_do(redis,
                  "XREADGROUP GROUP jobq web-1-4f2a-77-aa STREAMS jobq:{mail:0}:ready:high >"));
    done(redis_do(redis, "XADD jobq:{mail:0}:ready:high * h x p y"));
    done(redis_do(redis, "XREADGROUP GROUP jobq nameless STREAMS jobq:{mail:0}:ready:high >"));
    redisContext *subscriber = redisConnectUnix(redis->socket);
    done(redisCommand(subscriber, "SUBSCRIBE jobq:node:web-1-4f2a-77-aa"));
    struct run r = JOBCTL("worker", "list", "--json");
    expect(&r, 0, NULL);
    expect_golden(&r, "worker_list");
    run_free(&r);
    r = JOBCTL("worker", "list");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "WORKER ") == r.out && strstr(r.out, "silent") != NULL, "%s", r.out);
    run_free(&r);
    redisFree(subscriber);
}

Test(jobctl_redis, a_missing_permission_exits_77)
{
    done(redis_do(redis, "ACL SETUSER reader on >pw ~nothing:* +@all"));
    struct run r = JOBCTL("queue", "list", "--redis", fmt("unix://reader:pw@%s", redis->socket));
    expect(&r, 77, "NOPERM");
    run_free(&r);
}

Test(jobctl_redis, another_programs_key_is_an_error_and_no_crash)
{
    done(redis_do(redis, "SET jobq:queues text"));
    struct run r = JOBCTL("queue", "list");
    expect(&r, 69, "WRONGTYPE");
    run_free(&r);
    done(redis_do(redis, "DEL jobq:queues"));
    done(redis_do(redis, "HSET jobq:queues mail 1"));
    done(redis_do(redis, "SET jobq:{mail:0}:ready:high text"));
    for (size_t i = 0; i < 2; i++) {
        r = JOBCTL(i == 0 ? "queue" : "worker", "list");
        expect(&r, 69, "WRONGTYPE");
        run_free(&r);
    }
}

Test(jobctl_redis, colours_are_for_terminals_that_want_them)
{
    const char *jobctl = bin_path("jobctl");
    const char *typescript = fmt("TERM=xterm script -qec '%s doctor' /dev/null", jobctl);
    const char *plain = fmt("NO_COLOR=1 %s", typescript);
    char *out = NULL;
    (void)!run_command(&out, NULL, (const char *const[]){"/bin/sh", "-c", typescript, NULL});
    cr_assert(strstr(out, "\033[32mok\033[0m") != NULL, "%s", out);
    free(out);
    (void)!run_command(&out, NULL, (const char *const[]){"/bin/sh", "-c", plain, NULL});
    cr_assert(strstr(out, "redis reachable") != NULL && strchr(out, '\033') == NULL, "%s", out);
    free(out);
    struct run r = JOBCTL("doctor");
    cr_assert(strchr(r.out, '\033') == NULL, "colour without a terminal");
    run_free(&r);
}
