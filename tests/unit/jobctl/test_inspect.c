/* SPDX-License-Identifier: MIT */
/* inspect against a Redis that answers anything: an error or a look, never a crash, an overrun or a
 * leak. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/inspect_walk.h"
#include "broker/url.h"
#include "tests/support/support.h"
#include "tests/unit/broker/fake_redis.h"

#define ROUNDS 600
#define KINDS 9

/* ---- a Redis that is half right ---- */

struct liar {
    uint64_t seed;
    unsigned lies_in_100;
    const char *fixed; /* if set: the one answer to everything after the greeting */
};

/* Answers are made with the C library alone: the test refuses memory to what is tested, in the same
 * process. */
static uint64_t draw(struct liar *l, uint64_t below)
{
    l->seed ^= l->seed << 13;
    l->seed ^= l->seed >> 7;
    l->seed ^= l->seed << 17;
    return (l->seed >> 16) % below;
}

static void say_bulk(FILE *b, const char *bytes, size_t len)
{
    fprintf(b, "$%zu\r\n", len);
    fwrite(bytes, 1, len, b);
    fputs("\r\n", b);
}

static void say_anything(struct liar *l, FILE *b, int depth)
{
    static const char *const words[] = {
        "", "1-1", "17", "F", "h", "p", "jobq", "name", "nan", "last-delivered-id", "x y"};
    static const char *const numbers[] = {"0", "-1", "7", "9223372036854775807",
                                          "-9223372036854775808"};
    char bytes[48];
    uint64_t kind = draw(l, depth > 3 ? 6 : 9);
    if (kind < 2) {
        const char *word = words[draw(l, ARRAY_LEN(words))];
        say_bulk(b, word, strlen(word));
    } else if (kind == 2) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)draw(l, 256);
        bytes[0] = 1;
        say_bulk(b, bytes, (size_t)draw(l, sizeof(bytes)));
    } else if (kind == 3) {
        fprintf(b, ":%s\r\n", numbers[draw(l, ARRAY_LEN(numbers))]);
    } else if (kind == 4) {
        fputs(draw(l, 2) ? "$-1\r\n" : "*-1\r\n", b);
    } else if (kind == 5) {
        fputs(draw(l, 2) ? "-ERR a lie\r\n" : "+OK\r\n", b);
    } else {
        uint64_t n = draw(l, 9);
        fprintf(b, "*%d\r\n", (int)n);
        while (n-- > 0)
            say_anything(l, b, depth + 1);
    }
}

static void say_entries(struct liar *l, FILE *b, const char *limit)
{
    uint64_t n = draw(l, 20), max = limit != NULL ? strtoull(limit, NULL, 10) : 20;
    n = n > max && draw(l, 4) ? max : n;
    fprintf(b, "*%d\r\n", (int)n);
    for (uint64_t i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof(id), "%d-%d", (int)draw(l, 9), (int)draw(l, 9));
        fputs("*2\r\n", b);
        say_bulk(b, id, strlen(id));
        say_anything(l, b, 2);
    }
}

static void say_groups(struct liar *l, FILE *b)
{
    fputs("*1\r\n*8\r\n$4\r\nname\r\n$4\r\njobq\r\n$7\r\npending\r\n:2\r\n"
          "$17\r\nlast-delivered-id\r\n$3\r\n1-1\r\n$3\r\nlag\r\n",
          b);
    fputs(draw(l, 2) ? ":3\r\n" : "$-1\r\n", b);
}

static void answer(struct liar *l, const struct fake_command *c, FILE *b)
{
    static const char info[] =
        "redis_version:7.0.0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
    if (l->fixed != NULL)
        fputs(l->fixed, b);
    else if (draw(l, 100) < l->lies_in_100)
        say_anything(l, b, 0);
    else if (fake_is(c, "HLEN") || fake_is(c, "XLEN") || fake_is(c, "ZCARD"))
        fputs(draw(l, 2) ? ":2\r\n" : ":0\r\n", b);
    else if (fake_is(c, "HGETALL"))
        fputs("*4\r\n$1\r\na\r\n$1\r\n2\r\n$1\r\nb\r\n$1\r\n1\r\n", b);
    else if (fake_is(c, "XINFO") && strcmp(c->argv[1], "GROUPS") == 0)
        say_groups(l, b);
    else if (fake_is(c, "XRANGE") || fake_is(c, "XREVRANGE"))
        say_entries(l, b, c->argc == 6 ? c->argv[5] : NULL);
    else if (fake_is(c, "INFO"))
        say_bulk(b, info, sizeof(info) - 1);
    else if (fake_is(c, "TIME"))
        fputs("*2\r\n$2\r\n17\r\n$1\r\n5\r\n", b);
    else
        say_anything(l, b, 0);
}

static void serve(void *ctx, int fd, int number)
{
    struct liar *l = ctx;
    struct fake_command c;
    (void)number;
    if (!fake_greet(fd))
        return;
    while (fake_read_command(fd, &c)) {
        char *text = NULL;
        size_t len = 0;
        FILE *b = open_memstream(&text, &len);
        answer(l, &c, b);
        fclose(b);
        fake_write(fd, text, len);
        free(text);
        fake_command_done(&c);
    }
}

/* ---- looking ---- */

struct look {
    struct fake *fake;
    struct conn *conn;
    struct inspect in;
    struct shard_keys shards[2];
};

static void begin(struct look *k, struct liar *l)
{
    struct redis_url url;
    jobq_err err = {0};
    k->fake = fake_start(false, serve, l);
    cr_assert(url_parse(fake_url(k->fake), &url, &err) == JOBQ_OK, "%s", err.msg);
    cr_assert(conn_new(&url, "test", &k->conn, &err) == JOBQ_OK, "%s", err.msg);
    url_done(&url);
    for (unsigned i = 0; i < 2; i++)
        cr_assert(keys_init(&k->shards[i], NULL, "a", i, &err) == JOBQ_OK);
}

static void end(struct look *k)
{
    conn_free(k->conn);
    fake_stop(k->fake);
    for (size_t i = 0; i < 2; i++)
        keys_done(&k->shards[i]);
}

static void reconnect(struct look *k)
{
    jobq_err err = {0};
    int64_t deadline = clock_mono_ms() + patience_ms(20000);
    k->in = (struct inspect){k->conn, NULL, deadline};
    if (conn_state(k->conn) == CONN_READY)
        return;
    cr_assert(conn_connect(k->conn, deadline, &err) == JOBQ_OK, "%s", err.msg);
}

/* A walk must end, whatever Redis says. */
static int walk(struct look *k, int where, enum inspect_state state)
{
    struct inspect_walk w;
    int rc = inspect_walk_begin(&k->in, &k->shards[0], where, state, &w, NULL);
    if (rc == JOBQ_OK && state == INSPECT_IS_DEAD)
        rc = inspect_walk_until_now(&k->in, &w, NULL);
    for (int pages = 0; rc == JOBQ_OK && !w.ended && pages < 20; pages++) {
        struct inspect_page page;
        rc = inspect_walk_next(&k->in, &w, 30, &page, NULL);
        if (rc != JOBQ_OK)
            return rc;
        cr_assert(page.n <= 30, "%zu jobs, though 30 were asked for", page.n);
        for (size_t i = 0; i < page.n; i++)
            cr_assert_eq(page.jobs[i].place.where, where);
        inspect_page_done(&page);
    }
    return rc;
}

/* One look of each kind; the codes must be ones a caller can act on. */
static int look_once(struct look *k, int kind)
{
    struct inspect_server server;
    struct inspect_shard shard;
    struct inspect_queue *queues = NULL;
    struct inspect_worker *workers = NULL;
    struct inspect_job job;
    struct inspect_looked looked;
    jobq_id id = {{0}};
    size_t n = 0;
    bool found = false;
    int rc = JOBQ_EINTERNAL;
    reconnect(k);
    switch (kind) {
    case 0:
        return inspect_server(&k->in, &server, NULL);
    case 1:
        rc = inspect_queues(&k->in, &queues, &n, NULL);
        mem_free(queues);
        return rc;
    case 2:
        return inspect_shard(&k->in, &k->shards[0], &shard, NULL);
    case 3:
        rc = inspect_workers(&k->in, k->shards, 2, &workers, &n, NULL);
        inspect_workers_free(workers, n);
        return rc;
    case 4:
        return walk(k, INSPECT_DEAD, INSPECT_IS_DEAD);
    case 5:
        return walk(k, LANE_NORMAL, INSPECT_QUEUED);
    case 6:
        return walk(k, LANE_HIGH, INSPECT_CLAIMED);
    case 7:
        return walk(k, INSPECT_LATER, INSPECT_DELAYED);
    default:
        rc = inspect_find(&k->in, k->shards, 2, &id, -1, 100, &job, &found, &looked, NULL);
        if (rc == JOBQ_OK && found)
            inspect_job_done(&job);
        cr_assert(rc != JOBQ_OK || looked.entries <= 100);
        return rc;
    }
}

Test(inspect, survives_a_redis_that_lies)
{
    struct liar l = {.seed = 88172645463325252u};
    struct look k;
    int fine = 0, refused = 0;
    begin(&k, &l);
    for (int round = 0; round < ROUNDS; round++) {
        l.lies_in_100 = round % 3 == 0 ? 100 : round % 3 == 1 ? 20 : 4;
        for (int kind = 0; kind < KINDS; kind++) {
            int rc = look_once(&k, kind);
            cr_assert(rc == JOBQ_OK || rc == JOBQ_EPROTO || rc == JOBQ_EREDIS || rc == JOBQ_ESTATE,
                      "%d: %s", kind, jobq_error_name(rc));
            fine += rc == JOBQ_OK;
            refused += rc != JOBQ_OK;
        }
    }
    cr_assert(fine > 300 && refused > 300, "%d fine, %d refused: this tests only one of them", fine,
              refused);
    end(&k);
}

Test(inspect, gives_up_in_order_when_memory_is_short)
{
    struct liar l = {.seed = 4711, .lies_in_100 = 0};
    struct look k;
    int refused = 0;
    begin(&k, &l);
    for (long nth = 1; nth < 60; nth++) {
        for (int kind = 0; kind < KINDS; kind++) {
            reconnect(&k);
            mem_fail_at(nth, 1);
            int rc = look_once(&k, kind);
            mem_fail_at(0, 0);
            refused += rc == JOBQ_ENOMEM;
        }
    }
    cr_assert(refused > 8, "memory was short only %d times", refused);
    end(&k);
}

static void expect_answer(const char *fixed, int kind, int code)
{
    struct liar l = {.seed = 1, .fixed = fixed};
    struct look k;
    begin(&k, &l);
    int rc = look_once(&k, kind);
    cr_assert(rc == code, "%s to look %d gives %s", fixed, kind, jobq_error_name(rc));
    end(&k);
}

Test(inspect, tells_a_refusal_from_a_failure)
{
    for (int kind = 0; kind < KINDS; kind++) {
        expect_answer("-NOPERM this user has no permissions to run it\r\n", kind, JOBQ_EAUTH);
        expect_answer("-NOAUTH Authentication required.\r\n", kind, JOBQ_EAUTH);
        expect_answer("-LOADING Redis is loading the dataset in memory\r\n", kind, JOBQ_EREDIS);
        expect_answer("+PONG\r\n", kind, JOBQ_EPROTO);
    }
    expect_answer(":100001\r\n", 1, JOBQ_ESTATE);
}
