/* SPDX-License-Identifier: MIT */
/* reap, sweep: who gets the jobs of who does not live any more (G12 to G15). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/pair.h"

PAIR_SUITE(reap);

/* ---- reap ---- */

Test(reap, reaps_every_lane_and_forgets_the_dead)
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

Test(reap, does_not_reap_the_living)
{
    int64_t moved;
    bool more;

    add_job(&s, LANE_NORMAL, 1, NULL);
    take(&s, "a", LANE_NORMAL, 1, &t);
    cr_assert_eq(reap(&s, "b", "a", 20, &more, &moved), JOBQ_ESTATE);
    cr_assert_eq(reap(&s, "b", "nobody", 20, &more, &moved), JOBQ_ESTATE);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 1);
}

Test(reap, takes_only_what_belongs_to_the_dead)
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

Test(reap, flags_what_was_lost_too_often)
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
Test(reap, reaps_a_hundred_at_a_time)
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
Test(reap, reaps_large_jobs_one_by_one)
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

Test(reap, acknowledges_what_is_gone_from_the_stream)
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
Test(reap, carries_what_it_does_not_understand_unchanged)
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
Test(reap, copies_an_entry_from_beyond_time)
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
Test(reap, lets_two_reap_at_once)
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
Test(reap, finds_jobs_that_went_to_the_dead)
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

Test(reap, sweeps_past_lanes_that_are_not_there)
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

Test(reap, sweeps_nobody_who_lives)
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
