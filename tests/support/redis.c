/* SPDX-License-Identifier: MIT */
/*
 * redis: private Redis servers.
 *
 * Each has its own directory, a unix socket in it and a TCP port on 127.0.0.1 from below the range
 * that the kernel gives to outgoing connections, so that a restarted server finds it free. Ready
 * means that this very process answered. Single thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "tests/support/internal.h"
#include "tests/support/support.h"

#define FIRST_PORT 20000
#define PORT_COUNT 12000
#define MAX_EXTRA 64
#define READY_MS 20000

struct server {
    struct redis redis; /* first: what the test sees */
    char *extra[MAX_EXTRA + 1];
    redisContext *admin;
};

static struct server *server_of(struct redis *r)
{
    return (struct server *)(void *)r;
}

/* ---- users ---- */

#define PASSWORD "s3cret"

/* The users of contrib/redis, with a password: what is tested is what is recommended. The default
 * user stays almighty, for the test's own looks. */
static void write_users(struct redis *r)
{
    char *users = read_file(source_path("contrib/redis/users.conf"));
    const char *path = fmt("%s/users.conf", r->dir);
    FILE *f = fopen(path, "we");
    char *rest = users, *line;

    if (users == NULL || f == NULL)
        fail_test("contrib/redis/users.conf cannot be copied to %s", path);
    while ((line = strsep(&rest, "\n")) != NULL)
        if (strncmp(line, "user ", 5) == 0)
            fprintf(f, "%s >%s\n", line, PASSWORD);
    if (fclose(f) != 0)
        fail_test("%s: %s", path, strerror(errno));
    free(users);
}

#define NAME_URL(out, user) snprintf(out, sizeof(out), "unix://jobq-" user ":" PASSWORD "@%s", r->socket)

static void name_urls(struct redis *r)
{
    snprintf(r->url, sizeof(r->url), "unix://%s", r->socket);
    NAME_URL(r->worker_url, "worker");
    NAME_URL(r->producer_url, "producer");
    NAME_URL(r->operator_url, "operator");
    NAME_URL(r->viewer_url, "viewer");
}

const char *redis_worker_url(const char *socket)
{
    return fmt("unix://jobq-worker:" PASSWORD "@%s", socket);
}

static bool is_refusal_of_ours(const redisReply *entry)
{
    for (size_t i = 0; i + 1 < entry->elements; i += 2)
        if (strcmp(entry->element[i]->str, "username") == 0)
            return strncmp(entry->element[i + 1]->str, "jobq-", 5) == 0;
    return false;
}

void redis_check_refused(struct redis *r)
{
    redisReply *log = redis_do(r, "ACL LOG");

    for (size_t i = 0; i < log->elements; i++) {
        const redisReply *entry = log->element[i];
        if (!is_refusal_of_ours(entry))
            continue;
        for (size_t k = 0; k + 1 < entry->elements && k < 10; k += 2)
            if (entry->element[k + 1]->str != NULL)
                fprintf(stderr, "%s: %s\n", entry->element[k]->str, entry->element[k + 1]->str);
        fail_test("contrib/redis/users.conf refuses what is needed");
    }
    freeReplyObject(log);
}

/* ---- starting ---- */

/*
 * Bound and not listening, to the end of this process: without SO_REUSEADDR nobody binds it twice, so of two who try it
 * at once one has it; with it, from then on, a server may listen there.
 */
static bool take_port(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    if (fd < 0)
        fail_test("socket: %s", strerror(errno));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool taken = bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0 &&
                 setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0;
    if (!taken)
        close(fd);
    return taken;
}

int choose_port(void)
{
    static unsigned count;

    for (int i = 0; i < PORT_COUNT; i++) {
        unsigned n = (unsigned)getpid() * 31 + count++;
        int port = FIRST_PORT + (int)(n % PORT_COUNT);
        if (take_port(port))
            return port;
    }
    fail_test("no free port on 127.0.0.1");
}

static void disconnect(struct server *s)
{
    if (s->admin != NULL)
        redisFree(s->admin);
    s->admin = NULL;
}

static bool connect_admin(struct server *s)
{
    struct timeval limit = {.tv_sec = patience_ms(20000) / 1000, .tv_usec = 0};

    disconnect(s);
    /* hiredis writes to a socket whose server a test has killed; libjobq is tested with the
     * signal's default. */
    signal(SIGPIPE, SIG_IGN);
    s->admin = redisConnectUnixWithTimeout(s->redis.socket, limit);
    if (s->admin == NULL || s->admin->err != 0) {
        disconnect(s);
        return false;
    }
    redisSetTimeout(s->admin, limit);
    return true;
}

/* It answers, it is this process, and it listens where we were told. */
static bool is_ready(void *ctx)
{
    struct server *s = ctx;

    if (!process_is_alive(s->redis.process))
        return true; /* the caller looks */
    if (s->admin == NULL && !connect_admin(s))
        return false;
    redisReply *reply = redisCommand(s->admin, "PING");
    bool ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply == NULL)
        disconnect(s);
    else
        freeReplyObject(reply);
    return ready;
}

static void check_identity(struct server *s)
{
    char *info = redis_str(&s->redis, "INFO server");
    const char *pid = strstr(info, "process_id:");
    const char *port = strstr(info, "tcp_port:");

    if (pid == NULL || port == NULL || strtol(pid + 11, NULL, 10) != s->redis.process->pid ||
        strtol(port + 9, NULL, 10) != s->redis.port)
        fail_test("the Redis at %s is not the one that was started", s->redis.socket);
    free(info);
}

static void launch(struct server *s)
{
    struct redis *r = &s->redis;
    const char *argv[32 + MAX_EXTRA];
    size_t n = 0;
    const char *fixed[] = {"redis-server", "--port",       fmt("%d", r->port), "--bind",
                           "127.0.0.1",    "--unixsocket", r->socket,          "--dir",
                           r->dir,         "--logfile",    "",                 "--daemonize",
                           "no",           "--save",       "",                 "--appendonly",
                           "no",           "--loglevel",   "notice"};

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        argv[n++] = fixed[i];
    argv[n++] = "--include";
    argv[n++] = fmt("%s/users.conf", r->dir);
    for (size_t i = 0; s->extra[i] != NULL; i++)
        argv[n++] = s->extra[i];
    argv[n] = NULL;
    r->process = process_start("redis", argv, NULL);
}

static bool lost_the_port(struct server *s)
{
    return process_count_log(s->redis.process, "Address already in use") > 0;
}

static void start(struct server *s, bool port_is_fixed)
{
    struct redis *r = &s->redis;

    for (int attempt = 0;; attempt++) {
        if (!port_is_fixed)
            r->port = choose_port();
        launch(s);
        bool in_time = wait_until(now_ms() + patience_ms(READY_MS), is_ready, s);
        if (in_time && process_is_alive(r->process))
            break;
        if (attempt == 5 || !lost_the_port(s))
            fail_test("Redis does not start");
        process_free(r->process);
    }
    check_identity(s);
    snprintf(r->tcp_url, sizeof(r->tcp_url), "redis://127.0.0.1:%d/0", r->port);
}

struct redis *redis_start(const char *const *extra)
{
    struct server *s = server_alloc(sizeof(*s));
    struct redis *r = &s->redis;

    for (size_t i = 0; extra != NULL && extra[i] != NULL; i++) {
        if (i == MAX_EXTRA)
            fail_test("too many arguments for Redis");
        s->extra[i] = strdup(extra[i]);
    }
    make_dir("redis", (struct process_user){0}, r->dir, sizeof(r->dir));
    snprintf(r->socket, sizeof(r->socket), "%s/s", r->dir);
    check_socket_path(r->socket);
    name_urls(r);
    write_users(r);
    start(s, false);
    return r;
}

struct redis *redis_start_aof(void)
{
    /* Not everysec: while an fsync is slow it puts off the write itself, so a kill could lose what was answered. */
    static const char *const extra[] = {"--appendonly", "yes", "--appendfsync", "no", NULL};

    return redis_start(extra);
}

/* ---- ending ---- */

void redis_kill(struct redis *r)
{
    disconnect(server_of(r));
    process_free(r->process);
    r->process = NULL;
}

void redis_restart(struct redis *r)
{
    if (r->process != NULL)
        redis_kill(r);
    start(server_of(r), true);
}

void redis_stop(struct redis *r)
{
    if (r == NULL)
        return;
    struct server *s = server_of(r);
    disconnect(s);
    if (r->process != NULL)
        process_free(r->process);
    for (size_t i = 0; s->extra[i] != NULL; i++)
        free(s->extra[i]);
    server_free(s);
}

/* ---- commands ---- */

static redisReply *command(struct redis *r, const char *format, va_list args)
{
    struct server *s = server_of(r);

    if (s->admin == NULL && !connect_admin(s))
        fail_test("cannot connect to %s", r->socket);
    redisReply *reply = redisvCommand(s->admin, format, args);
    if (reply == NULL)
        fail_test("Redis: %s (command: %s)", s->admin->errstr, format);
    return reply;
}

struct redisReply *redis_do(struct redis *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    redisReply *reply = command(r, format, args);
    va_end(args);
    return reply;
}

long long redis_int(struct redis *r, const char *format, ...)
{
    va_list args;
    long long value = -1;

    va_start(args, format);
    redisReply *reply = command(r, format, args);
    va_end(args);
    if (reply->type == REDIS_REPLY_INTEGER)
        value = reply->integer;
    else if (reply->type == REDIS_REPLY_STRING)
        value = strtoll(reply->str, NULL, 10);
    else if (reply->type != REDIS_REPLY_NIL)
        fail_test("Redis: not a number but %s (command: %s)",
                  reply->str != NULL ? reply->str : "a list", format);
    freeReplyObject(reply);
    return value;
}

char *redis_str(struct redis *r, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    redisReply *reply = command(r, format, args);
    va_end(args);
    if (reply->type == REDIS_REPLY_INTEGER) {
        text = strdup(fmt("%lld", reply->integer));
    } else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) {
        text = must_alloc((size_t)reply->len + 1);
        memcpy(text, reply->str, (size_t)reply->len);
    } else if (reply->type != REDIS_REPLY_NIL) {
        fail_test("Redis: not a text but %s (command: %s)",
                  reply->str != NULL ? reply->str : "a list", format);
    }
    freeReplyObject(reply);
    return text;
}
