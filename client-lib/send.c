/* SPDX-License-Identifier: MIT */
/*
 * send: see send.h. Replies come in the order of the commands, so a ring of slots says what each
 * one belongs to. When the link breaks, the slots left in it are the jobs that were not answered;
 * of those, the ones whose command had left whole may be stored. Half a command never is: Redis
 * drops it with the connection.
 */
#include "client-lib/send.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "broker/conn.h"
#include "broker/enqueue.h"
#include "broker/reply.h"
#include "broker/script.h"
#include "client-lib/answer.h"
#include "client-lib/check.h"
#include "client-lib/client.h"

#define REFRESH_MS 60000      /* how long a number of partitions is believed */
#define CLOCK_EVERY 64        /* jobs appended between two looks at the clock, */
#define CLOCK_BYTES 262144    /* or bytes */
#define SLOTS_PER_JOB 4       /* at most: two of its queue's registration, one load, its own */

/* ---- the ring ---- */

static size_t ring_len(const struct sending *s)
{
    return s->last - s->first;
}

/* Counts what was appended since out was start bytes long as one command, and notes whose reply it
 * will bring. */
static struct slot *push_slot(struct sending *s, enum slot_kind kind, size_t bytes)
{
    struct slot *slot = &s->c->ring[s->last++ % CLIENT_RING];

    s->appended += bytes;
    *slot = (struct slot){.kind = kind, .end = s->appended};
    return slot;
}

static bool has_room(const struct sending *s)
{
    return s->in_flight < CLIENT_WINDOW && ring_len(s) + SLOTS_PER_JOB <= CLIENT_RING &&
           s->appended - s->answered < CLIENT_WINDOW_BYTES;
}

/* Refilled by halves: many small writes would cost more than the pipe gains. */
static bool is_worth_filling(const struct sending *s)
{
    return ring_len(s) == 0 || (s->in_flight <= CLIENT_WINDOW / 2 &&
                                s->appended - s->answered <= CLIENT_WINDOW_BYTES / 2);
}

/* The first job at or after s->next that waits to be sent; n: none. */
static size_t find_waiting(struct sending *s)
{
    while (s->next < s->n && (s->flags[s->next] & (SEND_DONE | SEND_IN_FLIGHT)) != 0)
        s->next++;
    return s->next;
}

/* ---- queues ---- */

static void ask_queue(struct sending *s, struct queue *q)
{
    struct buf *out = conn_out(s->c->conn);
    size_t start = out->len;

    enqueue_register_queue(out, s->c->prefix, q->name, 1);
    if (out->failed) {
        out->len = start;
        out->failed = false;
        answer_refuse_queue(s, q, JOBQ_CAUSE_OUT_OF_MEMORY, "no memory in this process");
        return;
    }
    /* Two commands; where the first of them ends concerns nobody. */
    push_slot(s, SLOT_REGISTER, out->len - start)->queue = q;
    push_slot(s, SLOT_PARTITIONS, 0)->queue = q;
    q->asking = true;
}

static const char *queue_name(const jobq_job *job)
{
    return job->queue != NULL ? job->queue : "default";
}

static int find_queue(struct sending *s, const jobq_job *job, struct queue **out, jobq_err *err)
{
    const char *name = queue_name(job);

    if (s->queue == NULL || strcmp(s->queue->name, name) != 0) {
        int code = client_queue(s->c, name, &s->queue, err);
        if (code != JOBQ_OK)
            return code;
    }
    *out = s->queue;
    return JOBQ_OK;
}

/* Job i's queue is unknown: asks for it, and for those of the jobs behind it, in one round trip. */
static void ask_ahead(struct sending *s, size_t i)
{
    size_t end = MIN(s->n, i + CLIENT_WINDOW);

    for (; i < end && ring_len(s) + SLOTS_PER_JOB <= CLIENT_RING; i++) {
        struct queue *q;
        if ((s->flags[i] & (SEND_DONE | SEND_IN_FLIGHT)) != 0)
            continue;
        if ((s->flags[i] & SEND_CHECKED) == 0 && !check_job(s, i))
            continue;
        if (find_queue(s, check_job_at(s, i), &q, NULL) != JOBQ_OK)
            return;
        if (q->partitions == 0 && !q->asking && q->refused_in != s->c->calls)
            ask_queue(s, q);
    }
}

static bool is_stale(const struct sending *s, const struct queue *q)
{
    return !q->asking && q->refused_in != s->c->calls &&
           (q->asked_on != s->c->links || s->now_ms - q->asked_ms >= REFRESH_MS);
}

/* ---- filling the pipe ---- */

static void load_script(struct sending *s)
{
    struct buf *out = conn_out(s->c->conn);
    size_t start = out->len;

    script_load(out, SCRIPT_ENQUEUE);
    if (out->failed) {
        out->len = start;
        out->failed = false;
        return; /* the job's own command will say so */
    }
    push_slot(s, SLOT_LOAD, out->len - start);
    s->need_load = false;
    s->loads++;
}

static void append_job(struct sending *s, size_t i, struct queue *q)
{
    const jobq_job *job = check_job_at(s, i);
    const jobq_id *id = &s->answers[i].id;
    struct buf *out = conn_out(s->c->conn);
    size_t unique_len = job->unique_key != NULL ? strlen(job->unique_key) : 0;
    const struct shard_keys *k = NULL;
    jobq_err err;

    if (enqueue_needs_script(job)) {
        if (s->script_refused != JOBQ_CAUSE_NONE) {
            check_settle(s, i, s->script_refused, s->script_text);
            return;
        }
        if (s->need_load)
            load_script(s);
    }
    unsigned partition = keys_partition(id, job->unique_key, unique_len, q->partitions);
    size_t start = out->len;
    int code = client_shard(s->c, q, partition, &k, &err);
    if (code == JOBQ_OK)
        code = enqueue_append(out, k, job, id, &err);
    if (code != JOBQ_OK) {
        check_settle(s, i, JOBQ_CAUSE_OUT_OF_MEMORY, err.msg);
        return;
    }
    struct slot *slot = push_slot(s, SLOT_JOB, out->len - start);
    slot->job = i;
    slot->load = s->loads;
    s->flags[i] |= SEND_IN_FLIGHT;
    s->in_flight++;
}

/* Sends or settles job i; false: the pipe must run first. */
static bool fill_one(struct sending *s, size_t i)
{
    struct queue *q;
    jobq_err err;

    if ((s->flags[i] & SEND_CHECKED) == 0 && !check_job(s, i))
        return true;
    if (find_queue(s, check_job_at(s, i), &q, &err) != JOBQ_OK) {
        check_settle(s, i, JOBQ_CAUSE_OUT_OF_MEMORY, err.msg);
        return true;
    }
    /* A refused registration tells nothing until the number of partitions was answered too. */
    if (q->partitions == 0 && !q->asking && q->refused_in == s->c->calls) {
        check_settle(s, i, q->refused, q->refused_text);
        return true;
    }
    if (q->partitions == 0) {
        ask_ahead(s, i);
        return false;
    }
    if (is_stale(s, q))
        ask_queue(s, q);
    append_job(s, i, q);
    return true;
}

static void fill(struct sending *s)
{
    size_t since = 0;
    uint64_t from = s->appended;

    if (!is_worth_filling(s))
        return;
    s->now_ms = clock_mono_ms();
    if (s->now_ms < s->pause_until_ms)
        return;
    while (s->now_ms < s->deadline_ms && has_room(s)) {
        size_t i = find_waiting(s);
        if (i == s->n || !fill_one(s, i))
            return;
        if (++since >= CLOCK_EVERY || s->appended - from >= CLOCK_BYTES) {
            s->now_ms = clock_mono_ms();
            since = 0;
            from = s->appended;
        }
    }
}

/* ---- the link ---- */

static void read_oldest(struct sending *s, const struct redisReply *r)
{
    const struct slot *slot = &s->c->ring[s->first++ % CLIENT_RING];

    s->answered = slot->end;
    answer_read(s, slot, r);
}

/* Reads what has come. *any: something had. */
static int read_replies(struct sending *s, bool *any, jobq_err *err)
{
    struct redisReply *r = NULL;

    *any = false;
    for (;;) {
        int code = conn_next(s->c->conn, &r, err);
        if (code != JOBQ_OK || r == NULL)
            return code;
        if (ring_len(s) > 0)
            read_oldest(s, r);
        else
            code = error_set(err, JOBQ_EPROTO, "Redis at %s answered what nobody asked",
                             conn_where(s->c->conn));
        reply_free(r);
        if (code != JOBQ_OK)
            return code;
        *any = true;
    }
}

/* Waits out the pause; false: the deadline comes first. */
static bool wait_pause(const struct sending *s)
{
    int64_t now;

    while ((now = clock_mono_ms()) < s->pause_until_ms) {
        if (now >= s->deadline_ms)
            return false;
        (void)poll(NULL, 0, (int)(MIN(s->pause_until_ms, s->deadline_ms) - now));
    }
    return now < s->deadline_ms;
}

/* All slots still in the ring are unanswered. */
static void give_up_link(struct sending *s)
{
    conn_close(s->c->conn);
    uint64_t sent = s->appended - conn_unsent(s->c->conn);
    for (; s->first != s->last; s->first++) {
        const struct slot *slot = &s->c->ring[s->first % CLIENT_RING];
        if (slot->kind == SLOT_PARTITIONS)
            slot->queue->asking = false;
        if (slot->kind != SLOT_JOB)
            continue;
        s->flags[slot->job] &= (uint8_t)~SEND_IN_FLIGHT;
        if (slot->end <= sent)
            s->flags[slot->job] |= SEND_MAYBE;
        answer_reopen(s, slot->job);
    }
    s->in_flight = 0;
    s->appended = 0;
    s->answered = 0;
}

/* An idle connection may have ended long ago; better to learn it before a job is in it. */
static void look_at_idle_link(struct sending *s)
{
    struct conn *conn = s->c->conn;
    struct redisReply *r = NULL;

    if (conn_state(conn) != CONN_READY || conn_step(conn, NULL) != JOBQ_OK)
        return;
    if (conn_next(conn, &r, NULL) == JOBQ_OK && r != NULL) {
        reply_free(r);
        conn_close(conn);
    }
}

static int open_link(struct sending *s, jobq_err *err)
{
    if (conn_state(s->c->conn) == CONN_READY)
        return JOBQ_OK;
    int code = conn_connect(s->c->conn, s->deadline_ms, err);
    if (code == JOBQ_OK)
        s->c->links++;
    return code;
}

/* Why nothing goes on, in a producer's words. */
static void remember_failure(struct sending *s, int code, const jobq_err *err)
{
    jobq_cause cause = JOBQ_CAUSE_UNREACHABLE;
    char text[sizeof(s->last_text)];

    if (code == JOBQ_EAUTH)
        cause = JOBQ_CAUSE_PERMISSION;
    else if (code == JOBQ_EREDIS || code == JOBQ_EPROTO)
        cause = JOBQ_CAUSE_SERVER;
    else if (code == JOBQ_ENOMEM)
        cause = JOBQ_CAUSE_OUT_OF_MEMORY;
    snprintf(text, sizeof(text), "%.150s%s", err->msg,
             cause == JOBQ_CAUSE_UNREACHABLE ? ": start it, or correct its URL" : "");
    /* That time is up tells less than what used it up. */
    if (code != JOBQ_ETIMEDOUT || s->last_cause == JOBQ_CAUSE_NONE)
        answer_remember(s, cause, text);
}

/* Sends and reads until no job waits: JOBQ_OK, JOBQ_ETIMEDOUT, or how the link failed. */
static int pump(struct sending *s, jobq_err *err)
{
    bool any;

    for (;;) {
        fill(s);
        if (ring_len(s) == 0) {
            if (find_waiting(s) == s->n)
                return JOBQ_OK;
            if (!wait_pause(s))
                return error_set(err, JOBQ_ETIMEDOUT, "out of time");
            continue;
        }
        int code = conn_flush(s->c->conn, err);
        CRASH_POINT("enqueue.sent");
        if (code == JOBQ_OK)
            code = read_replies(s, &any, err);
        if (code == JOBQ_OK && !any)
            code = conn_wait(s->c->conn, s->deadline_ms, err);
        if (code != JOBQ_OK)
            return code;
    }
}

/* One connection's worth. False: there is no use in another. */
static bool run_link(struct sending *s)
{
    jobq_err err = {0};
    int code = open_link(s, &err);

    if (code != JOBQ_OK) {
        remember_failure(s, code, &err);
        return code != JOBQ_EAUTH && code != JOBQ_EPROTO && code != JOBQ_ENOMEM &&
               code != JOBQ_ETIMEDOUT;
    }
    s->last_cause = JOBQ_CAUSE_NONE;
    CRASH_POINT("enqueue.before_send");
    code = pump(s, &err);
    if (code == JOBQ_OK)
        return false;
    if (ring_len(s) > 0 || code != JOBQ_ETIMEDOUT)
        give_up_link(s);
    if (code == JOBQ_ETIMEDOUT)
        return false;
    remember_failure(s, code, &err);
    return true;
}

/* What can be judged without Redis is judged before it is asked. */
static bool check_first(struct sending *s)
{
    size_t some = MIN(s->n, CLIENT_WINDOW);

    for (size_t i = 0; i < some && clock_mono_ms() < s->deadline_ms; i++)
        (void)check_job(s, i);
    return find_waiting(s) < s->n;
}

void send_all(struct sending *s)
{
    if (!check_first(s))
        return;
    look_at_idle_link(s);
    while (run_link(s)) {
        answer_pause(s);
        if (!wait_pause(s))
            break;
    }
    check_finish(s);
    if (s->drop_link)
        conn_close(s->c->conn);
}
