/* SPDX-License-Identifier: MIT */
/*
 * fake_redis: see fake_redis.h.
 */
#include "tests/unit/broker/fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/support.h"

struct fake {
    char url[256];
    int port;
    int listener;
    int stop[2]; /* a pipe: readable once the test wants the thread to end */
    atomic_int current;
    fake_serve serve;
    void *ctx;
    int count;
    pthread_t thread;
};

static void listen_tcp(struct fake *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->listener < 0 || bind(f->listener, (struct sockaddr *)(void *)&a, sizeof(a)) != 0 ||
        getsockname(f->listener, (struct sockaddr *)(void *)&a, &len) != 0)
        fail_test("fake Redis: %s", strerror(errno));
    f->port = ntohs(a.sin_port);
    snprintf(f->url, sizeof(f->url), "redis://127.0.0.1:%d", f->port);
}

static void listen_unix(struct fake *f)
{
    static int number;
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/fake%d", tmp_dir(), number++);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->listener < 0 || bind(f->listener, (struct sockaddr *)(void *)&a, sizeof(a)) != 0)
        fail_test("fake Redis: %s", strerror(errno));
    snprintf(f->url, sizeof(f->url), "unix://%s", a.sun_path);
}

static void *run(void *argument)
{
    struct fake *f = argument;

    for (;;) {
        struct pollfd p[2] = {{.fd = f->listener, .events = POLLIN},
                              {.fd = f->stop[0], .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[1].revents != 0)
            return NULL;
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            continue;
        atomic_store(&f->current, fd);
        f->serve(f->ctx, fd, f->count++);
        if (atomic_exchange(&f->current, -1) == fd)
            close(fd);
    }
}

struct fake *fake_start(bool tcp, fake_serve serve, void *ctx)
{
    struct fake *f = calloc(1, sizeof(*f));

    if (f == NULL)
        fail_test("no memory");
    f->serve = serve;
    f->ctx = ctx;
    atomic_init(&f->current, -1);
    if (tcp)
        listen_tcp(f);
    else
        listen_unix(f);
    if (listen(f->listener, 64) != 0 || pipe(f->stop) != 0 ||
        pthread_create(&f->thread, NULL, run, f) != 0)
        fail_test("fake Redis: %s", strerror(errno));
    return f;
}

const char *fake_url(const struct fake *f)
{
    return f->url;
}

int fake_port(const struct fake *f)
{
    return f->port;
}

void fake_stop_listening(struct fake *f)
{
    shutdown(f->listener, SHUT_RDWR);
    close(f->listener);
    f->listener = -1; /* poll() passes over it */
}

int fake_stop(struct fake *f)
{
    int count;

    if (write(f->stop[1], "", 1) != 1)
        fail_test("fake Redis: %s", strerror(errno));
    int fd = atomic_load(&f->current);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    if (f->listener >= 0)
        close(f->listener);
    close(f->stop[0]);
    close(f->stop[1]);
    count = f->count;
    free(f);
    return count;
}

bool fake_read(int fd, void *bytes, size_t n)
{
    char *to = bytes;

    while (n > 0) {
        ssize_t got = read(fd, to, n);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

/* A line that begins with kind and holds a number. */
static bool read_count(int fd, char kind, size_t *out)
{
    char line[32];
    size_t n = 0;

    do {
        if (n == sizeof(line) || !fake_read(fd, line + n, 1))
            return false;
    } while (line[n++] != '\n');
    if (line[0] != kind)
        fail_test("fake Redis: not a command: %.*s", (int)n, line);
    *out = strtoul(line + 1, NULL, 10);
    return true;
}

bool fake_read_command(int fd, struct fake_command *out)
{
    char end[2];
    size_t argc;

    memset(out, 0, sizeof(*out));
    if (!read_count(fd, '*', &argc))
        return false;
    if (argc > FAKE_WORDS)
        fail_test("fake Redis: a command of %zu words", argc);
    for (size_t i = 0; i < argc; i++) {
        if (!read_count(fd, '$', &out->len[i]))
            break;
        out->argv[i] = calloc(1, out->len[i] + 1);
        out->argc = i + 1;
        if (out->argv[i] == NULL || !fake_read(fd, out->argv[i], out->len[i]) ||
            !fake_read(fd, end, 2))
            break;
        if (i + 1 == argc)
            return true;
    }
    fake_command_done(out);
    return false;
}

void fake_command_done(struct fake_command *c)
{
    for (size_t i = 0; i < c->argc; i++)
        free(c->argv[i]);
    c->argc = 0;
}

bool fake_is(const struct fake_command *c, const char *word)
{
    return c->argc > 0 && strcasecmp(c->argv[0], word) == 0;
}

void fake_write(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n > 0) {
        ssize_t put = send(fd, from, n, MSG_NOSIGNAL);
        if (put < 0)
            return;
        from += put;
        n -= (size_t)put;
    }
}

void fake_say(int fd, const char *text)
{
    fake_write(fd, text, strlen(text));
}

void fake_reset(int fd)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

bool fake_greet(int fd)
{
    struct fake_command c;

    for (int i = 0; i < 2; i++) {
        if (!fake_read_command(fd, &c))
            return false;
        fake_say(fd, i == 0 ? "+OK\r\n" : ":7\r\n");
        fake_command_done(&c);
    }
    return true;
}

void fake_wait_end(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}
