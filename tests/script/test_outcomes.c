/* SPDX-License-Identifier: MIT */
/* ack and fail: what becomes of a job (G13, G26, G28, G29, G34). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/script/pair.h"

PAIR_SUITE(outcomes);

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
    cr_assert_eq(shard_int(&s, "TTL %s:unique:k1", s.k.base), -1,
                 "while its job lives it has no expiry");
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
    cr_assert_eq(shard_int(&s, "HSTRLEN %s %s", s.k.held, id_text(7)),
                 (long long)(4 + job.h_len + job.p_len));
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
    cr_assert_eq(fail_one(&s, "a", &job, CLAIM_RECOVERED, 0, &fate), JOBQ_OK,
                 "from recovered to recovered");
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

/* A job stored twice under one id after UNKNOWN: the second copy to fail is merged into the
 * first. */
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

        f[i] = (struct claim_failed){.entry = job->entry,
                                     .has_id = true,
                                     .id = job->header.id,
                                     .h = job->h,
                                     .h_len = job->h_len,
                                     .p = job->p,
                                     .p_len = job->p_len,
                                     .delay_ms = 9000};
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
    cr_assert(shard_stat(&s, "retried") == 1 && shard_stat(&s, "expired") == 1 &&
              shard_stat(&s, "released") == 1);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

/* A broken entry has neither id nor header: its raw fields become the payload of the dead
 * letter. */
Test(outcomes, buries_what_has_no_header)
{
    struct claim_failed f = {.action = CLAIM_DEAD,
                             .reason = CLAIM_CORRUPT,
                             .count = CLAIM_COUNT_CORRUPT,
                             .error = "no fields h, p",
                             .error_len = 14,
                             .p = "foo\0bar",
                             .p_len = 7,
                             .unique = "k",
                             .unique_len = 1};
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
