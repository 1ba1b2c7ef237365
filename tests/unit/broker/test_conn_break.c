/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/base.h"
#include "tests/unit/broker/conn_helpers.h"

/* ---- replies in pieces ---- */

static const char stream[] =
    "+PONG\r\n$11\r\nhello\r\nyou!\r\n:-42\r\n*3\r\n$1\r\na\r\n*-1\r\n*1\r\n+x\r\n$-1\r\n"
    "-OOM command not allowed\r\n";
#define STREAM_REPLIES 6
#define STREAM_LEN (sizeof(stream) - 1)

struct pieces {
    size_t chunk; /* bytes of one write */
    size_t stop;  /* bytes after which the connection ends */
    bool reset;
    bool tcp;
};

static void serve_pieces(void *ctx, int fd, int number)
{
    const struct pieces *p = ctx;
    struct fake_command c;

    (void)number;
    if (!fake_greet(fd))
        return;
    for (int i = 0; i < STREAM_REPLIES && fake_read_command(fd, &c); i++)
        fake_command_done(&c);
    for (size_t at = 0; at < p->stop; at += p->chunk)
        fake_write(fd, stream + at, MIN(p->chunk, p->stop - at));
    if (p->stop == STREAM_LEN)
        fake_wait_end(fd);
    else if (p->reset)
        fake_reset(fd);
}

static void check_reply(void *ctx, size_t i, struct redisReply *r)
{
    size_t *count = ctx;

    cr_assert_eq(i, *count);
    (*count)++;
    switch (i) {
    case 0:
        cr_assert_str_eq(r->str, "PONG");
        break;
    case 1:
        cr_assert_eq(r->len, 11);
        cr_assert_str_eq(r->str, "hello\r\nyou!");
        break;
    case 2:
        cr_assert_eq(r->integer, -42);
        break;
    case 3:
        cr_assert_eq(r->elements, 3u);
        cr_assert_str_eq(r->element[2]->element[0]->str, "x");
        break;
    case 4:
        cr_assert_eq(r->type, REDIS_REPLY_NIL);
        break;
    default:
        cr_assert_eq(r->type, REDIS_REPLY_ERROR);
    }
    freeReplyObject(r);
}

/* How many whole replies the first n bytes hold. */
static size_t whole_replies(size_t n)
{
    redisReader *reader = redisReaderCreate();
    void *r = NULL;
    size_t count = 0;

    redisReaderFeed(reader, stream, n);
    while (redisReaderGetReply(reader, &r) == REDIS_OK && r != NULL) {
        freeReplyObject(r);
        count++;
    }
    redisReaderFree(reader);
    return count;
}

static int call_pieces(struct pieces *p, size_t *done, bool *may_have_sent, jobq_err *err)
{
    struct fake *f = fake_start(p->tcp, serve_pieces, p);
    struct conn *c = connected(f);
    size_t count = 0;

    for (int i = 0; i < STREAM_REPLIES; i++)
        ask(c);
    int code = conn_call_many(c, soon(LONG_MS), STREAM_REPLIES, check_reply, &count, done, err);
    cr_assert_eq(count, *done);
    *may_have_sent = conn_may_have_sent(c);
    cr_assert_eq(conn_state(c), code == JOBQ_OK ? CONN_READY : CONN_DOWN);
    cr_assert_eq(conn_unsent(c), 0u);
    conn_free(c);
    fake_stop(f);
    return code;
}

Test(conn, reads_replies_cut_at_every_byte)
{
    for (size_t chunk = 1; chunk <= STREAM_LEN; chunk++) {
        struct pieces p = {.chunk = chunk, .stop = STREAM_LEN, .tcp = chunk % 2 == 0};
        jobq_err err = {0};
        size_t done;
        bool sent;
        cr_assert_eq(call_pieces(&p, &done, &sent, &err), JOBQ_OK, "%zu: %s", chunk, err.msg);
        cr_assert_eq(done, (size_t)STREAM_REPLIES);
    }
}

Test(conn, gives_every_whole_reply_that_came_before_the_end)
{
    for (size_t stop = 0; stop < STREAM_LEN; stop++) {
        struct pieces p = {.chunk = STREAM_LEN, .stop = stop, .tcp = stop % 2 == 0};
        jobq_err err = {0};
        size_t done;
        bool sent;
        cr_assert_eq(call_pieces(&p, &done, &sent, &err), JOBQ_ECONN, "%zu", stop);
        cr_assert_eq(done, whole_replies(stop), "%zu of %zu after %zu bytes", done,
                     whole_replies(stop), stop);
        cr_assert(sent);
        cr_assert_gt(strlen(err.msg), 10u);
    }
}

Test(conn, reports_a_reset_at_every_byte_of_the_replies)
{
    for (size_t stop = 0; stop < STREAM_LEN; stop++) {
        struct pieces p = {.chunk = 3, .stop = stop, .reset = true, .tcp = true};
        jobq_err err = {0};
        size_t done;
        bool sent;
        cr_assert_eq(call_pieces(&p, &done, &sent, &err), JOBQ_ECONN, "%zu", stop);
        cr_assert_leq(done, whole_replies(stop));
    }
}

/* Replies that fill one read to its last byte, and then the end. */
static void serve_full_read(void *ctx, int fd, int number)
{
    static char line[16384];
    struct fake_command c;

    (void)ctx;
    (void)number;
    if (!fake_greet(fd) || !fake_read_command(fd, &c))
        return;
    fake_command_done(&c);
    memset(line, 'x', sizeof(line));
    line[0] = '+';
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    fake_write(fd, line, sizeof(line));
}

/* The reply and the end behind it wait in the socket. */
static bool is_all_there(void *ctx)
{
    struct pollfd p = {.fd = conn_fd(ctx), .events = POLLRDHUP};
    int bytes = 0;

    return ioctl(p.fd, FIONREAD, &bytes) == 0 && bytes == 16384 && poll(&p, 1, 0) == 1;
}

Test(conn, gives_a_reply_that_ends_where_the_connection_does)
{
    for (int i = 0; i < 20; i++) {
        struct fake *f = fake_start(i % 2 == 0, serve_full_read, NULL);
        struct conn *c = connected(f);
        struct redisReply *r = NULL;
        ask(c);
        cr_assert_eq(conn_flush(c, NULL), JOBQ_OK);
        cr_assert(wait_until(now_ms() + patience_ms(LONG_MS), is_all_there, c));
        cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_OK);
        cr_assert_eq(r->len, 16381);
        freeReplyObject(r);
        cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_ECONN);
        conn_free(c);
        fake_stop(f);
    }
}

static void serve_short_reader(void *ctx, int fd, int number)
{
    size_t n = *(const size_t *)ctx;
    char bytes[256];

    (void)number;
    if (!fake_greet(fd))
        return;
    (void)fake_read(fd, bytes, n);
    fake_reset(fd);
}

Test(conn, reports_a_reset_at_every_byte_of_the_request)
{
    static const size_t request_len = sizeof("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n") - 1;

    for (size_t n = 0; n <= request_len; n++) {
        struct fake *f = fake_start(n % 2 == 0, serve_short_reader, &n);
        struct conn *c = connected(f);
        struct redisReply *r = NULL;
        resp_command(conn_out(c), "ECHO", "hello", (char *)NULL);
        cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_ECONN, "%zu", n);
        cr_assert_null(r);
        cr_assert_eq(conn_state(c), CONN_DOWN);
        conn_free(c);
        fake_stop(f);
    }
}

static void serve_nothing_more(void *ctx, int fd, int number)
{
    (void)ctx;
    (void)number;
    if (!fake_greet(fd))
        return;
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    poll(&p, 1, -1);
}

Test(conn, counts_the_bytes_that_did_not_leave)
{
    static char large[8 << 20];
    struct fake *f = fake_start(false, serve_nothing_more, NULL);
    struct conn *c = connected(f);
    struct redisReply *r = NULL;

    cr_assert_eq(conn_unsent(c), 0u);
    resp_bytes(conn_out(c), large, sizeof(large));
    size_t whole = conn_out(c)->len;
    cr_assert_eq(conn_unsent(c), whole);
    cr_assert_eq(conn_call(c, soon(50), &r, NULL), JOBQ_ETIMEDOUT);
    cr_assert(conn_may_have_sent(c));
    cr_assert_gt(conn_unsent(c), 0u);
    cr_assert_lt(conn_unsent(c), whole);
    conn_free(c);
    fake_stop(f);
}

/* ---- both directions ---- */

static void count_echo(void *ctx, size_t i, struct redisReply *r)
{
    size_t *bytes = ctx;

    (void)i;
    *bytes += (size_t)r->len;
    freeReplyObject(r);
}

Test(conn, reads_while_it_writes)
{
    static char word[4096];
    struct fake *f = fake_start(false, serve_echo, NULL);
    struct conn *c = connected(f);
    size_t bytes = 0, done, n = 2000;

    memset(word, 'w', sizeof(word));
    for (size_t i = 0; i < n; i++) {
        resp_begin(conn_out(c), 2);
        resp_str(conn_out(c), "ECHO");
        resp_bytes(conn_out(c), word, sizeof(word));
    }
    cr_assert_eq(conn_call_many(c, soon(patience_ms(60000)), n, count_echo, &bytes, &done, NULL),
                 JOBQ_OK);
    cr_assert_eq(done, n);
    cr_assert_eq(bytes, n * sizeof(word));
    cr_assert_eq(conn_out(c)->cap, 0u, "a large buffer is kept");
    conn_free(c);
    fake_stop(f);
}

/* ---- time ---- */

static void serve_drip(void *ctx, int fd, int number)
{
    (void)ctx;
    (void)number;
    if (!fake_greet(fd))
        return;
    fake_say(fd, "$1000000\r\n");
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    while (poll(&p, 1, 5) == 0)
        fake_say(fd, "x");
}

static void expect_elapsed(int64_t from, int64_t ms)
{
    int64_t took = clock_mono_ms() - from;

    cr_assert_geq(took, ms);
    cr_assert_leq(took, ms + patience_ms(5000), "%lld ms", (long long)took);
}

Test(conn, keeps_its_deadline_while_bytes_drip)
{
    struct fake *f = fake_start(false, serve_drip, NULL);
    struct conn *c = connected(f);
    struct redisReply *r = NULL;
    int64_t from = clock_mono_ms();
    jobq_err err;

    ask(c);
    cr_assert_eq(conn_call(c, from + 300, &r, &err), JOBQ_ETIMEDOUT);
    expect_elapsed(from, 300);
    cr_assert_eq(conn_state(c), CONN_DOWN);
    cr_assert_eq(conn_fd(c), -1);
    conn_free(c);
    fake_stop(f);
}

Test(conn, keeps_its_deadline_while_nobody_greets)
{
    struct fake *f = fake_start(true, serve_silence, NULL);
    struct conn *c = new_conn(fake_url(f));
    int64_t from = clock_mono_ms();
    jobq_err err;

    cr_assert_eq(conn_connect(c, from + 200, &err), JOBQ_ETIMEDOUT);
    expect_elapsed(from, 200);
    cr_assert_eq(conn_state(c), CONN_DOWN);
    conn_free(c);
    fake_stop(f);
}

/* The first connection answers too late, the others at once. */
static void serve_late_first(void *ctx, int fd, int number)
{
    struct fake_command c;

    (void)ctx;
    if (!fake_greet(fd) || !fake_read_command(fd, &c))
        return;
    fake_command_done(&c);
    if (number == 0)
        fake_wait_end(fd);
    fake_say(fd, number == 0 ? "+late\r\n" : "+fresh\r\n");
    fake_wait_end(fd);
}

Test(conn, never_reads_a_late_reply_on_a_new_connection)
{
    struct fake *f = fake_start(false, serve_late_first, NULL);
    struct conn *c = connected(f);
    struct redisReply *r = NULL;

    ask(c);
    cr_assert_eq(conn_call(c, soon(50), &r, NULL), JOBQ_ETIMEDOUT);
    cr_assert_eq(conn_connect(c, soon(LONG_MS), NULL), JOBQ_OK);
    ask(c);
    cr_assert_eq(conn_call(c, soon(LONG_MS), &r, NULL), JOBQ_OK);
    cr_assert_str_eq(r->str, "fresh");
    freeReplyObject(r);
    conn_free(c);
    cr_assert_eq(fake_stop(f), 2);
}
