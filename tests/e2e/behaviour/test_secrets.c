/* SPDX-License-Identifier: MIT */
/*
 * Secrets: passwords given to jobd are in no log, no argument list, no environment of an executor,
 * no dead letter, in peace and in trouble (G41).
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/e2e/behaviour/behaviour.h"

#define REDIS_CANARY "c4naryRedis"
#define POSTGRES_CANARY "c4naryPg"
#define MAIL_CANARY "c4naryMail"
#define PIDS_MAX 16

static const char *const canaries[] = {REDIS_CANARY, POSTGRES_CANARY, MAIL_CANARY};

/* Fails when a file (of /proc: with NULs) holds one of them. */
static void check_file(const char *path)
{
    char bytes[65536];
    FILE *f = fopen(path, "re");

    if (!f)
        fail_test("cannot read %s", path);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    cr_assert_lt(n, sizeof(bytes), "%s is longer than this test reads", path);
    cr_assert_gt(n, 0u, "%s is empty", path);
    fclose(f);
    for (size_t i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
        if (memmem(bytes, n, canaries[i], strlen(canaries[i])))
            fail_test("%s holds %s", path, canaries[i]);
}

static void check_processes(struct jobd *j)
{
    pid_t pids[PIDS_MAX];
    size_t n = jobd_executors(j, pids, PIDS_MAX);

    cr_assert_gt(n, 0u);
    check_file(fmt("/proc/%d/cmdline", (int)j->process->pid));
    for (size_t i = 0; i < n; i++) {
        check_file(fmt("/proc/%d/cmdline", (int)pids[i]));
        check_file(fmt("/proc/%d/environ", (int)pids[i]));
    }
}

static void check_redis(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "CLIENT LIST");

    for (size_t i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
        cr_assert_not(strstr(r->str, canaries[i]), "%s", r->str);
    freeReplyObject(r);
}

/* The password that jobd comes with is refused from now on (or taken again). Links that are there
 * stay. */
static void rotate_password(struct scene *s, const char *password)
{
    freeReplyObject(
        redis_do(s->redis, "ACL SETUSER worker on ~* &* +@all resetpass >%s", password));
}

/* G41: given by environment, as under systemd; with servers that refuse and go away. */
Test(secrets, are_nowhere)
{
    struct scene *s = scene_new(SCENE_PG);
    char *redis =
        strdup(fmt("JOBQ_REDIS=redis://worker:%s@127.0.0.1:%d/0", REDIS_CANARY, s->redis->port));
    char *postgres =
        strdup(fmt("JOBQ_POSTGRES=%s password=%s", s->postgres->conninfo, POSTGRES_CANARY));
    const char *env[] = {redis, postgres, "JOBQ_MAIL_PASSWORD=" MAIL_CANARY,
                         "PGPASSWORD=" POSTGRES_CANARY, NULL};

    rotate_password(s, REDIS_CANARY);
    struct jobd *j =
        scene_jobd(s, 0,
                   (struct jobd_options){
                       .executors = 2,
                       .env = env,
                       .lease = "1s",
                       .extra = "log_level = \"debug\"; max_attempts = 1; crash_budget = 1;"});
    scene_enqueue(s, "effect", "{}");
    scene_wait_effects(s, 1, 20000);
    scene_enqueue(s, "fail", "{}");
    scene_enqueue(s, "segv", "{}");
    scene_wait_dead(s, 2, 20000);
    check_processes(j);
    check_redis(s);

    /* PostgreSQL goes away under a job; Redis refuses the password. */
    postgres_stop_fast(s->postgres);
    scene_enqueue(s, "effect", "{}");
    cr_assert(jobd_wait_notify(j, "STATUS=not ready: postgres", patience_ms(30000)));
    postgres_restart(s->postgres);
    cr_assert(jobd_wait_notify(j, "STATUS=ready", patience_ms(30000)));
    rotate_password(s, "another");
    freeReplyObject(redis_do(s->redis, "CLIENT KILL USER worker"));
    wait_log(j, "WRONGPASS", 1, 30000);
    rotate_password(s, REDIS_CANARY);
    cr_assert(jobd_wait_notify(j, "STATUS=ready", patience_ms(60000)));
    scene_wait_effects(s, 2, 30000);
    scene_wait_drained(s, 30000);
    check_processes(j);
    process_signal(j->process, SIGHUP);
    wait_log(j, " reloaded", 1, 20000);
    for (size_t i = 0; i < 2; i++) {
        struct entry *e = entry_at(s, "dead", i);
        for (size_t k = 0; k < sizeof(canaries) / sizeof(canaries[0]); k++)
            cr_assert_not(strstr(e->error, canaries[k]) || strstr(e->by, canaries[k]), "%s",
                          e->error);
        entry_free(e);
    }
    cr_assert_eq(jobd_drain(j, patience_ms(30000)), 0);
    check_file(j->process->log);
    free(redis);
    free(postgres);
    scene_free(s);
}

/* G41: a URL that is refused, and the values that --check shows. */
Test(secrets, are_not_told_when_refused_or_checked)
{
    static const char *const urls[] = {"redis://u:" REDIS_CANARY "@host:99999/0",
                                       "rediss://:" REDIS_CANARY "@h",
                                       "redis://:" REDIS_CANARY "@h/x",
                                       "redis+cluster://:" REDIS_CANARY "@a,b",
                                       "redis://:" REDIS_CANARY "@",
                                       ":" REDIS_CANARY "@host"};
    char *out = NULL;

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const char *const argv[] = {bin_path("jobd"), "--redis", urls[i], NULL};
        int status = run_command(&out, NULL, argv);
        cr_expect_eq(status, 78, "%s: %d, %s", urls[i], status, out);
        cr_expect_not(strstr(out, REDIS_CANARY), "%s", out);
        free(out);
    }
    const char *const argv[] = {bin_path("jobd"),
                                "--check",
                                "--redis",
                                "redis://:" REDIS_CANARY "@h:1",
                                "--postgres",
                                "host=h password=" POSTGRES_CANARY,
                                "--mail-password",
                                MAIL_CANARY,
                                "--executor-path",
                                bin_path("jobq-executor"),
                                NULL};
    cr_assert_eq(run_command(&out, NULL, argv), 0, "%s", out);
    for (size_t i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
        cr_assert_not(strstr(out, canaries[i]), "%s", out);
    free(out);
}
