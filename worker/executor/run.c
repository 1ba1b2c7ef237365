/* SPDX-License-Identifier: MIT */
/*
 * run: one job from hand-over to outcome. See run.h.
 *
 * The order at the end matters: what the job has to say is sent, then `done` is stored in the page,
 * then the process is tidied up. Single thread; the handler of SIGTERM touches one atomic only.
 */
#include "worker/executor/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "broker/codec.h"
#include "worker/executor/executor.h"
#include "worker/frame.h"

#define KEEP_MAX ((size_t)1024 * 1024)
#define SIGNAL_GRACE_MS 100 /* a SIGTERM this soon after the start was meant for the job before */
#define CANNOT_TRY_MS 5000

static _Atomic int64_t term_ms; /* when SIGTERM last came */

static void on_term(int signal_number UNUSED)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    atomic_store(&term_ms, (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

int run_catch_signals(jobq_err *err)
{
    struct sigaction on = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (sigaction(SIGTERM, &on, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return error_set(err, JOBQ_EINTERNAL, "sigaction: %s", strerror(errno));
    return JOBQ_OK;
}

bool run_was_told_to_stop(const struct run *r)
{
    return atomic_load(&term_ms) >= r->started_ms + SIGNAL_GRACE_MS;
}

void run_init(struct run *r, struct executor *ex)
{
    *r = (struct run){.ex = ex, .delay_ms = -1};
    buf_init(&r->payload, FRAME_MAX);
    buf_init(&r->result, RUN_RESULT_MAX);
    children_init(&r->children);
    host_init(r);
}

void run_done(struct run *r)
{
    buf_done(&r->payload);
    buf_done(&r->result);
    children_done(&r->children);
}

/* ---- verdicts ---- */

static void PRINTF_LIKE(4, 5)
    decide(struct verdict *v, enum frame_verdict kind, int64_t delay_ms, const char *format, ...)
{
    va_list args;

    v->kind = kind;
    v->delay_ms = delay_ms;
    va_start(args, format);
    (void)vsnprintf(v->text, sizeof(v->text), format, args);
    va_end(args);
}

/* What the handler answered, with what it said meanwhile. */
static void take_verdict(const struct run *r, int answer, struct verdict *v)
{
    v->delay_ms = r->delay_ms;
    memcpy(v->text, r->text, sizeof(v->text));
    switch (answer) {
    case JOBQ_DONE:
        v->kind = FRAME_V_DONE;
        v->delay_ms = -1;
        return;
    case JOBQ_RETRY:
        v->kind = FRAME_V_RETRY;
        return;
    case JOBQ_SNOOZE:
        v->kind = FRAME_V_SNOOZE;
        if (v->delay_ms < 0)
            v->delay_ms = RUN_SNOOZE_DEFAULT_MS;
        return;
    case JOBQ_DEAD:
        v->kind = FRAME_V_DEAD;
        v->delay_ms = -1;
        return;
    default:
        decide(v, FRAME_V_RETRY, r->delay_ms, "the handler returned %d, which is no verdict",
               answer);
    }
}

/* ---- one attempt ---- */

static void call_handler(struct run *r, struct verdict *v)
{
    int answer = r->handler->run(&r->view, &r->host, r->handler->module->state);

    take_verdict(r, answer, v);
}

/* true: a conflict of transactions, the attempt may be made again; v is for when it is not. */
static bool attempt(struct run *r, struct verdict *v)
{
    const struct runtime_pg *calls = r->ex->pg_calls;
    struct pg_job job = {.id = &r->id,
                         .id_text = r->id_text,
                         .type = r->type,
                         .flags = r->handler->flags,
                         .soft_ms = r->view.soft_ms,
                         .hard_ms = r->view.hard_ms,
                         .releases = r->releases};

    host_forget(r);
    if ((r->handler->flags & JOBQ_HANDLER_PG) == 0) {
        call_handler(r, v);
        return false;
    }
    switch (calls->begin(r->ex->pg, &job, &r->children, v)) {
    case PG_GATE_RUN:
        break;
    case PG_GATE_AGAIN:
        return true;
    case PG_GATE_BEFORE:
    case PG_GATE_REFUSED:
        return false;
    }
    call_handler(r, v);
    switch (calls->end(r->ex->pg, &r->children, v)) {
    case PG_END_AGAIN:
        return true;
    case PG_END_BEFORE:
        buf_clear(&r->result);
        return false;
    case PG_END_OK:
        break;
    }
    return false;
}

static void execute(struct run *r, struct verdict *v)
{
    for (int again = 0; attempt(r, v) && again < RUN_AGAIN_MAX; again++) {
        if (r->host.should_stop(r))
            return;
        /* 5 to 10 ms, then twice that, …: the other transaction is likely to be gone by then. */
        (void)poll(NULL, 0, (int)((5 + id_random_below(6)) << again));
    }
}

/* ---- taking the job, telling the outcome ---- */

static void copy_name(char *out, size_t out_size, const char *bytes, size_t len)
{
    len = MIN(len, out_size - 1);
    memcpy(out, bytes, len);
    out[len] = '\0';
}

static int64_t limit_at(int64_t start_ms, uint32_t limit_ms)
{
    return limit_ms == 0 ? INT64_MAX : start_ms + limit_ms;
}

/* false: it cannot be run here, v says what is to become of it. */
static bool load(struct run *r, const struct frame_job *job, struct verdict *v)
{
    struct job_header h;
    jobq_err why;

    if (codec_decode(job->h.bytes, job->h.len, &h, &why) != CODEC_OK) {
        decide(v, FRAME_V_DEAD, -1, "header: %s", why.msg);
        return false;
    }
    r->handler = modules_find(&r->ex->modules, h.type, h.type_len);
    r->id = h.id;
    jobq_id_format(&h.id, r->id_text);
    copy_name(r->type, sizeof(r->type), h.type, h.type_len);
    copy_name(r->queue, sizeof(r->queue), job->queue.bytes, job->queue.len);
    if (r->handler == NULL) {
        decide(v, FRAME_V_RELEASE, CANNOT_TRY_MS, "no module of this executor serves type %s",
               r->type);
        return false;
    }
    /* The copy is what lets the channel be read while the job runs; and it ends in a NUL. */
    if (r->payload.cap > KEEP_MAX)
        buf_done(&r->payload);
    buf_clear(&r->payload);
    buf_append(&r->payload, job->p.bytes, job->p.len);
    if (r->payload.failed) {
        decide(v, FRAME_V_RELEASE, CANNOT_TRY_MS, "no memory for a payload of %zu bytes",
               job->p.len);
        return false;
    }
    r->releases = h.releases;
    r->view = (jobq_job_view){
        .size = sizeof(r->view),
        .id = r->id_text,
        .type = r->type,
        .queue = r->queue,
        .payload = job->p.len > 0 ? r->payload.data : "",
        .payload_len = job->p.len,
        .attempt = h.attempts + 1u,
        .max_attempts = job->max_attempts,
        .soft_ms = limit_at(r->started_ms, job->soft_ms),
        .hard_ms = limit_at(r->started_ms, job->hard_ms),
        .enqueued_ms = job->enqueued_ms,
    };
    return true;
}

static int tell(struct run *r, const struct verdict *v, jobq_err *err)
{
    struct buf *out = &r->ex->channel.out;

    if (v->kind == FRAME_V_DONE) {
        if (r->children.count > 0)
            buf_append(out, r->children.frames.data, r->children.frames.len);
        if (r->result.len > 0)
            frame_put_string(out, FRAME_RESULT, r->seq, r->result.data, r->result.len);
    }
    if (v->kind != FRAME_V_DONE || v->text[0] != '\0') {
        struct frame_outcome o = {.verdict = (uint8_t)v->kind, .delay_ms = v->delay_ms};
        char text[JOBQ_HANDLER_TEXT_MAX + 1];

        /* Not every text came through the host: a database may answer in any encoding. */
        o.text.len = text_sanitize(v->text, strlen(v->text), text, sizeof(text));
        o.text.bytes = text;
        frame_put_outcome(out, r->seq, &o);
    }
    return out->len > 0 || out->failed ? channel_flush(&r->ex->channel, err) : JOBQ_OK;
}

static void tidy_after(struct run *r, uint32_t run_us)
{
    struct executor *ex = r->ex;
    struct tidy_report report;
    int runtime_fd = ex->pg != NULL ? ex->pg_calls->fd(ex->pg) : -1;
    char text[512];

    if (!tidy_up(&ex->tidy, r->handler, run_us, runtime_fd, &report))
        return;
    /* The supervisor may have forgotten the job by now: the text names it. */
    (void)snprintf(text, sizeof(text), "put right after job %s of type %s: %s", r->id_text, r->type,
                   report.text);
    executor_log(ex, 0, JOBQ_LOG_WARN, text);
}

int run_job(struct run *r, const struct frame *f, jobq_err *err)
{
    struct frame_job job;
    struct verdict v = {.kind = FRAME_V_DONE, .delay_ms = -1};
    int64_t start_us = clock_mono_us();
    int64_t took_us;
    uint32_t run_us;
    int rc;

    if (frame_get_job(f, &job) != JOBQ_OK)
        return error_set(err, JOBQ_EPROTO, "malformed job");
    r->started_ms = start_us / 1000;
    r->looked_ms = 0;
    if (!frame_page_start(r->ex->page, f->seq, r->started_ms))
        return JOBQ_OK;
    CRASH_POINT("execute.started");
    r->seq = f->seq;
    host_forget(r);
    if (load(r, &job, &v))
        execute(r, &v);
    if (v.kind == FRAME_V_DONE)
        CRASH_POINT("execute.committed");
    took_us = clock_mono_us() - start_us;
    run_us = (uint32_t)MIN(MAX(took_us, 1), (int64_t)UINT32_MAX);
    rc = tell(r, &v, err);
    if (rc == JOBQ_OK) {
        frame_page_finish(r->ex->page, f->seq, run_us);
        if (r->handler != NULL)
            tidy_after(r, run_us);
    }
    r->handler = NULL;
    return rc;
}
