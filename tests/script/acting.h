/* SPDX-License-Identifier: MIT */
/*
 * acting: an operator at one partition, who acts through broker/control and broker/inspect_walk as
 * jobctl does. Each test file that includes it has its own; ACTING_SUITE(name) opens it before
 * every test and closes it after.
 */
#ifndef TESTS_SCRIPT_ACTING_H
#define TESTS_SCRIPT_ACTING_H

#include <string.h>

#include "base/clock.h"
#include "broker/conn.h"
#include "broker/control.h"
#include "broker/inspect_walk.h"
#include "broker/url.h"
#include "tests/script/pair.h"

#define JOBS_MAX 1000

static struct conn *conn;
static struct inspect in;
static struct control_act act;

/* What is done from now on is another act. */
static inline void begin_act(const char *note)
{
    act = (struct control_act){
        .by = "eve@web1", .user = "op", .command = "queue purge \"q\"", .note = note};
    cr_assert_eq(control_begin(&in, &act, NULL), JOBQ_OK);
}

static inline void connect_as(const char *user)
{
    struct redis_url url;
    jobq_err err = {0};
    conn_free(conn);
    cr_assert(url_parse(user == NULL ? s.redis->url
                                     : fmt("redis://%s:pw@127.0.0.1:%d/0", user, s.redis->port),
                        &url, &err) == JOBQ_OK,
              "%s", err.msg);
    cr_assert(conn_new(&url, "test", &conn, &err) == JOBQ_OK, "%s", err.msg);
    url_done(&url);
    in = (struct inspect){conn, NULL, clock_mono_ms() + patience_ms(60000)};
    cr_assert(conn_connect(conn, in.deadline_ms, &err) == JOBQ_OK, "%s", err.msg);
    begin_act(NULL);
}

static inline void open_all(void)
{
    pair_open();
    connect_as(NULL);
}

static inline void close_all(void)
{
    conn_free(conn);
    pair_close();
}

#define ACTING_SUITE(name) TestSuite(name, .init = open_all, .fini = close_all)

/* ---- jobs that are dead ---- */

static inline void add_dead(uint64_t n, const struct job_header *like, const char *payload)
{
    struct buf h;
    struct job_header header = {.attempts = 10,
                                .crashes = 2,
                                .losses = 3,
                                .releases = 4,
                                .flags = CODEC_FLAG_EXHAUSTED,
                                .error = "no",
                                .error_len = 2,
                                .enqueued_ms = 1000};
    if (like != NULL)
        header = *like;
    header.type = "t";
    header.type_len = 1;
    id_of(n, &header.id);
    buf_init(&h, CODEC_HEADER_MAX);
    codec_encode(&header, &h);
    redisReply *r = redisCommand(s.c, "XADD %s * h %b p %s reason permanent error no by x",
                                 s.k.dead, h.data, h.len, payload);
    cr_assert(r->type == REDIS_REPLY_STRING);
    freeReplyObject(r);
    buf_done(&h);
}

/* All jobs of one kind, of at most JOBS_MAX; valid until the next call. */
static inline size_t gather(int where, enum inspect_state state, const struct inspect_job **out)
{
    static struct inspect_page pages[JOBS_MAX];
    static size_t page_count;
    struct inspect_walk w;
    jobq_err err = {0};
    size_t n = 0;
    while (page_count > 0)
        inspect_page_done(&pages[--page_count]);
    cr_assert(inspect_walk_begin(&in, &s.k, where, state, &w, &err) == JOBQ_OK, "%s", err.msg);
    while (!w.ended) {
        struct inspect_page *page = &pages[page_count++];
        cr_assert(inspect_walk_next(&in, &w, SIZE_MAX, page, &err) == JOBQ_OK, "%s", err.msg);
        for (size_t i = 0; i < page->n; i++)
            out[n++] = &page->jobs[i];
    }
    return n;
}

static const struct inspect_job *jobs[JOBS_MAX];
static struct control_result results[JOBS_MAX];

static inline int revive_all(const char *payload, size_t expected)
{
    size_t n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    cr_assert_eq(n, expected);
    return control_revive(&in, &s.k, &act, jobs, n, payload, payload != NULL ? strlen(payload) : 0,
                          results, NULL);
}

static inline size_t purge_all(int where, enum inspect_state state, size_t expected)
{
    size_t done = 0, open = 0, n = gather(where, state, jobs);
    cr_assert_eq(n, expected, "%zu", n);
    cr_assert_eq(control_purge(&in, &s.k, &act, where, jobs, n, &done, &open, NULL), JOBQ_OK);
    cr_assert_eq(open, 0);
    return done;
}

#endif
