/* SPDX-License-Identifier: MIT */
/*
 * The server for those who look: what it answers, and that nothing a client does or leaves undone
 * holds it up. Server and clients take turns in one thread; time is the fake clock's.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/loop.h"
#include "tests/support/support.h"
#include "worker/http.h"

#define BIG (4 * 1024 * 1024)

static struct loop *loop;
static struct http *http;
static struct http_address address;
static int64_t clock_ms;
static unsigned answers;
static jobq_err err;

static int answer(void *ctx, const char *path, struct buf *body)
{
    (void)ctx;
    answers++;
    if (strcmp(path, "/big") == 0) {
        char *room = buf_reserve(body, BIG);
        memset(room, 'x', BIG);
        body->len += BIG;
        return 200;
    }
    if (strcmp(path, "/endless") == 0) {
        body->failed = true;
        return 200;
    }
    buf_append_str(body, path);
    return strcmp(path, "/no") == 0 ? 503 : 200;
}

static void start(void)
{
    clock_ms = 1000000;
    clock_fake(clock_ms, clock_ms);
    cr_assert_eq(loop_new(&loop, &err), JOBQ_OK);
    cr_assert_eq(http_parse(fmt("unix:%s/http", tmp_dir()), &address, &err), JOBQ_OK, "%s",
                 err.msg);
    cr_assert_eq(http_new(loop, &address, answer, NULL, &http, &err), JOBQ_OK, "%s", err.msg);
}

static void end(void)
{
    http_free(http);
    loop_free(loop);
    clock_fake_off();
}

TestSuite(http, .init = start, .fini = end);

/* The server's turn: whatever it can do without waiting. */
static void serve(void)
{
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(loop_turn(loop, 0, &err), JOBQ_OK);
        http_run(http, loop_now(loop));
    }
}

static void pass_time(int64_t ms)
{
    clock_ms += ms;
    clock_fake(clock_ms, clock_ms);
    serve();
}

static int call(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    if (connect(fd, (const struct sockaddr *)&address.addr, address.len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void say(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All until the end of the connection; NULL: it did not end. Caller frees. */
static char *listen_to_end(int fd)
{
    size_t len = 0, cap = 2 * BIG;
    char *text = malloc(cap);
    for (int idle = 0; idle < 2000;) {
        ssize_t n = recv(fd, text + len, cap - len - 1, 0);
        if (n > 0) {
            len += (size_t)n;
            idle = 0;
        } else if (n == 0 || errno != EAGAIN) {
            text[len] = '\0';
            return text;
        } else {
            idle++;
            serve();
        }
    }
    free(text);
    return NULL;
}

static char *ask(const char *request)
{
    int fd = call();
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    say(fd, request);
    char *text = listen_to_end(fd);
    close(fd);
    cr_assert_not_null(text, "no end of the answer to %s", request);
    return text;
}

#define EXPECT(request, begin, finish) expect(request, begin, finish, __LINE__)
static void expect(const char *request, const char *begin, const char *finish, int line)
{
    char *text = ask(request);
    size_t n = strlen(text), k = strlen(finish);
    cr_assert_eq(strncmp(text, begin, strlen(begin)), 0, "line %d: %s", line, text);
    cr_assert(n >= k && strcmp(text + n - k, finish) == 0, "line %d: %s", line, text);
    free(text);
}

Test(http, answers_get_and_head_and_nothing_else)
{
    EXPECT("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
    EXPECT("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
    EXPECT("GET /no HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 ", "\r\n\r\n/no");
    EXPECT("GET /a HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
    EXPECT("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n");
    EXPECT("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 405 ",
           "only GET and HEAD\n");
    EXPECT("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 500 ", "out of memory\n");
    char *text = ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(strstr(text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "%s",
              text);
    cr_assert(strstr(text, "\r\nConnection: close\r\n"), "%s", text);
    free(text);
}

Test(http, sends_a_long_answer_whole)
{
    char *text = ask("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    const char *body = strstr(text, "\r\n\r\n");
    cr_assert_not_null(body);
    cr_assert_eq(strspn(body + 4, "x"), (size_t)BIG);
    free(text);
}

/* Whatever comes ends in an answer or a closed connection, soon. */
Test(http, survives_garbage)
{
    static const char *const garbage[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "GET /%00%ff%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        int fd = call();
        cr_assert_geq(fd, 0);
        say(fd, garbage[i]);
        shutdown(fd, SHUT_WR);
        serve();
        pass_time(HTTP_SECONDS * 1000 + 1);
        char *text = listen_to_end(fd);
        cr_assert_not_null(text, "still open after %zu", i);
        free(text);
        close(fd);
    }
    uint64_t seed = test_seed(4711);
    for (int round = 0; round < 300; round++) {
        char bytes[400];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (char)(seed >> 56);
        }
        int fd = call();
        cr_assert_geq(fd, 0);
        if (round % 2)
            say(fd, "GET /a HTTP/1.1\r\nHost: ");
        (void)!send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        serve();
        close(fd);
        serve();
    }
    EXPECT("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
}

Test(http, refuses_a_head_that_does_not_end)
{
    int fd = call();
    cr_assert_geq(fd, 0);
    say(fd, "GET /a HTTP/1.1\r\nHost: x\r\nX: ");
    char junk[4096];
    memset(junk, 'j', sizeof(junk));
    for (int i = 0; i < 8; i++) {
        (void)!send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
        serve();
    }
    char *text = listen_to_end(fd);
    cr_assert_not_null(text, "it reads on and on");
    cr_assert(text[0] == '\0' || strncmp(text, "HTTP/1.1 4", 10) == 0, "%s", text);
    free(text);
    close(fd);
    cr_assert_eq(answers, 0u);
}

/* Neither silence, nor a byte now and then, nor not reading holds a connection for long. */
Test(http, ends_slow_clients_and_serves_others_meanwhile)
{
    int silent = call(), dripping = call(), deaf = call();
    say(deaf, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    say(dripping, "GET /");
    serve();
    for (int i = 0; i < HTTP_SECONDS; i++) {
        say(dripping, "d");
        EXPECT("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
        pass_time(900);
    }
    pass_time(1001);
    int fds[] = {silent, dripping, deaf};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        char *text = listen_to_end(fds[i]);
        cr_assert_not_null(text, "client %zu is still connected", i);
        cr_assert_lt(strlen(text), (size_t)BIG);
        free(text);
        close(fds[i]);
    }
}

Test(http, bounds_the_connections_and_recovers)
{
    enum { MANY = 3 * HTTP_CONNECTIONS };
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = call();
        serve();
    }
    /* Those within the limit are served though all others hang about. */
    int served = 0;
    for (int i = 0; i < MANY; i++) {
        if (fds[i] < 0)
            continue;
        (void)!send(fds[i], "GET /a HTTP/1.0\r\n\r\n", 19, MSG_NOSIGNAL);
        serve();
    }
    for (int i = 0; i < MANY; i++) {
        if (fds[i] < 0)
            continue;
        char *text = listen_to_end(fds[i]);
        served += text && strstr(text, " 200 OK") != NULL;
        free(text);
        close(fds[i]);
    }
    cr_assert_geq(served, HTTP_CONNECTIONS);
    serve();
    EXPECT("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
}

/* ---- where ---- */

Test(http, takes_an_address_once)
{
    struct http *second = NULL;
    cr_assert_eq(http_new(loop, &address, answer, NULL, &second, &err), JOBQ_ESTATE);
    cr_assert(strstr(err.msg, "in use"), "%s", err.msg);
    cr_assert_null(second);
    EXPECT("GET /a HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n/a");
}

static const char *path_of(const struct http_address *a)
{
    return ((const struct sockaddr_un *)(const void *)&a->addr)->sun_path;
}

Test(http, replaces_what_a_killed_one_left_and_removes_its_own)
{
    struct stat st;
    http_free(http);
    http = NULL;
    cr_assert_neq(stat(path_of(&address), &st), 0, "its file is removed");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address.addr, address.len), 0);
    close(fd); /* the file stays, nobody listens */
    cr_assert_eq(http_new(loop, &address, answer, NULL, &http, &err), JOBQ_OK, "%s", err.msg);
    /* A successor took the path: its file is not ours to remove. */
    cr_assert_eq(unlink(path_of(&address)), 0);
    write_file(path_of(&address), "somebody else's");
    http_free(http);
    http = NULL;
    cr_assert_eq(stat(path_of(&address), &st), 0);
    cr_assert_eq(http_new(loop, &address, answer, NULL, &http, &err), JOBQ_ESTATE,
                 "a file is not replaced");
}

Test(http, reads_addresses)
{
    static const char *const good[] = {"127.0.0.1:9464", "[::1]:1",   "localhost:65535",
                                       "0.0.0.0:80",     "[::]:9464", "unix:/run/jobq/http"};
    static const char *const bad[] = {
        "",          "on",          "9464",          ":9464",
        "127.0.0.1", "127.0.0.1:0", "127.0.0.1:x",   "127.0.0.1:65536",
        "::1:9464",  "[::1:9464",   "[127.0.0.1]:1", "host.example:1",
        "unix:",     "unix:http",   "127.0.0.1:",    "[]:1"};
    struct http_address a = {.len = 9};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        cr_assert_eq(http_parse(good[i], &a, &err), JOBQ_OK, "%s", good[i]);
        cr_assert_gt(a.len, 0u);
        cr_assert_str_eq(a.shown, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_eq(http_parse(bad[i], &a, &err), JOBQ_EINVAL, "%s", bad[i]);
    cr_assert_eq(http_parse("off", &a, &err), JOBQ_OK);
    cr_assert_eq(a.len, 0u);
    char path[300] = "unix:/";
    memset(path + 6, 'p', 200);
    cr_assert_eq(http_parse(path, &a, &err), JOBQ_EINVAL);
}
