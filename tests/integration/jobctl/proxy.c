/* SPDX-License-Identifier: MIT */
/* proxy: see proxy.h. */
#include "tests/integration/jobctl/proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/support.h"

struct link {
    const struct proxy *proxy;
    int client, server;
};

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path))
        fail_test("a socket path of %zu bytes", strlen(path));
    memcpy(a.sun_path, path, strlen(path) + 1);
    return a;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool pass(int from, int to, const char *cut_at, const struct proxy *change)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof(bytes), 0);
    if (n <= 0)
        return false;
    if (cut_at != NULL && memmem(bytes, (size_t)n, cut_at, strlen(cut_at)) != NULL)
        return false;
    char *hit = change != NULL && change->length > 0
                    ? memmem(bytes, (size_t)n, change->find, change->length)
                    : NULL;
    if (hit != NULL)
        memcpy(hit, change->replace, change->length);
    return send_all(to, bytes, (size_t)n);
}

static void *carry(void *argument)
{
    struct link *l = argument;
    struct pollfd fds[] = {{.fd = l->client, .events = POLLIN},
                           {.fd = l->server, .events = POLLIN}};
    bool open = true;
    while (open && poll(fds, l->server >= 0 ? 2 : 1, -1) > 0) {
        if (l->server < 0) {
            char ignored[4096];
            open = recv(l->client, ignored, sizeof(ignored), 0) > 0;
            continue;
        }
        if (fds[0].revents != 0)
            open = pass(l->client, l->server, l->proxy->cut_at, NULL);
        if (open && fds[1].revents != 0)
            open = pass(l->server, l->client, l->proxy->cut_back_at, l->proxy);
    }
    close(l->client);
    if (l->server >= 0)
        close(l->server);
    free(l);
    return NULL;
}

struct listener {
    const struct proxy *proxy;
    int fd;
};

static int connect_to(const char *path)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)) != 0)
        fail_test("the proxy cannot reach %s", path);
    return fd;
}

static void *accept_all(void *argument)
{
    struct listener *listener = argument;
    for (;;) {
        int client = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        struct link *l = calloc(1, sizeof(*l));
        *l = (struct link){listener->proxy, client, -1};
        if (listener->proxy->target != NULL)
            l->server = connect_to(listener->proxy->target);
        pthread_t thread;
        pthread_create(&thread, NULL, carry, l);
        pthread_detach(thread);
    }
    return NULL;
}

void proxy_start(const struct proxy *p)
{
    static struct listener listeners[8];
    static size_t count;
    struct sockaddr_un a = address_of(p->listen);
    struct listener *l = &listeners[count++];
    pthread_t thread;
    *l = (struct listener){p, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (count == 8 || l->fd < 0 || bind(l->fd, (struct sockaddr *)(void *)&a, sizeof(a)) != 0 ||
        listen(l->fd, 16) != 0)
        fail_test("the proxy cannot listen at %s", p->listen);
    if (pthread_create(&thread, NULL, accept_all, l) != 0)
        fail_test("no thread for the proxy");
    pthread_detach(thread);
}
