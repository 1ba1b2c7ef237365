/* SPDX-License-Identifier: MIT */
#include "tests/e2e/metrics/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *socket_path(size_t i)
{
    return fmt("%s/http-%zu", tmp_dir(), i);
}

const char *web_conf(size_t i, const char *more)
{
    static char texts[SCENE_JOBD_MAX][1024];
    snprintf(texts[i], sizeof(texts[i]), "http = \"unix:%s\"; %s", socket_path(i), more);
    return texts[i];
}

int web_connect(size_t i)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", socket_path(i));
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Sends the request, reads to the end. */
static int talk(int fd, const char *path, char **body)
{
    char head[512];
    size_t len = 0, cap = 65536;
    char *text = malloc(cap);
    int status = 0, n = snprintf(head, sizeof(head),
                                 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    *body = NULL;
    bool ok = text && send(fd, head, (size_t)n, MSG_NOSIGNAL) == n;
    while (ok) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)patience_ms(10000)) != 1)
            break;
        ssize_t got = recv(fd, text + len, cap - len - 1, 0);
        if (got <= 0)
            break;
        len += (size_t)got;
        if (cap - len < 4096 && !(text = realloc(text, cap *= 2)))
            abort();
    }
    if (text)
        text[len] = '\0';
    char *end = text ? strstr(text, "\r\n\r\n") : NULL;
    if (end && sscanf(text, "HTTP/1.1 %d ", &status) == 1)
        *body = strdup(end + 4);
    free(text);
    return *body ? status : 0;
}

int web_get(size_t i, const char *path, char **body)
{
    int fd = web_connect(i);
    *body = NULL;
    if (fd < 0)
        return 0;
    int status = talk(fd, path, body);
    close(fd);
    return status;
}

int web_get_port(int port, const char *path, char **body)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status = 0;
    *body = NULL;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&in, sizeof(in)) == 0)
        status = talk(fd, path, body);
    close(fd);
    return status;
}

double web_value(const char *text, const char *sample)
{
    size_t n = strlen(sample);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, sample, n) == 0 && line[n] == ' ')
            return strtod(line + n + 1, NULL);
    }
    return -1;
}

double web_scrape(size_t i, const char *sample)
{
    char *body;
    double value = -1;
    if (web_get(i, "/metrics", &body) == 200)
        value = web_value(body, sample);
    free(body);
    return value;
}

struct wanted {
    size_t i;
    const char *sample;
    double value, seen;
    int status;
    const char *text;
    char last[400];
};

static bool has_value(void *ctx)
{
    struct wanted *w = ctx;
    w->seen = web_scrape(w->i, w->sample);
    return w->seen > w->value - 1e-9 && w->seen < w->value + 1e-9;
}

void web_wait(size_t i, const char *sample, double value)
{
    struct wanted w = {.i = i, .sample = sample, .value = value};
    if (!wait_until(patience_ms(20000), has_value, &w))
        fail_test("%s is %g, not %g", sample, w.seen, value);
}

static bool is_above(void *ctx)
{
    struct wanted *w = ctx;
    w->seen = web_scrape(w->i, w->sample);
    return w->seen > w->value + 1e-9;
}

void web_wait_above(size_t i, const char *sample, double value)
{
    struct wanted w = {.i = i, .sample = sample, .value = value};
    if (!wait_until(patience_ms(20000), is_above, &w))
        fail_test("%s is %g, not above %g", sample, w.seen, value);
}

static bool is_ready_so(void *ctx)
{
    struct wanted *w = ctx;
    char *body;
    int status = web_get(w->i, "/readyz", &body);
    snprintf(w->last, sizeof(w->last), "%d %s", status, body ? body : "");
    bool so = status == w->status && strstr(body, w->text);
    free(body);
    return so;
}

void web_wait_ready(size_t i, int status, const char *text)
{
    struct wanted w = {.i = i, .status = status, .text = text};
    if (!wait_until(patience_ms(30000), is_ready_so, &w))
        fail_test("/readyz says %s, not %d with \"%s\"", w.last, status, text);
}
