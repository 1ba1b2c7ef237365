/* SPDX-License-Identifier: MIT */
/*
 * children: the jobs that a running job enqueues. See children.h. Single thread.
 */
#include "worker/executor/children.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/frame.h"

#define PACKED_VERSION 1
#define DELAY_MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000) /* ten years, as for every job */

void children_init(struct children *c)
{
    *c = (struct children){0};
    buf_init(&c->frames, FRAME_MAX);
}

void children_done(struct children *c)
{
    buf_done(&c->frames);
}

void children_clear(struct children *c, uint32_t seq)
{
    if (c->frames.cap > (size_t)1024 * 1024)
        buf_done(&c->frames);
    else
        buf_clear(&c->frames);
    c->count = 0;
    c->seq = seq;
}

/* ---- checking ---- */

/* A module built with a newer header may pass a longer struct: fine as long as the rest says
 * nothing. */
static int check_size(const jobq_child *child, jobq_err *err)
{
    const uint8_t *bytes = (const uint8_t *)child;

    if (child->size < sizeof(*child))
        return error_set(err, JOBQ_EINVAL, "enqueue: size %zu is smaller than sizeof(jobq_child)",
                         child->size);
    for (size_t i = sizeof(*child); i < child->size; i++) {
        if (bytes[i] != 0)
            return error_set(err, JOBQ_EINVAL,
                             "enqueue: a field is set that this jobq does not know");
    }
    return JOBQ_OK;
}

static int check_name(const char *what, const char *name, struct frame_str *out, jobq_err *err)
{
    size_t len = name != NULL ? strnlen(name, JOBQ_NAME_MAX + 1) : 0;

    if (!text_is_name(name != NULL ? name : "", len))
        return error_set(err, JOBQ_EINVAL,
                         "enqueue: %s \"%.70s\" is not 1 to 64 of a-z 0-9 _ . : -", what,
                         name != NULL ? name : "");
    *out = (struct frame_str){name, len};
    return JOBQ_OK;
}

static int check_payload(const jobq_child *child, size_t max, struct frame_str *out, jobq_err *err)
{
    const char *bytes = child->payload != NULL ? child->payload : "{}";
    size_t len =
        child->payload != NULL && child->payload_len > 0 ? child->payload_len : strlen(bytes);
    jobq_err why = {0};

    if (child->payload == NULL && child->payload_len != 0)
        return error_set(err, JOBQ_EINVAL, "enqueue: payload is NULL, yet payload_len is %zu",
                         child->payload_len);
    if (len > max)
        return error_set(err, JOBQ_ETOOBIG,
                         "enqueue: payload of %zu bytes, at most %zu are allowed", len, max);
    if (json_check_object(bytes, len, &why) != JOBQ_OK)
        return error_set(err, JOBQ_EINVAL, "enqueue: payload: %s", why.msg);
    *out = (struct frame_str){bytes, len};
    return JOBQ_OK;
}

static int check_numbers(const jobq_child *child, jobq_err *err)
{
    if (child->lane < JOBQ_LANE_NORMAL || child->lane > JOBQ_LANE_LOW)
        return error_set(err, JOBQ_EINVAL, "enqueue: lane %d is not 0, 1 or 2", child->lane);
    if (child->delay_ms < 0 || child->delay_ms > DELAY_MAX_MS)
        return error_set(err, JOBQ_EINVAL, "enqueue: delay_ms is not from 0 to ten years");
    if (child->expires_after_ms < 0 || child->expires_after_ms > DELAY_MAX_MS)
        return error_set(err, JOBQ_EINVAL, "enqueue: expires_after_ms is not from 0 to ten years");
    if (child->max_attempts > UINT16_MAX)
        return error_set(err, JOBQ_EINVAL, "enqueue: max_attempts %u is more than 65535",
                         child->max_attempts);
    if (child->soft_limit_ms != 0 && child->hard_limit_ms != 0 &&
        child->hard_limit_ms < child->soft_limit_ms)
        return error_set(err, JOBQ_EINVAL, "enqueue: hard_limit_ms is below soft_limit_ms");
    return JOBQ_OK;
}

static int check_unique(const char *key, struct frame_str *out, jobq_err *err)
{
    size_t len, bad_at;

    *out = (struct frame_str){"", 0};
    if (key == NULL)
        return JOBQ_OK;
    len = strnlen(key, JOBQ_UNIQUE_KEY_MAX + 1);
    if (len == 0 || len > JOBQ_UNIQUE_KEY_MAX || !text_is_utf8(key, len, &bad_at))
        return error_set(err, JOBQ_EINVAL, "enqueue: unique_key is not 1 to %d bytes of UTF-8",
                         JOBQ_UNIQUE_KEY_MAX);
    *out = (struct frame_str){key, len};
    return JOBQ_OK;
}

int children_add(struct children *c, const struct children_parent *parent, const jobq_child *child,
                 jobq_err *err)
{
    struct frame_child f = {0};
    jobq_id id;
    int rc = check_size(child, err);

    if (rc == JOBQ_OK)
        rc = check_name("type", child->type, &f.type, err);
    if (rc == JOBQ_OK)
        rc =
            check_name("queue", child->queue != NULL ? child->queue : parent->queue, &f.queue, err);
    if (rc == JOBQ_OK)
        rc = check_payload(child, parent->max_payload_bytes, &f.p, err);
    if (rc == JOBQ_OK)
        rc = check_numbers(child, err);
    if (rc == JOBQ_OK)
        rc = check_unique(child->unique_key, &f.unique, err);
    if (rc != JOBQ_OK)
        return rc;
    if (c->count >= CHILDREN_MAX)
        return error_set(err, JOBQ_ETOOBIG, "enqueue: a run may enqueue %d jobs at most",
                         CHILDREN_MAX);

    id_derive(parent->id, c->count + 1, &id);
    memcpy(f.id, id.bytes, sizeof(f.id));
    f.lane = (uint8_t)child->lane;
    f.delay_ms = child->delay_ms;
    f.expires_ms = child->expires_after_ms;
    f.max_attempts = child->max_attempts;
    f.soft_ms = child->soft_limit_ms;
    f.hard_ms = child->hard_limit_ms;
    frame_put_child(&c->frames, c->seq, &f);
    if (c->frames.failed) {
        c->frames.failed = false; /* frame_put_child() left it as it was */
        return error_set(err, JOBQ_ETOOBIG, "enqueue: the jobs of one run exceed %zu bytes",
                         FRAME_MAX);
    }
    c->count++;
    return JOBQ_OK;
}

/* ---- packing ---- */

void children_pack(const struct children *c, struct buf *out)
{
    if (c->count == 0)
        return;
    buf_append_u8(out, PACKED_VERSION);
    buf_append(out, c->frames.data, c->frames.len);
}

int children_unpack(struct children *c, const void *bytes, size_t len, jobq_err *err)
{
    const uint8_t *at = bytes;
    struct frame_child child;
    struct frame f;
    size_t used;

    children_clear(c, c->seq);
    if (len == 0)
        return JOBQ_OK;
    if (at[0] != PACKED_VERSION)
        return error_set(err, JOBQ_EPROTO, "stored children of version %u", at[0]);
    for (at++, len--; len > 0; at += used, len -= used) {
        if (frame_next(at, len, &f, &used, NULL) != JOBQ_OK || used == 0 || f.kind != FRAME_CHILD ||
            frame_get_child(&f, &child) != JOBQ_OK)
            return error_set(err, JOBQ_EPROTO, "stored children are damaged");
        frame_put_child(&c->frames, c->seq, &child);
        c->count++;
    }
    return c->frames.failed ? error_set(err, JOBQ_ENOMEM, "no memory for stored children")
                            : JOBQ_OK;
}
