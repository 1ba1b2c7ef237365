/* SPDX-License-Identifier: MIT */
/*
 * Connections of a jobd that break one by one, under load and at rest; and how often it tries to
 * come back.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/outage/outage.h"

struct renewal {
    struct scene *scene;
    const char *name;
    long long old;
};

static bool is_renewed(void *ctx)
{
    struct renewal *r = ctx;

    return outage_connection(r->scene, r->name) > r->old;
}

/* Kills the connection of that name, and waits until there is another. */
static void kill_connection(struct scene *s, const char *name)
{
    struct renewal r = {s, name, 0};

    /* Slow as the machine may be, one was given up by jobd itself. */
    do {
        r.old = 0;
        if (!wait_until(now_ms() + patience_ms(20000), is_renewed, &r))
            fail_test("no connection %s", name);
        r.old = outage_connection(s, name);
    } while (!r.old || redis_int(s->redis, "CLIENT KILL ID %lld", r.old) != 1);
    if (!wait_until(now_ms() + patience_ms(20000), is_renewed, &r))
        fail_test("connection %s did not come back", name);
}

/* Two jobd: whose connection it was does not matter; nobody is declared dead for it. */
static bool kill_under_load(int64_t lease_ms, const void *name)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 500);
    for (int i = 0; i < 10; i++) {
        scene_wait_more(s, 30, 30000);
        scene_wait_pending(s, 1, 20000);
        kill_connection(s, name);
    }
    return outage_end_without_steal(s);
}

static void kill_at_rest(const char *name)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){0});
    for (int i = 1; i <= 10; i++) {
        outage_wait_blocked(s);
        kill_connection(s, name);
        scene_enqueue(s, "effect", "{}");
        scene_wait_effects(s, i, 20000);
    }
    cr_assert_eq(pg_int(s->postgres, "SELECT count(*) FROM jobq.done"), 10);
    outage_end(s);
}

/* G1 G8 G16 G19 G42 for each of the three, under load and at rest. */
Test(connection, command_is_killed_under_load)
{
    outage_without_steal(kill_under_load, 500, "jobd-command");
}

Test(connection, command_is_killed_at_rest)
{
    kill_at_rest("jobd-command");
}

Test(connection, reader_is_killed_under_load)
{
    outage_without_steal(kill_under_load, 500, "jobd-reader");
}

Test(connection, reader_is_killed_at_rest)
{
    kill_at_rest("jobd-reader");
}

Test(connection, subscriber_is_killed_under_load)
{
    outage_without_steal(kill_under_load, 500, "jobd-subscriber");
}

Test(connection, subscriber_is_killed_at_rest)
{
    kill_at_rest("jobd-subscriber");
}

/* Both jobd have all three. */
static bool are_all_there(void *ctx)
{
    static const char *const names[] = {"jobd-command", "jobd-reader", "jobd-subscriber"};
    struct scene *s = ctx;
    char *list = redis_str(s->redis, "CLIENT LIST");
    int found = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char word[64];
        snprintf(word, sizeof(word), " name=%s ", names[i]);
        for (const char *at = list; (at = strstr(at, word)); at += strlen(word))
            found++;
    }
    free(list);
    return found == 6;
}

static bool kill_all_under_load(int64_t lease_ms, const void *what)
{
    struct scene *s = scene_new(SCENE_PG);

    (void)what;
    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = outage_lease(lease_ms)});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 500);
    for (int i = 0; i < 10; i++) {
        scene_wait_more(s, 30, 30000);
        scene_wait_pending(s, 1, 20000);
        cr_assert(wait_until(patience_ms(20000), are_all_there, s));
        /* Not the connection that asks. */
        freeReplyObject(redis_do(s->redis, "CLIENT KILL TYPE normal SKIPME yes"));
        freeReplyObject(redis_do(s->redis, "CLIENT KILL TYPE pubsub SKIPME yes"));
    }
    return outage_end_without_steal(s);
}

/* G1 G16 G19: all at once, as a firewall that forgets does. */
Test(connection, all_are_killed_under_load)
{
    outage_without_steal(kill_all_under_load, 500, NULL);
}

/* The reader is killed the very moment a job comes: delivered or not, answered or not, it is done
 * once (G1 G19). */
Test(connection, reader_is_killed_as_jobs_come)
{
    struct scene *s = scene_new(SCENE_PG);

    scene_jobd(s, 0, (struct jobd_options){.lease = "10s"});
    for (int i = 1; i <= 20; i++) {
        long long reader = outage_wait_blocked(s);
        scene_enqueue(s, "effect", "{}");
        freeReplyObject(redis_do(s->redis, "CLIENT KILL ID %lld", reader));
        scene_wait_effects(s, i, 20000);
    }
    outage_end(s);
}

/* ---- how often it tries ---- */

#define LEAST_VISITS 6
#define MOST_VISITS 90 /* in four seconds */

struct visitors {
    int listener;
    int count;
    int64_t last_ms; /* of the newest, and the longest time between two */
    const char *greeting;
};

static int open_listener(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) ||
        listen(fd, 64) || getsockname(fd, (struct sockaddr *)(void *)&address, &size))
        fail_test("cannot listen on 127.0.0.1");
    *port = ntohs(address.sin_port);
    return fd;
}

/* Says its greeting to everybody who waits, and hangs up. */
static bool receive(void *ctx)
{
    struct visitors *v = ctx;
    int fd;

    while ((fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (v->greeting)
            (void)!send(fd, v->greeting, strlen(v->greeting), MSG_NOSIGNAL);
        close(fd);
        v->count++;
    }
    return false;
}

static bool has_received(void *ctx)
{
    const struct visitors *v = ctx;

    receive(ctx);
    return v->count >= LEAST_VISITS;
}

/*
 * Of its three connections each tries at once, then after 20 ms, 40 ms … 2.5 s, with jitter: in
 * four seconds some dozens of attempts, not thousands; and next to no CPU (G36).
 */
static void count_attempts(const char *greeting)
{
    struct scene *s = scene_new(0);
    struct visitors v = {.greeting = greeting};
    int port;

    v.listener = open_listener(&port);
    scene_jobd(
        s, 0,
        (struct jobd_options){.do_not_wait = true, .redis = fmt("redis://127.0.0.1:%d/0", port)});
    outage_wait_status(s->jobd[0], "STATUS=not ready: redis: ");
    int64_t cpu = outage_cpu_ms(s->jobd[0]->process->pid), from = now_ms();
    wait_until(now_ms() + 4000, receive, &v);
    cr_assert(wait_until(patience_ms(60000), has_received, &v), "%d attempts", v.count);
    cpu = outage_cpu_ms(s->jobd[0]->process->pid) - cpu;
    int64_t lasted = now_ms() - from;
    cr_assert_leq(v.count, MOST_VISITS * (lasted / 4000 + 1), "%d attempts in %d ms", v.count,
                  (int)lasted);
    outage_check_idle(cpu, lasted);
    close(v.listener);
    /* Down or not: what holds nothing is drained at once. */
    scene_drain(s, 0);
    scene_free(s);
}

Test(connection, attempts_at_a_server_that_hangs_up_are_few)
{
    count_attempts(NULL);
}

Test(connection, attempts_at_a_server_that_loads_are_few)
{
    count_attempts("-LOADING Redis is loading the dataset in memory\r\n");
}

Test(connection, attempts_at_a_server_of_another_kind_are_few)
{
    count_attempts("HTTP/1.1 400 Bad Request\r\n\r\n");
}

Test(connection, attempts_at_a_full_server_are_few)
{
    count_attempts("-ERR max number of clients reached\r\n");
}
