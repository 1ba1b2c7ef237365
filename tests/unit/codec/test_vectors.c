/* SPDX-License-Identifier: MIT */
/* The codec against tests/vectors/entries.json, the reference for other languages. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "broker/codec.h"
#include "tests/vectors/hex.h"
#include "tests/support/support.h"

static json_t *load(void)
{
    json_error_t error;
    json_t *doc = json_load_file(source_path("tests/vectors/entries.json"), 0, &error);

    cr_assert(doc, "%s, line %d", error.text, error.line);
    return doc;
}

static void assert_number(const json_t *header, const char *name, uint64_t got)
{
    const json_t *value = json_object_get(header, name);

    /* jansson reads whole numbers up to 2^63 - 1 */
    cr_assert_eq(value ? (uint64_t)json_integer_value(value) : 0, got, "%s", name);
}

static void assert_text(const json_t *header, const char *name, const char *got, size_t len)
{
    const json_t *value = json_object_get(header, name);

    cr_assert_eq(value ? json_string_length(value) : 0, len, "%s", name);
    cr_assert(len == 0 || memcmp(json_string_value(value), got, len) == 0, "%s", name);
}

/* The options that the codec only carries. */
static void assert_carried(const json_t *header, const struct job_header *h)
{
    static const struct {
        uint8_t tag;
        const char *name;
    } texts[] = {
        {CODEC_LIMIT_KEY, "limit_key"}, {CODEC_TRACEPARENT, "traceparent"}, {CODEC_FLOW, "flow"}};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *value = json_string_value(json_object_get(header, texts[i].name));
        uint8_t option[300] = {texts[i].tag};
        size_t len;

        if (!value)
            continue;
        len = strlen(value);
        option[1] = (uint8_t)len;
        memcpy(option + 3, value, len);
        cr_assert(memmem(h->others, h->others_len, option, len + 3), "%s", texts[i].name);
    }
    if (json_object_get(header, "result_wanted"))
        cr_assert(memmem(h->others, h->others_len, "\x08\x00\x00", 3));
}

static void assert_header(const json_t *header, const struct job_header *h)
{
    static const char *const lanes[] = {"normal", "high", "low"};
    jobq_id id;

    cr_assert_str_eq(json_string_value(json_object_get(header, "lane")),
                     lanes[h->flags & CODEC_FLAG_LANE]);
    cr_assert_eq(json_is_true(json_object_get(header, "exhausted")),
                 (h->flags & CODEC_FLAG_EXHAUSTED) != 0);
    cr_assert_eq(jobq_id_parse(json_string_value(json_object_get(header, "id")), &id, NULL),
                 JOBQ_OK);
    cr_assert_arr_eq(id.bytes, h->id.bytes, sizeof(id.bytes));
    assert_text(header, "type", h->type, h->type_len);
    assert_number(header, "flags", h->flags);
    assert_number(header, "attempts", h->attempts);
    assert_number(header, "crashes", h->crashes);
    assert_number(header, "losses", h->losses);
    assert_number(header, "max_attempts", h->max_attempts);
    assert_number(header, "soft_limit_ms", h->soft_limit_ms);
    assert_number(header, "hard_limit_ms", h->hard_limit_ms);
    assert_number(header, "expires_ms", (uint64_t)h->expires_ms);
    assert_number(header, "enqueued_ms", (uint64_t)h->enqueued_ms);
    assert_number(header, "releases", h->releases);
    assert_text(header, "unique_key", h->unique, h->unique_len);
    assert_text(header, "error", h->error, h->error_len);
    assert_carried(header, h);
}

static void assert_encodes(const json_t *vector, const struct job_header *h)
{
    const json_t *encoded = json_object_get(vector, "encoded");
    size_t len;
    uint8_t *expected =
        hex_decode(json_string_value(encoded ? encoded : json_object_get(vector, "h")), &len);
    struct buf b;

    buf_init(&b, CODEC_HEADER_MAX);
    codec_encode(h, &b);
    cr_assert_not(b.failed);
    cr_assert_eq(b.len, len);
    cr_assert_arr_eq(b.data, expected, len);
    buf_done(&b);
    free(expected);
}

Test(vectors, are_read_and_written_as_the_reference_says)
{
    json_t *doc = load();
    json_t *vector;
    size_t i;

    json_array_foreach(json_object_get(doc, "headers"), i, vector) {
        const char *name = json_string_value(json_object_get(vector, "name"));
        const char *expected = json_string_value(json_object_get(vector, "result"));
        static const char *const results[] = {
            [CODEC_OK] = "ok", [CODEC_NEWER] = "newer", [CODEC_CORRUPT] = "corrupt"};
        size_t len;
        uint8_t *bytes = hex_decode(json_string_value(json_object_get(vector, "h")), &len);
        struct job_header h = {0};
        jobq_err err = {0};
        enum codec_result result = codec_decode(bytes, len, &h, &err);

        cr_assert_str_eq(results[result], expected, "%s: %s", name, err.msg);
        if (result == CODEC_OK) {
            cr_log_info("%s", name);
            assert_header(json_object_get(vector, "header"), &h);
            assert_encodes(vector, &h);
        } else {
            cr_assert_neq(err.msg[0], '\0', "%s", name);
        }
        free(bytes);
    }
    cr_assert_gt(i, 50);
    json_decref(doc);
}
