/* SPDX-License-Identifier: MIT */
/* depth: what waits, whatever was read, acknowledged and deleted before. */
#include <criterion/criterion.h>

#include "broker/publish.h"
#include "tests/script/pair.h"

PAIR_SUITE(depth);

static struct publish_depth depth_now(void)
{
    struct publish_depth d = {.delayed = -1};
    jobq_err err;
    publish_ask_depth(&s.out, &s.k);
    redisReply *r = shard_call(&s);
    cr_assert_eq(publish_depth_reply(r, &d, &err), JOBQ_OK, "%s", err.msg);
    freeReplyObject(r);
    return d;
}

static void expect(int64_t recovered, int64_t high, int64_t normal, int64_t low)
{
    struct publish_depth d = depth_now();
    int64_t wanted[LANE_COUNT] = {recovered, high, normal, low};
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        cr_assert_eq(d.ready[lane], wanted[lane], "%s: %lld", keys_lane_name((enum lane)lane),
                     (long long)d.ready[lane]);
        cr_assert_eq(d.oldest_ms[lane] >= 0, wanted[lane] > 0);
    }
}

Test(depth, is_zero_where_there_is_nothing)
{
    struct publish_depth d;
    expect(0, 0, 0, 0);
    shard_run(&s, "FLUSHALL");
    expect(0, 0, 0, 0);
    d = depth_now();
    cr_assert(d.delayed == 0 && d.dead == 0 && d.parked == 0);
}

Test(depth, counts_what_nobody_was_given)
{
    int64_t acked, before = shard_time_ms(&s);
    for (uint64_t n = 0; n < 5; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    add_job(&s, LANE_HIGH, 5, NULL);
    expect(0, 1, 5, 0);
    take(&s, "a", LANE_NORMAL, 2, &t);
    expect(0, 1, 3, 0);
    cr_assert_eq(ack(&s, "a", t.job, 1, &acked), JOBQ_OK);
    expect(0, 1, 3, 0);
    struct publish_depth d = depth_now();
    cr_assert(d.oldest_ms[LANE_NORMAL] >= before && d.oldest_ms[LANE_NORMAL] <= shard_time_ms(&s));
    cr_assert_eq(bury(&s, "b", "a"), 1);
    expect(1, 1, 3, 0);
    take(&s, "b", LANE_NORMAL, 10, &t);
    take(&s, "b", LANE_HIGH, 10, &t);
    take(&s, "b", LANE_RECOVERED, 10, &t);
    expect(0, 0, 0, 0);
}

/* Redis does not know how far the group is once entries were deleted out of order. */
Test(depth, counts_on_when_entries_were_deleted)
{
    struct entry_id middle = {0, 0};
    char id[ENTRY_ID_TEXT_SIZE];
    for (uint64_t n = 0; n < 6; n++) {
        struct entry_id e = add_job(&s, LANE_LOW, n, NULL);
        if (n == 3)
            middle = e;
    }
    take(&s, "a", LANE_LOW, 2, &t);
    entry_id_format(&middle, id);
    shard_run(&s, "XDEL %s %s", s.k.lanes[LANE_LOW], id);
    expect(0, 0, 0, 3);
    take(&s, "a", LANE_LOW, 10, &t);
    expect(0, 0, 0, 0);
}

/* What a restart from the AOF leaves behind: the group is where it was, but Redis counts as if it
 * had read less. */
static void forget_reading(enum lane lane, int read)
{
    shard_run(&s, "XGROUP SETID %s jobq %llu-%llu ENTRIESREAD %d", s.k.lanes[lane],
              (unsigned long long)t.job[t.n - 1].entry.ms,
              (unsigned long long)t.job[t.n - 1].entry.seq, read);
}

Test(depth, is_not_misled_by_a_count_from_before_a_restart)
{
    for (uint64_t n = 0; n < 50; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_NORMAL, 50, &t);
    forget_reading(LANE_NORMAL, 1);
    expect(0, 0, 0, 0);
    for (uint64_t n = 50; n < 53; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    expect(0, 0, 3, 0);
    take(&s, "a", LANE_NORMAL, 2, &t);
    expect(0, 0, 1, 0);
}

Test(depth, counts_what_is_kept_elsewhere)
{
    enum claim_fate fate;
    for (uint64_t n = 0; n < 3; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_NORMAL, 3, &t);
    cr_assert_eq(fail_one(&s, "a", &t.job[0], CLAIM_LATER, 60000, &fate), JOBQ_OK);
    cr_assert_eq(fail_one(&s, "a", &t.job[1], CLAIM_DEAD, 0, &fate), JOBQ_OK);
    cr_assert_eq(fail_one(&s, "a", &t.job[2], CLAIM_PARKED, 0, &fate), JOBQ_OK);
    struct publish_depth d = depth_now();
    cr_assert(d.delayed == 1 && d.dead == 1 && d.parked == 1);
    expect(0, 0, 0, 0);
}
