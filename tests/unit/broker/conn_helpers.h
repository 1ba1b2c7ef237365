/* SPDX-License-Identifier: MIT */
/*
 * conn_helpers: what both tests of conn begin with.
 */
#ifndef TESTS_UNIT_BROKER_CONN_HELPERS_H
#define TESTS_UNIT_BROKER_CONN_HELPERS_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "broker/conn.h"
#include "broker/resp.h"
#include "broker/url.h"
#include "tests/support/support.h"
#include "tests/unit/broker/fake_redis.h"

#define LONG_MS 60000

static inline struct conn *new_conn(const char *text)
{
    struct redis_url url;
    struct conn *c;
    jobq_err err;

    cr_assert_eq(url_parse(text, &url, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(conn_new(&url, "unit", &c, &err), JOBQ_OK);
    url_done(&url);
    return c;
}

static inline int64_t soon(int64_t ms)
{
    return clock_mono_ms() + ms;
}

static inline struct conn *connected(const struct fake *f)
{
    struct conn *c = new_conn(fake_url(f));
    jobq_err err;

    cr_assert_eq(conn_connect(c, soon(LONG_MS), &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(conn_state(c), CONN_READY);
    return c;
}

static inline void ask(struct conn *c)
{
    resp_command(conn_out(c), "PING", (char *)NULL);
}

/* Answers every command with its last word. */
static inline void serve_echo(void *ctx, int fd, int number)
{
    struct fake_command c;
    char head[32];

    (void)ctx;
    (void)number;
    if (!fake_greet(fd))
        return;
    while (fake_read_command(fd, &c)) {
        snprintf(head, sizeof(head), "$%zu\r\n", c.len[c.argc - 1]);
        fake_say(fd, head);
        fake_write(fd, c.argv[c.argc - 1], c.len[c.argc - 1]);
        fake_say(fd, "\r\n");
        fake_command_done(&c);
    }
}

/* Never answers. */
static inline void serve_silence(void *ctx, int fd, int number)
{
    (void)ctx;
    (void)number;
    fake_wait_end(fd);
}

#endif
