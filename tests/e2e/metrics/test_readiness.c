/* SPDX-License-Identifier: MIT */
/* /readyz: every part that stops claiming makes it 503 with the reason; /healthz stays 200. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"

/* In one scrape: a moment later jobd may have tried whether it is over. */
static bool is_told_not_ready(void *ctx)
{
    const char *part = ctx;
    char sample[64], *body;
    snprintf(sample, sizeof(sample), "jobq_not_ready{part=\"%s\"}", part);
    bool told = web_get(0, "/metrics", &body) == 200 && web_value(body, sample) == 1 &&
                web_value(body, "jobq_ready") == 0;
    free(body);
    return told;
}

static void expect_not_ready(const char *part, const char *text)
{
    char *body, *copy = strdup(part);
    web_wait_ready(0, 503, text);
    cr_assert(wait_until(patience_ms(20000), is_told_not_ready, copy), "not for %s", part);
    free(copy);
    cr_assert_eq(web_get(0, "/healthz", &body), 200);
    cr_assert_str_eq(body, "alive\n");
    free(body);
}

static void expect_ready(void)
{
    static const char *const parts[] = {"starting", "draining",  "redis",
                                        "lease",    "executors", "postgres"};
    web_wait_ready(0, 200, "ready\n");
    web_wait(0, "jobq_ready", 1);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        web_wait(0, fmt("jobq_not_ready{part=\"%s\"}", parts[i]), 0);
}

Test(readiness, says_that_redis_is_down_refuses_or_is_frozen)
{
    struct scene *s = scene_new(0);
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .lease = "1s", .extra = web_conf(0, "")});
    expect_ready();
    freeReplyObject(redis_do(s->redis, "CONFIG SET min-replicas-to-write 1"));
    expect_not_ready("redis", "NOREPLICAS");
    cr_assert_gt(web_scrape(0, "jobq_redis_errors_total"), 0);
    freeReplyObject(redis_do(s->redis, "CONFIG SET min-replicas-to-write 0"));
    expect_ready();
    freeReplyObject(redis_do(s->redis, "ACL SETUSER jobq-worker -xreadgroup"));
    expect_not_ready("redis", "NOPERM");
    freeReplyObject(redis_do(s->redis, "ACL SETUSER jobq-worker +xreadgroup"));
    expect_ready();
    process_signal(s->redis->process, SIGSTOP);
    expect_not_ready("lease", "lease: no accepted beat on queue default partition 0");
    process_signal(s->redis->process, SIGCONT);
    expect_ready();
    redis_kill(s->redis);
    expect_not_ready("redis", "redis: ");
    cr_assert_eq(web_scrape(0, "jobq_redis_up{connection=\"command\"}"), 0);
    cr_assert_geq(web_scrape(0, "jobq_redis_connections_lost_total{connection=\"command\"}"), 1);
    redis_restart(s->redis);
    expect_ready();
    web_wait(0, "jobq_redis_up{connection=\"command\"}", 1);
    scene_drain(s, 0);
    scene_free(s);
}

static void put_executor(const char *path)
{
    cr_assert_eq(
        run_command(NULL, "",
                    (const char *const[]){"/bin/cp", bin_path("jobq-executor"), path, NULL}),
        0);
}

Test(readiness, says_that_there_is_no_executor)
{
    struct scene *s = scene_new(0);
    char *program = strdup(fmt("%s/jobq-executor", tmp_dir()));
    put_executor(program);
    struct jobd *j = scene_jobd(
        s, 0,
        (struct jobd_options){.executors = 2,
                              .extra = web_conf(0, fmt("executor_path = \"%s\";", program))});
    expect_ready();
    web_wait(0, "jobq_executors{state=\"idle\"}", 2);
    cr_assert_eq(unlink(program), 0);
    pid_t pids[8];
    size_t n = jobd_executors(j, pids, 8);
    cr_assert_eq(n, 2);
    for (size_t i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    expect_not_ready("executors", "executors: none is ready");
    web_wait(0, "jobq_executor_crashes_total{cause=\"died\"}", 2);
    put_executor(program);
    expect_ready();
    free(program);
    scene_drain(s, 0);
    scene_free(s);
}

Test(readiness, says_that_postgres_is_down)
{
    struct scene *s = scene_new(SCENE_PG);
    scene_jobd(s, 0,
               (struct jobd_options){.executors = 1, .lease = "1s", .extra = web_conf(0, "")});
    expect_ready();
    postgres_kill(s->postgres);
    scene_enqueue(s, "effect", "{}");
    expect_not_ready("postgres", "postgres: ");
    web_wait(0, "jobq_executors_without_database", 1);
    postgres_restart(s->postgres);
    expect_ready();
    scene_wait_effects(s, 1, 30000);
    scene_drain(s, 0);
    scene_free(s);
}

/* From the first moment, before anything can work. */
Test(readiness, says_that_it_starts)
{
    struct scene *s = scene_new(0);
    redis_kill(s->redis);
    scene_jobd(s, 0, (struct jobd_options){.do_not_wait = true, .extra = web_conf(0, "")});
    expect_not_ready("redis", "redis: ");
    redis_restart(s->redis);
    expect_ready();
    scene_drain(s, 0);
    scene_free(s);
}

/* Nothing that clients do keeps it from working, beating, or answering others. */
Test(readiness, holds_against_clients_that_hang)
{
    struct scene *s = scene_new(0);
    int fds[100];
    scene_jobd(s, 0, (struct jobd_options){.executors = 1, .extra = web_conf(0, "")});
    expect_ready();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = web_connect(0);
        const char *text = i % 3 == 0   ? "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
                           : i % 3 == 1 ? "GET /metrics HT"
                                        : "\x16\x03\x01garbage\r\n\r\n";
        if (fds[i] >= 0 && i % 10)
            (void)!send(fds[i], text, strlen(text), MSG_NOSIGNAL);
    }
    scene_enqueue_many(s, "noop", "{}", 500);
    scene_wait_drained(s, 30000);
    wait_beats(s, 3, 30000);
    cr_assert_leq(process_count_log(s->jobd[0]->process, "not_ready why=\"lease"), 1,
                  "only before the first beat");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    web_wait(0, "jobq_jobs_total{queue=\"default\",type=\"noop\",outcome=\"succeeded\"}", 500);
    scene_drain(s, 0);
    scene_free(s);
}
