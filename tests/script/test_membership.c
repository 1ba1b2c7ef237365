/* SPDX-License-Identifier: MIT */
/* register, beat, fence, sweep, leave, reap: who lives, and who gets the jobs of who does not (G12
 * to G15). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/pair.h"

PAIR_SUITE(membership);

static long long consumers(enum lane lane)
{
    redisReply *r = redisCommand(s.c, "XINFO CONSUMERS %s jobq", s.k.lanes[lane]);
    long long n = (long long)r->elements;

    cr_assert_eq(r->type, REDIS_REPLY_ARRAY);
    freeReplyObject(r);
    return n;
}

/* ---- register, beat ---- */

Test(membership, takes_a_name_once)
{
    cr_assert_eq(join(&s, "a"), JOBQ_ESTATE);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(join(&s, "a"), JOBQ_ESTATE, "a fenced name neither");
    cr_assert_str_eq(shard_text(&s, "HGET %s a", s.k.alive), "F");
    cr_assert_str_eq(shard_text(&s, "HGET %s b", s.k.types), "t");
}

/* What is in a lane before anybody registered is not skipped: the group begins at 0, never at $. */
Test(membership, makes_the_groups_from_the_beginning)
{
    shard_run(&s, "FLUSHALL");
    add_job(&s, LANE_HIGH, 7, NULL);
    cr_assert_eq(join(&s, "c"), JOBQ_OK);
    take(&s, "c", LANE_HIGH, 10, &t);
    cr_assert(t.n == 1 && t.job[0].n == 7);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        cr_assert_eq(shard_pending(&s, (enum lane)lane), lane == LANE_HIGH);
}

Test(membership, says_why_it_cannot_register)
{
    redisReply *r;
    int64_t ms;
    jobq_err err = {0};

    shard_run(&s, "DEL %s", s.k.lanes[LANE_LOW]);
    shard_run(&s, "SET %s x", s.k.lanes[LANE_LOW]);
    claim_register(&s.out, &s.k, "c", "t");
    r = shard_call(&s);
    cr_assert_eq(claim_register_reply(r, &ms, &err), JOBQ_EREDIS);
    cr_assert(strstr(err.msg, "WRONGTYPE"), "%s", err.msg);
    freeReplyObject(r);
    cr_assert_eq(shard_int(&s, "HEXISTS %s c", s.k.alive), 0, "and is not half a member");
    cr_assert_eq(shard_int(&s, "HEXISTS %s c", s.k.types), 0);
}

Test(membership, tells_the_time_and_the_peers_with_each_beat)
{
    struct claim_beat b;
    int64_t before = shard_time_ms(&s);

    cr_assert_eq(beat(&s, "a", &b), JOBQ_OK);
    cr_assert(b.redis_ms >= before && b.redis_ms <= shard_time_ms(&s));
    cr_assert(b.counter == 1 && b.peers == 2);
    cr_assert_eq(beat(&s, "a", &b), JOBQ_OK);
    cr_assert_eq(b.counter, 2);
    cr_assert_eq(counter_of(&s, "b"), 0);
}

/* What somebody says of itself lives as long as it does, and costs no beat. */
Test(membership, says_something_of_itself_with_a_beat)
{
    bool more;
    int64_t n;

    cr_assert_eq(beat_saying(&s, "a", "{\"of\":\"a\"}"), JOBQ_OK);
    cr_assert_eq(beat_saying(&s, "b", "{}"), JOBQ_OK);
    cr_assert_str_eq(shard_text(&s, "HGET %s a", s.k.info), "{\"of\":\"a\"}");
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_OK);
    cr_assert_eq(shard_int(&s, "HLEN %s", s.k.info), 2, "a beat that says nothing new takes nothing back");
    cr_assert_eq(bury(&s, "b", "a"), 0);
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.info), 0);
    cr_assert_eq(beat_saying(&s, "a", "{}"), JOBQ_EFENCED);
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.info), 0, "a zombie says nothing");
    cr_assert_eq(leave(&s, "b", &more, &n), JOBQ_OK);
    cr_assert_eq(shard_int(&s, "EXISTS %s", s.k.info), 0);
}

Test(membership, beats_even_if_what_it_says_cannot_be_kept)
{
    shard_run(&s, "SET %s x", s.k.info);
    cr_assert_eq(beat_saying(&s, "a", "{}"), JOBQ_OK);
    cr_assert_eq(counter_of(&s, "a"), 1);
    shard_run(&s, "DEL %s", s.k.info);
}

/* ◆ delivery.md 4: a bare HINCRBY revives a zombie. */
Test(membership, revives_nobody_by_a_beat)
{
    cr_assert_eq(beat(&s, "nobody", NULL), JOBQ_EFENCED);
    cr_assert_eq(shard_int(&s, "HEXISTS %s nobody", s.k.alive), 0);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_EFENCED);
    cr_assert_str_eq(shard_text(&s, "HGET %s a", s.k.alive), "F");
    shard_run(&s, "HDEL %s a", s.k.alive);
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_EFENCED);
}

/* ---- fence ---- */

Test(membership, fences_only_who_did_not_beat_meanwhile)
{
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_OK);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_ESTATE);
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_OK, "still alive");
    cr_assert_eq(fence(&s, "b", "a", 2), JOBQ_OK);
    cr_assert_eq(fence(&s, "b", "a", 2), JOBQ_OK, "an answer lost and repeated");
    cr_assert_eq(fence(&s, "b", "gone", 0), JOBQ_ESTATE);
    cr_assert_eq(shard_int(&s, "HEXISTS %s gone", s.k.alive), 0);
}

/* G14: a fenced incarnation acknowledges nothing, retries nothing, fences nobody. */
Test(membership, leaves_a_zombie_no_power)
{
    struct held job;
    struct entry_id parked;
    enum claim_fate fate;
    struct claim_move m;
    int64_t n;
    bool more;

    add_job(&s, LANE_NORMAL, 1, NULL);
    take(&s, "a", LANE_NORMAL, 10, &t);
    job = t.job[0];
    shard_run(&s, "XADD %s * h x p y", s.k.parked);
    parked = job.entry;
    cr_assert_eq(enqueue_job(&s, 5, 1, 0, NULL, NULL), JOBQ_OK);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(ack(&s, "a", &job, 1, &n), JOBQ_EFENCED);
    for (int action = CLAIM_LATER; action <= CLAIM_RECOVERED; action++)
        cr_assert_eq(fail_one(&s, "a", &job, (enum claim_action)action, 5, &fate), JOBQ_EFENCED);
    cr_assert_eq(fence(&s, "a", "b", 0), JOBQ_EFENCED);
    cr_assert_eq(reap(&s, "a", "a", 20, &more, &n), JOBQ_EFENCED);
    cr_assert_eq(sweep(&s, "a", &n), JOBQ_EFENCED);
    cr_assert_eq(move(&s, "a", &m), JOBQ_EFENCED);
    cr_assert_eq(unpark(&s, "a", &parked, 1, &n), JOBQ_EFENCED);
    cr_assert_eq(leave(&s, "a", &more, &n), JOBQ_EFENCED);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 1, "its job is still there to be reaped");
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[LANE_RECOVERED]), 0);
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 1);
    cr_assert_eq(shard_int(&s, "EXISTS %s", s.k.dead), 0);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.parked), 1);
    cr_assert_eq(beat(&s, "b", NULL), JOBQ_OK);
}

/* ---- reap ---- */

Test(membership, reaps_every_lane_and_forgets_the_dead)
{
    int64_t moved;
    bool more = true;
    int64_t before = shard_time_ms(&s);
    struct entry_id first[LANE_COUNT];

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        first[lane] = add_job(&s, (enum lane)lane, 10 + (uint64_t)lane, NULL);
        take(&s, "a", (enum lane)lane, 10, &t);
        cr_assert_eq(t.n, 1);
    }
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_OK);
    cr_assert(moved == 4 && !more);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        cr_assert_eq(consumers((enum lane)lane), 0);
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.alive), 0);
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.types), 0);
    cr_assert_eq(shard_stat(&s, "reaped"), 4);
    cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_ESTATE, "gone");
    take(&s, "b", LANE_RECOVERED, 10, &t);
    cr_assert_eq(t.n, 4);
    for (size_t i = 0; i < 4; i++) {
        enum lane lane = (enum lane)(t.job[i].n - 10);

        cr_assert_eq(t.job[i].header.losses, 1);
        cr_assert_eq(t.job[i].header.flags & CODEC_FLAG_EXHAUSTED, 0);
        cr_assert_eq(t.job[i].header.enqueued_ms, (int64_t)first[lane].ms,
                     "it is the first entry's time");
        cr_assert_geq(t.job[i].header.enqueued_ms, before);
        cr_assert_str_eq(t.job[i].p, fmt("{\"n\":%d}", 10 + (int)lane));
        cr_assert_eq(lane == LANE_RECOVERED || keys_lane_of_flags(t.job[i].header.flags) == lane,
                     true);
    }
}

Test(membership, does_not_reap_the_living)
{
    int64_t moved;
    bool more;

    add_job(&s, LANE_NORMAL, 1, NULL);
    take(&s, "a", LANE_NORMAL, 1, &t);
    cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_ESTATE);
    cr_assert_eq(reap(&s, "b", "nobody", 20, &more, &moved), JOBQ_ESTATE);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 1);
}

Test(membership, takes_only_what_belongs_to_the_dead)
{
    for (uint64_t n = 0; n < 10; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_NORMAL, 3, &t);
    take(&s, "b", LANE_NORMAL, 4, &t);
    cr_assert_eq(bury(&s, "b", "a"), 3);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 4);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[LANE_NORMAL]), 7);
    cr_assert_eq(consumers(LANE_NORMAL), 1);
}

Test(membership, flags_what_was_lost_too_often)
{
    struct job_header lost = {.losses = 19};
    struct job_header at_budget = {.losses = 20};
    struct job_header saturated = {.losses = 255};

    add_job(&s, LANE_NORMAL, 1, &lost);
    add_job(&s, LANE_NORMAL, 2, &at_budget);
    add_job(&s, LANE_NORMAL, 3, &saturated);
    take(&s, "a", LANE_NORMAL, 3, &t);
    bury(&s, "b", "a");
    take(&s, "b", LANE_RECOVERED, 3, &t);
    cr_assert(t.job[0].header.losses == 20 && !(t.job[0].header.flags & CODEC_FLAG_EXHAUSTED));
    cr_assert(t.job[1].header.losses == 21 && (t.job[1].header.flags & CODEC_FLAG_EXHAUSTED));
    cr_assert(t.job[2].header.losses == 255 && (t.job[2].header.flags & CODEC_FLAG_EXHAUSTED));
}

/* A call stays short: 100 entries, and the consumer stays until nothing is left. */
Test(membership, reaps_a_hundred_at_a_time)
{
    int64_t moved;
    bool more = true;
    int calls = 0;

    for (uint64_t n = 0; n < 250; n++)
        add_job(&s, n % 2 ? LANE_LOW : LANE_HIGH, n, NULL);
    take(&s, "a", LANE_LOW, 250, &t);
    take(&s, "a", LANE_HIGH, 250, &t);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    while (more) {
        cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_OK);
        cr_assert_eq(moved, calls < 2 ? 100 : 50);
        cr_assert_eq(consumers(LANE_LOW), more ? 1 : 0);
        cr_assert_eq(shard_pending(&s, LANE_LOW) + shard_pending(&s, LANE_HIGH),
                     more ? 250 - 100 * (calls + 1) : 0);
        calls++;
    }
    cr_assert_eq(calls, 3);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[LANE_RECOVERED]), 250);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[LANE_LOW]), 0);
}

/* ◆ delivery.md 4: 100 × 256 KiB took 37 ms. One such entry is a call's work. */
Test(membership, reaps_large_jobs_one_by_one)
{
    int64_t moved;
    bool more = true;
    int calls = 0;

    for (uint64_t n = 0; n < 5; n++)
        add_job_of_size(&s, LANE_NORMAL, n, 256 * 1024);
    for (uint64_t n = 5; n < 8; n++)
        add_job_of_size(&s, LANE_NORMAL, n, 30 * 1024);
    take_and_lose(&s, "a", LANE_NORMAL, 10);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    for (; more; calls++) {
        cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_OK);
        cr_assert_eq(moved, calls < 5 ? 1 : 3);
    }
    cr_assert_eq(calls, 6);
    take(&s, "b", LANE_RECOVERED, 10, &t);
    cr_assert(t.n == 8 && t.job[0].p_len == 256 * 1024);
}

Test(membership, acknowledges_what_is_gone_from_the_stream)
{
    struct entry_id gone = add_job(&s, LANE_NORMAL, 1, NULL);
    char text[ENTRY_ID_TEXT_SIZE];

    add_job(&s, LANE_NORMAL, 2, NULL);
    take(&s, "a", LANE_NORMAL, 2, &t);
    entry_id_format(&gone, text);
    shard_run(&s, "XDEL %s %s", s.k.lanes[LANE_NORMAL], text);
    cr_assert_eq(bury(&s, "b", "a"), 1);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 0);
    cr_assert_eq(consumers(LANE_NORMAL), 0);
}

/* G43: what is no job of this format is carried on as it is, for its claimer to judge. */
Test(membership, carries_what_it_does_not_understand_unchanged)
{
    redisReply *r;
    char many[8192] = "";
    size_t len = 0;

    shard_run(&s, "XADD %s * foo bar", s.k.lanes[LANE_NORMAL]);
    shard_run(&s, "XADD %s * h \x02newer p x", s.k.lanes[LANE_NORMAL]);
    shard_run(&s, "XADD %s * h broken p y", s.k.lanes[LANE_NORMAL]);
    for (int i = 0; i < 600; i++)
        len += (size_t)snprintf(many + len, sizeof(many) - len, " k%d v", i);
    freeReplyObject(redisCommand(s.c, fmt("XADD %s *%s", s.k.lanes[LANE_NORMAL], many)));
    cr_assert_eq(take_and_lose(&s, "a", LANE_NORMAL, 10), 4);
    cr_assert_eq(bury(&s, "b", "a"), 4);
    r = redisCommand(s.c, "XRANGE %s - +", s.k.lanes[LANE_RECOVERED]);
    cr_assert_eq(r->elements, 4);
    cr_assert_str_eq(r->element[0]->element[1]->element[0]->str, "foo");
    cr_assert_str_eq(r->element[1]->element[1]->element[1]->str, "\x02newer");
    cr_assert_str_eq(r->element[2]->element[1]->element[1]->str, "broken");
    cr_assert_eq(r->element[3]->element[1]->elements, 2,
                 "too many fields to be passed on as they are");
    cr_assert_eq(strncmp(r->element[3]->element[1]->element[1]->str, "k0 v k1 v k2 v", 14), 0);
    freeReplyObject(r);
}

/* Entry ids are what XADD was told; the copy must stay readable. */
Test(membership, copies_an_entry_from_beyond_time)
{
    struct job_header h = {.type = "t", .type_len = 1};
    struct buf b;

    buf_init(&b, CODEC_HEADER_MAX);
    codec_encode(&h, &b);
    freeReplyObject(redisCommand(s.c, "XADD %s 18446744073709551614-1 h %b p y",
                                 s.k.lanes[LANE_NORMAL], b.data, b.len));
    buf_done(&b);
    take(&s, "a", LANE_NORMAL, 1, &t);
    cr_assert_eq(bury(&s, "b", "a"), 1);
    take(&s, "b", LANE_RECOVERED, 1, &t);
    cr_assert(t.n == 1 && t.odd == 0 && t.job[0].header.losses == 1);
    cr_assert_eq(t.job[0].header.enqueued_ms, 1LL << 53);
}

/* All jobd of a partition watch, so two may reap at once: the compare in the script makes doubles
 * harmless. */
Test(membership, lets_two_reap_at_once)
{
    int64_t sum = 0;
    int64_t moved;
    bool more = true;
    int turn = 0;

    cr_assert_eq(join(&s, "c"), JOBQ_OK);
    for (uint64_t n = 0; n < 450; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_NORMAL, 450, &t);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(fence(&s, "c", "a", 0), JOBQ_OK);
    for (; more; turn++) {
        cr_assert_eq(reap(&s, turn % 2 ? "b" : "c", "a", 20, &more, &moved), JOBQ_OK);
        sum += moved;
    }
    cr_assert_eq(reap(&s, turn % 2 ? "b" : "c", "a", 20, &more, &moved), JOBQ_ESTATE);
    cr_assert_eq(sum, 450);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[LANE_RECOVERED]), 450);
}

/* ---- sweep ---- */

/* ◆ delivery.md 4: a fenced jobd's read may still be in flight; it re-creates its consumer after
 * the reaping. */
Test(membership, finds_jobs_that_went_to_the_dead)
{
    int64_t fenced;

    cr_assert_eq(bury(&s, "b", "a"), 0);
    add_job(&s, LANE_HIGH, 1, NULL);
    add_job(&s, LANE_LOW, 2, NULL);
    cr_assert_eq(take_and_lose(&s, "a", LANE_HIGH, 1), 1);
    cr_assert_eq(take_and_lose(&s, "a", LANE_LOW, 1), 1);
    cr_assert_eq(sweep(&s, "b", &fenced), JOBQ_OK);
    cr_assert_eq(fenced, 1, "one name, though in two lanes");
    cr_assert_str_eq(shard_text(&s, "HGET %s a", s.k.alive), "F");
    cr_assert_eq(sweep(&s, "b", &fenced), JOBQ_OK);
    cr_assert_eq(fenced, 0);
    cr_assert_eq(bury(&s, "b", "a"), 2);
    take(&s, "b", LANE_RECOVERED, 10, &t);
    cr_assert_eq(t.n, 2);
}

Test(membership, sweeps_past_lanes_that_are_not_there)
{
    int64_t fenced;

    shard_run(&s, "DEL %s %s", s.k.lanes[LANE_RECOVERED], s.k.lanes[LANE_HIGH]);
    shard_run(&s, "XGROUP DESTROY %s jobq", s.k.lanes[LANE_NORMAL]);
    add_job(&s, LANE_LOW, 1, NULL);
    take_and_lose(&s, "zombie", LANE_LOW, 1);
    cr_assert_eq(sweep(&s, "b", &fenced), JOBQ_OK);
    cr_assert_eq(fenced, 1);
    cr_assert_eq(bury(&s, "b", "zombie"), 1);
}

Test(membership, sweeps_nobody_who_lives)
{
    int64_t fenced;

    add_job(&s, LANE_NORMAL, 1, NULL);
    add_job(&s, LANE_NORMAL, 2, NULL);
    take(&s, "a", LANE_NORMAL, 1, &t);
    take(&s, "b", LANE_NORMAL, 1, &t);
    cr_assert_eq(sweep(&s, "b", &fenced), JOBQ_OK);
    cr_assert_eq(fenced, 0);
    cr_assert_eq(beat(&s, "a", NULL), JOBQ_OK);
}

/* ---- leave ---- */

Test(membership, gives_back_everything_when_it_leaves)
{
    struct job_header before = {.releases = 4, .losses = 2, .attempts = 3, .crashes = 1};
    int64_t released;
    bool more = true;
    int64_t sum = 0;

    add_job(&s, LANE_HIGH, 1000, &before);
    for (uint64_t n = 0; n < 150; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_HIGH, 10, &t);
    take(&s, "a", LANE_NORMAL, 120, &t);
    take(&s, "b", LANE_NORMAL, 10, &t);
    for (int calls = 0; more; calls++) {
        cr_assert_lt(calls, 2);
        cr_assert_eq(leave(&s, "a", &more, &released), JOBQ_OK);
        sum += released;
    }
    cr_assert_eq(sum, 121);
    cr_assert_eq(leave(&s, "a", &more, &released), JOBQ_EFENCED, "gone already");
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.alive), 0);
    cr_assert_eq(shard_int(&s, "HEXISTS %s a", s.k.types), 0);
    cr_assert_eq(consumers(LANE_HIGH), 0);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 10, "b's are b's");
    take(&s, "b", LANE_RECOVERED, 200, &t);
    cr_assert_eq(t.n, 121);
    cr_assert(t.job[0].n == 1000 && t.job[0].header.releases == 5);
    cr_assert(t.job[0].header.losses == 2 && t.job[0].header.attempts == 3 &&
              t.job[0].header.crashes == 1);
    cr_assert(t.job[120].header.releases == 1 && t.job[120].header.enqueued_ms > 0);
}

Test(membership, leaves_what_it_took_from_recovered_there)
{
    int64_t released;
    bool more;

    for (uint64_t n = 0; n < 5; n++)
        add_job(&s, LANE_RECOVERED, n, NULL);
    take(&s, "a", LANE_RECOVERED, 3, &t);
    cr_assert_eq(leave(&s, "a", &more, &released), JOBQ_OK);
    cr_assert(!more && released == 3);
    take(&s, "b", LANE_RECOVERED, 10, &t);
    cr_assert_eq(t.n, 5);
    cr_assert(t.job[0].n == 3 && t.job[0].header.releases == 0);
    cr_assert(t.job[2].n == 0 && t.job[2].header.releases == 1);
}

/* ---- the audit ---- */

static struct entry_id ids[8];
static size_t id_count;

static void note_id(void *ctx, const struct entry_id *id)
{
    (void)ctx;
    cr_assert_lt(id_count, ARRAY_LEN(ids));
    ids[id_count++] = *id;
}

static void ask_pending(const char *name, const struct entry_id *after, size_t count)
{
    redisReply *r;

    id_count = 0;
    claim_pending(&s.out, &s.k, LANE_NORMAL, name, count, after);
    r = shard_call(&s);
    cr_assert_eq(claim_pending_reply(r, note_id, NULL, NULL), JOBQ_OK);
    freeReplyObject(r);
}

/* ◆ delivery.md 4: a read whose answer is lost leaves entries with a living owner who never saw
 * them. */
Test(membership, shows_what_a_lost_answer_brought)
{
    struct claim_entry e;
    redisReply *r;
    char text[ENTRY_ID_TEXT_SIZE];
    bool found;

    for (uint64_t n = 1; n <= 5; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "b", LANE_NORMAL, 1, &t);
    cr_assert_eq(take_and_lose(&s, "a", LANE_NORMAL, 3), 3);
    ask_pending("a", NULL, 2);
    cr_assert_eq(id_count, 2);
    ask_pending("a", &ids[1], 2);
    cr_assert_eq(id_count, 1);
    claim_fetch(&s.out, &s.k, LANE_NORMAL, &ids[0]);
    r = shard_call(&s);
    cr_assert_eq(claim_fetch_reply(r, LANE_NORMAL, &e, &found, NULL), JOBQ_OK);
    cr_assert(found && e.p_len == 7 && strncmp(e.p, "{\"n\":4}", 7) == 0);
    freeReplyObject(r);
    entry_id_format(&ids[0], text);
    shard_run(&s, "XDEL %s %s", s.k.lanes[LANE_NORMAL], text);
    claim_fetch(&s.out, &s.k, LANE_NORMAL, &ids[0]);
    r = shard_call(&s);
    cr_assert_eq(claim_fetch_reply(r, LANE_NORMAL, &e, &found, NULL), JOBQ_OK);
    cr_assert_not(found, "gone: to be acknowledged");
    freeReplyObject(r);
}
