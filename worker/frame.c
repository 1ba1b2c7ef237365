/* SPDX-License-Identifier: MIT */
/*
 * frame: bytes of the socketpair between supervisor and executor, the atomics of their shared page.
 *
 * Writing appends to a buf and leaves nothing behind when it fails. Reading checks every length,
 * number and text before it is handed on, since the other side may be a process that a handler has
 * damaged. Pure, but for the page.
 */
#include "worker/frame.h"

#include <string.h>

#include <jobq/handler.h>
#include <jobq/job.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"

#define PREFIX_SIZE 9u /* length u32, kind u8, seq u32 */
#define AFTER_LENGTH 5u
#define RESULT_MAX ((size_t)64 * 1024)

/* ---- writing ---- */

/* A frame in the making: where it starts, so that it can be undone. */
struct writer {
    struct buf *b;
    size_t start;
};

static struct writer begin(struct buf *b, enum frame_kind kind, uint32_t seq)
{
    struct writer w = {b, b->len};

    buf_append_le32(b, 0);
    buf_append_u8(b, (uint8_t)kind);
    buf_append_le32(b, seq);
    return w;
}

static void put_str(struct buf *b, const void *bytes, size_t len)
{
    if (len > FRAME_MAX)
        b->failed = true;
    buf_append_le32(b, (uint32_t)len);
    if (len > 0)
        buf_append(b, bytes, len);
}

static void finish(struct writer w)
{
    struct buf *b = w.b;
    size_t len = b->failed ? 0 : b->len - w.start - 4;

    if (len > FRAME_MAX)
        b->failed = true;
    if (b->failed) {
        if (b->len > w.start) {
            b->len = w.start;
            b->data[b->len] = '\0';
        }
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        b->data[w.start + i] = (char)(uint8_t)(len >> (8 * i));
}

void frame_put(struct buf *b, enum frame_kind kind, uint32_t seq, const void *body, size_t len)
{
    struct writer w = begin(b, kind, seq);

    if (len > 0)
        buf_append(b, body, len);
    finish(w);
}

void frame_put_job(struct buf *b, uint32_t seq, const struct frame_job *job)
{
    struct writer w = begin(b, FRAME_JOB, seq);

    buf_append_le32(b, job->soft_ms);
    buf_append_le32(b, job->hard_ms);
    buf_append_le32(b, job->max_attempts);
    buf_append_le64(b, (uint64_t)job->enqueued_ms);
    put_str(b, job->queue.bytes, job->queue.len);
    put_str(b, job->h.bytes, job->h.len);
    put_str(b, job->p.bytes, job->p.len);
    finish(w);
}

void frame_put_outcome(struct buf *b, uint32_t seq, const struct frame_outcome *o)
{
    struct writer w = begin(b, FRAME_OUTCOME, seq);

    buf_append_u8(b, o->verdict);
    buf_append_le64(b, (uint64_t)o->delay_ms);
    put_str(b, o->text.bytes, o->text.len);
    finish(w);
}

void frame_put_child(struct buf *b, uint32_t seq, const struct frame_child *c)
{
    struct writer w = begin(b, FRAME_CHILD, seq);

    buf_append(b, c->id, sizeof(c->id));
    buf_append_u8(b, c->lane);
    buf_append_le64(b, (uint64_t)c->delay_ms);
    buf_append_le64(b, (uint64_t)c->expires_ms);
    buf_append_le32(b, c->max_attempts);
    buf_append_le32(b, c->soft_ms);
    buf_append_le32(b, c->hard_ms);
    put_str(b, c->type.bytes, c->type.len);
    put_str(b, c->queue.bytes, c->queue.len);
    put_str(b, c->unique.bytes, c->unique.len);
    put_str(b, c->p.bytes, c->p.len);
    finish(w);
}

void frame_put_text(struct buf *b, enum frame_kind kind, uint32_t seq, uint8_t first,
                    const char *text, size_t len)
{
    struct writer w = begin(b, kind, seq);

    buf_append_u8(b, first);
    put_str(b, text, len);
    finish(w);
}

void frame_put_string(struct buf *b, enum frame_kind kind, uint32_t seq, const char *text,
                      size_t len)
{
    struct writer w = begin(b, kind, seq);

    put_str(b, text, len);
    finish(w);
}

void frame_put_strings(struct buf *b, enum frame_kind kind, const char *const *strings, size_t n)
{
    struct writer w = begin(b, kind, 0);

    buf_append_le32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_str(b, strings[i], strlen(strings[i]));
    finish(w);
}

void frame_put_ready(struct buf *b, const struct frame_type *types, size_t n)
{
    struct writer w = begin(b, FRAME_READY, 0);

    buf_append_le32(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        put_str(b, types[i].name.bytes, types[i].name.len);
        buf_append_le32(b, types[i].flags);
    }
    finish(w);
}

/* ---- reading ---- */

/* What is left of a body; failed once something was missing or wrong. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *r, size_t len)
{
    static const uint8_t zeros[16];
    const uint8_t *at = r->at;

    if (r->failed || r->left < len) {
        r->failed = true;
        return zeros;
    }
    r->at += len;
    r->left -= len;
    return at;
}

static uint8_t take_u8(struct reader *r)
{
    return *take(r, 1);
}

static uint32_t take_u32(struct reader *r)
{
    return load_le32(take(r, 4));
}

static int64_t take_i64(struct reader *r)
{
    return (int64_t)load_le64(take(r, 8));
}

static struct frame_str take_str(struct reader *r, size_t max)
{
    struct frame_str s = {"", 0};
    uint32_t len = take_u32(r);

    if (r->failed || len > max || len > r->left) {
        r->failed = true;
        return s;
    }
    s.bytes = (const char *)take(r, len);
    s.len = len;
    return s;
}

static struct frame_str take_text(struct reader *r, size_t max)
{
    struct frame_str s = take_str(r, max);
    size_t bad_at;

    if (!r->failed && !text_is_utf8(s.bytes, s.len, &bad_at))
        r->failed = true;
    return s;
}

static struct frame_str take_name(struct reader *r)
{
    struct frame_str s = take_str(r, JOBQ_NAME_MAX);

    if (!r->failed && !text_is_name(s.bytes, s.len))
        r->failed = true;
    return s;
}

static int ended(const struct reader *r)
{
    return r->failed || r->left != 0 ? JOBQ_EPROTO : JOBQ_OK;
}

static bool is_kind(uint8_t kind)
{
    return (kind >= FRAME_JOB && kind <= FRAME_START) || (kind >= FRAME_READY && kind <= FRAME_PG);
}

int frame_next(const void *bytes, size_t len, struct frame *out, size_t *used, jobq_err *err)
{
    const uint8_t *p = bytes;
    size_t size;

    if (len < 4) {
        *used = 0;
        return JOBQ_OK;
    }
    size = load_le32(p);
    if (size < AFTER_LENGTH || size > FRAME_MAX)
        return error_set(err, JOBQ_EPROTO, "a frame of %zu bytes", size);
    if (len > 4 && !is_kind(p[4]))
        return error_set(err, JOBQ_EPROTO, "a frame of unknown kind %u", p[4]);
    if (len - 4 < size) {
        *used = 0;
        return JOBQ_OK;
    }
    out->kind = (enum frame_kind)p[4];
    out->seq = load_le32(p + 5);
    out->body = p + PREFIX_SIZE;
    out->len = size - AFTER_LENGTH;
    *used = size + 4;
    return JOBQ_OK;
}

static struct reader body_of(const struct frame *f)
{
    return (struct reader){f->body, f->len, false};
}

int frame_get_job(const struct frame *f, struct frame_job *out)
{
    struct reader r = body_of(f);
    struct frame_job job;

    job.soft_ms = take_u32(&r);
    job.hard_ms = take_u32(&r);
    job.max_attempts = take_u32(&r);
    job.enqueued_ms = take_i64(&r);
    job.queue = take_name(&r);
    job.h = take_str(&r, FRAME_MAX);
    job.p = take_str(&r, FRAME_MAX);
    if (ended(&r) != JOBQ_OK)
        return JOBQ_EPROTO;
    *out = job;
    return JOBQ_OK;
}

int frame_get_outcome(const struct frame *f, struct frame_outcome *out)
{
    struct reader r = body_of(f);
    struct frame_outcome o;

    o.verdict = take_u8(&r);
    o.delay_ms = take_i64(&r);
    o.text = take_text(&r, JOBQ_HANDLER_TEXT_MAX);
    if (ended(&r) != JOBQ_OK || o.verdict > FRAME_V_CRASH || o.delay_ms < -1)
        return JOBQ_EPROTO;
    *out = o;
    return JOBQ_OK;
}

int frame_get_child(const struct frame *f, struct frame_child *out)
{
    struct reader r = body_of(f);
    struct frame_child c;

    memcpy(c.id, take(&r, sizeof(c.id)), sizeof(c.id));
    c.lane = take_u8(&r);
    c.delay_ms = take_i64(&r);
    c.expires_ms = take_i64(&r);
    c.max_attempts = take_u32(&r);
    c.soft_ms = take_u32(&r);
    c.hard_ms = take_u32(&r);
    c.type = take_name(&r);
    c.queue = take_name(&r);
    c.unique = take_str(&r, JOBQ_UNIQUE_KEY_MAX);
    c.p = take_str(&r, JOBQ_PAYLOAD_HARD_MAX);
    if (ended(&r) != JOBQ_OK || c.lane > JOBQ_LANE_LOW || c.delay_ms < 0 || c.expires_ms < 0 ||
        c.max_attempts > UINT16_MAX)
        return JOBQ_EPROTO;
    *out = c;
    return JOBQ_OK;
}

int frame_get_text(const struct frame *f, uint8_t *first, struct frame_str *out)
{
    struct reader r = body_of(f);
    uint8_t number = take_u8(&r);
    struct frame_str text = take_text(&r, JOBQ_HANDLER_TEXT_MAX);

    if (ended(&r) != JOBQ_OK || number > (f->kind == FRAME_LOG ? JOBQ_LOG_ERROR : 1))
        return JOBQ_EPROTO;
    *first = number;
    *out = text;
    return JOBQ_OK;
}

int frame_get_string(const struct frame *f, struct frame_str *out)
{
    struct reader r = body_of(f);
    size_t max = f->kind == FRAME_RESULT ? RESULT_MAX : JOBQ_HANDLER_TEXT_MAX;
    struct frame_str text = take_text(&r, max);

    if (ended(&r) != JOBQ_OK)
        return JOBQ_EPROTO;
    *out = text;
    return JOBQ_OK;
}

static struct frame_type take_type(struct reader *r)
{
    struct frame_type t;

    t.name = take_name(r);
    t.flags = take_u32(r);
    return t;
}

/*
 * Places a reader at *at of a list. At the start the whole list is walked once, so that its count
 * and end are known to be right before the first element is handed out.
 */
static int list_at(const struct frame *f, size_t *at, bool types, struct reader *r)
{
    uint32_t count;

    *r = body_of(f);
    if (*at == 0) {
        count = take_u32(r);
        for (uint32_t i = 0; i < count && !r->failed; i++) {
            if (types)
                (void)take_type(r);
            else
                (void)take_str(r, FRAME_MAX);
        }
        if (ended(r) != JOBQ_OK)
            return JOBQ_EPROTO;
        *at = 4;
        *r = body_of(f);
    }
    (void)take(r, *at);
    if (r->failed)
        return JOBQ_EPROTO;
    return r->left == 0 ? JOBQ_ENOTFOUND : JOBQ_OK;
}

int frame_get_strings(const struct frame *f, size_t *at, struct frame_str *out)
{
    struct reader r;
    struct frame_str s;
    int rc = list_at(f, at, false, &r);

    if (rc != JOBQ_OK)
        return rc;
    s = take_str(&r, FRAME_MAX);
    if (r.failed)
        return JOBQ_EPROTO;
    *at = f->len - r.left;
    *out = s;
    return JOBQ_OK;
}

int frame_get_ready(const struct frame *f, size_t *at, struct frame_type *out)
{
    struct reader r;
    struct frame_type t;
    int rc = list_at(f, at, true, &r);

    if (rc != JOBQ_OK)
        return rc;
    t = take_type(&r);
    if (r.failed)
        return JOBQ_EPROTO;
    *at = f->len - r.left;
    *out = t;
    return JOBQ_OK;
}

/* ---- the page ---- */

static uint64_t pack(uint32_t started, uint32_t recalled)
{
    return (uint64_t)started << 32 | recalled;
}

bool frame_page_start(struct frame_page *p, uint32_t seq, int64_t now_ms)
{
    uint64_t old = atomic_load_explicit(&p->started_recalled, memory_order_relaxed);

    if (seq <= (uint32_t)old)
        return false;
    /* Before the swap, so that whoever sees seq started sees its time too. */
    atomic_store_explicit(&p->started_ms, now_ms, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&p->started_recalled, &old,
                                                  pack(seq, (uint32_t)old), memory_order_acq_rel,
                                                  memory_order_relaxed)) {
        if (seq <= (uint32_t)old)
            return false;
    }
    return true;
}

void frame_page_finish(struct frame_page *p, uint32_t seq, uint32_t run_us)
{
    atomic_store_explicit(&p->run_us[seq % FRAME_HELD_MAX], run_us, memory_order_relaxed);
    atomic_store_explicit(&p->done, seq, memory_order_release);
}

uint32_t frame_page_recall(struct frame_page *p, uint32_t last_handed)
{
    uint64_t old = atomic_load_explicit(&p->started_recalled, memory_order_acquire);
    uint64_t next;

    do {
        next = pack((uint32_t)(old >> 32), MAX((uint32_t)old, last_handed));
    } while (!atomic_compare_exchange_weak_explicit(&p->started_recalled, &old, next,
                                                    memory_order_acq_rel, memory_order_acquire));
    return (uint32_t)(old >> 32);
}

uint32_t frame_page_started(const struct frame_page *p)
{
    return (uint32_t)(atomic_load_explicit(&p->started_recalled, memory_order_acquire) >> 32);
}

uint32_t frame_page_done(const struct frame_page *p)
{
    return atomic_load_explicit(&p->done, memory_order_acquire);
}
