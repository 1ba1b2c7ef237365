/* SPDX-License-Identifier: MIT */
/*
 * executor_frames: what an executor says, read by the supervisor, which believes none of it:
 * whatever does not fit ends that executor and nothing else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <jobq/handler.h>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/enqueue.h"
#include "config/config.h"
#include "worker/job.h"
#include "worker/pool_private.h"

#define READ_SIZE 65536
#define TYPES_MAX 1024
#define CHILDREN_MAX 100000 /* of one job: memory bound in the supervisor */

void executor_flush(struct executor *x)
{
    jobq_err err;
    x->unflushed = false;
    while (x->out.len) {
        ssize_t n = send(x->socket, x->out.data, x->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full: EPOLLOUT goes on; broken: its end is told by the pidfd */
        buf_consume(&x->out, (size_t)n);
    }
    if (x->out.failed)
        pool_kill_executor(x, "out of memory for what it was to be told");
    if (x->io && loop_io_set(x->io, x->out.len ? EPOLLIN | EPOLLOUT : EPOLLIN, &err))
        pool_kill_executor(x, err.msg);
}

static struct job *find_handed(struct executor *x, uint32_t seq)
{
    LIST_FOR_EACH (node, &x->handed) {
        struct job *j = LIST_ENTRY(node, struct job, node);
        if (j->seq == seq)
            return j;
    }
    return NULL;
}

#define WANTS_DATABASE (JOBQ_HANDLER_PG | JOBQ_HANDLER_TRANSACTIONAL | JOBQ_HANDLER_MANUAL)

static int take_ready(struct pool *p, struct executor *x, const struct frame *f)
{
    struct frame_type types[TYPES_MAX];
    size_t n = 0, at = 0;
    unsigned flags = 0;
    if (x->state != EXECUTOR_STARTING)
        return JOBQ_EPROTO;
    for (;;) {
        struct frame_type t;
        int rc = frame_get_ready(f, &at, &t);
        if (rc == JOBQ_ENOTFOUND)
            break;
        if (rc || n == TYPES_MAX || !text_is_name(t.name.bytes, t.name.len))
            return JOBQ_EPROTO;
        types[n++] = t;
        flags |= t.flags;
    }
    pool_executor_ready(p, x);
    if (x->state != EXECUTOR_READY)
        return JOBQ_OK;
    p->hooks.on_ready(p->hooks.ctx, x, types, n);
    /* It connects only now: until it says that it has, it is as if it had not. */
    x->database_down = (flags & WANTS_DATABASE) != 0;
    if (x->database_down)
        p->hooks.on_database(p->hooks.ctx, x, false, "connecting");
    return JOBQ_OK;
}

static int take_outcome(struct executor *x, const struct frame *f)
{
    struct frame_outcome o;
    struct job *j = find_handed(x, f->seq);
    if (!j || frame_get_outcome(f, &o) || o.verdict > FRAME_V_CRASH)
        return JOBQ_EPROTO;
    char text[CODEC_ERROR_MAX + 1];
    size_t len = text_sanitize(o.text.bytes, o.text.len, text, sizeof(text));
    mem_free(j->text);
    j->text = len ? mem_strndup(text, len) : NULL; /* without memory: without a text */
    j->text_len = j->text ? len : 0;
    j->verdict = o.verdict;
    j->delay_ms = o.delay_ms;
    return JOBQ_OK;
}

static char *put_string(char **at, const struct frame_str *s)
{
    char *start = *at;
    if (s->len)
        memcpy(start, s->bytes, s->len);
    start[s->len] = '\0';
    *at += s->len + 1;
    return start;
}

static struct job_child *copy_child(const struct frame_child *c)
{
    struct job_child *child =
        mem_alloc(sizeof(*child) + c->type.len + c->queue.len + c->unique.len + c->p.len + 4);
    if (!child)
        return NULL;
    memset(child, 0, sizeof(*child));
    char *at = child->bytes;
    memcpy(child->id.bytes, c->id, sizeof(c->id));
    child->spec = (jobq_job)JOBQ_JOB_INIT;
    child->spec.id = child->id;
    child->spec.type = put_string(&at, &c->type);
    const char *queue = put_string(&at, &c->queue);
    child->spec.queue = *queue ? queue : NULL;
    const char *unique = put_string(&at, &c->unique);
    child->spec.unique_key = *unique ? unique : NULL;
    child->spec.payload = put_string(&at, &c->p);
    child->spec.payload_len = c->p.len;
    child->spec.lane = (jobq_lane)c->lane;
    child->spec.delay_ms = c->delay_ms;
    child->spec.expires_after_ms = c->expires_ms;
    child->spec.max_attempts = c->max_attempts;
    child->spec.soft_limit_ms = c->soft_ms;
    child->spec.hard_limit_ms = c->hard_ms;
    return child;
}

static int take_child(struct executor *x, const struct frame *f)
{
    struct frame_child c;
    jobq_cause cause;
    struct job *j = find_handed(x, f->seq);
    if (!j || frame_get_child(f, &c) || j->children_unsent >= CHILDREN_MAX)
        return JOBQ_EPROTO;
    struct job_child *child = copy_child(&c);
    if (!child)
        return JOBQ_ENOMEM;
    /* max_payload was the executor's to keep, when the job could still be told; it may have changed
     * since. */
    if (enqueue_check(&child->spec, JOBQ_PAYLOAD_HARD_MAX, &cause, NULL)) {
        mem_free(child);
        return JOBQ_EPROTO;
    }
    if (!child->spec.queue)
        child->spec.queue = job_own_queue(j);
    struct job_child **tail = j->children_tail ? j->children_tail : &j->children;
    *tail = child;
    j->children_tail = &child->next;
    j->children_unsent++;
    return JOBQ_OK;
}

static int take_log(struct executor *x, const struct frame *f)
{
    uint8_t level;
    struct frame_str text;
    char clean[1025];
    if (frame_get_text(f, &level, &text) || level > LOG_ERROR)
        return JOBQ_EPROTO;
    text_sanitize(text.bytes, text.len, clean, sizeof(clean));
    struct job *j = find_handed(x, f->seq);
    job_log(j, (enum log_level)level, j ? "job.log" : "executor.log", "text", clean);
    return JOBQ_OK;
}

static int take_result(struct executor *x, const struct frame *f)
{
    struct frame_str json;
    struct job *j = find_handed(x, f->seq);
    char clean[4097];
    if (!j || frame_get_string(f, &json))
        return JOBQ_EPROTO;
    text_sanitize(json.bytes, json.len, clean, sizeof(clean));
    job_log(j, LOG_INFO, "job.result", "result", clean);
    return JOBQ_OK;
}

static int take_progress(struct executor *x, const struct frame *f)
{
    struct job *j = find_handed(x, f->seq);
    char percent[8];
    if (!j || f->len != 1 || f->body[0] > 100)
        return JOBQ_EPROTO;
    snprintf(percent, sizeof(percent), "%u", f->body[0]);
    job_log(j, LOG_DEBUG, "job.progress", "percent", percent);
    return JOBQ_OK;
}

static int take_failed(struct pool *p, struct executor *x, const struct frame *f)
{
    struct frame_str text;
    if (x->state != EXECUTOR_STARTING || frame_get_string(f, &text))
        return JOBQ_EPROTO;
    text_sanitize(text.bytes, text.len, x->said, sizeof(x->said));
    p->said_failed = true;
    return JOBQ_OK;
}

static int take_database(struct pool *p, struct executor *x, const struct frame *f)
{
    uint8_t ok;
    struct frame_str text;
    char clean[256];
    if (frame_get_text(f, &ok, &text))
        return JOBQ_EPROTO;
    text_sanitize(text.bytes, text.len, clean, sizeof(clean));
    x->database_down = !ok;
    p->hooks.on_database(p->hooks.ctx, x, ok != 0, clean);
    return JOBQ_OK;
}

static int take_frame(struct pool *p, struct executor *x, const struct frame *f)
{
    switch (f->kind) {
    case FRAME_READY:
        return take_ready(p, x, f);
    case FRAME_IDLE:
        return JOBQ_OK; /* it woke us up: the page tells the rest */
    case FRAME_OUTCOME:
        return take_outcome(x, f);
    case FRAME_CHILD:
        return take_child(x, f);
    case FRAME_LOG:
        return take_log(x, f);
    case FRAME_RESULT:
        return take_result(x, f);
    case FRAME_PROGRESS:
        return take_progress(x, f);
    case FRAME_FAILED:
        return take_failed(p, x, f);
    case FRAME_PG:
        return take_database(p, x, f);
    default:
        return JOBQ_EPROTO;
    }
}

static bool take_frames(struct pool *p, struct executor *x)
{
    size_t at = 0;
    for (;;) {
        struct frame f;
        size_t used = 0;
        jobq_err err;
        int rc = frame_next(x->in.data + at, x->in.len - at, &f, &used, &err);
        if (rc == JOBQ_OK && used == 0)
            break;
        if (rc == JOBQ_OK)
            rc = take_frame(p, x, &f);
        if (rc) {
            log_event(LOG_ERROR, "executor.protocol", LOG_INT("pid", x->pid),
                      LOG_INT("frame", used ? (int)f.kind : -1),
                      LOG_STR("error", jobq_strerror(rc)), LOG_END);
            buf_clear(&x->in);
            x->unheard = true;
            pool_kill_executor(x, "spoke what is not the protocol");
            return false;
        }
        at += used;
    }
    buf_consume(&x->in, at);
    return true;
}

bool executor_read_frames(struct pool *p, struct executor *x)
{
    for (;;) {
        if (x->unheard)
            return false;
        void *room = buf_reserve(&x->in, READ_SIZE);
        if (!room) {
            x->unheard = true;
            pool_kill_executor(x, "out of memory for what it said");
            return false;
        }
        ssize_t n = recv(x->socket, room, READ_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (n <= 0) {
            /* Closed: its death follows by the pidfd; a process that closed its socket and lives on
             * is ended. */
            loop_io_remove(x->io);
            x->io = NULL;
            if (x->process.pid > 0 && x->state != EXECUTOR_RETIRING)
                child_signal_group(&x->process, SIGKILL);
            return true;
        }
        x->in.len += (size_t)n;
        if (!take_frames(p, x))
            return false;
        if ((size_t)n < READ_SIZE)
            return true;
    }
}
