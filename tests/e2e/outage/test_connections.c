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

    if (!wait_until(now_ms() + patience_ms(20000), is_renewed, &r))
        fail_test("no connection %s", name);
    r.old = outage_connection(s, name);
    if (redis_int(s->redis, "CLIENT KILL ID %lld", r.old) != 1)
        fail_test("connection %s is gone by itself", name);
    if (!wait_until(now_ms() + patience_ms(20000), is_renewed, &r))
        fail_test("connection %s did not come back", name);
}

/* Two jobd: whose connection it was does not matter; nobody is declared dead for it. */
static void kill_under_load(const char *name)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "500ms"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 500);
    for (int i = 0; i < 10; i++) {
        scene_wait_effects(s, i * 30, 30000);
        scene_wait_pending(s, 1, 20000);
        kill_connection(s, name);
    }
    outage_end(s);
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
    kill_under_load("jobd-command");
}

Test(connection, command_is_killed_at_rest)
{
    kill_at_rest("jobd-command");
}

Test(connection, reader_is_killed_under_load)
{
    kill_under_load("jobd-reader");
}

Test(connection, reader_is_killed_at_rest)
{
    kill_at_rest("jobd-reader");
}

Test(connection, subscriber_is_killed_under_load)
{
    kill_under_load("jobd-subscriber");
}

Test(connection, subscriber_is_killed_at_rest)
{
    kill_at_rest("jobd-subscriber");
}

/* G1 G16 G19: all at once, as a firewall that forgets does. */
Test(connection, all_are_killed_under_load)
{
    struct scene *s = scene_new(SCENE_PG);

    for (size_t i = 0; i < 2; i++)
        scene_jobd(s, i, (struct jobd_options){.executors = 2, .lease = "500ms"});
    scene_enqueue_many(s, "effect_slow", "{\"ms\": 5}", 500);
    for (int i = 0; i < 10; i++) {
        scene_wait_effects(s, i * 30, 30000);
        scene_wait_pending(s, 1, 20000);
        /* Not the connection that asks. */
        freeReplyObject(redis_do(s->redis, "CLIENT KILL TYPE normal SKIPME yes"));
        freeReplyObject(redis_do(s->redis, "CLIENT KILL TYPE pubsub SKIPME yes"));
    }
    outage_end(s);
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
    int64_t cpu = outage_cpu_ms(s->jobd[0]->process->pid);
    wait_until(now_ms() + 4000, receive, &v);
    cpu = outage_cpu_ms(s->jobd[0]->process->pid) - cpu;
    cr_assert(v.count >= 6 && v.count <= 90, "%d attempts in four seconds", v.count);
    cr_assert_leq(cpu, patience_ms(200), "%d ms of CPU in four seconds", (int)cpu);
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
