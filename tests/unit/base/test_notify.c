/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/notify.h"
#include "tests/support/support.h"

static char got[4096];

/* A datagram socket at path, '@' for an abstract one. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    cr_assert_lt(len, sizeof(address.sun_path));
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static const char *receive(int fd)
{
    ssize_t n = recv(fd, got, sizeof(got) - 1, 0);
    got[n > 0 ? n : 0] = '\0';
    return got;
}

Test(notify, tells_the_service_manager)
{
    int fd = listen_at(fmt("%s/notify", tmp_dir()));
    notify_send("READY=1\nSTATUS=%d jobs", 5);
    cr_assert_str_eq(receive(fd), "READY=1\nSTATUS=5 jobs");
    notify_send("WATCHDOG=1");
    cr_assert_str_eq(receive(fd), "WATCHDOG=1");
    close(fd);
}

Test(notify, knows_abstract_addresses)
{
    int fd = listen_at(fmt("@jobq-test-%d", (int)getpid()));
    notify_send("STOPPING=1");
    cr_assert_str_eq(receive(fd), "STOPPING=1");
    close(fd);
}

Test(notify, cuts_a_long_text_at_a_character)
{
    static char text[5000];
    int fd = listen_at(fmt("%s/notify", tmp_dir()));
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);
    notify_send("STATUS=%s", text);
    size_t len = strlen(receive(fd));
    cr_assert_eq(len, 7 + 679 * 3u);
    close(fd);
}

Test(notify, does_nothing_where_nobody_listens)
{
    static const char *const nowhere[] = {"/nonexistent/socket", "relative", "", "@", "/",
                                          "vsock:2:1234"};
    char longest[200];
    unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        setenv("NOTIFY_SOCKET", nowhere[i], 1);
        notify_send("READY=1");
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    notify_send("READY=1");
    /* Nothing was opened and forgotten. */
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    int fd = dup(0);
    close(fd);
    notify_send("READY=1");
    int again = dup(0);
    cr_assert_eq(again, fd);
    close(again);
}

/* Nobody reads: a call that blocks never comes back, and the test's time runs out. */
Test(notify, never_blocks)
{
    int fd = listen_at(fmt("%s/notify", tmp_dir()));
    for (int i = 0; i < 5000; i++)
        notify_send("STATUS=%d", i);
    cr_assert_str_eq(receive(fd), "STATUS=0");
    close(fd);
}

Test(notify, reads_the_watchdogs_interval)
{
    static const struct {
        const char *usec;
        const char *pid; /* "me" */
        int64_t ms;
    } cases[] = {
        {NULL, NULL, 0}, {"30000000", NULL, 15000}, {"30000000", "me", 15000}, {"30000000", "1", 0},
        {"30000000", "x", 0}, {"1", NULL, 1}, {"0", NULL, 0}, {"-5", NULL, 0}, {"abc", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (cases[i].usec)
            setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid[0] == 'm' ? fmt("%d", (int)getpid()) : cases[i].pid,
                   1);
        cr_assert_eq(notify_watchdog_ms(), cases[i].ms, "case %zu", i);
    }
}
