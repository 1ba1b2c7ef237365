/* SPDX-License-Identifier: MIT */
/* enqueue, move, unpark: what starts later, once, or when somebody knows how (G4, G17, G31, G34,
 * G38, G43). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/resp.h"
#include "broker/script.h"
#include "tests/script/shard.h"

static struct shard s;
static struct taken t;
static redisContext *listener;

static void set_up(void)
{
    shard_open(&s, NULL);
    cr_assert_eq(join(&s, "a"), JOBQ_OK);
    listener = NULL;
}

static void tear_down(void)
{
    if (listener)
        redisFree(listener);
    shard_close(&s);
}

TestSuite(schedule, .init = set_up, .fini = tear_down);

static bool is_due(void *due)
{
    return shard_time_ms(&s) >= *(const int64_t *)due;
}

/* Until Redis's clock has passed this time. */
static void wait_for(int64_t due)
{
    cr_assert(wait_until(now_ms() + patience_ms(60000), is_due, &due));
}

static long long length(enum lane lane)
{
    return shard_int(&s, "XLEN %s", s.k.lanes[lane]);
}

/* ---- wake ---- */

static void listen(void)
{
    struct timeval limit = {.tv_sec = (time_t)(patience_ms(20000) / 1000)};

    listener = redisConnectUnix(s.redis->socket);
    cr_assert(listener && !listener->err);
    redisSetTimeout(listener, limit);
    freeReplyObject(redisCommand(listener, "SUBSCRIBE %s", s.k.wake));
}

/* The next message; a marker is sent behind, so "" says that there was none. */
static const char *heard(void)
{
    static char text[64];
    void *reply = NULL;

    shard_run(&s, "PUBLISH %s marker", s.k.wake);
    text[0] = '\0';
    for (;;) {
        const char *message;
        bool is_marker;

        cr_assert_eq(redisGetReply(listener, &reply), REDIS_OK);
        message = ((redisReply *)reply)->element[2]->str;
        is_marker = strcmp(message, "marker") == 0;
        cr_assert(is_marker || text[0] == '\0', "more than one message");
        if (!is_marker)
            snprintf(text, sizeof(text), "%s", message);
        freeReplyObject(reply);
        if (is_marker)
            return text;
    }
}

/* ---- enqueue ---- */

Test(schedule, admits_one_job_at_a_time_under_a_unique_key)
{
    uint64_t holder;

    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 0);
    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 1, "the same enqueue repeated");
    cr_assert_eq(enqueue_job(&s, 2, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 1);
    cr_assert_eq(enqueue_job(&s, 2, 60000, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 1, "nor is a delayed one stored");
    cr_assert_eq(enqueue_job(&s, 2, 0, 0, "other", &holder), JOBQ_OK);
    cr_assert_eq(holder, 0);
    cr_assert_eq(length(LANE_NORMAL), 2);
    cr_assert_eq(shard_int(&s, "EXISTS %s %s", s.k.later, s.k.held), 0);
}

/* After the end: a repeat of the same id is DUPLICATE, a new job is admitted. */
Test(schedule, tells_a_late_repeat_from_a_new_job)
{
    uint64_t holder;
    int64_t acked;

    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", &holder), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 1, &t);
    cr_assert_eq(ack(&s, "a", t.job, 1, &acked), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
    cr_assert_eq(enqueue_job(&s, 2, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 0);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k", s.k.base), id_text(2));
    cr_assert_eq(shard_int(&s, "TTL %s:unique:k", s.k.base), -1,
                 "and no expiry is left of the old one");
}

Test(schedule, holds_a_delayed_job_by_redis_time)
{
    int64_t before = shard_time_ms(&s);
    uint64_t holder;
    long long due;

    cr_assert_eq(enqueue_job(&s, 1, 60000, 0, NULL, &holder), JOBQ_OK);
    due = shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(1));
    cr_assert(due >= before + 60000 && due <= shard_time_ms(&s) + 60000);
    cr_assert_eq(length(LANE_NORMAL), 0);
    cr_assert_eq(enqueue_job(&s, 1, 5, 0, NULL, &holder), JOBQ_OK);
    cr_assert_eq(holder, 1, "an id that waits stays as it is");
    cr_assert_eq(shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(1)), due);
    cr_assert_eq(enqueue_job(&s, 2, -1, due + 7, NULL, &holder), JOBQ_OK);
    cr_assert_eq(shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(2)), due + 7);
}

Test(schedule, starts_at_once_what_is_due_already)
{
    uint64_t holder;
    int64_t now = shard_time_ms(&s);

    cr_assert_eq(enqueue_job(&s, 1, -1, now - 1, NULL, &holder), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 2, -1, 1, "k", &holder), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 2 && t.job[0].n == 1 && t.job[1].n == 2);
    cr_assert_eq(t.job[0].header.enqueued_ms, 0, "the entry's own time says it");
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 0);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k", s.k.base), id_text(2));
}

/* A repeat that arrives after the due time must not store what still waits a second time. */
Test(schedule, knows_a_waiting_job_when_its_repeat_comes_too_late)
{
    uint64_t holder;
    int64_t due = 0;

    /* It must not be due before it is there, on a machine however slow. */
    for (int64_t ahead = 30; shard_int(&s, "EXISTS %s", s.k.later) == 0; ahead *= 4) {
        cr_assert_lt(ahead, 100000);
        shard_run(&s, "XTRIM %s MAXLEN 0", s.k.lanes[LANE_NORMAL]);
        due = shard_time_ms(&s) + ahead;
        cr_assert_eq(enqueue_job(&s, 1, -1, due, NULL, &holder), JOBQ_OK);
    }
    wait_for(due + 1);
    cr_assert_eq(enqueue_job(&s, 1, -1, due, NULL, &holder), JOBQ_OK);
    cr_assert_eq(holder, 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

Test(schedule, wakes_for_a_new_earliest_time_only)
{
    char due[32];
    enum claim_fate fate;

    listen();
    cr_assert_eq(enqueue_job(&s, 1, 60000, 0, NULL, NULL), JOBQ_OK);
    snprintf(due, sizeof(due), "%lld", shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(1)));
    cr_assert_str_eq(heard(), due);
    cr_assert_eq(enqueue_job(&s, 2, 120000, 0, NULL, NULL), JOBQ_OK);
    cr_assert_str_eq(heard(), "");
    cr_assert_eq(enqueue_job(&s, 3, 30000, 0, NULL, NULL), JOBQ_OK);
    snprintf(due, sizeof(due), "%lld", shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(3)));
    cr_assert_str_eq(heard(), due);
    add_job(&s, LANE_NORMAL, 4, NULL);
    add_job(&s, LANE_NORMAL, 5, NULL);
    take(&s, "a", LANE_NORMAL, 2, &t);
    cr_assert_eq(fail_one(&s, "a", &t.job[0], CLAIM_LATER, 40000, &fate), JOBQ_OK);
    cr_assert_str_eq(heard(), "");
    cr_assert_eq(fail_one(&s, "a", &t.job[1], CLAIM_LATER, 10000, &fate), JOBQ_OK);
    snprintf(due, sizeof(due), "%lld", shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(5)));
    cr_assert_str_eq(heard(), due);
}

/* ---- move ---- */

Test(schedule, moves_what_is_due_to_its_own_lane)
{
    struct claim_move m;
    enum claim_fate fate;
    int64_t before, after;

    for (int lane = LANE_HIGH; lane <= LANE_LOW; lane++) {
        add_job(&s, (enum lane)lane, (uint64_t)lane, NULL);
        take(&s, "a", (enum lane)lane, 1, &t);
        cr_assert_eq(
            fail_one(&s, "a", &t.job[0], CLAIM_LATER, lane == LANE_LOW ? 3600000 : 0, &fate),
            JOBQ_OK);
    }
    before = shard_time_ms(&s);
    cr_assert_eq(enqueue_job(&s, 9, 20, 0, NULL, NULL), JOBQ_OK);
    after = shard_time_ms(&s);
    wait_for(after + 100);
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 3 && m.corrupt == 0 && !m.more);
    cr_assert_eq(m.next_due_ms, shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(LANE_LOW)));
    cr_assert(m.redis_ms >= after + 100 && m.redis_ms <= shard_time_ms(&s));
    take(&s, "a", LANE_HIGH, 10, &t);
    cr_assert(t.n == 1 && t.job[0].n == LANE_HIGH);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 2 && t.job[0].n == LANE_NORMAL && t.job[1].n == 9);
    cr_assert_str_eq(t.job[1].p, "{\"n\":9}");
    cr_assert(t.job[1].header.enqueued_ms >= before && t.job[1].header.enqueued_ms <= after,
              "not the move's time");
    cr_assert_eq(shard_int(&s, "HLEN %s", s.k.held), 1);
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 1);
    cr_assert_eq(shard_stat(&s, "moved"), 3);
}

Test(schedule, has_nothing_to_move)
{
    struct claim_move m;

    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 0 && m.corrupt == 0 && m.next_due_ms == -1 && !m.more);
}

static void hold(uint64_t n, const void *value, size_t len)
{
    shard_run(&s, "ZADD %s 1 %s", s.k.later, id_text(n));
    if (value)
        freeReplyObject(redisCommand(s.c, "HSET %s %s %b", s.k.held, id_text(n), value, len));
}

/* G43: an id without its entry, and an entry that does not parse, cost that job and nothing
 * else. */
Test(schedule, quarantines_what_it_cannot_move)
{
    static const char cut[] = "\x05\x00\x00\x00" "abcd";
    static const char negative[] = "\xff\xff\xff\xff" "abcd";
    struct claim_move m;
    redisReply *r;

    hold(1, NULL, 0);
    hold(2, cut, sizeof(cut) - 1);
    hold(3, negative, sizeof(negative) - 1);
    hold(4, "abc", 3);
    cr_assert_eq(enqueue_job(&s, 5, 20, 0, NULL, NULL), JOBQ_OK);
    wait_for(shard_time_ms(&s) + 30);
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 1 && m.corrupt == 4 && m.next_due_ms == -1);
    cr_assert_eq(shard_int(&s, "EXISTS %s %s", s.k.later, s.k.held), 0);
    r = redisCommand(s.c, "XRANGE %s - +", s.k.dead);
    cr_assert_eq(r->elements, 3, "there is nothing to keep of the first");
    cr_assert_eq(r->element[0]->element[1]->element[3]->len, sizeof(cut) - 1);
    cr_assert_arr_eq(r->element[0]->element[1]->element[3]->str, cut, sizeof(cut) - 1);
    cr_assert_str_eq(r->element[0]->element[1]->element[5]->str, "corrupt");
    cr_assert(strstr(r->element[0]->element[1]->element[7]->str, id_text(2)));
    freeReplyObject(r);
    cr_assert_eq(shard_stat(&s, "corrupt"), 4);
}

/* G38: the lane of another version's header is not known; its claimer will park it. */
Test(schedule, moves_other_headers_to_normal_unchanged)
{
    static const char newer[] = "\x02\x00\x00\x00" "\x02\x01" "pp";
    static const char empty[] = "\x00\x00\x00\x00" "pp";
    static const char lane3[] = "\x02\x00\x00\x00" "\x01\x03" "pp";
    struct claim_move m;

    hold(1, newer, sizeof(newer) - 1);
    hold(2, empty, sizeof(empty) - 1);
    hold(3, lane3, sizeof(lane3) - 1);
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert_eq(m.moved, 3);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 3 && t.odd == 3);
    cr_assert(t.job[0].h_len == 2 && memcmp(t.job[0].h, "\x02\x01", 2) == 0 && t.job[0].p_len == 2);
}

Test(schedule, moves_a_hundred_or_64_kib_at_a_time)
{
    static char large[40000];
    struct claim_move m;

    for (uint64_t n = 0; n < 250; n++)
        hold(n, "\x00\x00\x00\x00", 4);
    for (int64_t moved = 0; moved < 250; moved += m.moved) {
        cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
        cr_assert_eq(m.moved, moved < 200 ? 100 : 50);
        cr_assert_eq(m.more, moved < 200);
    }
    for (uint64_t n = 0; n < 5; n++)
        hold(n, large, sizeof(large));
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 2 && m.more);
}

Test(schedule, survives_times_beyond_reason)
{
    struct claim_move m;

    shard_run(&s, "ZADD %s inf %s", s.k.later, id_text(1));
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 0 && m.next_due_ms > shard_time_ms(&s) && !m.more);
    shard_run(&s, "ZADD %s -inf %s", s.k.later, id_text(2));
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert_eq(m.corrupt, 1);
    shard_run(&s, "ZADD %s 1.5 %s", s.k.later, id_text(3));
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert_eq(m.corrupt, 1);
    cr_assert_eq(enqueue_job(&s, 4, -1, INT64_MAX / 4, NULL, NULL), JOBQ_OK);
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert(m.moved == 0 && m.next_due_ms > shard_time_ms(&s));
}

/* A lane that cannot be written stops the call without repeating what was moved. */
Test(schedule, moves_nothing_twice_when_a_command_fails)
{
    struct claim_move m;
    redisReply *r;

    hold(1, "\x02\x00\x00\x00" "\x01\x00", 6);
    hold(2, "\x02\x00\x00\x00" "\x01\x02", 6);
    shard_run(&s, "DEL %s", s.k.lanes[LANE_LOW]);
    shard_run(&s, "SET %s x", s.k.lanes[LANE_LOW]);
    for (int i = 0; i < 3; i++) {
        claim_move(&s.out, &s.k, "a", MINUTE);
        r = shard_call(&s);
        cr_assert_eq(claim_move_reply(r, &m, NULL), JOBQ_EREDIS);
        freeReplyObject(r);
    }
    cr_assert_eq(length(LANE_NORMAL), 1);
    shard_run(&s, "DEL %s", s.k.lanes[LANE_LOW]);
    cr_assert_eq(move(&s, "a", &m), JOBQ_OK);
    cr_assert_eq(m.moved, 1);
    cr_assert_eq(length(LANE_LOW), 1);
}

/* ---- unpark ---- */

static struct entry_id parked[4];
static size_t parked_count;

static void note_parked(void *ctx, const struct claim_entry *e)
{
    (void)ctx;
    parked[parked_count++] = e->id;
}

static void list_parked(const struct entry_id *after)
{
    redisReply *r;

    parked_count = 0;
    claim_parked(&s.out, &s.k, after, 4);
    r = shard_call(&s);
    cr_assert_eq(claim_parked_reply(r, note_parked, NULL, NULL), JOBQ_OK);
    freeReplyObject(r);
}

Test(schedule, gives_back_a_parked_job_once)
{
    struct job_header before = {
        .attempts = 2, .crashes = 1, .losses = 3, .releases = 4, .enqueued_ms = 77};
    enum claim_fate fate;
    int64_t moved;

    for (uint64_t n = 1; n <= 3; n++)
        add_job(&s, LANE_NORMAL, n, &before);
    take(&s, "a", LANE_NORMAL, 3, &t);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(fail_one(&s, "a", &t.job[i], CLAIM_PARKED, 0, &fate), JOBQ_OK);
    list_parked(NULL);
    cr_assert_eq(parked_count, 3);
    list_parked(&parked[0]);
    cr_assert_eq(parked_count, 2, "a cursor goes on behind");
    list_parked(NULL);
    parked[3] = parked[0];
    cr_assert_eq(join(&s, "b"), JOBQ_OK);
    cr_assert_eq(unpark(&s, "b", parked, 1, &moved), JOBQ_OK);
    cr_assert_eq(moved, 1);
    cr_assert_eq(unpark(&s, "a", parked, 2, &moved), JOBQ_OK);
    cr_assert_eq(moved, 1, "two jobd that know the type");
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.parked), 1);
    take(&s, "a", LANE_RECOVERED, 10, &t);
    cr_assert(t.n == 2 && t.job[0].n == 1 && t.job[1].n == 2);
    cr_assert(t.job[0].header.attempts == 2 && t.job[0].header.crashes == 1 &&
              t.job[0].header.losses == 3);
    cr_assert(t.job[0].header.releases == 4 && t.job[0].header.enqueued_ms == 77);
}

Test(schedule, gives_back_large_jobs_a_few_at_a_time)
{
    static char large[50000];
    int64_t moved;

    for (int i = 0; i < 4; i++)
        freeReplyObject(redisCommand(s.c, "XADD %s * h x p %b", s.k.parked, large, sizeof(large)));
    list_parked(NULL);
    cr_assert_eq(unpark(&s, "a", parked, 4, &moved), JOBQ_OK);
    cr_assert_eq(moved, 2);
    cr_assert_eq(unpark(&s, "a", parked, 4, &moved), JOBQ_OK);
    cr_assert_eq(moved, 2);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.parked), 0);
}
