/* SPDX-License-Identifier: MIT */
/* trim: what stays of the entries of done jobs, and that nothing else goes with them (G12). */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/script/pair.h"

#define KEPT 4096

PAIR_SUITE(trim);

Test(trim, drops_up_to_the_lowest_pending_entry)
{
    struct held first;
    int64_t acked;

    add_many(LANE_NORMAL, 0, 10);
    take(&s, "a", LANE_NORMAL, 8, &t);
    first = t.job[0];
    cr_assert_eq(ack(&s, "a", t.job + 4, 4, &acked), JOBQ_OK);
    cr_assert_eq(length(LANE_NORMAL), 10, "0 holds all");
    cr_assert_eq(ack(&s, "a", t.job + 1, 2, &acked), JOBQ_OK);
    cr_assert_eq(ack(&s, "a", &first, 1, &acked), JOBQ_OK);
    cr_assert_eq(length(LANE_NORMAL), 7, "0, 1, 2 are gone, 3 is pending");
    cr_assert_eq(ack(&s, "a", t.job + 3, 1, &acked), JOBQ_OK);
    cr_assert_eq(length(LANE_NORMAL), 2, "8 and 9 were never delivered");
    take(&s, "b", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 2 && t.job[0].n == 8 && t.job[1].n == 9);
}

/* Out of order between two owners: nothing stays for ever once nothing is pending. */
Test(trim, leaves_nothing_behind_when_all_is_done)
{
    static struct taken of_b;

    add_many(LANE_NORMAL, 0, 10);
    take(&s, "a", LANE_NORMAL, 5, &t);
    take(&s, "b", LANE_NORMAL, 5, &of_b);
    ack_all("b", &of_b);
    cr_assert_eq(length(LANE_NORMAL), 10);
    ack_all("a", &t);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

Test(trim, trims_behind_the_last_possible_number)
{
    static const char *const last[] = {"7-18446744073709551615", "1999-18446744073709551614",
                                       "99999999999999999-18446744073709551615",
                                       "18446744073709551614-9999999"};

    for (size_t i = 0; i < ARRAY_LEN(last); i++) {
        shard_run(&s, "XADD %s %s h x p y", s.k.lanes[LANE_HIGH], last[i]);
        take(&s, "a", LANE_HIGH, 1, &t);
        ack_all("a", &t);
        cr_assert_eq(length(LANE_HIGH), 0, "%s", last[i]);
    }
}

/* ◆ delivery.md 5, trim: a long job holds the head; done entries behind it stay bounded, waiting
 * ones stay. */
Test(trim, bounds_what_stays_behind_a_long_job)
{
    struct held longest;
    uint64_t n = 1;

    add_many(LANE_NORMAL, 0, 1);
    take(&s, "a", LANE_NORMAL, 1, &t);
    longest = t.job[0];
    for (int round = 0; round < 90; round++) {
        add_many(LANE_NORMAL, n, 64);
        n += 64;
        take(&s, "b", LANE_NORMAL, 64, &t);
        cr_assert_eq(t.n, 64);
        ack_all("b", &t);
        cr_assert_leq(length(LANE_NORMAL), 1 + KEPT);
    }
    cr_assert_gt(length(LANE_NORMAL), KEPT - 100, "below the bound nothing is deleted one by one");
    add_many(LANE_NORMAL, n, 200);
    t.job[0] = longest;
    t.n = 1;
    ack_all("a", &t);
    cr_assert_eq(length(LANE_NORMAL), 200);
}

/* Redis tells no lag after a waiting entry was deleted: that must not switch the bound off, nor
 * cost waiting jobs. */
Test(trim, bounds_it_where_redis_tells_no_lag)
{
    struct entry_id doomed;
    char text[ENTRY_ID_TEXT_SIZE];
    uint64_t n = 1;

    add_many(LANE_NORMAL, 0, 1);
    take(&s, "a", LANE_NORMAL, 1, &t);
    add_many(LANE_NORMAL, 100000, 70 * 64);
    doomed = add_job(&s, LANE_NORMAL, 999999, NULL);
    add_many(LANE_NORMAL, 200000, 500);
    entry_id_format(&doomed, text);
    shard_run(&s, "XDEL %s %s", s.k.lanes[LANE_NORMAL], text);
    for (; n <= 70; n++) {
        take(&s, "b", LANE_NORMAL, 64, &t);
        ack_all("b", &t);
        cr_assert_leq(length(LANE_NORMAL) - 1 - (70 - (long long)n) * 64 - 500, KEPT);
    }
    take(&s, "b", LANE_NORMAL, 600, &t);
    cr_assert_eq(t.n, 500, "not one waiting job was deleted");
}

/* Started again from its AOF, Redis counts as waiting what was delivered long ago. */
Test(trim, bounds_it_where_redis_tells_too_much_lag)
{
    char text[ENTRY_ID_TEXT_SIZE];
    uint64_t n = 5001;

    add_many(LANE_NORMAL, 0, 5001);
    for (int round = 0; round < 5; round++) {
        take(&s, "b", LANE_NORMAL, 1000, &t);
        ack_all("b", &t);
    }
    take(&s, "a", LANE_NORMAL, 1, &t);
    entry_id_format(&t.job[0].entry, text);
    shard_run(&s, "XGROUP SETID %s jobq %s ENTRIESREAD 1", s.k.lanes[LANE_NORMAL], text);
    for (int round = 0; round < 90; round++) {
        add_many(LANE_NORMAL, n, 64);
        n += 64;
        take(&s, "b", LANE_NORMAL, 64, &t);
        ack_all("b", &t);
        cr_assert_leq(length(LANE_NORMAL), 1 + KEPT);
    }
}

/* Entries that somebody else acknowledged (or a group that was lost) are worked off from the head,
 * 100 a call. */
Test(trim, works_off_an_old_excess_a_hundred_at_a_time)
{
    struct held longest;
    struct held pending[3];
    int64_t acked;

    add_many(LANE_NORMAL, 0, 1);
    take(&s, "a", LANE_NORMAL, 1, &t);
    longest = t.job[0];
    add_many(LANE_NORMAL, 1, 6000);
    for (uint64_t done = 0; done < 6000; done += t.n) {
        take(&s, "b", LANE_NORMAL, 1000, &t);
        for (size_t i = 0; i < t.n; i++) {
            char text[ENTRY_ID_TEXT_SIZE];

            entry_id_format(&t.job[i].entry, text);
            if (done == 0 && i % 20 == 0 && i < 60)
                pending[i / 20] = t.job[i];
            else
                shard_run(&s, "XACK %s jobq %s", s.k.lanes[LANE_NORMAL], text);
        }
    }
    for (int call = 1; call <= 3; call++) {
        add_many(LANE_NORMAL, 10000 + (uint64_t)call, 1);
        take(&s, "b", LANE_NORMAL, 1, &t);
        ack_all("b", &t);
        /* of the first hundred four are pending; after that they are looked at again and again */
        cr_assert_eq(length(LANE_NORMAL), 6001 - 96 * call, "call %d", call);
    }
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 4);
    cr_assert_eq(ack(&s, "b", pending, 3, &acked), JOBQ_OK);
    cr_assert_eq(acked, 3);
    cr_assert_eq(ack(&s, "a", &longest, 1, &acked), JOBQ_OK);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

/* The lane as "7-1", "7-2"… so that ids are known. All are read by b; all but the first are done as
 * if by others. */
static void fill_done(uint64_t count)
{
    for (uint64_t n = 1; n <= count; n++)
        shard_run(&s, "XADD %s 7-%llu h x p y", s.k.lanes[LANE_LOW], (unsigned long long)n);
    while (take_and_lose(&s, "b", LANE_LOW, 1000) > 0)
        ;
    for (uint64_t n = 2; n <= count; n++)
        shard_run(&s, "XACK %s jobq 7-%llu", s.k.lanes[LANE_LOW], (unsigned long long)n);
}

/* A long backlog is no excess: done entries below the bound are left for the cheap trim. */
Test(trim, deletes_nothing_one_by_one_before_a_long_backlog)
{
    add_many(LANE_NORMAL, 0, 6000);
    take(&s, "a", LANE_NORMAL, 1, &t);
    take(&s, "b", LANE_NORMAL, 64, &t);
    ack_all("b", &t);
    cr_assert_eq(length(LANE_NORMAL), 6000);
}

/* Ids of different length: 7-999 comes before 7-4098. Deleting what was just acknowledged is
 * enough, so no walk. */
Test(trim, deletes_its_own_first)
{
    int64_t acked;

    fill_done(998);
    shard_run(&s, "XADD %s 7-999 h x p y", s.k.lanes[LANE_LOW]);
    take(&s, "a", LANE_LOW, 1, &t);
    for (uint64_t n = 1000; n <= KEPT + 2; n++)
        shard_run(&s, "XADD %s 7-%llu h x p y", s.k.lanes[LANE_LOW], (unsigned long long)n);
    while (take_and_lose(&s, "b", LANE_LOW, 1000) > 0)
        ;
    for (uint64_t n = 1000; n <= KEPT + 2; n++)
        shard_run(&s, "XACK %s jobq 7-%llu", s.k.lanes[LANE_LOW], (unsigned long long)n);
    cr_assert_eq(length(LANE_LOW), KEPT + 2);
    cr_assert_eq(ack(&s, "a", t.job, 1, &acked), JOBQ_OK);
    cr_assert_eq(acked, 1);
    cr_assert_eq(length(LANE_LOW), KEPT + 1);
    cr_assert_eq(shard_pending(&s, LANE_LOW), 1);
}

/* An id that its caller never had, of an entry that still waits, is not deleted with the others. */
Test(trim, never_deletes_what_was_not_delivered)
{
    int64_t acked;

    fill_done(KEPT + 50);
    shard_run(&s, "XADD %s 8-1 h x p y", s.k.lanes[LANE_LOW]);
    shard_run(&s, "XADD %s 8-2 h x p y", s.k.lanes[LANE_LOW]);
    take(&s, "a", LANE_LOW, 1, &t);
    t.job[1] = t.job[0];
    t.job[1].entry.seq = 2;
    cr_assert_eq(ack(&s, "a", t.job, 2, &acked), JOBQ_OK);
    cr_assert_eq(acked, 1);
    cr_assert_eq(take_and_lose(&s, "a", LANE_LOW, 10), 1);
    cr_assert_leq(length(LANE_LOW), KEPT + 2);
}

/* Walking the head reads payloads: large ones end the walk early. */
Test(trim, walks_no_further_than_64_kib)
{
    add_many(LANE_NORMAL, 0, 1);
    for (uint64_t n = 1; n <= 60; n++)
        add_job_of_size(&s, LANE_NORMAL, n, 20000);
    for (uint64_t n = 100; n < 100 + KEPT + 100; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    take(&s, "a", LANE_NORMAL, 1, &t);
    for (;;) {
        take(&s, "b", LANE_NORMAL, 1000, &t);
        if (t.n == 0)
            break;
        for (size_t i = 0; i < t.n; i++) {
            char text[ENTRY_ID_TEXT_SIZE];

            entry_id_format(&t.job[i].entry, text);
            shard_run(&s, "XACK %s jobq %s", s.k.lanes[LANE_NORMAL], text);
        }
    }
    cr_assert_eq(length(LANE_NORMAL), 1 + 60 + KEPT + 100);
    add_many(LANE_NORMAL, 99999, 1);
    take(&s, "b", LANE_NORMAL, 1, &t);
    ack_all("b", &t);
    cr_assert_eq(length(LANE_NORMAL), 1 + 60 + KEPT + 100 - 8,
                 "itself, and eight of the large ones");
}
