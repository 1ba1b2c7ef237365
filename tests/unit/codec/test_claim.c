/* SPDX-License-Identifier: MIT */
/* What claim writes and what it makes of replies, good ones and any others. No server. */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "broker/claim.h"
#include "broker/script.h"

static struct shard_keys k;
static struct shard_keys other;
static struct buf out;

static void set_up(void)
{
    jobq_err err = {0};

    cr_assert_eq(keys_init(&k, NULL, "mail", 0, &err), JOBQ_OK, "%s", err.msg);
    cr_assert_eq(keys_init(&other, NULL, "mail", 1, &err), JOBQ_OK, "%s", err.msg);
    buf_init(&out, (size_t)1 << 24);
}

static void tear_down(void)
{
    keys_done(&k);
    keys_done(&other);
    buf_done(&out);
}

/* A reply written as Redis would send it. Caller frees with freeReplyObject(). */
static redisReply *parse(const char *wire, size_t len)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;

    cr_assert(reader);
    if (redisReaderFeed(reader, wire, len) != REDIS_OK ||
        redisReaderGetReply(reader, &reply) != REDIS_OK)
        reply = NULL;
    redisReaderFree(reader);
    return reply;
}

static redisReply *reply_of(const char *wire)
{
    redisReply *r = parse(wire, strlen(wire));

    cr_assert(r, "%s", wire);
    return r;
}

/* The commands in `out`, with a space between words and '|' after each; says if a count is
 * wrong. */
static const char *written(void)
{
    static char text[8192];
    size_t len = 0;
    redisReader *reader = redisReaderCreate();

    cr_assert_not(out.failed);
    cr_assert_eq(redisReaderFeed(reader, out.data, out.len), REDIS_OK);
    for (;;) {
        void *reply = NULL;
        const redisReply *command;

        cr_assert_eq(redisReaderGetReply(reader, &reply), REDIS_OK, "not a command");
        if (!reply)
            break;
        command = reply;
        cr_assert_eq(command->type, REDIS_REPLY_ARRAY);
        for (size_t i = 0; i < command->elements; i++)
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%s ", command->element[i]->str);
        text[len++] = '|';
        freeReplyObject(reply);
    }
    text[len] = '\0';
    cr_assert_eq(reader->pos, reader->len, "an unfinished command is left");
    redisReaderFree(reader);
    buf_clear(&out);
    return text;
}

TestSuite(claim, .init = set_up, .fini = tear_down);

/* Keys in the order in which the script's head names them. */
#define LANES                                                                                      \
    "jobq:{mail:0}:ready:recovered jobq:{mail:0}:ready:high jobq:{mail:0}:ready:normal "           \
    "jobq:{mail:0}:ready:low "

static void assert_script(enum script_name s, const char *rest)
{
    char expected[4096];

    snprintf(expected, sizeof(expected), "EVALSHA %s %s|", script_sha(s), rest);
    cr_assert_str_eq(written(), expected);
}

Test(claim, writes_calls_as_the_scripts_want_them)
{
    struct entry_id ids[] = {{5, 1}, {5, 2}};

    claim_register(&out, &k, "me", "a b");
    assert_script(SCRIPT_REGISTER, "6 jobq:{mail:0}:alive jobq:{mail:0}:types " LANES "me a b ");
    claim_beat(&out, &k, "me", NULL, 0);
    assert_script(SCRIPT_BEAT, "1 jobq:{mail:0}:alive me ");
    claim_beat(&out, &k, "me", "{}", 2);
    assert_script(SCRIPT_BEAT, "2 jobq:{mail:0}:alive jobq:{mail:0}:info me {} ");
    claim_leave(&out, &k, "me");
    assert_script(SCRIPT_LEAVE, "7 " LANES
                  "jobq:{mail:0}:alive jobq:{mail:0}:types jobq:{mail:0}:info me ");
    claim_move(&out, &k, "me", 28);
    assert_script(SCRIPT_MOVE,
                  "8 jobq:{mail:0}:later jobq:{mail:0}:held jobq:{mail:0}:dead jobq:{mail:0}:alive "
                  "jobq:{mail:0}:stats:28 jobq:{mail:0}:ready:normal jobq:{mail:0}:ready:high "
                  "jobq:{mail:0}:ready:low me ");
    claim_fence(&out, &k, "me", "you", 12);
    assert_script(SCRIPT_FENCE, "1 jobq:{mail:0}:alive me you 12 ");
    claim_reap(&out, &k, "me", "you", 28, 20);
    assert_script(SCRIPT_REAP,
                  "8 " LANES
                  "jobq:{mail:0}:alive jobq:{mail:0}:types jobq:{mail:0}:stats:28 "
                  "jobq:{mail:0}:info me you 20 ");
    claim_sweep(&out, &k, "me");
    assert_script(SCRIPT_SWEEP, "5 " LANES "jobq:{mail:0}:alive me ");
    claim_unpark(&out, &k, "me", ids, 2);
    assert_script(
        SCRIPT_UNPARK,
        "3 jobq:{mail:0}:parked jobq:{mail:0}:ready:recovered jobq:{mail:0}:alive me 5-1 5-2 ");
}

Test(claim, writes_outcomes_with_unique_keys_last)
{
    struct claim_done done[] = {
        {.entry = {1, 0}, .id = {{1}}, .unique = "u1", .unique_len = 2},
        {.entry = {2, 0}},
        {.entry = {3, 0}, .id = {{3}}, .unique = "u3", .unique_len = 2},
    };
    struct claim_failed failed[] = {
        {.entry = {4, 0},
         .has_id = true,
         .id = {{4}},
         .action = CLAIM_LATER,
         .count = CLAIM_COUNT_RETRIED,
         .delay_ms = 250,
         .h = "H",
         .h_len = 1,
         .p = "P",
         .p_len = 1,
         .unique = "u4",
         .unique_len = 2},
        {.entry = {5, 0},
         .has_id = true,
         .id = {{5}},
         .action = CLAIM_DEAD,
         .reason = CLAIM_EXPIRED,
         .count = CLAIM_COUNT_EXPIRED,
         .error = "late",
         .error_len = 4,
         .h = "H",
         .h_len = 1,
         .p = "P",
         .p_len = 1,
         .unique = "u5",
         .unique_len = 2},
    };

    claim_ack(&out, &k, LANE_HIGH, "me", 28, done, 3);
    assert_script(SCRIPT_ACK,
                  "5 jobq:{mail:0}:ready:high jobq:{mail:0}:alive jobq:{mail:0}:stats:28 "
                  "jobq:{mail:0}:unique:u1 jobq:{mail:0}:unique:u3 me 3 2-0 1-0 3-0 "
                  "01000000-0000-0000-0000-000000000000 03000000-0000-0000-0000-000000000000 ");
    claim_fail(&out, &k, LANE_LOW, "me", 28, failed, 2);
    assert_script(
        SCRIPT_FAIL,
        "9 jobq:{mail:0}:ready:low jobq:{mail:0}:ready:recovered jobq:{mail:0}:later "
        "jobq:{mail:0}:held "
        "jobq:{mail:0}:dead jobq:{mail:0}:parked jobq:{mail:0}:alive jobq:{mail:0}:stats:28 "
        "jobq:{mail:0}:unique:u5 me jobq:{mail:0}:wake "
        "4-0 04000000-0000-0000-0000-000000000000 later retried 250   H P 0 "
        "5-0 05000000-0000-0000-0000-000000000000 dead expired 0 expired late H P 9 ");
}

Test(claim, writes_plain_commands)
{
    const struct shard_keys *both[] = {&k, &other};
    struct entry_id id = {7, 8};

    claim_create_groups(&out, &k);
    cr_assert_str_eq(written(), "XGROUP CREATE jobq:{mail:0}:ready:recovered jobq 0 MKSTREAM |"
                                "XGROUP CREATE jobq:{mail:0}:ready:high jobq 0 MKSTREAM |"
                                "XGROUP CREATE jobq:{mail:0}:ready:normal jobq 0 MKSTREAM |"
                                "XGROUP CREATE jobq:{mail:0}:ready:low jobq 0 MKSTREAM |");
    claim_read(&out, &k, LANE_LOW, "me", 64);
    cr_assert_str_eq(written(),
                     "XREADGROUP GROUP jobq me COUNT 64 STREAMS jobq:{mail:0}:ready:low > |");
    claim_read_blocking(&out, both, 2, "me", 1000);
    cr_assert_str_eq(
        written(),
        "XREADGROUP GROUP jobq me COUNT 1 BLOCK 1000 STREAMS " LANES
        "jobq:{mail:1}:ready:recovered jobq:{mail:1}:ready:high jobq:{mail:1}:ready:normal "
        "jobq:{mail:1}:ready:low > > > > > > > > |");
    claim_pending(&out, &k, LANE_HIGH, "me", 100, NULL);
    claim_pending(&out, &k, LANE_HIGH, "me", 100, &id);
    claim_fetch(&out, &k, LANE_HIGH, &id);
    claim_parked(&out, &k, NULL, 100);
    claim_parked(&out, &k, &id, 100);
    cr_assert_str_eq(written(), "XPENDING jobq:{mail:0}:ready:high jobq - + 100 me |"
                                "XPENDING jobq:{mail:0}:ready:high jobq (7-8 + 100 me |"
                                "XRANGE jobq:{mail:0}:ready:high 7-8 7-8 |"
                                "XRANGE jobq:{mail:0}:parked - + COUNT 100 |"
                                "XRANGE jobq:{mail:0}:parked (7-8 + COUNT 100 |");
}

/* ---- replies ---- */

Test(claim, reads_all_of_alive_from_a_beat)
{
    redisReply *r =
        reply_of("*9\r\n+OK\r\n:1700000000000\r\n:3\r\n$1\r\na\r\n$1\r\n3\r\n$1\r\nb\r\n$1\r\nF\r\n"
                 "$1\r\nc\r\n$2\r\nxx\r\n");
    struct claim_beat b;
    struct claim_peer p;

    cr_assert_eq(claim_beat_reply(r, &b, NULL), JOBQ_OK);
    cr_assert(b.redis_ms == 1700000000000 && b.counter == 3 && b.peers == 3);
    cr_assert(claim_beat_peer(&b, 0, &p));
    cr_assert(!p.fenced && p.counter == 3 && p.len == 1 && p.name[0] == 'a');
    cr_assert(claim_beat_peer(&b, 1, &p));
    cr_assert(p.fenced && p.name[0] == 'b');
    cr_assert_not(claim_beat_peer(&b, 2, &p), "its counter is no number");
    cr_assert_not(claim_beat_peer(&b, 3, &p), "there is no fourth");
    freeReplyObject(r);
}

struct seen {
    size_t n;
    struct claim_entry e[8];
};

static void note(void *ctx, const struct claim_entry *e)
{
    struct seen *s = ctx;

    cr_assert_lt(s->n, ARRAY_LEN(s->e));
    s->e[s->n++] = *e;
}

Test(claim, reads_entries_of_several_partitions_and_lanes)
{
    redisReply *r = reply_of(
        "*2\r\n"
        "*2\r\n$28\r\njobq:{mail:0}:ready:normal__\r\n*0\r\n"
        "*2\r\n$23\r\njobq:{mail:1}:ready:low\r\n*0\r\n");
    const struct shard_keys *both[] = {&k, &other};
    struct seen s = {0};

    cr_assert_eq(claim_read_reply(r, both, 2, note, &s, NULL), JOBQ_EPROTO,
                 "a stream nobody named");
    freeReplyObject(r);
    r = reply_of("*2\r\n"
                 "*2\r\n$26\r\njobq:{mail:0}:ready:normal\r\n*3\r\n"
                 "*2\r\n$3\r\n5-1\r\n*4\r\n$1\r\nh\r\n$1\r\nA\r\n$1\r\np\r\n$2\r\nBB\r\n"
                 "*2\r\n$3\r\n5-2\r\n*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"
                 "*2\r\n$3\r\n5-3\r\n*-1\r\n"
                 "*2\r\n$23\r\njobq:{mail:1}:ready:low\r\n*1\r\n"
                 "*2\r\n$3\r\n5-1\r\n*4\r\n$1\r\np\r\n$1\r\nA\r\n$1\r\nh\r\n$2\r\nBB\r\n");
    cr_assert_eq(claim_read_reply(r, both, 2, note, &s, NULL), JOBQ_OK);
    cr_assert_eq(s.n, 4);
    cr_assert(s.e[0].shard == 0 && s.e[0].lane == LANE_NORMAL && s.e[0].id.ms == 5 &&
              s.e[0].id.seq == 1);
    cr_assert(s.e[0].h_len == 1 && s.e[0].h[0] == 'A' && s.e[0].p_len == 2);
    cr_assert(!s.e[1].h && s.e[1].fields && s.e[1].fields->elements == 2,
              "other fields are no job");
    cr_assert(!s.e[2].h && !s.e[2].fields, "an entry that is gone");
    cr_assert(s.e[3].shard == 1 && s.e[3].lane == LANE_LOW && !s.e[3].h,
              "the order of the fields counts");
    freeReplyObject(r);
    s.n = 0;
    r = reply_of("*-1\r\n");
    cr_assert_eq(claim_read_reply(r, both, 2, note, &s, NULL), JOBQ_OK);
    cr_assert_eq(s.n, 0);
    freeReplyObject(r);
}

Test(claim, knows_what_became_of_each_failed_job)
{
    redisReply *r = reply_of("*4\r\n+OK\r\n$5\r\nMOVED\r\n$6\r\nMERGED\r\n$5\r\nSTALE\r\n");
    enum claim_fate fates[4] = {CLAIM_STALE, CLAIM_STALE, CLAIM_MOVED, CLAIM_MERGED};

    cr_assert_eq(claim_fail_reply(r, fates, 4, NULL), JOBQ_EPROTO);
    cr_assert_eq(claim_fail_reply(r, fates, 2, NULL), JOBQ_EPROTO);
    cr_assert_eq(fates[0], CLAIM_STALE, "untouched");
    cr_assert_eq(claim_fail_reply(r, fates, 3, NULL), JOBQ_OK);
    cr_assert(fates[0] == CLAIM_MOVED && fates[1] == CLAIM_MERGED && fates[2] == CLAIM_STALE);
    freeReplyObject(r);
    r = reply_of("*2\r\n+OK\r\n$4\r\nGONE\r\n");
    cr_assert_eq(claim_fail_reply(r, fates, 1, NULL), JOBQ_EPROTO);
    freeReplyObject(r);
}

Test(claim, takes_values_that_are_not_bytes_for_no_job)
{
    redisReply *r =
        reply_of("*1\r\n*2\r\n$3\r\n5-1\r\n*4\r\n$1\r\nh\r\n$1\r\nA\r\n$1\r\np\r\n:1\r\n");
    struct claim_entry e;
    bool found = false;

    cr_assert_eq(claim_fetch_reply(r, LANE_LOW, &e, &found, NULL), JOBQ_OK);
    cr_assert(found && e.lane == LANE_LOW && e.fields && !e.h && e.h_len == 0);
    freeReplyObject(r);
}

Test(claim, will_not_write_a_call_that_says_nothing, .signal = SIGABRT)
{
    claim_ack(&out, &k, LANE_HIGH, "me", 1, NULL, 0);
}

Test(claim, will_not_block_for_ever, .signal = SIGABRT)
{
    const struct shard_keys *one[] = {&k};

    claim_read_blocking(&out, one, 1, "me", 0);
}

static void ignore_entry(void *ctx, const struct claim_entry *e)
{
    struct job_header h;

    (void)ctx;
    if (e->h)
        (void)codec_decode(e->h, e->h_len, &h, NULL);
}

static void ignore_id(void *ctx, const struct entry_id *id)
{
    (void)ctx;
    (void)id;
}

/* All parsers on one reply; how[] gets their answers. */
#define PARSERS 14
static void parse_all(const redisReply *r, int how[PARSERS], jobq_err *err)
{
    const struct shard_keys *both[] = {&k, &other};
    struct claim_beat beat;
    struct claim_peer peer;
    struct claim_entry entry;
    struct claim_move move;
    enum claim_fate fates[2];
    int64_t n;
    bool b;

    how[0] = claim_register_reply(r, &n, err);
    how[1] = claim_beat_reply(r, &beat, err);
    for (size_t i = 0; how[1] == JOBQ_OK && i < beat.peers; i++)
        (void)claim_beat_peer(&beat, i, &peer);
    how[2] = claim_leave_reply(r, &b, &n, err);
    how[3] = claim_ack_reply(r, &n, err);
    how[4] = claim_fail_reply(r, fates, 2, err);
    how[5] = claim_move_reply(r, &move, err);
    how[6] = claim_fence_reply(r, err);
    how[7] = claim_reap_reply(r, &b, &n, err);
    how[8] = claim_sweep_reply(r, &n, err);
    how[9] = claim_unpark_reply(r, &n, err);
    how[10] = claim_read_reply(r, both, 2, ignore_entry, NULL, err);
    how[11] = claim_pending_reply(r, ignore_id, NULL, err);
    how[12] = claim_fetch_reply(r, LANE_HIGH, &entry, &b, err);
    how[13] = claim_parked_reply(r, ignore_entry, NULL, err);
}

static void assert_all(const char *wire, int script, int plain)
{
    redisReply *r = wire ? reply_of(wire) : NULL;
    int how[PARSERS];
    jobq_err err = {0};

    parse_all(r, how, &err);
    for (int i = 0; i < PARSERS; i++)
        cr_assert_eq(how[i], i < 10 ? script : plain, "parser %d on %s: %d", i, wire, how[i]);
    cr_assert_neq(err.msg[0], '\0');
    freeReplyObject(r);
}

Test(claim, tells_refusals_from_failures)
{
    assert_all("*1\r\n+FENCED\r\n", JOBQ_EFENCED, JOBQ_EPROTO);
    assert_all("*1\r\n$6\r\nEXISTS\r\n", JOBQ_ESTATE, JOBQ_EPROTO);
    assert_all("*2\r\n$7\r\nCHANGED\r\n:1\r\n", JOBQ_ESTATE, JOBQ_EPROTO);
    assert_all("-OOM command not allowed\r\n", JOBQ_EREDIS, JOBQ_EREDIS);
    assert_all(":5\r\n", JOBQ_EPROTO, JOBQ_EPROTO);
    assert_all("$2\r\nOK\r\n", JOBQ_EPROTO, JOBQ_EPROTO);
    assert_all("*1\r\n*1\r\n$2\r\nOK\r\n", JOBQ_EPROTO, JOBQ_EPROTO);
    assert_all(NULL, JOBQ_EPROTO, JOBQ_EPROTO);
}

Test(claim, keeps_the_text_of_an_error)
{
    redisReply *r = reply_of("-NOGROUP No such key\r\n");
    jobq_err err = {0};
    int64_t n;

    cr_assert_eq(claim_ack_reply(r, &n, &err), JOBQ_EREDIS);
    cr_assert_str_eq(err.msg, "ack: NOGROUP No such key");
    freeReplyObject(r);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Replies of any shape, made of the words that real ones have: no crash, no read past an end. */
static size_t write_any(char *wire, size_t size, uint32_t *state, int depth)
{
    static const char *const leaves[] = {"$2\r\nOK\r\n",
                                         ":1\r\n",
                                         ":-7\r\n",
                                         "$-1\r\n",
                                         "*-1\r\n",
                                         "$3\r\n5-1\r\n",
                                         "$1\r\nh\r\n",
                                         "$1\r\np\r\n",
                                         "$0\r\n\r\n",
                                         "-ERR x\r\n",
                                         "$1\r\nF\r\n",
                                         "$5\r\nMOVED\r\n",
                                         "*0\r\n",
                                         "$23\r\njobq:{mail:1}:ready:low\r\n",
                                         "$29\r\njobq:{mail:0}:ready:recovered\r\n"};
    size_t n = next_random(state) % 6;
    size_t len;

    if (depth == 0 || next_random(state) % 3 == 0)
        return (size_t)snprintf(wire, size, "%s", leaves[next_random(state) % ARRAY_LEN(leaves)]);
    len = (size_t)snprintf(wire, size, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++)
        len += write_any(wire + len, size - len, state, depth - 1);
    return len;
}

Test(claim, takes_replies_of_any_shape)
{
    uint32_t state = 77;
    size_t fine = 0;

    for (int i = 0; i < 30000; i++) {
        static char wire[1 << 16];
        size_t len = write_any(wire, sizeof(wire), &state, 5);
        redisReply *r = parse(wire, len);
        int how[PARSERS];

        cr_assert(r);
        parse_all(r, how, NULL);
        for (int j = 0; j < PARSERS; j++)
            fine += how[j] == JOBQ_OK;
        freeReplyObject(r);
    }
    cr_assert_gt(fine, 1000, "only %zu accepted", fine);
}
