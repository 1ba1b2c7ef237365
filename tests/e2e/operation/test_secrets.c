/* SPDX-License-Identifier: MIT */
/*
 * Secrets: passwords given to jobd are in no log, no argument list, no environment of an executor,
 * no dead letter, no answer of its web server, and nothing that jobctl says, in peace and in
 * trouble; nor in a core file, since there is none (G41).
 */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/e2e/behaviour/behaviour.h"
#include "tests/e2e/metrics/web.h"
#include "tests/integration/jobctl/run.h"

#define REDIS_CANARY "c4naryRedis"
#define POSTGRES_CANARY "c4naryPg"
#define MAIL_CANARY "c4naryMail"
#define PIDS_MAX 16
#define EXECUTORS 2

static const char *const canaries[] = {REDIS_CANARY, POSTGRES_CANARY, MAIL_CANARY};

static void check_bytes(const char *what, const char *bytes, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++)
        if (memmem(bytes, n, canaries[i], strlen(canaries[i])))
            fail_test("%s holds %s: %.2000s", what, canaries[i], bytes);
}

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
    check_bytes(path, bytes, n);
}

/* None of jobd, none of its executors, for whoever might kill them. */
static void check_core_limit(pid_t pid)
{
    char *limits = read_file(fmt("/proc/%d/limits", (int)pid));
    char *line = strstr(limits, "Max core file size");
    unsigned long long soft = 1, hard = 1;

    cr_assert(line && sscanf(line, "Max core file size %llu %llu", &soft, &hard) == 2, "%s",
              limits);
    cr_assert(soft == 0 && hard == 0, "%.80s", line);
    free(limits);
}

/* One that is just born, as the successor of one that died, still has jobd's score. */
static bool are_taken_before_jobd(void *ctx)
{
    struct jobd *j = ctx;
    pid_t pids[PIDS_MAX];
    size_t n = jobd_executors(j, pids, PIDS_MAX);

    for (size_t i = 0; i < n; i++) {
        char *score = read_file(fmt("/proc/%d/oom_score_adj", (int)pids[i]));
        bool is_so = score && strcmp(score, "300\n") == 0;
        free(score);
        if (!is_so)
            return false;
    }
    return n == EXECUTORS;
}

static void check_processes(struct jobd *j)
{
    pid_t pids[PIDS_MAX];

    cr_assert(wait_until(patience_ms(20000), are_taken_before_jobd, j), "%s",
              "the kernel would not take executors before jobd");
    size_t n = jobd_executors(j, pids, PIDS_MAX);
    cr_assert_eq(n, (size_t)EXECUTORS);
    check_file(fmt("/proc/%d/cmdline", (int)j->process->pid));
    check_core_limit(j->process->pid);
    for (size_t i = 0; i < n; i++) {
        check_file(fmt("/proc/%d/cmdline", (int)pids[i]));
        check_file(fmt("/proc/%d/environ", (int)pids[i]));
        check_core_limit(pids[i]);
    }
}

static void check_redis(struct scene *s)
{
    redisReply *r = redis_do(s->redis, "CLIENT LIST");

    check_bytes("CLIENT LIST", r->str, r->len);
    freeReplyObject(r);
}

static void check_web(void)
{
    static const char *const paths[] = {"/metrics", "/readyz", "/healthz", "/"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        char *body;
        cr_assert_neq(web_get(0, paths[i], &body), 0);
        check_bytes(paths[i], body, strlen(body));
        free(body);
    }
}

static void check_dead_letters(struct scene *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct entry *e = entry_at(s, "dead", i);
        check_bytes("a dead letter", e->error, strlen(e->error));
        check_bytes("a dead letter", e->by, strlen(e->by));
        entry_free(e);
    }
}

/* ---- how secrets are given ---- */

struct given {
    const char *env[8];
    const char *conf;
    char *texts[4]; /* to be freed */
};

static char *secret_file(const char *name, const char *text)
{
    char *path = strdup(fmt("%s/%s", tmp_dir(), name));

    write_file(path, text);
    cr_assert_eq(chmod(path, 0600), 0);
    return path;
}

static void give_by_environment(struct scene *s, struct given *g)
{
    g->texts[0] =
        strdup(fmt("JOBQ_REDIS=redis://worker:%s@127.0.0.1:%d/0", REDIS_CANARY, s->redis->port));
    g->texts[1] = strdup(fmt("JOBQ_POSTGRES=%s password=%s", s->worker_conninfo, POSTGRES_CANARY));
    const char *const env[] = {g->texts[0],
                               g->texts[1],
                               "JOBQ_MAIL_PASSWORD=" MAIL_CANARY,
                               "PGPASSWORD=" POSTGRES_CANARY,
                               "MISAGO_EMAIL_PASSWORD=" MAIL_CANARY,
                               "POSTGRES_PASSWORD=" POSTGRES_CANARY};
    memcpy(g->env, env, sizeof(env));
    g->conf = "";
}

/* Redis by a file that the environment names, PostgreSQL in the configuration file, mail by a file
 * that this one names. */
static void give_by_files(struct scene *s, struct given *g)
{
    char *redis = secret_file(
        "redis.url", fmt("redis://worker:%s@127.0.0.1:%d/0", REDIS_CANARY, s->redis->port));
    char *mail = secret_file("mail.password", MAIL_CANARY "\n");

    g->texts[0] = strdup(fmt("JOBQ_REDIS_FILE=%s", redis));
    g->texts[1] = strdup(fmt("mail = { password_file = \"%s\"; };\n", mail));
    g->env[0] = g->texts[0];
    g->conf = g->texts[1];
    free(redis);
    free(mail);
}

/* Both servers know jobq's worker by these passwords only. */
static void lock_servers(struct scene *s, const char *redis, const char *postgres)
{
    freeReplyObject(redis_do(s->redis, "ACL SETUSER worker on ~* &* +@all resetpass >%s", redis));
    pg_do(s->postgres, "ALTER ROLE jobq_worker PASSWORD '%s'", postgres);
}

static void ask_for_passwords(struct scene *s)
{
    const char *path = fmt("%s/data/pg_hba.conf", s->postgres->dir);
    char *old = read_file(path), *whole = NULL;

    if (!old || asprintf(&whole, "local all jobq_worker scram-sha-256\n%s", old) < 0)
        fail_test("cannot read %s", path);
    write_file(path, whole);
    free(whole);
    free(old);
    pg_do(s->postgres, "SELECT pg_reload_conf()");
    lock_servers(s, REDIS_CANARY, POSTGRES_CANARY);
}

/* ---- what happens to a jobd that has them ---- */

static void work(struct scene *s, struct jobd *j)
{
    scene_enqueue(s, "effect", "{}");
    scene_wait_effects(s, 1, 20000);
    scene_enqueue(s, "fail", "{}");
    scene_enqueue(s, "segv", "{}");
    scene_enqueue(s, "secrecy", "{}");
    scene_wait_dead(s, 2, 20000);
    wait_log(j, "nobody may look", 1, 20000);
    check_processes(j);
    check_redis(s);
    check_web();
}

/* Passwords that are refused; then a PostgreSQL that is away. */
static void meet_refusals(struct scene *s, struct jobd *j)
{
    /* The successor of the executor that died too: it must not come in by the old password. */
    web_wait(0, "jobq_executors{state=\"idle\"}", EXECUTORS);
    web_wait(0, "jobq_executors_without_database", 0);
    lock_servers(s, "another", "another");
    pg_do(s->postgres, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                       "WHERE usename = 'jobq_worker'");
    web_wait_ready(0, 503, "password authentication failed");
    check_web();
    freeReplyObject(redis_do(s->redis, "CLIENT KILL USER worker"));
    wait_log(j, "WRONGPASS", 1, 30000);
    web_wait_ready(0, 503, "redis: ");
    check_web();
    lock_servers(s, REDIS_CANARY, POSTGRES_CANARY);
    web_wait_ready(0, 200, "ready");
    postgres_stop_fast(s->postgres);
    scene_enqueue(s, "effect", "{}");
    web_wait_ready(0, 503, "postgres: ");
    check_web();
    postgres_restart(s->postgres);
    web_wait_ready(0, 200, "ready");
    scene_wait_effects(s, 2, 30000);
    scene_wait_drained(s, 30000);
}

/* A reload that is taken, and one that meets a mistake in the very line of a secret. */
static void reload(struct jobd *j)
{
    char *good = read_file(j->conf), *bad = NULL;

    process_signal(j->process, SIGHUP);
    wait_log(j, " reloaded", 1, 20000);
    if (asprintf(&bad, "%smail = { password = \"" MAIL_CANARY "\" 5; };\n", good) < 0)
        abort();
    write_file(j->conf, bad);
    process_signal(j->process, SIGHUP);
    wait_log(j, "reload.refused", 1, 20000);
    write_file(j->conf, good);
    free(bad);
    free(good);
}

/* What jobctl says, given what jobd was given. */
static void check_jobctl(const struct jobd *j, const struct given *g)
{
    const char *const commands[][3] = {
        {"config", "show"}, {"config", "check", j->conf}, {"doctor"}, {"worker", "list"}};
    char *set[8] = {NULL};

    for (size_t i = 0; g->env[i]; i++)
        putenv(set[i] = strdup(g->env[i]));
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        for (int json = 0; json < 2; json++) {
            const char *args[8] = {"-c", j->conf};
            size_t n = 2;
            for (size_t k = 0; k < 3 && commands[i][k]; k++)
                args[n++] = commands[i][k];
            args[n] = json ? "--json" : NULL;
            struct run r = run_jobctl(NULL, args);
            cr_assert(*r.out, "%s: %s", commands[i][0], r.err);
            check_bytes(commands[i][0], r.out, strlen(r.out));
            check_bytes(commands[i][0], r.err, strlen(r.err));
            run_free(&r);
        }
    for (size_t i = 0; g->env[i]; i++) {
        set[i][strcspn(set[i], "=")] = '\0';
        unsetenv(set[i]);
        free(set[i]);
    }
}

static void tour(void (*give)(struct scene *s, struct given *g))
{
    struct scene *s = scene_new(SCENE_PG);
    struct given g = {.conf = ""};

    ask_for_passwords(s);
    give(s, &g);
    char *conninfo = strdup(fmt("%s password=%s", s->worker_conninfo, POSTGRES_CANARY));
    char *extra = strdup(
        web_conf(0, fmt("log_level = \"debug\"; max_attempts = 1; crash_budget = 1; %s", g.conf)));
    struct jobd_options options = {
        .executors = EXECUTORS, .env = g.env, .lease = "1s", .postgres = conninfo, .extra = extra};
    struct jobd *j = scene_jobd(s, 0, options);
    work(s, j);
    meet_refusals(s, j);
    check_processes(j);
    reload(j);
    check_jobctl(j, &g);
    check_dead_letters(s, 2);
    cr_assert_eq(jobd_drain(j, patience_ms(30000)), 0);
    char *log = process_log(j->process);
    check_bytes("the log", log, strlen(log));
    free(log);
    for (size_t i = 0; i < ARRAY_LEN(g.texts); i++)
        free(g.texts[i]);
    free(conninfo);
    free(extra);
    scene_free(s);
}

Test(secrets, given_by_the_environment_are_nowhere)
{
    tour(give_by_environment);
}

Test(secrets, given_by_files_are_nowhere)
{
    tour(give_by_files);
}

/* ---- what is refused before anything starts ---- */

/* Nothing but the refusal: exit status, and no word of a secret. */
static void expect_refusal(const char *const *argv, const char *what)
{
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    cr_assert_eq(status, 78, "%s: %d, %s", what, status, out);
    check_bytes(what, out, strlen(out));
    free(out);
}

Test(secrets, are_not_told_when_a_url_is_refused)
{
    static const char *const urls[] = {"redis://u:" REDIS_CANARY "@host:99999/0",
                                       "rediss://:" REDIS_CANARY "@h",
                                       "redis://:" REDIS_CANARY "@h/x",
                                       "redis+cluster://:" REDIS_CANARY "@a,b",
                                       "redis://:" REDIS_CANARY "@",
                                       ":" REDIS_CANARY "@host"};

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        const char *const argv[] = {bin_path("jobd"), "--redis", urls[i], NULL};
        expect_refusal(argv, urls[i]);
        const char *const looks[] = {bin_path("jobctl"), "--redis", urls[i], "doctor", NULL};
        char *out = NULL;
        cr_assert_neq(run_command(&out, NULL, looks), 0);
        check_bytes(urls[i], out, strlen(out));
        free(out);
    }
}

/* Mistakes in the very line of a secret. */
Test(secrets, are_not_told_when_their_line_is_wrong)
{
    static const char *const files[] = {
        "redis = \"redis://u:" REDIS_CANARY "@h\n",
        "redis = redis://u:" REDIS_CANARY "@h;\n",
        "redis = \"redis://u:" REDIS_CANARY "@h\" \"more\" 5;\n",
        "redis = [ \"redis://u:" REDIS_CANARY "@h\" ];\n",
        "redis = \"redis://u:" REDIS_CANARY "@h\\x01\";\n",
        "redis_file = \"redis://u:" REDIS_CANARY "@h\";\n",
        "postgres = \"host=h password=" POSTGRES_CANARY ";\n",
        "postgres = host=h password=" POSTGRES_CANARY ";\n",
        "postgres = \"postgresql://u:" POSTGRES_CANARY "@h:port/db\";\n",
        "postgres = \"postgresql://u:" POSTGRES_CANARY "/@h/db\";\n",
        "postgres = \"postgresql://u:pass@" POSTGRES_CANARY "@h/db\";\n",
        "postgres = \"host=h password=my " POSTGRES_CANARY "\";\n",
        "postgres = { password = \"" POSTGRES_CANARY "\"; };\n",
        "mail = { password = " MAIL_CANARY "; };\n",
        "mail = { password = \"" MAIL_CANARY "; };\n",
        "mail = { password = [ \"" MAIL_CANARY "\" ]; };\n",
        "mail = { passwort = \"" MAIL_CANARY "\"; };\n",
        "mail = { password_file = \"" MAIL_CANARY "\"; };\n",
        "mail = { password = \"" MAIL_CANARY "\"; password = \"" MAIL_CANARY "\"; };\n",
        "mail.password = \"" MAIL_CANARY "\";\n",
        "password = \"" MAIL_CANARY "\";\n",
    };
    char *path = strdup(fmt("%s/wrong.conf", tmp_dir()));

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        free(secret_file("wrong.conf", files[i]));
        const char *const argv[] = {bin_path("jobd"), "-c", path, NULL};
        expect_refusal(argv, files[i]);
        const char *const check[] = {bin_path("jobctl"), "config", "check", path, NULL};
        expect_refusal(check, files[i]);
        const char *const show[] = {bin_path("jobctl"), "config", "show", "-c", path, NULL};
        char *out = NULL;
        (void)run_command(&out, NULL, show); /* 0 where it is only the value that is wrong */
        check_bytes(files[i], out, strlen(out));
        free(out);
    }
    free(path);
}

/* The values that --check shows. */
Test(secrets, are_not_told_when_checked)
{
    char *out = NULL;
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
    check_bytes("--check", out, strlen(out));
    free(out);
}
