/* SPDX-License-Identifier: MIT */
/*
 * cmd_tail: jobctl tail: what happens to jobs, as it happens. One connection listens, the session's
 * own looks from time to time which queues there are. A lost Redis is said once and waited for.
 */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/event_line.h"
#include "admin/jobctl/session.h"
#include "admin/jobctl/signals.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "broker/conn.h"
#include "broker/reply.h"
#include "broker/resp.h"

#define REFRESH_MS 5000 /* how often new queues are looked for */
#define AGAIN_MS 500    /* between attempts to reach Redis again */
#define LINES_MAX ((size_t)8 * 1024 * 1024)

struct tail {
    struct session *s;
    const struct args *a;
    struct signals signals;
    int stopped;       /* by this signal; 0: goes on */
    struct conn *conn; /* that listens */
    struct session_shards shards;
    int64_t refresh_ms;
    int64_t limit, shown; /* limit 0: none */
    struct buf lines;
    bool refused; /* Redis does not let us listen */
    bool ever;    /* it listened once */
    bool told;    /* somebody was told that Redis is gone */
};

/* ---- one event ---- */

/* Whether a flag is absent, or one of its values is the text; prefix: begins it. */
static bool is_wanted(const struct args *a, const char *flag, const json_t *event,
                      const char *member, bool prefix)
{
    const char *have = json_string_value(json_object_get(event, member));
    bool given = false;
    for (size_t i = 0; i < a->flag_count; i++) {
        if (strcmp(a->flags[i].name, flag) != 0)
            continue;
        const char *value = a->flags[i].value;
        given = true;
        if (have != NULL &&
            (prefix ? strncmp(have, value, strlen(value)) : strcmp(have, value)) == 0)
            return true;
    }
    return !given;
}

static void take_line(struct tail *t, const struct shard_keys *k, const char *line, size_t len)
{
    json_t *event = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const char *word = json_string_value(json_object_get(event, "event"));
    bool full = t->limit > 0 && t->shown >= t->limit;
    /* What was left out counts for every filter. */
    bool wanted =
        word != NULL && !full &&
        (strcmp(word, "skipped") == 0 || (is_wanted(t->a, "type", event, "type", false) &&
                                          is_wanted(t->a, "event", event, "event", false) &&
                                          is_wanted(t->a, "worker", event, "worker", true)));
    if (wanted) {
        t->shown++;
        if (t->s->out.json)
            event_line_json(&t->lines, event, k);
        else
            event_line_text(&t->lines, event, k, t->s->out.colour);
    }
    json_decref(event);
}

static void take_message(struct tail *t, const char *channel, const char *bytes, size_t len)
{
    const struct shard_keys *k = NULL;
    for (size_t i = 0; k == NULL && i < t->shards.n; i++) {
        if (strcmp(t->shards.keys[i].events, channel) == 0)
            k = &t->shards.keys[i];
    }
    while (k != NULL && len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end != NULL ? (size_t)(end - bytes) : len;
        take_line(t, k, bytes, n);
        n += end != NULL;
        bytes += n;
        len -= n;
    }
}

static int take_reply(struct tail *t, const struct redisReply *r, jobq_err *err)
{
    const char *channel = NULL, *bytes = NULL;
    size_t channel_len = 0, len = 0;
    if (reply_is_error(r)) {
        int rc = reply_expect_array(r, "listening to events", err);
        t->refused = reply_class_of(r) == REPLY_AUTH;
        return t->refused
                   ? error_set(err, JOBQ_EAUTH, "no right to listen to events: %s", reply_text(r))
                   : rc;
    }
    if (reply_is_word(r, 0, "message") && reply_bytes(r, 1, &channel, &channel_len) &&
        reply_bytes(r, 2, &bytes, &len))
        take_message(t, channel, bytes, len);
    return JOBQ_OK;
}

static int write_lines(struct tail *t, jobq_err *err)
{
    FILE *file = t->s->out.file;
    bool failed = t->lines.failed;
    int rc = JOBQ_OK;
    if (failed)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the events");
    else if (t->lines.len > 0 &&
             (fwrite(t->lines.data, 1, t->lines.len, file) != t->lines.len || fflush(file) != 0))
        rc = error_set(err, JOBQ_EREJECTED, "cannot write the events: %m");
    buf_clear(&t->lines);
    return rc;
}

/* ---- the connection ---- */

/* Waits for the connection, a signal, or until then; and lets the connection go on. */
static int wait_step(struct tail *t, int64_t until_ms, jobq_err *err)
{
    uint32_t wanted = conn_events(t->conn);
    short events = (short)((wanted & EPOLLIN ? POLLIN : 0) | (wanted & EPOLLOUT ? POLLOUT : 0));
    short ready;
    int64_t left = until_ms - clock_mono_ms(), soon = conn_poll_ms(t->conn);
    if (soon >= 0)
        left = MIN(left, soon);
    t->stopped = signals_wait(&t->signals, conn_fd(t->conn), events, left, &ready);
    return t->stopped == 0 ? conn_step(t->conn, err) : JOBQ_OK;
}

static int connect_listener(struct tail *t, jobq_err *err)
{
    int64_t deadline = clock_mono_ms() + t->s->timeout_ms;
    conn_close(t->conn);
    int rc = conn_start(t->conn, err);
    while (rc == JOBQ_OK && t->stopped == 0 && conn_state(t->conn) != CONN_READY) {
        if (clock_mono_ms() >= deadline)
            return error_set(err, JOBQ_ETIMEDOUT, "no answer from Redis at %s in time",
                             conn_where(t->conn));
        rc = wait_step(t, deadline, err);
    }
    return rc;
}

static bool is_subscribed(const struct session_shards *shards, const char *channel)
{
    for (size_t i = 0; i < shards->n; i++) {
        if (strcmp(shards->keys[i].events, channel) == 0)
            return true;
    }
    return false;
}

/* Looks which partitions there are, and listens to those it does not listen to yet. */
static int look_for_queues(struct tail *t, jobq_err *err)
{
    struct inspect in;
    struct session_shards shards = {0};
    t->s->deadline_ms = clock_mono_ms() + t->s->timeout_ms;
    int rc = session_redis(t->s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, args_value(t->a, "queue"), &shards, err);
    if (rc != JOBQ_OK) {
        session_drop_redis(t->s);
        return rc;
    }
    for (size_t i = 0; i < shards.n; i++) {
        if (!is_subscribed(&t->shards, shards.keys[i].events))
            resp_command(conn_out(t->conn), "SUBSCRIBE", shards.keys[i].events, NULL);
    }
    session_shards_free(&t->shards);
    t->shards = shards;
    t->refresh_ms = clock_mono_ms() + REFRESH_MS;
    return conn_flush(t->conn, err);
}

/* Until it is stopped, has shown enough, or something fails. */
static int follow(struct tail *t, jobq_err *err)
{
    int rc = JOBQ_OK;
    while (rc == JOBQ_OK && t->stopped == 0 && (t->limit == 0 || t->shown < t->limit)) {
        struct redisReply *r = NULL;
        rc = conn_next(t->conn, &r, err);
        if (rc == JOBQ_OK && r != NULL) {
            rc = take_reply(t, r, err);
            reply_free(r);
            continue;
        }
        if (rc == JOBQ_OK)
            rc = write_lines(t, err);
        if (rc == JOBQ_OK && clock_mono_ms() >= t->refresh_ms)
            rc = look_for_queues(t, err);
        else if (rc == JOBQ_OK)
            rc = wait_step(t, t->refresh_ms, err);
    }
    return rc == JOBQ_OK ? write_lines(t, err) : rc;
}

static int listen_once(struct tail *t, jobq_err *err)
{
    session_shards_free(&t->shards);
    int rc = connect_listener(t, err);
    if (rc == JOBQ_OK && t->stopped == 0)
        rc = look_for_queues(t, err);
    if (rc == JOBQ_OK && t->stopped == 0) {
        if (t->ever)
            fprintf(stderr, "jobctl: listening again; what happened in between is not shown\n");
        t->ever = true;
        t->told = false;
        rc = follow(t, err);
    }
    return rc;
}

/* What may pass by itself, once it worked: a Redis that restarts, and one that lost its queues. */
static bool may_pass(const struct tail *t, int rc)
{
    bool passing = rc == JOBQ_ECONN || rc == JOBQ_ETIMEDOUT || rc == JOBQ_EREDIS ||
                   rc == JOBQ_EPROTO || rc == JOBQ_ENOTFOUND;
    return t->ever && !t->refused && passing;
}

static int run(struct tail *t, jobq_err *err)
{
    for (;;) {
        short ready;
        int rc = listen_once(t, err);
        if (rc == JOBQ_OK || t->stopped != 0 || !may_pass(t, rc))
            return t->stopped != 0 ? JOBQ_OK : rc;
        if (!t->told)
            fprintf(stderr, "jobctl: %s; trying again\n", err->msg);
        t->told = true;
        *err = (jobq_err){0};
        t->stopped = signals_wait(&t->signals, -1, 0, AGAIN_MS, &ready);
        if (t->stopped != 0)
            return JOBQ_OK;
    }
}

int cmd_tail(struct session *s, const struct args *a, jobq_err *err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, 0};
    struct tail t = {.s = s, .a = a, .signals = {.fd = -1}};
    buf_init(&t.lines, LINES_MAX);
    int rc = args_int(a, "limit", 1, INT64_C(1000000000), &t.limit, err);
    if (rc == JOBQ_OK)
        rc = conn_new(settings_redis(s->settings), "jobctl-tail", &t.conn, err);
    if (rc == JOBQ_OK)
        rc = signals_open(&t.signals, numbers, err);
    if (rc == JOBQ_OK)
        rc = run(&t, err);
    if (t.stopped != 0) {
        s->status = 128 + t.stopped;
        rc = JOBQ_ESTATE;
    }
    signals_close(&t.signals);
    conn_free(t.conn);
    session_shards_free(&t.shards);
    buf_done(&t.lines);
    return rc;
}
