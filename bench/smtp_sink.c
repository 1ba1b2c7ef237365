/* SPDX-License-Identifier: MIT */
/*
 * smtp_sink: a mail server that takes everything at once and keeps nothing, so that who sends is
 * measured and not who receives. Plain SMTP, any number of connections, one thread.
 *
 * smtp_sink [FILE]
 * Listens on a free port of 127.0.0.1 and prints it. Ends by SIGTERM and prints "MAILS BYTES".
 * FILE: gets the first message, as it was before it was made fit for SMTP.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static const char greeting[] = "220 bench ready\r\n";
static const char hello[] = "250 bench\r\n";
static const char go_on[] = "250 ok\r\n";
static const char go_ahead[] = "354 go ahead\r\n";
static const char leave[] = "221 bye\r\n";

/* The end of a message is looked for byte by byte: CR LF . CR LF. */
static const char end_mark[] = "\r\n.\r\n";
#define END_LEN (sizeof(end_mark) - 1)

struct peer {
    int fd;
    bool in_message;
    size_t matched; /* bytes of end_mark */
    size_t len;     /* of line */
    char line[LINE_MAX_BYTES];
};

static long long mails, bytes;
static FILE *first; /* where the first message goes, until it is there */
static struct peer *first_of;

static bool say(struct peer *p, const char *text)
{
    size_t len = strlen(text);
    return send(p->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool starts_with(const struct peer *p, const char *word)
{
    return strncasecmp(p->line, word, strlen(word)) == 0;
}

static bool obey(struct peer *p)
{
    if (starts_with(p, "EHLO") || starts_with(p, "HELO"))
        return say(p, hello);
    if (starts_with(p, "QUIT")) {
        say(p, leave);
        return false;
    }
    if (!starts_with(p, "DATA"))
        return say(p, go_on);
    p->in_message = true;
    p->matched = 2; /* the line of DATA has ended: a message may be empty */
    if (first != NULL && first_of == NULL)
        first_of = p;
    return say(p, go_ahead);
}

/* One byte of a message. A dot at the beginning of a line was put before another, or ends it. */
static bool take(struct peer *p, char c)
{
    bytes++;
    if (c == end_mark[p->matched])
        p->matched++;
    else
        p->matched = c == '\r' ? 1 : 0;
    if (p->matched < 3 && first != NULL && first_of == p)
        fputc(c, first);
    if (p->matched < END_LEN)
        return true;
    if (first != NULL && first_of == p) {
        fclose(first);
        first = NULL;
    }
    p->in_message = false;
    p->len = 0;
    mails++;
    return say(p, go_on);
}

static bool read_some(struct peer *p)
{
    static char data[65536];
    ssize_t n = recv(p->fd, data, sizeof(data), 0);
    if (n <= 0)
        return false;
    for (ssize_t i = 0; i < n; i++) {
        if (p->in_message) {
            if (!take(p, data[i]))
                return false;
            continue;
        }
        if (p->len + 1 >= sizeof(p->line))
            return false;
        p->line[p->len++] = data[i];
        if (data[i] == '\n') {
            p->line[p->len] = '\0';
            p->len = 0;
            if (!obey(p))
                return false;
        }
    }
    return true;
}

static void drop(struct peer *p)
{
    if (first != NULL && first_of == p)
        first_of = NULL;
    close(p->fd);
    free(p);
}

static void welcome(int epoll, int listener)
{
    int on = 1, fd = accept(listener, NULL, NULL);
    struct peer *p = fd >= 0 ? calloc(1, sizeof(*p)) : NULL;
    if (p == NULL)
        return;
    p->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    if (!say(p, greeting) || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        drop(p);
}

static int listen_somewhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        perror("smtp_sink");
        exit(69);
    }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static int catch_term(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, 0);
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: smtp_sink [FILE]\n");
        return 2;
    }
    if (argc == 2 && (first = fopen(argv[1], "w")) == NULL) {
        perror(argv[1]);
        return 1;
    }
    int term = catch_term(), epoll = epoll_create1(0), listener = listen_somewhere();
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &term;
    epoll_ctl(epoll, EPOLL_CTL_ADD, term, &e);
    for (;;) {
        if (epoll_wait(epoll, &e, 1, -1) != 1)
            continue;
        if (e.data.ptr == &term)
            break;
        if (e.data.ptr == &listener)
            welcome(epoll, listener);
        else if (!read_some(e.data.ptr))
            drop(e.data.ptr);
    }
    printf("%lld %lld\n", mails, bytes);
    return 0;
}
