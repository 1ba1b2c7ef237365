/* SPDX-License-Identifier: MIT */
/* The header codec: bytes to struct and back, at every edge; the vectors are in test_vectors.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"
#include "broker/codec.h"

#define SEED 20240117u

static const jobq_id some_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static struct job_header plain(void)
{
    struct job_header h = {.id = some_id, .type = "a.type", .type_len = 6};

    return h;
}

/* Encodes into b, which the caller frees, and decodes what came out. */
static struct job_header round_trip(const struct job_header *h, struct buf *b)
{
    struct job_header out;
    jobq_err err = {0};

    buf_init(b, (size_t)1 << 20);
    codec_encode(h, b);
    cr_assert_not(b->failed);
    cr_assert_leq(b->len, CODEC_HEADER_MAX);
    cr_assert_eq(codec_decode(b->data, b->len, &out, &err), CODEC_OK, "%s", err.msg);
    return out;
}

static void assert_equal(const struct job_header *a, const struct job_header *b)
{
    cr_assert_eq(a->flags, b->flags);
    cr_assert_eq(a->attempts, b->attempts);
    cr_assert_eq(a->crashes, b->crashes);
    cr_assert_eq(a->losses, b->losses);
    cr_assert_arr_eq(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
    cr_assert_eq(a->type_len, b->type_len);
    cr_assert_arr_eq(a->type, b->type, a->type_len);
    cr_assert_eq(a->max_attempts, b->max_attempts);
    cr_assert_eq(a->soft_limit_ms, b->soft_limit_ms);
    cr_assert_eq(a->hard_limit_ms, b->hard_limit_ms);
    cr_assert_eq(a->expires_ms, b->expires_ms);
    cr_assert_eq(a->unique_len, b->unique_len);
    cr_assert(a->unique_len == 0 || memcmp(a->unique, b->unique, a->unique_len) == 0);
    cr_assert_eq(a->enqueued_ms, b->enqueued_ms);
    cr_assert_eq(a->error_len, b->error_len);
    cr_assert(a->error_len == 0 || memcmp(a->error, b->error, a->error_len) == 0);
    cr_assert_eq(a->releases, b->releases);
}

Test(codec, gives_back_every_field)
{
    struct job_header h = plain();
    struct job_header again;
    struct buf b;

    h.flags = 2 | CODEC_FLAG_EXHAUSTED | 0x80;
    h.attempts = 0xfffe;
    h.crashes = 254;
    h.losses = 253;
    h.max_attempts = 10;
    h.soft_limit_ms = 0xfffffffe;
    h.hard_limit_ms = 1;
    h.expires_ms = INT64_MAX;
    h.unique = "user:1";
    h.unique_len = 6;
    h.enqueued_ms = 1700000000123;
    h.error = "no route";
    h.error_len = 8;
    h.releases = 0xffff;
    again = round_trip(&h, &b);
    assert_equal(&h, &again);
    buf_done(&b);
}

Test(codec, writes_nothing_for_what_is_not_set)
{
    struct job_header h = plain();
    struct buf b;

    round_trip(&h, &b);
    cr_assert_eq(b.len, CODEC_FIXED_SIZE + 6u);
    buf_done(&b);
}

Test(codec, leaves_the_output_alone_when_it_fails)
{
    struct job_header h = {.attempts = 77};
    uint8_t bytes[CODEC_FIXED_SIZE + 4] = {1};
    jobq_err err = {0};

    cr_assert_eq(codec_decode(bytes, sizeof(bytes), &h, &err), CODEC_CORRUPT);
    cr_assert_eq(h.attempts, 77);
    cr_assert_eq(err.code, JOBQ_EPROTO);
    cr_assert(strstr(err.msg, "type is not a name at byte 23"), "%s", err.msg);
    cr_assert_eq(codec_decode("\x07", 1, &h, &err), CODEC_NEWER);
    cr_assert_str_eq(err.msg, "header of version 7, newer than 1");
    cr_assert_eq(codec_decode("\x07", 1, &h, NULL), CODEC_NEWER);
    cr_assert_eq(h.attempts, 77);
}

/* G5, G43: a header cut anywhere is corrupt or, cut between two options, one that says less; never
 * more. */
Test(codec, never_reads_past_a_cut)
{
    struct job_header h = plain();
    struct buf b;

    h.max_attempts = 3;
    h.unique = "k";
    h.unique_len = 1;
    h.releases = 9;
    round_trip(&h, &b);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        struct job_header out;
        size_t options = CODEC_FIXED_SIZE + 6;
        bool sound = len == options || len == options + 5 || len == options + 9;

        memcpy(exact, b.data, len);
        cr_assert_eq(codec_decode(exact, len, &out, NULL), sound ? CODEC_OK : CODEC_CORRUPT,
                     "at %zu", len);
        free(exact);
    }
    buf_done(&b);
}

Test(codec, keeps_options_it_does_not_know_through_a_change)
{
    static const char others[] =
        "\xc8\x02\x00zz" /* 200 */ "\x06\x03\x00lim" /* limit key */
        "\x00\x00\x00" /* 0 */ "\x0d\x02\x00\x05\x00" /* releases, from the struct */;
    static const char expected[] = "\x06\x03\x00lim"
                                   "\x0d\x02\x00\x06\x00"
                                   "\xc8\x02\x00zz"
                                   "\x00\x00\x00";
    struct job_header h = plain();
    struct buf b;

    h.others = (const uint8_t *)others;
    h.others_len = sizeof(others) - 1;
    h.releases = 6;
    round_trip(&h, &b);
    cr_assert_eq(b.len, CODEC_FIXED_SIZE + 6 + sizeof(expected) - 1);
    cr_assert_arr_eq(b.data + CODEC_FIXED_SIZE + 6, expected, sizeof(expected) - 1);
    buf_done(&b);
}

Test(codec, writes_an_error_text_that_can_be_stored)
{
    char text[1500];
    struct job_header h = plain();
    struct job_header out;
    struct buf b;

    memset(text, 'x', sizeof(text));
    text[3] = (char)0xff;
    memcpy(text + 1023, "\xc3\xa9", 2); /* would be cut in the middle */
    h.error = text;
    h.error_len = sizeof(text);
    out = round_trip(&h, &b);
    cr_assert_eq(out.error_len, 1023u);
    cr_assert_eq(out.error[3], '?');
    buf_done(&b);
}

/* A header filled by options we do not know must not become unreadable by what we add. */
Test(codec, gives_way_instead_of_growing_too_long)
{
    enum { LIMIT = CODEC_HEADER_MAX - CODEC_FIXED_SIZE - 6 - 3 };
    uint8_t *others = calloc(1, LIMIT + 3);

    for (size_t spare = 0; spare < 40; spare++) {
        struct job_header h = plain();
        struct job_header out;
        struct buf b;
        size_t len = LIMIT - spare;
        size_t left;

        others[0] = 99;
        others[1] = (uint8_t)len;
        others[2] = (uint8_t)(len >> 8);
        h.others = others;
        h.others_len = len + 3;
        h.error = "0123456789";
        h.error_len = 10;
        h.enqueued_ms = 5;
        h.releases = 6;
        out = round_trip(&h, &b);
        left = spare >= 11 ? spare - 11 : spare; /* the time of enqueue comes first, then releases,
                                                  * then the text */
        cr_assert_geq(out.others_len, h.others_len);
        cr_assert_eq(out.enqueued_ms, spare >= 11 ? 5 : 0);
        cr_assert_eq(out.releases, left >= 5 ? 6 : 0);
        cr_assert_eq(out.error_len, left <= 8 ? 0 : MIN(left - 8, 10u), "spare %zu", spare);
        buf_done(&b);
    }
    free(others);
}

Test(codec, leaves_out_a_text_of_which_nothing_fits)
{
    enum { LEN = CODEC_HEADER_MAX - CODEC_FIXED_SIZE - 6 - 3 - 4 };
    uint8_t *others = calloc(1, LEN + 3);
    struct job_header h = plain();
    struct buf b;

    others[0] = 99;
    others[1] = LEN & 0xff;
    others[2] = LEN >> 8;
    h.others = others;
    h.others_len = LEN + 3;
    h.error = "\xc3\xa9"; /* two bytes, and there is room for one */
    h.error_len = 2;
    round_trip(&h, &b);
    cr_assert_eq(b.len, CODEC_HEADER_MAX - 4u);
    buf_done(&b);
    free(others);
}

Test(codec, stops_at_a_broken_area_of_options)
{
    static const uint8_t cut[] = {99, 50, 0, 'x'};
    struct job_header h = plain();
    struct buf b;

    h.others = cut;
    h.others_len = sizeof(cut);
    round_trip(&h, &b);
    cr_assert_eq(b.len, CODEC_FIXED_SIZE + 6u);
    buf_done(&b);
}

Test(codec, says_when_memory_is_short)
{
    struct job_header h = plain();
    struct buf b;

    buf_init(&b, 10);
    codec_encode(&h, &b);
    cr_assert(b.failed);
    buf_done(&b);
}

Test(codec, peeks_at_the_id_of_what_is_broken)
{
    uint8_t bytes[22] = {1, 3};
    jobq_id id;

    memcpy(bytes + 6, some_id.bytes, sizeof(some_id.bytes));
    cr_assert(codec_peek_id(bytes, sizeof(bytes), &id));
    cr_assert_arr_eq(id.bytes, some_id.bytes, sizeof(id.bytes));
    cr_assert_not(codec_peek_id(bytes, sizeof(bytes) - 1, &id));
    cr_assert_not(codec_peek_id(bytes, 0, &id));
    bytes[0] = 2;
    cr_assert_not(codec_peek_id(bytes, sizeof(bytes), &id));
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Any bytes: no crash, and what is accepted survives a round trip. */
Test(codec, takes_any_bytes)
{
    uint32_t state = SEED;
    size_t accepted = 0;

    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[96];
        size_t len = next_random(&state) % sizeof(bytes);
        struct job_header h;
        struct job_header again;
        struct buf b;

        for (size_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)(j < 30 ? next_random(&state) : next_random(&state) % 16);
        bytes[0] = 1;
        bytes[22] = (uint8_t)(1 + next_random(&state) % 8);
        memset(bytes + CODEC_FIXED_SIZE, 'a', 8);
        if (codec_decode(bytes, len, &h, NULL) != CODEC_OK)
            continue;
        accepted++;
        again = round_trip(&h, &b);
        cr_assert_arr_eq(h.id.bytes, again.id.bytes, 16);
        cr_assert_eq(h.max_attempts, again.max_attempts);
        cr_assert_eq(h.releases, again.releases);
        cr_assert_eq(h.enqueued_ms, again.enqueued_ms);
        buf_done(&b);
    }
    cr_assert_gt(accepted, 1000, "only %zu", accepted);
}

/* ---- entry ids ---- */

Test(entry_id, is_read_and_written_alike)
{
    static const char *const texts[] = {"0-0", "1-0", "1700000000123-42",
                                        "18446744073709551615-18446744073709551615"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct entry_id id;
        char text[ENTRY_ID_TEXT_SIZE];

        cr_assert_eq(entry_id_parse(texts[i], strlen(texts[i]), &id), JOBQ_OK);
        cr_assert_eq(entry_id_format(&id, text), strlen(texts[i]));
        cr_assert_str_eq(text, texts[i]);
    }
}

Test(entry_id, refuses_everything_else)
{
    static const char *const texts[] = {"",
                                        "-",
                                        "1",
                                        "1-",
                                        "-1",
                                        "1-2-3",
                                        "a-1",
                                        "1-a",
                                        "1 -1",
                                        "01-1",
                                        "1-01",
                                        "+1-1",
                                        "1-1 ",
                                        "$",
                                        "0x1-1",
                                        "18446744073709551616-0",
                                        "0-18446744073709551616",
                                        "99999999999999999999999-0"};
    struct entry_id id = {7, 7};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert_eq(entry_id_parse(texts[i], strlen(texts[i]), &id), JOBQ_EINVAL, "%s", texts[i]);
    cr_assert_eq(entry_id_parse("1-2\0", 4, &id), JOBQ_EINVAL);
    cr_assert(id.ms == 7 && id.seq == 7);
}

Test(entry_id, orders_by_time_then_by_number)
{
    struct entry_id a = {1, 9};
    struct entry_id b = {2, 0};
    struct entry_id c = {2, 1};

    cr_assert_lt(entry_id_compare(&a, &b), 0);
    cr_assert_gt(entry_id_compare(&b, &a), 0);
    cr_assert_lt(entry_id_compare(&b, &c), 0);
    cr_assert_gt(entry_id_compare(&c, &b), 0);
    cr_assert_eq(entry_id_compare(&c, &c), 0);
}
