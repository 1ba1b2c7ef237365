/* SPDX-License-Identifier: MIT */
/*
 * fuzz_codec: any bytes as a header. What is accepted stays within its bytes, can be written again
 * within the limit, and reads the same after that, as often as one likes. The bytes are tried as an
 * entry id too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "broker/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static bool is_inside(const void *p, size_t len, const uint8_t *data, size_t size)
{
    const uint8_t *at = p;

    return len == 0 || (at >= data && at + len <= data + size);
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static void check_same(const struct job_header *a, const struct job_header *b)
{
    must(a->flags == b->flags && a->attempts == b->attempts && a->crashes == b->crashes &&
         a->losses == b->losses);
    must(memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes)) == 0);
    must(same_text(a->type, a->type_len, b->type, b->type_len));
    must(a->max_attempts == b->max_attempts && a->soft_limit_ms == b->soft_limit_ms);
    must(a->hard_limit_ms == b->hard_limit_ms && a->expires_ms == b->expires_ms);
    must(same_text(a->unique, a->unique_len, b->unique, b->unique_len));
    must(a->enqueued_ms == b->enqueued_ms && a->releases == b->releases);
}

static void check_header(const uint8_t *data, size_t size)
{
    struct job_header h;
    struct job_header again;
    struct job_header third;
    struct buf once;
    struct buf twice;
    jobq_id id;

    if (codec_decode(data, size, &h, NULL) != CODEC_OK)
        return;
    must(codec_peek_id(data, size, &id) && memcmp(id.bytes, h.id.bytes, sizeof(id.bytes)) == 0);
    must(is_inside(h.type, h.type_len, data, size) &&
         is_inside(h.unique, h.unique_len, data, size));
    must(is_inside(h.error, h.error_len, data, size) &&
         is_inside(h.others, h.others_len, data, size));
    buf_init(&once, (size_t)1 << 20);
    buf_init(&twice, (size_t)1 << 20);
    codec_encode(&h, &once);
    must(!once.failed && once.len <= CODEC_HEADER_MAX);
    must(codec_decode(once.data, once.len, &again, NULL) == CODEC_OK);
    check_same(&h, &again);
    codec_encode(&again, &twice);
    must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    must(codec_decode(twice.data, twice.len, &third, NULL) == CODEC_OK);
    must(same_text(again.error, again.error_len, third.error, third.error_len));
    buf_done(&once);
    buf_done(&twice);
}

static void check_entry_id(const uint8_t *data, size_t size)
{
    struct entry_id id;
    char text[ENTRY_ID_TEXT_SIZE];

    if (entry_id_parse((const char *)data, size, &id) != JOBQ_OK)
        return;
    must(entry_id_format(&id, text) == size && memcmp(text, data, size) == 0);
    must(entry_id_compare(&id, &id) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_header(data, size);
    check_entry_id(data, size);
    return 0;
}
