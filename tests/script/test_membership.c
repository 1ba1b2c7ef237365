/* SPDX-License-Identifier: MIT */
/* register, beat, fence, leave: who lives, and what it holds (G12 to G15); what becomes of the jobs
 * of the dead is in test_reap.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/pair.h"

PAIR_SUITE(membership);

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
    cr_assert_eq(shard_int(&s, "HLEN %s", s.k.info), 2,
                 "a beat that says nothing new takes nothing back");
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
