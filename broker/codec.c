/* SPDX-License-Identifier: MIT */
/*
 * codec: bytes of a header to a struct and back. broker/lua/header.lua reads the same layout, by
 * the same rules.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/codec.h"

#define LANE_BAD 3
#define OPTION_HEAD 3 /* tag, length */
#define TAG_COUNT 256

/* Where the value of an option lies. */
struct option {
    uint8_t tag;
    const uint8_t *value;
    size_t len;
};

static enum codec_result corrupt(jobq_err *err, size_t at, const char *what)
{
    error_set(err, JOBQ_EPROTO, "%s at byte %zu of the header", what, at);
    return CODEC_CORRUPT;
}

/* The next option of an area that was checked before; false at its end. */
static bool next_option(const uint8_t *area, size_t len, size_t *at, struct option *out)
{
    if (len - *at < OPTION_HEAD)
        return false;
    out->tag = area[*at];
    out->len = load_le16(area + *at + 1);
    out->value = area + *at + OPTION_HEAD;
    *at += OPTION_HEAD + out->len;
    return true;
}

/* What is wrong with the length of an option's value; NULL: nothing. */
static const char *check_length(uint8_t tag, size_t len)
{
    static const struct {
        uint8_t tag;
        uint16_t least, most;
    } widths[] = {
        {CODEC_MAX_ATTEMPTS, 2, 2}, {CODEC_SOFT_LIMIT, 4, 4}, {CODEC_HARD_LIMIT, 4, 4},
        {CODEC_EXPIRES, 8, 8},      {CODEC_UNIQUE, 0, 255},   {CODEC_LIMIT_KEY, 0, 255},
        {CODEC_RESULT, 0, 0},       {CODEC_ENQUEUED, 8, 8},   {CODEC_LEDGER_RUN, 8, 8},
        {CODEC_ERROR, 0, CODEC_ERROR_MAX}, {CODEC_RELEASES, 2, 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(widths); i++)
        if (widths[i].tag == tag && (len < widths[i].least || len > widths[i].most))
            return "option of a wrong length";
    return NULL;
}

static void take_option(const struct option *o, struct job_header *out)
{
    switch (o->tag) {
    case CODEC_MAX_ATTEMPTS:
        out->max_attempts = load_le16(o->value);
        break;
    case CODEC_SOFT_LIMIT:
        out->soft_limit_ms = load_le32(o->value);
        break;
    case CODEC_HARD_LIMIT:
        out->hard_limit_ms = load_le32(o->value);
        break;
    case CODEC_EXPIRES:
        out->expires_ms = (int64_t)load_le64(o->value);
        break;
    case CODEC_UNIQUE:
        out->unique = o->len > 0 ? (const char *)o->value : NULL;
        out->unique_len = o->len;
        break;
    case CODEC_ENQUEUED:
        out->enqueued_ms = (int64_t)load_le64(o->value);
        break;
    case CODEC_ERROR:
        out->error = o->len > 0 ? (const char *)o->value : NULL;
        out->error_len = o->len;
        break;
    case CODEC_RELEASES:
        out->releases = load_le16(o->value);
        break;
    default: /* kept in others */
        break;
    }
}

/* bytes + from: the option area, to the end. */
static enum codec_result read_options(const uint8_t *bytes, size_t len, size_t from,
                                      struct job_header *out, jobq_err *err)
{
    bool seen[TAG_COUNT] = {false};
    size_t at = from;

    while (at < len) {
        size_t start = at;
        struct option o;
        const char *wrong;

        if (!next_option(bytes, len, &at, &o) || at > len)
            return corrupt(err, start, "option cut off");
        if (seen[o.tag])
            return corrupt(err, start, "option given twice");
        seen[o.tag] = true;
        wrong = check_length(o.tag, o.len);
        if (wrong)
            return corrupt(err, start, wrong);
        if ((o.tag == CODEC_EXPIRES || o.tag == CODEC_ENQUEUED) && o.value[7] > 0x7f)
            return corrupt(err, start, "time out of range");
        take_option(&o, out);
    }
    return CODEC_OK;
}

enum codec_result codec_decode(const void *bytes, size_t len, struct job_header *out, jobq_err *err)
{
    const uint8_t *b = bytes;
    struct job_header h = {0};
    enum codec_result result;

    if (len < 1)
        return corrupt(err, 0, "nothing");
    if (b[0] > CODEC_VERSION) {
        error_set(err, JOBQ_EPROTO, "header of version %u, newer than %d", b[0], CODEC_VERSION);
        return CODEC_NEWER;
    }
    if (b[0] != CODEC_VERSION)
        return corrupt(err, 0, "version 0");
    if (len < CODEC_FIXED_SIZE)
        return corrupt(err, len, "cut off");
    if (len > CODEC_HEADER_MAX)
        return corrupt(err, CODEC_HEADER_MAX, "too long");
    h.flags = b[1];
    if ((h.flags & CODEC_FLAG_LANE) == LANE_BAD)
        return corrupt(err, 1, "unknown lane");
    h.attempts = load_le16(b + 2);
    h.crashes = b[4];
    h.losses = b[5];
    memcpy(h.id.bytes, b + 6, sizeof(h.id.bytes));
    h.type = (const char *)b + CODEC_FIXED_SIZE;
    h.type_len = b[22];
    if (h.type_len > len - CODEC_FIXED_SIZE)
        return corrupt(err, 22, "type cut off");
    if (!text_is_name(h.type, h.type_len))
        return corrupt(err, CODEC_FIXED_SIZE, "type is not a name");
    result = read_options(b, len, CODEC_FIXED_SIZE + h.type_len, &h, err);
    if (result != CODEC_OK)
        return result;
    h.others = b + CODEC_FIXED_SIZE + h.type_len;
    h.others_len = len - CODEC_FIXED_SIZE - h.type_len;
    *out = h;
    return CODEC_OK;
}

bool codec_peek_id(const void *bytes, size_t len, jobq_id *out)
{
    const uint8_t *b = bytes;

    if (len < 6 + sizeof(out->bytes) || b[0] != CODEC_VERSION)
        return false;
    memcpy(out->bytes, b + 6, sizeof(out->bytes));
    return true;
}

/* ---- writing ---- */

static void put_option(struct buf *b, uint8_t tag, const void *value, size_t len)
{
    buf_append_u8(b, tag);
    buf_append_le16(b, (uint16_t)len);
    buf_append(b, value, len);
}

static void put_number(struct buf *b, uint8_t tag, size_t width, uint64_t number)
{
    uint8_t bytes[8];

    if (number == 0)
        return;
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    put_option(b, tag, bytes, width);
}

/* Whether the struct holds this option; all others are copied from the old option area. */
static bool is_listed(uint8_t tag)
{
    switch (tag) {
    case CODEC_MAX_ATTEMPTS:
    case CODEC_SOFT_LIMIT:
    case CODEC_HARD_LIMIT:
    case CODEC_EXPIRES:
    case CODEC_UNIQUE:
    case CODEC_ENQUEUED:
    case CODEC_ERROR:
    case CODEC_RELEASES:
        return true;
    default:
        return false;
    }
}

static bool is_known(uint8_t tag)
{
    return tag >= CODEC_MAX_ATTEMPTS && tag <= CODEC_RELEASES;
}

static bool others_next(const struct job_header *h, size_t *at, struct option *o)
{
    return next_option(h->others, h->others_len, at, o) && *at <= h->others_len;
}

static void copy_other(const struct job_header *h, uint8_t tag, struct buf *b)
{
    size_t at = 0;
    struct option o;

    while (others_next(h, &at, &o))
        if (o.tag == tag)
            put_option(b, o.tag, o.value, o.len);
}

/*
 * Bytes the header takes without options 10, 12 and 13, the only ones that grow after enqueue: what
 * is left of CODEC_HEADER_MAX is theirs, so that a copy never becomes too long to be read.
 */
static size_t fixed_length(const struct job_header *h)
{
    size_t total = CODEC_FIXED_SIZE + h->type_len;
    size_t at = 0;
    struct option o;

    total += h->max_attempts ? OPTION_HEAD + 2 : 0;
    total += h->soft_limit_ms ? OPTION_HEAD + 4 : 0;
    total += h->hard_limit_ms ? OPTION_HEAD + 4 : 0;
    total += h->expires_ms ? OPTION_HEAD + 8 : 0;
    total += h->unique_len ? OPTION_HEAD + h->unique_len : 0;
    while (others_next(h, &at, &o))
        total += is_listed(o.tag) ? 0 : OPTION_HEAD + o.len;
    return total;
}

/* The text of the last failure, made valid and cut to what may be stored. */
static void put_error(const struct job_header *h, size_t room, struct buf *b)
{
    char text[CODEC_ERROR_MAX + 1];
    size_t len;

    if (h->error_len == 0 || room <= OPTION_HEAD)
        return;
    len = text_sanitize(h->error, h->error_len, text,
                        MIN(sizeof(text), room - OPTION_HEAD + 1));
    if (len > 0)
        put_option(b, CODEC_ERROR, text, len);
}

static void put_known(const struct job_header *h, uint8_t tag, size_t *room, struct buf *b)
{
    switch (tag) {
    case CODEC_MAX_ATTEMPTS:
        put_number(b, tag, 2, h->max_attempts);
        break;
    case CODEC_SOFT_LIMIT:
        put_number(b, tag, 4, h->soft_limit_ms);
        break;
    case CODEC_HARD_LIMIT:
        put_number(b, tag, 4, h->hard_limit_ms);
        break;
    case CODEC_EXPIRES:
        put_number(b, tag, 8, (uint64_t)h->expires_ms);
        break;
    case CODEC_UNIQUE:
        if (h->unique_len > 0)
            put_option(b, tag, h->unique, h->unique_len);
        break;
    case CODEC_ENQUEUED:
        if (*room >= OPTION_HEAD + 8 && h->enqueued_ms) {
            put_number(b, tag, 8, (uint64_t)h->enqueued_ms);
            *room -= OPTION_HEAD + 8;
        }
        break;
    case CODEC_ERROR: /* leaves room for the releases */
        put_error(h, *room - MIN(*room, h->releases ? OPTION_HEAD + 2 : 0), b);
        break;
    case CODEC_RELEASES:
        if (*room >= OPTION_HEAD + 2)
            put_number(b, tag, 2, h->releases);
        break;
    default:
        copy_other(h, tag, b);
        break;
    }
}

void codec_encode(const struct job_header *h, struct buf *b)
{
    size_t fixed = fixed_length(h);
    size_t room = CODEC_HEADER_MAX - MIN(fixed, CODEC_HEADER_MAX);
    size_t at = 0;
    struct option o;

    ASSERT(h->type_len >= 1 && h->type_len <= JOBQ_NAME_MAX);
    ASSERT(h->unique_len <= JOBQ_UNIQUE_KEY_MAX);
    ASSERT(h->expires_ms >= 0 && h->enqueued_ms >= 0);
    buf_append_u8(b, CODEC_VERSION);
    buf_append_u8(b, h->flags);
    buf_append_le16(b, h->attempts);
    buf_append_u8(b, h->crashes);
    buf_append_u8(b, h->losses);
    buf_append(b, h->id.bytes, sizeof(h->id.bytes));
    buf_append_u8(b, (uint8_t)h->type_len);
    buf_append(b, h->type, h->type_len);
    for (uint8_t tag = CODEC_MAX_ATTEMPTS; is_known(tag); tag++)
        put_known(h, tag, &room, b);
    while (others_next(h, &at, &o))
        if (!is_known(o.tag))
            put_option(b, o.tag, o.value, o.len);
}

/* ---- entry ids ---- */

/* Digits up to the end or a '-', without a leading zero: one number has one spelling. */
static bool read_number(const char *text, size_t len, size_t *at, uint64_t *out)
{
    uint64_t n = 0;
    size_t start = *at;

    for (; *at < len && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        unsigned digit = (unsigned)(text[*at] - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (*at == start || (text[start] == '0' && *at - start > 1))
        return false;
    *out = n;
    return true;
}

int entry_id_parse(const char *text, size_t len, struct entry_id *out)
{
    struct entry_id id;
    size_t at = 0;

    if (!read_number(text, len, &at, &id.ms) || at >= len || text[at] != '-')
        return JOBQ_EINVAL;
    at++;
    if (!read_number(text, len, &at, &id.seq) || at != len)
        return JOBQ_EINVAL;
    *out = id;
    return JOBQ_OK;
}

size_t entry_id_format(const struct entry_id *id, char out[ENTRY_ID_TEXT_SIZE])
{
    return (size_t)snprintf(out, ENTRY_ID_TEXT_SIZE, "%llu-%llu", (unsigned long long)id->ms,
                            (unsigned long long)id->seq);
}

int entry_id_compare(const struct entry_id *a, const struct entry_id *b)
{
    if (a->ms != b->ms)
        return a->ms < b->ms ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    return 0;
}
