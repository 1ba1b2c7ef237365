/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frame: any bytes as what the other side of the socketpair says. What is accepted stays
 * within its frame, keeps the limits that are promised, and written again gives the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jobq/job.h>

#include "base/buf.h"
#include "base/text.h"
#include "worker/frame.h"

#define ITEMS_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void must_be_inside(const struct frame *f, struct frame_str s)
{
    const uint8_t *at = (const uint8_t *)s.bytes;

    must(s.len == 0 || (at >= f->body && at + s.len <= f->body + f->len));
}

static bool is_text(struct frame_str s)
{
    size_t bad_at;

    return text_is_utf8(s.bytes, s.len, &bad_at);
}

static void write_job(const struct frame *f, struct buf *b)
{
    struct frame_job job;

    if (frame_get_job(f, &job) != JOBQ_OK)
        return;
    must_be_inside(f, job.queue);
    must_be_inside(f, job.h);
    must_be_inside(f, job.p);
    must(text_is_name(job.queue.bytes, job.queue.len));
    frame_put_job(b, f->seq, &job);
}

static void write_outcome(const struct frame *f, struct buf *b)
{
    struct frame_outcome o;

    if (frame_get_outcome(f, &o) != JOBQ_OK)
        return;
    must_be_inside(f, o.text);
    must(o.verdict <= FRAME_V_CRASH && o.delay_ms >= -1 && o.text.len <= 1024 && is_text(o.text));
    frame_put_outcome(b, f->seq, &o);
}

static void write_child(const struct frame *f, struct buf *b)
{
    struct frame_child c;

    if (frame_get_child(f, &c) != JOBQ_OK)
        return;
    must_be_inside(f, c.type);
    must_be_inside(f, c.queue);
    must_be_inside(f, c.unique);
    must_be_inside(f, c.p);
    must(text_is_name(c.type.bytes, c.type.len) && text_is_name(c.queue.bytes, c.queue.len));
    must(c.lane <= JOBQ_LANE_LOW && c.delay_ms >= 0 && c.expires_ms >= 0 &&
         c.max_attempts <= UINT16_MAX);
    must(c.unique.len <= JOBQ_UNIQUE_KEY_MAX);
    frame_put_child(b, f->seq, &c);
}

static void write_text(const struct frame *f, struct buf *b)
{
    struct frame_str s;
    uint8_t first;

    if (frame_get_text(f, &first, &s) != JOBQ_OK)
        return;
    must_be_inside(f, s);
    must(s.len <= 1024 && is_text(s));
    frame_put_text(b, f->kind, f->seq, first, s.bytes, s.len);
}

static void write_string(const struct frame *f, struct buf *b)
{
    struct frame_str s;

    if (frame_get_string(f, &s) != JOBQ_OK)
        return;
    must_be_inside(f, s);
    must(is_text(s));
    frame_put_string(b, f->kind, f->seq, s.bytes, s.len);
}

/* Lists are written from NUL-terminated strings, without a seq: those that hold a NUL are only
 * read. */
static void write_strings(const struct frame *f, struct buf *b)
{
    static char copies[ITEMS_MAX][64];
    const char *strings[ITEMS_MAX];
    struct frame_str s;
    size_t n = 0, at = 0;
    bool plain = f->seq == 0;
    int rc;

    while ((rc = frame_get_strings(f, &at, &s)) == JOBQ_OK) {
        must_be_inside(f, s);
        plain = plain && n < ITEMS_MAX && s.len < sizeof(copies[0]) &&
                memchr(s.bytes, '\0', s.len) == NULL;
        if (!plain)
            continue;
        memcpy(copies[n], s.bytes, s.len);
        copies[n][s.len] = '\0';
        strings[n] = copies[n];
        n++;
    }
    must(rc == JOBQ_ENOTFOUND || at == 0);
    if (rc == JOBQ_ENOTFOUND && plain)
        frame_put_strings(b, f->kind, strings, n);
}

static void write_ready(const struct frame *f, struct buf *b)
{
    static struct frame_type types[ITEMS_MAX];
    struct frame_type t;
    size_t n = 0, at = 0;
    int rc;

    while ((rc = frame_get_ready(f, &at, &t)) == JOBQ_OK) {
        must_be_inside(f, t.name);
        must(text_is_name(t.name.bytes, t.name.len));
        if (n < ITEMS_MAX)
            types[n] = t;
        n++;
    }
    must(rc == JOBQ_ENOTFOUND || at == 0);
    if (rc == JOBQ_ENOTFOUND && n <= ITEMS_MAX && f->seq == 0)
        frame_put_ready(b, types, n);
}

static void write_again(const struct frame *f, struct buf *b)
{
    switch (f->kind) {
    case FRAME_JOB:
        write_job(f, b);
        return;
    case FRAME_CONFIG:
    case FRAME_START:
        write_strings(f, b);
        return;
    case FRAME_READY:
        write_ready(f, b);
        return;
    case FRAME_OUTCOME:
        write_outcome(f, b);
        return;
    case FRAME_CHILD:
        write_child(f, b);
        return;
    case FRAME_LOG:
    case FRAME_PG:
        write_text(f, b);
        return;
    case FRAME_RESULT:
    case FRAME_FAILED:
        write_string(f, b);
        return;
    case FRAME_DRAIN:
    case FRAME_SENT:
    case FRAME_IDLE:
    case FRAME_PROGRESS:
        frame_put(b, f->kind, f->seq, f->body, f->len);
        return;
    }
    abort(); /* frame_next() let an unknown kind pass */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f;
    struct buf b;
    size_t used;

    buf_init(&b, FRAME_MAX + 64);
    while (size > 0 && frame_next(data, size, &f, &used, NULL) == JOBQ_OK && used > 0) {
        must(used <= size && f.body >= data && f.body + f.len == data + used);
        buf_clear(&b);
        write_again(&f, &b);
        must(b.len == 0 || (b.len == used && memcmp(b.data, data, used) == 0));
        data += used;
        size -= used;
    }
    buf_done(&b);
    return 0;
}
