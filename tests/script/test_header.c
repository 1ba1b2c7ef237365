/* SPDX-License-Identifier: MIT */
/* broker/lua/header.lua against tests/vectors/entries.json: what the codec in C reads, the scripts
 * patch. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/shard.h"
#include "tests/vectors/hex.h"

/* ARGV: h, entry's ms, loss budget. Reply: sound, the copy of a reap, the copy of a leave. */
static const char tail[] = "\nlocal function copy(patch)\n"
                           "  local found = header_walk(ARGV[1])\n"
                           "  if not found then return ARGV[1] end\n"
                           "  return patch(header_set_time(ARGV[1], found, ARGV[2]), found)\n"
                           "end\n"
                           "return {header_walk(ARGV[1]) and 1 or 0,\n"
                           "  copy(function(h) return header_add_loss(h, tonumber(ARGV[3])) end),\n"
                           "  copy(header_add_release)}\n";

static void assert_copy(const redisReply *got, const json_t *vector, const char *what)
{
    const json_t *expected = json_object_get(vector, what);
    size_t len;
    uint8_t *bytes =
        hex_decode(json_string_value(expected ? expected : json_object_get(vector, "h")), &len);

    cr_assert_eq(got->len, len, "%s of %s", what,
                 json_string_value(json_object_get(vector, "name")));
    cr_assert_arr_eq(got->str, bytes, len, "%s of %s", what,
                     json_string_value(json_object_get(vector, "name")));
    free(bytes);
}

Test(header, is_patched_as_the_reference_says)
{
    struct redis *redis = redis_start(NULL);
    redisContext *c = redisConnectUnix(redis->socket);
    char *text = read_file(source_path("broker/lua/header.lua"));
    json_t *doc = json_load_file(source_path("tests/vectors/entries.json"), 0, NULL);
    char script[16384];
    json_t *vector;
    size_t i;
    size_t patched = 0;

    cr_assert(doc && text && c && !c->err);
    cr_assert_lt(strlen(text) + sizeof(tail), sizeof(script));
    snprintf(script, sizeof(script), "%s%s", text, tail);
    json_array_foreach(json_object_get(doc, "headers"), i, vector) {
        const char *name = json_string_value(json_object_get(vector, "name"));
        bool ok = strcmp(json_string_value(json_object_get(vector, "result")), "ok") == 0;
        size_t len;
        uint8_t *h = hex_decode(json_string_value(json_object_get(vector, "h")), &len);
        redisReply *r = redisCommand(c, "EVAL %s 0 %b %lld %lld", script, h, len,
                                     json_integer_value(json_object_get(doc, "entry_ms")),
                                     json_integer_value(json_object_get(doc, "loss_budget")));

        cr_assert_eq(r->type, REDIS_REPLY_ARRAY, "%s: %s", name, r->str);
        cr_assert_eq(r->element[0]->integer, ok, "%s", name);
        assert_copy(r->element[1], vector, "reaped");
        assert_copy(r->element[2], vector, "released");
        patched += ok;
        freeReplyObject(r);
        free(h);
    }
    cr_assert(i > 50 && patched > 15);
    json_decref(doc);
    free(text);
    redisFree(c);
    redis_stop(redis);
}

/* A header filled by options of others must not become unreadable by what a copy would add. */
Test(header, gives_way_instead_of_growing_too_long)
{
    struct redis *redis = redis_start(NULL);
    redisContext *c = redisConnectUnix(redis->socket);
    char *text = read_file(source_path("broker/lua/header.lua"));
    static char script[16384];
    static uint8_t h[CODEC_HEADER_MAX] = {[0] = 1, [22] = 1, [23] = 't', [24] = 99};

    snprintf(script, sizeof(script), "%s%s", text, tail);
    for (size_t spare = 0; spare <= 17; spare++) {
        size_t len = sizeof(h) - spare;
        size_t with_time = spare >= 11 ? 11 : 0;
        redisReply *r;

        h[25] = (uint8_t)(len - 27);
        h[26] = (uint8_t)((len - 27) >> 8);
        r = redisCommand(c, "EVAL %s 0 %b 1700000000000 20", script, h, len);
        cr_assert_eq(r->element[0]->integer, 1);
        cr_assert_eq(r->element[1]->len, len + with_time);
        cr_assert_eq(r->element[1]->str[5], 1, "the loss is counted");
        cr_assert_eq(r->element[2]->len, len + with_time + (spare - with_time >= 5 ? 5 : 0), "%zu",
                     spare);
        freeReplyObject(r);
    }
    free(text);
    redisFree(c);
    redis_stop(redis);
}

/* The layout of a value of `held`, as enqueue and fail write it and move reads it. */
Test(header, is_held_as_the_reference_says)
{
    json_t *doc = json_load_file(source_path("tests/vectors/entries.json"), 0, NULL);
    struct shard s;
    json_t *vector;
    size_t i;

    cr_assert(doc);
    shard_open(&s, NULL);
    cr_assert_eq(join(&s, "a"), JOBQ_OK);
    json_array_foreach(json_object_get(doc, "held"), i, vector) {
        size_t len;
        uint8_t *held = hex_decode(json_string_value(json_object_get(vector, "held")), &len);
        size_t h_len;
        uint8_t *h = hex_decode(json_string_value(json_object_get(vector, "h")), &h_len);
        size_t p_len;
        uint8_t *p = hex_decode(json_string_value(json_object_get(vector, "p")), &p_len);
        struct claim_failed f = {
            .has_id = true, .action = CLAIM_LATER, .h = h, .h_len = h_len, .p = p, .p_len = p_len};
        enum claim_fate fate;
        struct claim_move m;
        redisReply *r;

        freeReplyObject(redisCommand(s.c, "XADD %s 5-1 h x p x", s.k.lanes[LANE_NORMAL]));
        take_and_lose(&s, "a", LANE_NORMAL, 1);
        f.entry = (struct entry_id){5, 1};
        claim_fail(&s.out, &s.k, LANE_NORMAL, "a", MINUTE, &f, 1);
        r = shard_call(&s);
        cr_assert_eq(claim_fail_reply(r, &fate, 1, NULL), JOBQ_OK);
        freeReplyObject(r);
        r = redisCommand(s.c, "HGET %s %s", s.k.held, id_text(0));
        cr_assert_eq(r->len, len);
        cr_assert_arr_eq(r->str, held, len);
        freeReplyObject(r);
        shard_run(&s, "ZADD %s 1 %s", s.k.later, id_text(0));
        cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
        cr_assert_eq(m.moved, 1);
        r = redisCommand(s.c, "XRANGE %s - +", s.k.lanes[LANE_NORMAL]);
        cr_assert_eq(r->elements, 1);
        cr_assert_eq(r->element[0]->element[1]->element[3]->len, p_len);
        cr_assert(p_len == 0 || memcmp(r->element[0]->element[1]->element[3]->str, p, p_len) == 0);
        cr_assert_eq(r->element[0]->element[1]->element[1]->len, h_len);
        freeReplyObject(r);
        shard_run(&s, "DEL %s", s.k.lanes[LANE_NORMAL]);
        shard_run(&s, "XGROUP CREATE %s jobq 0 MKSTREAM", s.k.lanes[LANE_NORMAL]);
        free(held);
        free(h);
        free(p);
    }
    cr_assert_eq(i, 3);
    shard_close(&s);
    json_decref(doc);
}
