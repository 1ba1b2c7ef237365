/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/mem.h"
#include "tests/unit/broker/conn_helpers.h"

/* ---- greeting ---- */

struct greeting {
    const char *replies[4];
    char seen[256]; /* the commands, in words */
};

static void serve_greeting(void *ctx, int fd, int number)
{
    struct greeting *g = ctx;
    struct fake_command c;
    size_t len = 0;

    (void)number;
    for (int i = 0; i < 4 && g->replies[i] != NULL && fake_read_command(fd, &c); i++) {
        for (size_t w = 0; w < c.argc; w++)
            len += (size_t)snprintf(g->seen + len, sizeof(g->seen) - len, "%s ", c.argv[w]);
        fake_say(fd, g->replies[i]);
        fake_command_done(&c);
    }
    fake_wait_end(fd);
}

/* Connects to a fake that greets like this, with credentials put into the URL. */
static int try_greeting(struct greeting *g, const char *credentials, const char *db,
                        struct conn **out, jobq_err *err)
{
    struct fake *f = fake_start(true, serve_greeting, g);
    struct conn *c = new_conn(fmt("redis://%s127.0.0.1:%d%s", credentials, fake_port(f), db));
    int code = conn_connect(c, soon(LONG_MS), err);

    if (out != NULL) {
        *out = c;
        return code;
    }
    cr_assert_eq(conn_state(c), code == JOBQ_OK ? CONN_READY : CONN_DOWN);
    conn_free(c);
    fake_stop(f);
    return code;
}

Test(conn, says_who_it_is_before_it_is_ready)
{
    struct greeting g = {.replies = {"+OK\r\n", "+OK\r\n", "+OK\r\n", ":4711\r\n"}};
    struct fake *f = fake_start(true, serve_greeting, &g);
    struct conn *c = new_conn(fmt("redis://bob:p%%20w@127.0.0.1:%d/3", fake_port(f)));
    char start[32];

    cr_assert_str_eq(conn_where(c), fmt("127.0.0.1:%d/3", fake_port(f)));
    cr_assert_eq(conn_state(c), CONN_DOWN);
    cr_assert_eq(conn_connect(c, soon(LONG_MS), NULL), JOBQ_OK);
    cr_assert_eq(conn_client_id(c), 4711);
    snprintf(start, sizeof(start), "127.0.0.1:");
    cr_assert_eq(strncmp(conn_local_address(c), start, strlen(start)), 0, "%s",
                 conn_local_address(c));
    conn_free(c);
    fake_stop(f);
    cr_assert_str_eq(g.seen, "AUTH bob p w SELECT 3 CLIENT SETNAME unit CLIENT ID ");
}

struct greeted {
    const char *credentials, *db;
    struct greeting g;
    int code;
    const char *text;
};

static void expect_greeted(const struct greeted *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct greeting g = cases[i].g;
        jobq_err err = {0};
        int code = try_greeting(&g, cases[i].credentials, cases[i].db, NULL, &err);
        cr_expect_eq(code, cases[i].code, "case %zu: %d %s", i, code, err.msg);
        cr_expect_not_null(strstr(err.msg, cases[i].text), "case %zu: %s", i, err.msg);
        cr_expect_null(strstr(err.msg, ":x@"));
    }
}

Test(conn, reads_in_the_greeting_that_it_is_not_let_in)
{
    static const struct greeted cases[] = {
        {":x@",
         "",
         {.replies = {"-WRONGPASS invalid\r\n", "-NOAUTH a\r\n", "-NOAUTH b\r\n"}},
         JOBQ_EAUTH,
         "WRONGPASS"},
        {":x@",
         "",
         {.replies = {"-ERR AUTH <password> called without any password configured\r\n", "+OK\r\n",
                      ":1\r\n"}},
         JOBQ_EAUTH,
         "without any password"},
        {"",
         "",
         {.replies = {"-NOAUTH Authentication required.\r\n", "-NOAUTH b\r\n"}},
         JOBQ_EAUTH,
         "NOAUTH"},
        {"", "", {.replies = {"-DENIED protected mode\r\n"}}, JOBQ_EAUTH, "DENIED"},
        {"",
         "/9",
         {.replies = {"-NOPERM no SELECT\r\n", "+OK\r\n", ":1\r\n"}},
         JOBQ_EAUTH,
         "NOPERM"},
    };
    expect_greeted(cases, ARRAY_LEN(cases));
}

Test(conn, reads_in_the_greeting_what_else_is_wrong)
{
    static const struct greeted cases[] = {
        {"",
         "/9",
         {.replies = {"-ERR DB index is out of range\r\n", "+OK\r\n", ":1\r\n"}},
         JOBQ_EREDIS,
         "DB index"},
        {"",
         "",
         {.replies = {"-ERR max number of clients reached\r\n"}},
         JOBQ_EREDIS,
         "max number"},
        {"",
         "",
         {.replies = {"-LOADING Redis is loading\r\n", "-LOADING Redis is loading\r\n"}},
         JOBQ_EREDIS,
         "LOADING"},
        {"", "", {.replies = {"HTTP/1.1 400 Bad Request\r\n\r\n"}}, JOBQ_EPROTO, "protocol"},
    };
    expect_greeted(cases, ARRAY_LEN(cases));
}

Test(conn, is_ready_without_name_and_id)
{
    static const struct greeted cases[] = {
        {"", "", {.replies = {"-NOPERM no CLIENT\r\n", "-NOPERM no CLIENT\r\n"}}, JOBQ_OK, ""},
        {"",
         "",
         {.replies = {"-ERR unknown subcommand\r\n", "-ERR unknown subcommand\r\n"}},
         JOBQ_OK,
         ""},
    };
    expect_greeted(cases, ARRAY_LEN(cases));
}

Test(conn, has_no_id_and_no_address_where_there_is_none)
{
    struct greeting g = {.replies = {"-NOPERM x\r\n", "-NOPERM x\r\n"}};
    struct fake *f = fake_start(false, serve_greeting, &g);
    struct conn *c = connected(f);

    cr_assert_eq(conn_client_id(c), 0);
    cr_assert_str_eq(conn_local_address(c), "");
    conn_free(c);
    fake_stop(f);
}

/* ---- where there is nobody ---- */

Test(conn, says_why_it_cannot_connect)
{
    /* A port that is ours, so that nobody else comes to listen there; nor do we. */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    jobq_err err;

    cr_assert(bind(fd, (struct sockaddr *)&a, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    int port = ntohs(a.sin_port);
    struct conn *c = new_conn(fmt("redis://127.0.0.1:%d", port));
    cr_assert_eq(conn_connect(c, soon(LONG_MS), &err), JOBQ_ECONN);
    cr_assert_str_eq(err.msg,
                     fmt("cannot connect to Redis at 127.0.0.1:%d/0: Connection refused", port));
    cr_assert_eq(conn_state(c), CONN_DOWN);
    close(fd);
    conn_free(c);
    c = new_conn("unix:///nonexistent/redis.sock");
    cr_assert_eq(conn_connect(c, soon(LONG_MS), &err), JOBQ_ECONN);
    cr_assert_not_null(strstr(err.msg, "No such file"), "%s", err.msg);
    conn_free(c);
    c = new_conn("redis://no-such-host.invalid");
    cr_assert_eq(conn_connect(c, soon(LONG_MS), &err), JOBQ_ECONN);
    cr_assert_not_null(strstr(err.msg, "no-such-host.invalid"), "%s", err.msg);
    conn_free(c);
}

Test(conn, tries_the_next_address_of_a_host)
{
    struct greeting g = {.replies = {"+OK\r\n", ":1\r\n"}};
    struct fake *f = fake_start(true, serve_greeting, &g);
    /* localhost is ::1 too, where nobody listens. */
    struct conn *c = new_conn(fmt("redis://localhost:%d", fake_port(f)));
    jobq_err err;

    cr_assert_eq(conn_connect(c, soon(LONG_MS), &err), JOBQ_OK, "%s", err.msg);
    conn_free(c);
    fake_stop(f);
}

Test(conn, refuses_to_talk_while_it_is_down)
{
    struct conn *c = new_conn("redis://127.0.0.1:1");
    struct redisReply *r = NULL;
    jobq_err err;

    cr_assert_eq(conn_call(c, soon(LONG_MS), &r, &err), JOBQ_ECONN);
    cr_assert_eq(conn_step(c, &err), JOBQ_ECONN);
    cr_assert_eq(conn_flush(c, &err), JOBQ_ECONN);
    cr_assert_eq(conn_next(c, &r, &err), JOBQ_ECONN);
    cr_assert_eq(conn_events(c), 0u);
    cr_assert_eq(conn_poll_ms(c), -1);
    conn_close(c);
    conn_free(c);
    conn_free(NULL);
}

static void serve_hangup(void *ctx, int fd, int number)
{
    (void)ctx;
    (void)number;
    (void)fake_greet(fd);
}

Test(conn, takes_no_signal_from_a_closed_socket)
{
    struct fake *f = fake_start(true, serve_hangup, NULL);
    struct conn *c = connected(f);
    jobq_err err;
    int code = JOBQ_OK;

    fake_stop(f);
    for (int i = 0; i < 1000 && code == JOBQ_OK; i++) {
        ask(c);
        code = conn_flush(c, &err);
        if (code == JOBQ_OK)
            code = conn_step(c, &err);
    }
    cr_assert_eq(code, JOBQ_ECONN);
    conn_free(c);
}

/* ---- loop, fork, memory ---- */

Test(conn, runs_in_a_loop)
{
    struct fake *f = fake_start(true, serve_echo, NULL);
    struct conn *c = new_conn(fmt("redis://localhost:%d", fake_port(f)));
    struct redisReply *r = NULL;
    jobq_err err = {0};
    int64_t end = soon(LONG_MS);

    cr_assert_eq(conn_start(c, &err), JOBQ_OK);
    for (bool asked = false; r == NULL && clock_mono_ms() < end;) {
        struct pollfd p = {.fd = conn_fd(c)};
        uint32_t events = conn_events(c);
        p.events = (short)((events & EPOLLIN ? POLLIN : 0) | (events & EPOLLOUT ? POLLOUT : 0));
        int64_t wait = conn_poll_ms(c);
        poll(&p, p.fd >= 0 ? 1 : 0, wait >= 0 ? (int)wait : 1000);
        cr_assert_eq(conn_step(c, &err), JOBQ_OK, "%s", err.msg);
        if (conn_state(c) != CONN_READY)
            continue;
        if (!asked) {
            resp_command(conn_out(c), "ECHO", "loop", (char *)NULL);
            cr_assert_eq(conn_events(c), (uint32_t)(EPOLLIN | EPOLLOUT));
            asked = true;
            cr_assert_eq(conn_flush(c, &err), JOBQ_OK);
            cr_assert_eq(conn_events(c), (uint32_t)EPOLLIN);
        }
        cr_assert_eq(conn_next(c, &r, &err), JOBQ_OK);
    }
    cr_assert_not_null(r);
    cr_assert_str_eq(r->str, "loop");
    freeReplyObject(r);
    conn_free(c);
    fake_stop(f);
}

Test(conn, is_left_alone_by_a_child_that_forgets_it)
{
    struct fake *f = fake_start(true, serve_echo, NULL);
    struct conn *c = connected(f);
    struct redisReply *r = NULL;
    int status;

    ask(c); /* not yet sent: the child must not send it either */
    pid_t pid = fork();
    if (pid == 0) {
        conn_forget(c);
        _exit(conn_state(c) == CONN_DOWN && conn_fd(c) == -1 ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_OK);
    cr_assert_str_eq(r->str, "PING");
    freeReplyObject(r);
    conn_free(c);
    cr_assert_eq(fake_stop(f), 1);
}

Test(conn, survives_every_refused_allocation)
{
    struct fake *f = fake_start(true, serve_echo, NULL);
    struct redis_url url;
    struct conn *c = NULL;
    int code = JOBQ_ENOMEM;
    long nth;

    cr_assert_eq(url_parse(fake_url(f), &url, NULL), JOBQ_OK);
    for (nth = 1; code == JOBQ_ENOMEM; nth++) {
        mem_fail_at(nth, 0);
        code = conn_new(&url, "unit", &c, NULL);
        if (code == JOBQ_OK) {
            code = conn_connect(c, soon(LONG_MS), NULL);
            mem_fail_at(0, 0);
            conn_free(c);
        }
        mem_fail_at(0, 0);
    }
    cr_assert_eq(code, JOBQ_OK);
    cr_assert_gt(nth, 5);
    url_done(&url);
    fake_stop(f);
}

Test(conn, goes_down_when_a_command_found_no_memory)
{
    struct fake *f = fake_start(false, serve_echo, NULL);
    struct conn *c = connected(f);
    struct redisReply *r = NULL;

    static const char large[100000];
    mem_fail_at(1, 1);
    resp_bytes(conn_out(c), large, sizeof(large));
    mem_fail_at(0, 0);
    cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_ENOMEM);
    cr_assert_eq(conn_state(c), CONN_DOWN);
    conn_free(c);
    fake_stop(f);
}
