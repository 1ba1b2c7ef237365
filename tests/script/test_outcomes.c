/* SPDX-License-Identifier: MIT */
/* ack, fail, trim: what becomes of a job, and what stays of its entry (G12, G13, G26, G28, G29, G34). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/shard.h"

#define KEPT 4096

static struct shard s;
static struct taken t;

static void set_up(void)
{
    shard_open(&s, NULL);
    cr_assert_eq(join(&s, "a"), JOBQ_OK);
    cr_assert_eq(join(&s, "b"), JOBQ_OK);
}

static void tear_down(void)
{
    shard_close(&s);
}

TestSuite(outcomes, .init = set_up, .fini = tear_down);

static long long length(enum lane lane)
{
    return shard_int(&s, "XLEN %s", s.k.lanes[lane]);
}

static void add_many(enum lane lane, uint64_t first, uint64_t count)
{
    for (uint64_t n = first; n < first + count; n++)
        add_job(&s, lane, n, NULL);
}

static void ack_all(const char *name, const struct taken *jobs)
{
    int64_t acked;

    cr_assert_eq(ack(&s, name, jobs->job, jobs->n, &acked), JOBQ_OK);
    cr_assert_eq((size_t)acked, jobs->n);
}

/* ---- ack ---- */

Test(outcomes, acknowledges_once)
{
    int64_t acked;

    add_many(LANE_NORMAL, 0, 64);
    take(&s, "a", LANE_NORMAL, 64, &t);
    ack_all("a", &t);
    cr_assert_eq(ack(&s, "a", t.job, t.n, &acked), JOBQ_OK, "an answer lost and repeated");
    cr_assert_eq(acked, 0);
    cr_assert_eq(shard_stat(&s, "succeeded"), 64);
    cr_assert_eq(length(LANE_NORMAL), 0);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 0);
}

Test(outcomes, keeps_the_counters_of_a_minute_for_hours_only)
{
    char key[KEYS_MAX];
    long long ttl;

    add_many(LANE_NORMAL, 0, 2);
    take(&s, "a", LANE_NORMAL, 1, &t);
    ack_all("a", &t);
    keys_stats(&s.k, MINUTE, key, sizeof(key));
    ttl = shard_int(&s, "TTL %s", key);
    cr_assert(ttl > 10000 && ttl <= 10800);
    take(&s, "a", LANE_NORMAL, 1, &t);
    ack_all("a", &t);
    cr_assert_eq(shard_stat(&s, "succeeded"), 2);
}

/* ◆ delivery.md 3: an entry id is unique in one stream only; every handle is (lane, id). */
Test(outcomes, tells_equal_ids_of_two_lanes_apart)
{
    shard_run(&s, "XADD %s 5-1 h x p high", s.k.lanes[LANE_HIGH]);
    shard_run(&s, "XADD %s 5-1 h x p low", s.k.lanes[LANE_LOW]);
    take(&s, "a", LANE_LOW, 1, &t);
    take(&s, "a", LANE_HIGH, 1, &t);
    ack_all("a", &t);
    cr_assert_eq(length(LANE_HIGH), 0);
    cr_assert_eq(length(LANE_LOW), 1);
    cr_assert_eq(shard_pending(&s, LANE_LOW), 1);
}

static const char *unique_value(const char *key)
{
    return shard_text(&s, "GET %s:unique:%s", s.k.base, key);
}

Test(outcomes, frees_a_unique_key_for_ten_minutes_of_memory)
{
    struct held mixed[3];
    int64_t acked;
    long long ttl;

    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k1", NULL), JOBQ_OK);
    add_many(LANE_NORMAL, 2, 1);
    cr_assert_eq(enqueue_job(&s, 3, 0, 0, "k3", NULL), JOBQ_OK);
    cr_assert_str_eq(unique_value("k1"), id_text(1));
    cr_assert_eq(shard_int(&s, "TTL %s:unique:k1", s.k.base), -1, "while its job lives it has no expiry");
    take(&s, "a", LANE_NORMAL, 3, &t);
    memcpy(mixed, t.job, sizeof(mixed));
    cr_assert_eq(ack(&s, "a", mixed, 3, &acked), JOBQ_OK);
    cr_assert_eq(acked, 3);
    cr_assert_str_eq(unique_value("k1"), fmt("ended:%s", id_text(1)));
    cr_assert_str_eq(unique_value("k3"), fmt("ended:%s", id_text(3)));
    ttl = shard_int(&s, "PTTL %s:unique:k1", s.k.base);
    cr_assert(ttl > 590000 && ttl <= 600000);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

Test(outcomes, frees_no_key_that_is_another_s)
{
    int64_t acked;

    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", NULL), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 1, &t);
    shard_run(&s, "SET %s:unique:k %s", s.k.base, id_text(9));
    cr_assert_eq(ack(&s, "a", t.job, 1, &acked), JOBQ_OK);
    cr_assert_str_eq(unique_value("k"), id_text(9));
    shard_run(&s, "SET %s:unique:k %s", s.k.base, id_text(1));
    cr_assert_eq(ack(&s, "a", t.job, 1, &acked), JOBQ_OK);
    cr_assert_eq(acked, 0);
    cr_assert_str_eq(unique_value("k"), id_text(1), "not by an entry that was not pending");
}

Test(outcomes, says_nothing_happened_where_redis_lost_the_group)
{
    int64_t acked;

    add_many(LANE_NORMAL, 0, 3);
    take(&s, "a", LANE_NORMAL, 3, &t);
    shard_run(&s, "XGROUP DESTROY %s jobq", s.k.lanes[LANE_NORMAL]);
    cr_assert_eq(ack(&s, "a", t.job, 3, &acked), JOBQ_OK);
    cr_assert_eq(acked, 0);
    cr_assert_eq(length(LANE_NORMAL), 3, "and deletes nothing: they will be delivered again");
}

/* ---- trim (G12) ---- */

Test(outcomes, drops_up_to_the_lowest_pending_entry)
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
Test(outcomes, leaves_nothing_behind_when_all_is_done)
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

Test(outcomes, trims_behind_the_last_possible_number)
{
    static const char *const last[] = {"7-18446744073709551615", "1999-18446744073709551614",
                                       "99999999999999999-18446744073709551615", "18446744073709551614-9999999"};

    for (size_t i = 0; i < ARRAY_LEN(last); i++) {
        shard_run(&s, "XADD %s %s h x p y", s.k.lanes[LANE_HIGH], last[i]);
        take(&s, "a", LANE_HIGH, 1, &t);
        ack_all("a", &t);
        cr_assert_eq(length(LANE_HIGH), 0, "%s", last[i]);
    }
}

/* ◆ delivery.md 5, trim: a long job holds the head; done entries behind it stay bounded, waiting ones stay. */
Test(outcomes, bounds_what_stays_behind_a_long_job)
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

/* Redis tells no lag after a waiting entry was deleted: that must not switch the bound off, nor cost waiting jobs. */
Test(outcomes, bounds_it_where_redis_tells_no_lag)
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

/* Entries that somebody else acknowledged (or a group that was lost) are worked off from the head, 100 a call. */
Test(outcomes, works_off_an_old_excess_a_hundred_at_a_time)
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

/* The lane as "7-1", "7-2"… so that ids are known. All are read by b; all but the first are done as if by others. */
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
Test(outcomes, deletes_nothing_one_by_one_before_a_long_backlog)
{
    add_many(LANE_NORMAL, 0, 6000);
    take(&s, "a", LANE_NORMAL, 1, &t);
    take(&s, "b", LANE_NORMAL, 64, &t);
    ack_all("b", &t);
    cr_assert_eq(length(LANE_NORMAL), 6000);
}

/* Ids of different length: 7-999 comes before 7-4098. Deleting what was just acknowledged is enough, so no walk. */
Test(outcomes, deletes_its_own_first)
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
Test(outcomes, never_deletes_what_was_not_delivered)
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
Test(outcomes, walks_no_further_than_64_kib)
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
    cr_assert_eq(length(LANE_NORMAL), 1 + 60 + KEPT + 100 - 8, "itself, and eight of the large ones");
}

/* ---- fail ---- */

static struct held take_one(enum lane lane)
{
    take(&s, "a", lane, 1, &t);
    cr_assert_eq(t.n, 1);
    return t.job[0];
}

Test(outcomes, holds_a_retry_until_it_is_due)
{
    struct held job;
    enum claim_fate fate;
    int64_t before;
    int64_t due;

    cr_assert_eq(enqueue_job(&s, 7, 0, 0, "k", NULL), JOBQ_OK);
    job = take_one(LANE_NORMAL);
    before = shard_time_ms(&s);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_LATER, 60000, &fate), JOBQ_OK);
    cr_assert_eq(fate, CLAIM_MOVED);
    due = shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(7));
    cr_assert(due >= before + 60000 && due <= shard_time_ms(&s) + 60000);
    cr_assert_eq(shard_int(&s, "HSTRLEN %s %s", s.k.held, id_text(7)), (long long)(4 + job.h_len + job.p_len));
    cr_assert_eq(length(LANE_NORMAL), 0);
    cr_assert_eq(shard_stat(&s, "retried"), 1);
    cr_assert_str_eq(unique_value("k"), id_text(7), "it is not over");
}

Test(outcomes, writes_a_complete_dead_letter)
{
    struct held job;
    enum claim_fate fate;
    redisReply *r;
    redisReply *f;

    cr_assert_eq(enqueue_job(&s, 7, 0, 0, "k", NULL), JOBQ_OK);
    job = take_one(LANE_NORMAL);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_DEAD, 0, &fate), JOBQ_OK);
    r = redisCommand(s.c, "XRANGE %s - +", s.k.dead);
    cr_assert_eq(r->elements, 1);
    f = r->element[0]->element[1];
    cr_assert_eq(f->elements, 10);
    cr_assert_str_eq(f->element[0]->str, "h");
    cr_assert_eq(f->element[1]->len, job.h_len);
    cr_assert_arr_eq(f->element[1]->str, job.h, job.h_len);
    cr_assert_str_eq(f->element[2]->str, "p");
    cr_assert_str_eq(f->element[3]->str, "{\"n\":7}");
    cr_assert_str_eq(f->element[4]->str, "reason");
    cr_assert_str_eq(f->element[5]->str, "permanent");
    cr_assert_str_eq(f->element[6]->str, "error");
    cr_assert_str_eq(f->element[7]->str, "oops");
    cr_assert_str_eq(f->element[8]->str, "by");
    cr_assert_str_eq(f->element[9]->str, "a");
    freeReplyObject(r);
    cr_assert_str_eq(unique_value("k"), fmt("ended:%s", id_text(7)));
    cr_assert_eq(shard_stat(&s, "dead"), 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

Test(outcomes, parks_and_gives_back)
{
    struct held job;
    enum claim_fate fate;

    add_many(LANE_LOW, 1, 2);
    job = take_one(LANE_LOW);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_PARKED, 0, &fate), JOBQ_OK);
    cr_assert_eq(fate, CLAIM_MOVED);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.parked), 1);
    job = take_one(LANE_LOW);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_RECOVERED, 0, &fate), JOBQ_OK);
    cr_assert_eq(length(LANE_LOW), 0);
    job = take_one(LANE_RECOVERED);
    cr_assert_eq(job.n, 2);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_RECOVERED, 0, &fate), JOBQ_OK, "from recovered to recovered");
    cr_assert_eq(take_one(LANE_RECOVERED).n, 2);
    cr_assert_eq(shard_stat(&s, "parked"), 1);
    cr_assert_eq(shard_stat(&s, "crashed"), 2);
}

/* ◆ delivery.md 5: a fail for an entry that is not pending any more would make a second copy. */
Test(outcomes, copies_nothing_that_is_not_pending)
{
    struct held job;
    enum claim_fate fate;
    bool more;
    int64_t n;

    add_many(LANE_NORMAL, 1, 1);
    job = take_one(LANE_NORMAL);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_OK);
    cr_assert_eq(reap(&s, "b", "a", 20, &more, &n), JOBQ_OK);
    for (int action = CLAIM_LATER; action <= CLAIM_RECOVERED; action++) {
        cr_assert_eq(fail_one(&s, "a", &job, (enum claim_action)action, 1, &fate), JOBQ_EFENCED);
        cr_assert_eq(fail_one(&s, "b", &job, (enum claim_action)action, 1, &fate), JOBQ_OK);
        cr_assert_eq(fate, CLAIM_STALE);
    }
    cr_assert_eq(length(LANE_RECOVERED), 1);
    cr_assert_eq(shard_int(&s, "EXISTS %s %s %s %s", s.k.later, s.k.held, s.k.dead, s.k.parked), 0);
}

/* A job stored twice under one id after UNKNOWN: the second copy to fail is merged into the first. */
Test(outcomes, merges_two_copies_of_one_job)
{
    struct held job;
    enum claim_fate fate;
    long long due;

    add_many(LANE_NORMAL, 7, 1);
    add_many(LANE_NORMAL, 7, 1);
    job = take_one(LANE_NORMAL);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_LATER, 60000, &fate), JOBQ_OK);
    due = shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(7));
    job = take_one(LANE_NORMAL);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_LATER, 5, &fate), JOBQ_OK);
    cr_assert_eq(fate, CLAIM_MERGED);
    cr_assert_eq(shard_int(&s, "ZSCORE %s %s", s.k.later, id_text(7)), due, "stays as it is");
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 0);
    cr_assert(shard_stat(&s, "retried") == 1 && shard_stat(&s, "merged") == 1);
}

Test(outcomes, judges_each_job_of_a_call_alone)
{
    struct claim_failed f[4];
    enum claim_fate fates[4];
    redisReply *r;

    add_many(LANE_NORMAL, 1, 3);
    take(&s, "a", LANE_NORMAL, 3, &t);
    memset(f, 0, sizeof(f));
    for (size_t i = 0; i < 4; i++) {
        const struct held *job = &t.job[i % 3]; /* the first one twice */

        f[i] = (struct claim_failed){.entry = job->entry, .has_id = true, .id = job->header.id, .h = job->h,
                                     .h_len = job->h_len, .p = job->p, .p_len = job->p_len, .delay_ms = 9000};
    }
    f[1].action = CLAIM_DEAD;
    f[1].reason = CLAIM_EXPIRED;
    f[1].count = CLAIM_COUNT_EXPIRED;
    f[2].action = CLAIM_RECOVERED;
    f[2].count = CLAIM_COUNT_RELEASED;
    claim_fail(&s.out, &s.k, LANE_NORMAL, "a", MINUTE, f, 4);
    r = shard_call(&s);
    cr_assert_eq(claim_fail_reply(r, fates, 4, NULL), JOBQ_OK);
    freeReplyObject(r);
    cr_assert(fates[0] == CLAIM_MOVED && fates[1] == CLAIM_MOVED && fates[2] == CLAIM_MOVED);
    cr_assert_eq(fates[3], CLAIM_STALE);
    cr_assert(shard_stat(&s, "retried") == 1 && shard_stat(&s, "expired") == 1 && shard_stat(&s, "released") == 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

/* A broken entry has neither id nor header: its raw fields become the payload of the dead letter. */
Test(outcomes, buries_what_has_no_header)
{
    struct claim_failed f = {.action = CLAIM_DEAD, .reason = CLAIM_CORRUPT, .count = CLAIM_COUNT_CORRUPT,
                             .error = "no fields h, p", .error_len = 14, .p = "foo\0bar", .p_len = 7,
                             .unique = "k", .unique_len = 1};
    enum claim_fate fate;
    redisReply *r;

    shard_run(&s, "XADD %s * foo bar", s.k.lanes[LANE_NORMAL]);
    take(&s, "a", LANE_NORMAL, 1, &t);
    f.entry = t.job[0].entry;
    claim_fail(&s.out, &s.k, LANE_NORMAL, "a", MINUTE, &f, 1);
    r = shard_call(&s);
    cr_assert_eq(claim_fail_reply(r, &fate, 1, NULL), JOBQ_OK);
    freeReplyObject(r);
    cr_assert_eq(fate, CLAIM_MOVED);
    r = redisCommand(s.c, "XRANGE %s - +", s.k.dead);
    cr_assert_eq(r->element[0]->element[1]->element[3]->len, 7u);
    cr_assert_str_eq(r->element[0]->element[1]->element[5]->str, "corrupt");
    freeReplyObject(r);
    cr_assert_eq(shard_stat(&s, "corrupt"), 1);
}

/* G42: a command that fails inside the script must not cost the job. */
Test(outcomes, keeps_a_job_pending_whose_copy_cannot_be_written)
{
    struct held job;
    enum claim_fate fate;
    const char *broken[] = {s.k.later, s.k.dead, s.k.parked};

    add_many(LANE_NORMAL, 1, 1);
    job = take_one(LANE_NORMAL);
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        shard_run(&s, "SET %s x", broken[i]);
    for (int action = CLAIM_LATER; action <= CLAIM_PARKED; action++)
        cr_assert_eq(fail_one(&s, "a", &job, (enum claim_action)action, 1, &fate), JOBQ_EREDIS);
    shard_run(&s, "DEL %s", s.k.later);
    shard_run(&s, "SET %s x", s.k.held);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_LATER, 1, &fate), JOBQ_EREDIS);
    cr_assert_eq(shard_pending(&s, LANE_NORMAL), 1);
    shard_run(&s, "DEL %s", s.k.held);
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_LATER, 1, &fate), JOBQ_OK);
    cr_assert_eq(fate, CLAIM_MOVED);
}

Test(outcomes, trims_after_a_failure_too)
{
    enum claim_fate fate;

    add_many(LANE_NORMAL, 0, 5);
    take(&s, "a", LANE_NORMAL, 4, &t);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(fail_one(&s, "a", &t.job[i], CLAIM_DEAD, 0, &fate), JOBQ_OK);
    cr_assert_eq(length(LANE_NORMAL), 1);
}
