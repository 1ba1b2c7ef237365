/* SPDX-License-Identifier: MIT */
/* doctor's lines about Redis and this host: each is broken alone, with the rights of jobd. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/jobctl/proxy.h"
#include "tests/integration/jobctl/run.h"
#include "tests/integration/jobctl/server.h"
#include "tests/support/support.h"

static void start(void)
{
    redis = redis_start((const char *const[]){"--appendonly", "yes", NULL});
    setenv("JOBQ_REDIS", redis->worker_url, 1);
    unsetenv("JOBQ_POSTGRES");
    unsetenv("STATE_DIRECTORY");
}

TestSuite(jobctl_doctor, .init = start, .fini = stop);

static void expect_fault(const char *check, const char *found, const char *mend)
{
    expect_doctor_fault(NULL, check, found, mend);
}

static const char *status_of(const struct run *r, const char *check)
{
    for (size_t i = 0; i < json_array_size(member(r, "checks")); i++)
        if (strcmp(text_at(r, fmt("checks.%zu.check", i)), check) == 0)
            return text_at(r, fmt("checks.%zu.status", i));
    cr_assert(false, "no check %s: %s", check, r->out);
    return "";
}

Test(jobctl_doctor, finds_nothing_wrong_with_a_good_redis)
{
    struct run r = JOBCTL("doctor", "--json");
    expect(&r, 0, NULL);
    cr_assert(number_at(&r, "faults") == 0);
    for (size_t i = 0; i < json_array_size(member(&r, "checks")); i++) {
        bool ours = strncmp(text_at(&r, fmt("checks.%zu.check", i)), "redis ", 6) == 0;
        cr_assert_str_eq(text_at(&r, fmt("checks.%zu.status", i)), ours ? "ok" : "skipped", "%s",
                         r.out);
    }
    run_free(&r);
    redis_check_refused(redis);
}

Test(jobctl_doctor, finds_redis_unreachable)
{
    setenv("JOBQ_REDIS", fmt("unix://%s/nothing", tmp_dir()), 1);
    expect_fault("redis reachable", "nothing", "start Redis");
}

Test(jobctl_doctor, finds_a_password_missing)
{
    setenv("JOBQ_REDIS", redis->url, 1);
    done(redis_do(redis, "CONFIG SET requirepass verysecret"));
    expect_fault("redis reachable", "NOAUTH", "give user and password");
    struct run r = JOBCTL("queue", "list");
    expect(&r, 77, "NOAUTH");
    run_free(&r);
    r = JOBCTL("queue", "list", "--redis", fmt("unix://:verywrong@%s", redis->socket));
    expect(&r, 77, NULL);
    cr_assert(strstr(r.err, "verywrong") == NULL, "%s", r.err);
    run_free(&r);
}

/* ---- the server ---- */

/* Stands between: what Redis says is changed on its way. */
static void through_proxy(const char *find, const char *replace)
{
    static struct proxy p;
    p = (struct proxy){.listen = strdup(fmt("%s/proxy", tmp_dir())),
                       .target = redis->socket,
                       .find = strdup(find),
                       .replace = strdup(replace),
                       .length = strlen(find)};
    proxy_start(&p);
    setenv("JOBQ_REDIS", redis_worker_url(p.listen), 1);
}

Test(jobctl_doctor, finds_an_old_version)
{
    char *info = redis_str(redis, "INFO server");
    char *version = strndup(strstr(info, "redis_version:"), 15); /* 7, or 8 of a newer one */
    through_proxy(version, "redis_version:6");
    free(version);
    free(info);
    expect_fault("redis version", "6.", "7.0 or newer");
}

Test(jobctl_doctor, finds_a_replica)
{
    done(redis_do(redis, "REPLICAOF 127.0.0.1 1"));
    expect_fault("redis role", "a replica", "name the master");
}

Test(jobctl_doctor, finds_an_eviction_policy)
{
    done(redis_do(redis, "CONFIG SET maxmemory-policy allkeys-lru"));
    expect_fault("redis eviction", "allkeys-lru", "noeviction");
}

Test(jobctl_doctor, finds_persistence_off)
{
    done(redis_do(redis, "CONFIG SET appendonly no"));
    expect_fault("redis persistence", "appendonly no", "appendonly yes");
}

Test(jobctl_doctor, finds_that_redis_cannot_write_its_log)
{
    through_proxy("aof_last_write_status:ok", "aof_last_write_status:no");
    expect_fault("redis persistence", "the append-only file failed", "make room on Redis's disk");
}

Test(jobctl_doctor, finds_that_a_snapshot_failed)
{
    through_proxy("rdb_last_bgsave_status:ok", "rdb_last_bgsave_status:no");
    expect_fault("redis persistence", "the last snapshot failed", "make room on Redis's disk");
}

Test(jobctl_doctor, finds_memory_full)
{
    done(redis_do(redis, "CONFIG SET maxmemory 100000"));
    expect_fault("redis memory", "of 0 MiB", "raise maxmemory");
}

Test(jobctl_doctor, finds_another_clock)
{
    char now[24];
    snprintf(now, sizeof(now), "%lld", (long long)time(NULL));
    through_proxy(fmt("*2\r\n$10\r\n%.4s", now), "*2\r\n$10\r\n1234");
    expect_fault("redis clock", "s behind this host's", "NTP");
}

/* ---- replicas ---- */

static bool has_replica(void *ctx)
{
    char *info = redis_str(ctx, "INFO replication");
    bool online = strstr(info, "state=online") != NULL && strstr(info, "lag=0") != NULL;
    free(info);
    return online;
}

Test(jobctl_doctor, finds_that_no_replica_is_there_to_write_to)
{
    done(redis_do(redis, "CONFIG SET min-replicas-to-write 1"));
    expect_fault("redis replicas", "none of 0 is in reach", "NOREPLICAS");
}

Test(jobctl_doctor, finds_a_replica_that_lags)
{
    struct redis *replica = redis_start(NULL);
    done(redis_do(replica, "REPLICAOF 127.0.0.1 %d", redis->port));
    cr_assert(wait_until(now_ms() + patience_ms(30000), has_replica, redis));
    struct run r = JOBCTL("doctor", "--json");
    expect(&r, 0, NULL);
    run_free(&r);
    through_proxy("state=online", "state=absent");
    expect_fault("redis replicas", "1 of 1 not online", "failover");
    redis_stop(replica);
}

/* ---- rights ---- */

static void take_right(const char *rule)
{
    done(redis_do(redis, "ACL SETUSER jobq-worker %s", rule));
}

Test(jobctl_doctor, finds_a_command_that_jobd_may_not)
{
    take_right("-xtrim");
    expect_fault("redis privileges",
                 "user jobq-worker may not XTRIM jobq:{default:0}:ready:normal MINID 0 (2 in all)",
                 "contrib/redis/users.conf");
}

Test(jobctl_doctor, finds_a_key_that_jobd_may_not)
{
    take_right("resetkeys");
    take_right("~jobq:{*}:*");
    expect_fault("redis privileges", "may not HGETALL jobq:queues (2 in all)", "jobq-worker");
}

Test(jobctl_doctor, finds_a_channel_that_jobd_may_not)
{
    take_right("resetchannels");
    take_right("&jobq:{*}:wake");
    take_right("&jobq:{*}:events");
    expect_fault("redis privileges", "may not SUBSCRIBE jobq:node:x (1 in all)", "jobq-worker");
}

Test(jobctl_doctor, finds_that_jobd_may_not_load_scripts)
{
    take_right("-script|load");
    expect_fault("redis privileges", "NOPERM", "jobq-worker");
}

Test(jobctl_doctor, does_not_judge_who_is_no_jobd)
{
    const char *const urls[] = {redis->operator_url, redis->viewer_url};
    for (size_t i = 0; i < 2; i++) {
        struct run r = JOBCTL("doctor", "--json", "--redis", urls[i]);
        expect(&r, 0, NULL);
        cr_assert_str_eq(status_of(&r, "redis privileges"), "skipped", "%s", r.out);
        run_free(&r);
    }
}

/* What is asked is what the tests have shown to be needed: nothing more is in the file. */
Test(jobctl_doctor, asks_for_every_command_that_the_file_grants)
{
    char *text = read_file(source_path("contrib/redis/users.conf"));
    char *line = strstr(text, "\nuser jobq-worker ");
    static const char *const before[] = {"+ping", "+select", "+client|setname", "+client|id"};
    size_t asked = 0;
    cr_assert_not_null(line);
    *strchr(line + 1, '\n') = '\0';
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        bool skip = word[0] != '+';
        for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
            skip = skip || strcmp(word, before[i]) == 0;
        if (skip)
            continue;
        take_right(fmt("-%s", word + 1));
        struct run r = JOBCTL("doctor", "--json");
        if (strcmp(word, "+info") == 0 || strcmp(word, "+time") == 0 ||
            strcmp(word, "+xreadgroup") == 0)
            cr_assert(strcmp(status_of(&r, "redis privileges"), "ok") != 0, "%s", word);
        else
            cr_assert_str_eq(status_of(&r, "redis privileges"), "fault", "%s: %s", word, r.out);
        run_free(&r);
        take_right(word);
        asked++;
    }
    cr_assert_gt(asked, 25u);
    free(text);
}

/* ---- this host ---- */

static const char *configure(const char *modules, const char *more)
{
    static char conf[256];
    snprintf(conf, sizeof(conf), "%s/jobd.conf", tmp_dir());
    write_file(conf, fmt("modules = ( %s );\n%s\n", modules, more));
    return conf;
}

static const char *state(void)
{
    return fmt("state_dir = \"%s\";", tmp_dir());
}

Test(jobctl_doctor, finds_the_state_directory_missing)
{
    const char *conf = configure("\"/x/y.so\"", fmt("state_dir = \"%s/nothing\";", tmp_dir()));
    expect_doctor_fault(conf, "state directory", "No such file", "systemd-tmpfiles");
    conf = configure("\"/x/y.so\"", fmt("state_dir = \"%s/jobd.conf\";", tmp_dir()));
    expect_doctor_fault(conf, "state directory", "Not a directory", "systemd-tmpfiles");
}

Test(jobctl_doctor, finds_the_media_directory_missing)
{
    const char *conf = configure("\"avatar\"", state());
    expect_doctor_fault(conf, "media directory", "forum.media_root is not set", "name");
    conf = configure("\"avatar\"",
                     fmt("%s forum = { media_root = \"%s/media\"; };", state(), tmp_dir()));
    expect_doctor_fault(conf, "media directory", "No such file", "ReadWritePaths=");
    mkdir(fmt("%s/media", tmp_dir()), 0755);
    struct run r = JOBCTL("doctor", "--json", "-c", conf);
    expect(&r, 0, NULL);
    cr_assert_str_eq(status_of(&r, "media directory"), "ok");
    cr_assert_str_eq(status_of(&r, "state directory"), "ok");
    run_free(&r);
}

/* Says that once to whoever connects; NULL: takes connections and says nothing. */
static int listen_once(const char *greeting);

Test(jobctl_doctor, finds_templates_that_cannot_be_read)
{
    const char *mail = fmt("url = \"smtp://127.0.0.1:%d\";", listen_once("220 here\r\n"));
    const char *conf = configure("\"mail\"", fmt("%s mail = { %s templates = \"%s/jobd.conf\"; };",
                                                 state(), mail, tmp_dir()));
    expect_doctor_fault(conf, "mail templates", "Not a directory", "remove it");
}

struct greeter {
    int fd;
    const char *text;
};

static void *greet(void *ctx)
{
    struct greeter *g = ctx;
    int fd = accept(g->fd, NULL, NULL);
    if (fd >= 0 && write(fd, g->text, strlen(g->text)) < 0)
        perror("greeting");
    return NULL; /* left open: the client ends it */
}

static int listen_once(const char *greeting)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    static struct greeter greeters[8]; /* their threads may outlive the call */
    static size_t used;
    struct greeter *g = &greeters[used++];
    cr_assert_lt(used, sizeof(greeters) / sizeof(greeters[0]));
    pthread_t thread;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g->text = greeting;
    cr_assert(bind(g->fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(g->fd, 4) == 0 &&
              getsockname(g->fd, (struct sockaddr *)&at, &size) == 0);
    if (greeting != NULL) {
        cr_assert_eq(pthread_create(&thread, NULL, greet, g), 0);
        pthread_detach(thread);
    }
    return ntohs(at.sin_port);
}

static const char *configure_mail(const char *scheme, int port)
{
    return configure("\"mail\"", fmt("%s mail = { url = \"%s://127.0.0.1:%d\"; templates = "
                                     "\"%s/none\"; };",
                                     state(), scheme, port, tmp_dir()));
}

Test(jobctl_doctor, finds_the_mail_server_unreachable)
{
    const char *conf = configure("\"mail\"", state());
    expect_doctor_fault(conf, "smtp reachable", "mail.url is not set", "set mail.url");
    int port = listen_once("220 mx.example.org ESMTP\r\n");
    struct run r = JOBCTL("doctor", "--json", "-c", configure_mail("smtp", port));
    expect(&r, 0, NULL);
    cr_assert_str_eq(status_of(&r, "smtp reachable"), "ok");
    run_free(&r);
    expect_doctor_fault(configure_mail("smtp", 1), "smtp reachable", "Connection refused",
                        "start the mail server");
}

Test(jobctl_doctor, finds_a_mail_server_that_sends_away)
{
    expect_doctor_fault(configure_mail("smtp", listen_once("554 not you\r\n")), "smtp reachable",
                        "554 not you", "start the mail server");
}

Test(jobctl_doctor, finds_a_mail_server_that_says_nothing)
{
    expect_doctor_fault(configure_mail("smtp", listen_once(NULL)), "smtp reachable", "says nothing",
                        "start the mail server");
    /* One that speaks TLS from its first byte is not asked for more than the connection. */
    struct run r = JOBCTL("doctor", "--json", "-c", configure_mail("smtps", listen_once(NULL)));
    expect(&r, 0, NULL);
    cr_assert_str_eq(status_of(&r, "smtp reachable"), "ok");
    run_free(&r);
}
