/* SPDX-License-Identifier: MIT */
#include "worker/link.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/trouble.h"
#include "broker/conn.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "worker/pace.h"

#define FIRST_PAUSE_MS 20
#define STEADY_MS 5000    /* up so long, a connection is well: what it breaks of then is news */
#define GREETING_MS 10000 /* to connect and be checked; then it is tried again */
#define OLDEST_MAJOR 7
#define SAME_DOWN 2 /* the same connection to the same server is down, for whatever reason */

struct expectation {
    link_reply_fn fn;
    void *ctx;
    void *data;
};

struct link {
    struct loop *loop;
    struct conn *conn;
    struct link_hooks hooks;
    char word[16];
    struct loop_io *io;
    int io_fd;
    struct loop_timer *timer;
    bool up;
    bool checking; /* ROLE and INFO are under way */
    bool breaking; /* inside go_down() */
    bool dirty;    /* output was appended in this turn */
    bool told_down;
    bool demoted;  /* it takes us, but no writes: no reconnecting without a pause */
    int64_t up_ms; /* when it last went up */
    int64_t pause_ms;
    int64_t longest_pause_ms;
    int64_t attempt_ms; /* when the present attempt began; -1: none */
    bool tried_at_once;
    char trouble[256];
    char run_id[48];
    struct expectation *queue; /* ring */
    size_t head, count, cap;
};

static void on_io(void *ctx, uint32_t events);
static void on_timer(void *ctx, int64_t now_ms);
static void on_turn_end(void *ctx, int64_t now_ms);

int link_new(struct loop *loop, const struct redis_url *url, const char *name, const char *word,
             int64_t longest_pause_ms, const struct link_hooks *hooks, struct link **out,
             jobq_err *err)
{
    int rc;
    struct link *l = mem_zalloc(1, sizeof(*l));
    if (!l)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    l->loop = loop;
    l->hooks = *hooks;
    l->io_fd = -1;
    l->longest_pause_ms = MAX(longest_pause_ms, FIRST_PAUSE_MS);
    l->attempt_ms = -1;
    l->told_down = true; /* the first time up is worth a line too */
    snprintf(l->word, sizeof(l->word), "%s", word);
    if ((rc = conn_new(url, name, &l->conn, err)))
        goto out;
    if ((rc = loop_timer_new(loop, on_timer, l, &l->timer, err)))
        goto out;
    rc = loop_hook(loop, on_turn_end, l, err);
out:
    if (rc)
        link_free(l);
    else
        *out = l;
    return rc;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    loop_io_remove(l->io);
    loop_timer_free(l->timer);
    conn_free(l->conn);
    mem_free(l->queue);
    mem_free(l);
}

/* ---- expectations: a ring that grows ---- */

static bool grow_queue(struct link *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct expectation *grown = mem_alloc(cap * sizeof(*grown));
    if (!grown)
        return false;
    for (size_t i = 0; i < l->count; i++)
        grown[i] = l->queue[(l->head + i) % l->cap];
    mem_free(l->queue);
    l->queue = grown;
    l->cap = cap;
    l->head = 0;
    return true;
}

void link_expect(struct link *l, link_reply_fn fn, void *ctx, void *data)
{
    if (!l->up && !l->checking) {
        /* It broke earlier in this turn: what was appended since is not for the next connection. */
        if (conn_state(l->conn) == CONN_DOWN)
            buf_clear(conn_out(l->conn));
        if (fn)
            fn(ctx, data, NULL);
        return;
    }
    l->dirty = true;
    if (l->count == l->cap && !grow_queue(l)) {
        /* Without a place for the answer the order of answers would be lost: start over. */
        link_break(l, "out of memory");
        if (fn)
            fn(ctx, data, NULL);
        return;
    }
    l->queue[(l->head + l->count++) % l->cap] = (struct expectation){fn, ctx, data};
}

static bool pop_expectation(struct link *l, struct expectation *out)
{
    if (!l->count)
        return false;
    *out = l->queue[l->head];
    l->head = (l->head + 1) % l->cap;
    l->count--;
    return true;
}

/* ---- up and down ---- */

static void watch(struct link *l)
{
    int fd = conn_fd(l->conn);
    jobq_err err;
    if (fd != l->io_fd) {
        loop_io_remove(l->io);
        l->io = NULL;
        l->io_fd = -1;
        if (fd >= 0 &&
            loop_io_add(l->loop, fd, conn_events(l->conn), on_io, l, &l->io, &err) == JOBQ_OK)
            l->io_fd = fd;
    } else if (l->io && loop_io_set(l->io, conn_events(l->conn), &err)) {
        link_break(l, err.msg);
    }
}

static void plan_retry(struct link *l, int64_t pause_ms)
{
    loop_timer_arm(l->timer, loop_now(l->loop) + pause_ms);
}

/* Full jitter, so that a thousand clients do not come back at the same instant. */
static int64_t next_pause(struct link *l, int code)
{
    if (code == JOBQ_EAUTH)
        return pace_of_class(REPLY_AUTH);
    if (!l->tried_at_once) {
        l->tried_at_once = true;
        return 0;
    }
    l->pause_ms = l->pause_ms ? MIN(l->pause_ms * 2, l->longest_pause_ms) : FIRST_PAUSE_MS;
    return (int64_t)id_random_below((uint64_t)l->pause_ms + 1) + 1;
}

static void go_down(struct link *l, int code, const char *why)
{
    const struct log_field fields[] = {LOG_STR("connection", l->word),
                                       LOG_STR("server", conn_where(l->conn)),
                                       LOG_STR("error", why), LOG_END};
    if (l->breaking)
        return;
    l->breaking = true;
    bool was_up = l->up;
    l->up = false;
    l->checking = false;
    l->dirty = false;
    l->attempt_ms = -1;
    if (was_up && loop_now(l->loop) - l->up_ms >= STEADY_MS) {
        l->demoted = false;
        trouble_end("redis.down", SAME_DOWN, fields);
    }
    l->told_down |= trouble_write(LOG_WARN, "redis.down", SAME_DOWN, fields);
    snprintf(l->trouble, sizeof(l->trouble), "%s", why);
    loop_io_remove(l->io);
    l->io = NULL;
    l->io_fd = -1;
    conn_close(l->conn);
    struct expectation e;
    while (pop_expectation(l, &e))
        if (e.fn)
            e.fn(e.ctx, e.data, NULL);
    if (was_up && l->hooks.on_down)
        l->hooks.on_down(l->hooks.ctx, l->trouble);
    l->breaking = false;
    plan_retry(l, next_pause(l, code));
}

void link_break(struct link *l, const char *why)
{
    go_down(l, JOBQ_ECONN, why);
}

static void go_up(struct link *l)
{
    l->up = true;
    l->checking = false;
    l->up_ms = loop_now(l->loop);
    if (!l->demoted) {
        l->pause_ms = 0;
        l->tried_at_once = false;
    }
    l->trouble[0] = '\0';
    if (l->told_down)
        log_event(LOG_INFO, "redis.up", LOG_STR("connection", l->word),
                  LOG_STR("server", conn_where(l->conn)),
                  LOG_INT("client_id", conn_client_id(l->conn)), LOG_END);
    l->told_down = false;
    if (l->hooks.on_up)
        l->hooks.on_up(l->hooks.ctx);
}

/* ---- the check after connecting: a primary, of a version that has what the scripts need ---- */

static void on_role(void *ctx, void *data, const struct redisReply *r)
{
    struct link *l = ctx;
    (void)data;
    if (!r || !l->checking)
        return;
    if (reply_is_error(r)) {
        /* Without the permission to ask, the first write will tell. */
        if (reply_class_of(r) == REPLY_AUTH)
            return;
        go_down(l, JOBQ_EREDIS, reply_text(r));
    } else if (!reply_is_word(r, 0, "master")) {
        go_down(l, JOBQ_EREDIS, "a replica, not a primary: point redis at the primary");
    }
}

static void on_info(void *ctx, void *data, const struct redisReply *r)
{
    struct link *l = ctx;
    (void)data;
    if (!r || !l->checking)
        return;
    const char *version = strstr(reply_text(r), "redis_version:");
    const char *run_id = strstr(reply_text(r), "run_id:");
    snprintf(l->run_id, sizeof(l->run_id), "%.*s", run_id ? (int)strcspn(run_id + 7, "\r\n") : 0,
             run_id ? run_id + 7 : "");
    int64_t major = OLDEST_MAJOR;
    if (version) {
        char digits[16] = "";
        size_t n = strspn(version + 14, "0123456789");
        if (n < sizeof(digits)) {
            memcpy(digits, version + 14, n);
            digits[n] = '\0';
        }
        if (text_parse_int(digits, &major))
            major = OLDEST_MAJOR;
    }
    if (major < OLDEST_MAJOR) {
        char why[64];
        snprintf(why, sizeof(why), "Redis %d, but 7.0 or later is needed", (int)major);
        go_down(l, JOBQ_EREDIS, why);
        return;
    }
    go_up(l);
}

static void begin_check(struct link *l)
{
    l->checking = true;
    resp_command(conn_out(l->conn), "ROLE", NULL);
    link_expect(l, on_role, l, NULL);
    resp_command(conn_out(l->conn), "INFO", "server", NULL);
    link_expect(l, on_info, l, NULL);
}

/* ---- driving the connection ---- */

static void try_connect(struct link *l)
{
    jobq_err err;
    l->attempt_ms = loop_now(l->loop);
    int rc = conn_start(l->conn, &err);
    if (rc) {
        go_down(l, rc, err.msg);
        return;
    }
    watch(l);
    int64_t poll_ms = conn_poll_ms(l->conn);
    plan_retry(l, poll_ms >= 0 ? poll_ms : GREETING_MS);
}

void link_start(struct link *l)
{
    try_connect(l);
}

static bool is_message(const struct redisReply *r)
{
    return reply_is_array(r) && reply_count(r) == 3 && reply_is_word(r, 0, "message");
}

static void take_reply(struct link *l, struct redisReply *r)
{
    struct expectation e;
    if (l->hooks.on_message && is_message(r)) {
        const char *channel, *message;
        size_t n;
        if (reply_bytes(r, 1, &channel, &n) && reply_bytes(r, 2, &message, &n))
            l->hooks.on_message(l->hooks.ctx, channel, message);
    } else if (pop_expectation(l, &e)) {
        if (e.fn)
            e.fn(e.ctx, e.data, r);
    } else {
        go_down(l, JOBQ_EPROTO, "a reply that nobody asked for");
    }
}

static void read_replies(struct link *l)
{
    jobq_err err;
    for (;;) {
        struct redisReply *r = NULL;
        if (conn_state(l->conn) != CONN_READY)
            return;
        int rc = conn_next(l->conn, &r, &err);
        if (rc) {
            go_down(l, rc, err.msg);
            return;
        }
        if (!r)
            return;
        take_reply(l, r);
        reply_free(r);
    }
}

static void step(struct link *l)
{
    jobq_err err;
    enum conn_state before = conn_state(l->conn);
    int rc = conn_step(l->conn, &err);
    if (rc) {
        /* What arrived before the end is still an answer. */
        go_down(l, rc, err.msg);
        return;
    }
    if (before != CONN_READY && conn_state(l->conn) == CONN_READY)
        begin_check(l);
    read_replies(l);
    if (conn_state(l->conn) != CONN_DOWN)
        watch(l);
}

static void on_io(void *ctx, uint32_t events)
{
    (void)events;
    step(ctx);
}

static void on_timer(void *ctx, int64_t now_ms)
{
    struct link *l = ctx;
    if (l->up)
        return;
    if (conn_state(l->conn) == CONN_DOWN) {
        try_connect(l);
        return;
    }
    if (l->attempt_ms >= 0 && now_ms - l->attempt_ms >= GREETING_MS) {
        go_down(l, JOBQ_ETIMEDOUT, "no answer while connecting");
        return;
    }
    step(l);
    int64_t poll_ms = conn_poll_ms(l->conn);
    if (!l->up && conn_state(l->conn) != CONN_DOWN)
        plan_retry(l, poll_ms >= 0 ? poll_ms : MAX(l->attempt_ms + GREETING_MS - now_ms, 1));
}

static void on_turn_end(void *ctx, int64_t now_ms)
{
    struct link *l = ctx;
    (void)now_ms;
    jobq_err err;
    if (!l->dirty || conn_state(l->conn) != CONN_READY)
        return;
    l->dirty = false;
    if (conn_out(l->conn)->failed) {
        go_down(l, JOBQ_ENOMEM, "out of memory for output");
        return;
    }
    int rc = conn_flush(l->conn, &err);
    if (rc)
        go_down(l, rc, err.msg);
    else
        watch(l);
}

/* ---- what others ask ---- */

bool link_is_up(const struct link *l)
{
    return l->up;
}

const char *link_trouble(const struct link *l)
{
    return l->up ? "" : l->trouble;
}

int64_t link_client_id(const struct link *l)
{
    return conn_client_id(l->conn);
}

const char *link_run_id(const struct link *l)
{
    return l->run_id;
}

const char *link_where(const struct link *l)
{
    return conn_where(l->conn);
}

const char *link_local_address(const struct link *l)
{
    return conn_local_address(l->conn);
}

struct buf *link_out(struct link *l)
{
    return conn_out(l->conn);
}

size_t link_pending(const struct link *l)
{
    return l->count;
}

bool link_judge(struct link *l, const struct redisReply *reply)
{
    if (!reply_is_error(reply))
        return false;
    enum reply_class c = reply_class_of(reply);
    trouble_event(LOG_WARN, "redis.error", 4, LOG_STR("connection", l->word),
                  LOG_STR("server", conn_where(l->conn)), LOG_STR("class", reply_class_name(c)),
                  LOG_STR("error", reply_text(reply)), LOG_END);
    if (c != REPLY_DEMOTED)
        return true;
    l->demoted = true;
    link_break(l, reply_text(reply));
    return true;
}
