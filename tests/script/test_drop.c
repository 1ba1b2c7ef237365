/* SPDX-License-Identifier: MIT */
/* Dead letters beyond a number or an age: exactly those go, and what went is in the books. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/inspect_audit.h"
#include "tests/script/acting.h"

ACTING_SUITE(drop);

#define HOUR_MS INT64_C(3600000)

static int drop_by(const char *name, struct claim_drop limits, struct claim_dropped *out)
{
    jobq_err err = {0};
    claim_drop(&s.out, &s.k, name, MINUTE, &limits);
    redisReply *r = shard_call(&s);
    int rc = claim_drop_reply(r, out, &err);
    freeReplyObject(r);
    return rc;
}

static struct claim_dropped drop(struct claim_drop limits)
{
    struct claim_dropped d = {0};
    cr_assert_eq(drop_by("a", limits, &d), JOBQ_OK);
    return d;
}

static long long letters(void)
{
    return shard_int(&s, "XLEN %s", s.k.dead);
}

static void add_letters(uint64_t count)
{
    for (uint64_t n = 1; n <= count; n++)
        add_dead(n, NULL, "{}");
}

/* Letter n died so long ago. */
static void add_aged(uint64_t n, int64_t age_ms)
{
    shard_run(&s, "XADD %s %lld-%llu h x p y reason corrupt error no by x", s.k.dead,
              (long long)(shard_time_ms(&s) - age_ms), (unsigned long long)n);
}

static long long total_dropped(void)
{
    return shard_int(&s, "HGET %s dropped", s.k.totals);
}

static void check_balance(long long died, long long dropped)
{
    struct inspect_books b;
    cr_assert_eq(inspect_books(&in, &s.k, &b, NULL), JOBQ_OK);
    cr_assert(b.settled && b.died == died && b.dropped == dropped);
    cr_assert_eq(b.died, b.dead + b.revived + b.discarded + b.dropped);
}

Test(drop, keeps_exactly_the_newest_so_many)
{
    add_letters(30);
    struct claim_dropped d = drop((struct claim_drop){.keep = 30, .most = 500});
    cr_assert(d.dropped == 0 && d.left == 30 && !d.more && d.oldest_ms == -1);
    d = drop((struct claim_drop){.keep = 29, .most = 500});
    cr_assert(d.dropped == 1 && d.left == 29 && !d.more);
    d = drop((struct claim_drop){.keep = 7, .most = 500});
    cr_assert(d.dropped == 22 && d.left == 7 && !d.more);
    size_t n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    cr_assert_eq(n, 7);
    for (size_t i = 0; i < n; i++) {
        uint64_t number = number_of(&jobs[i]->header.id);
        cr_assert(number >= 24 && number <= 30, "%llu", (unsigned long long)number);
    }
    cr_assert(shard_stat(&s, "dropped") == 23 && total_dropped() == 23);
    check_balance(30, 23);
}

Test(drop, only_looks_where_it_may_drop_none)
{
    add_letters(30);
    struct claim_dropped d = drop((struct claim_drop){.keep = 7});
    cr_assert(d.dropped == 0 && d.left == 30 && d.more);
    d = drop((struct claim_drop){.most = 500});
    cr_assert(d.dropped == 0 && d.left == 30 && !d.more, "0: no limit");
    cr_assert_eq(letters(), 30);
    cr_assert_eq(shard_int(&s, "EXISTS %s", s.k.totals), 0);
    check_balance(30, 0);
}

Test(drop, drops_no_more_than_asked_in_a_call)
{
    add_letters(30);
    for (int call = 1; call <= 3; call++) {
        struct claim_dropped d = drop((struct claim_drop){.keep = 2, .most = 9});
        cr_assert(d.dropped == 9 && d.left == 30 - 9 * call && d.more, "call %d", call);
    }
    struct claim_dropped d = drop((struct claim_drop){.keep = 2, .most = 9});
    cr_assert(d.dropped == 1 && d.left == 2 && !d.more);
    check_balance(30, 28);
}

Test(drop, an_empty_partition_has_nothing_to_drop)
{
    struct claim_dropped d =
        drop((struct claim_drop){.keep = 1, .retention_ms = 1, .tell_ms = 1, .most = 500});
    cr_assert(d.dropped == 0 && d.left == 0 && !d.more && d.oldest_ms == -1);
    cr_assert_eq(shard_int(&s, "EXISTS %s %s", s.k.dead, s.k.totals), 0);
}

/* Many die in one millisecond: all of them are of one age, and the number parts them by sequence.
 */
Test(drop, ties_are_parted_by_number_and_not_by_age)
{
    int64_t then = shard_time_ms(&s) - 2 * HOUR_MS;
    for (unsigned n = 1; n <= 60; n++)
        shard_run(&s, "XADD %s %lld-%u h x p y", s.k.dead, (long long)then, n);
    struct claim_dropped d = drop((struct claim_drop){.keep = 50, .most = 500});
    cr_assert(d.dropped == 10 && d.left == 50);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 50);
    redisReply *r = redisCommand(s.c, "XRANGE %s - + COUNT 1", s.k.dead);
    cr_assert_str_eq(r->element[0]->element[0]->str, fmt("%lld-11", (long long)then));
    freeReplyObject(r);
    add_letters(1);
    d = drop((struct claim_drop){.retention_ms = HOUR_MS, .most = 500});
    cr_assert(d.dropped == 50 && d.left == 1 && !d.more);
    check_balance(61, 60);
}

Test(drop, age_takes_the_old_and_tells_of_those_that_will_be)
{
    add_aged(1, 5 * HOUR_MS);
    add_aged(2, 4 * HOUR_MS);
    add_aged(3, 2 * HOUR_MS);
    add_letters(1);
    struct claim_drop limits = {
        .retention_ms = 3 * HOUR_MS, .tell_ms = 2 * HOUR_MS - 1000, .most = 500};
    struct claim_dropped d = drop(limits);
    cr_assert(d.dropped == 2 && d.left == 2 && !d.more);
    cr_assert(d.oldest_ms >= 5 * HOUR_MS && d.oldest_ms < 6 * HOUR_MS, "the oldest before it");
    d = drop(limits);
    cr_assert(d.dropped == 0 && d.left == 2 && d.oldest_ms >= 2 * HOUR_MS, "will be, in an hour");
    limits.tell_ms = 3 * HOUR_MS - 1000;
    cr_assert_eq(drop(limits).oldest_ms, -1);
    check_balance(4, 2);
}

Test(drop, number_and_age_share_what_a_call_may_drop)
{
    for (uint64_t n = 1; n <= 40; n++)
        add_aged(n, (100 - (int64_t)n) * HOUR_MS);
    struct claim_drop limits = {.keep = 30, .retention_ms = HOUR_MS, .most = 25};
    struct claim_dropped d = drop(limits);
    cr_assert(d.dropped == 25 && d.left == 15 && d.more);
    d = drop(limits);
    cr_assert(d.dropped == 15 && d.left == 0 && !d.more);
    check_balance(40, 40);
}

/* Looking for the old reads payloads: large ones end a call early, and none is left out. */
Test(drop, a_call_reads_no_more_than_64_kib_and_eight)
{
    static char payload[20001];
    memset(payload, 'x', sizeof(payload) - 1);
    for (unsigned n = 1; n <= 60; n++)
        shard_run(&s, "XADD %s 7-%u h x p y", s.k.dead, n);
    shard_run(&s, "DEL %s", s.k.dead);
    for (unsigned n = 1; n <= 60; n++) {
        redisReply *r = redisCommand(s.c, "XADD %s 7-%u h x p %s", s.k.dead, n, payload);
        cr_assert_eq(r->type, REDIS_REPLY_STRING);
        freeReplyObject(r);
    }
    struct claim_drop limits = {.retention_ms = HOUR_MS, .most = 500};
    struct claim_dropped d = drop(limits);
    cr_assert(d.dropped == 9 && d.left == 51 && d.more, "one, then eight: %d", (int)d.dropped);
    for (int call = 0; d.more; call++) {
        cr_assert_lt(call, 6);
        d = drop(limits);
    }
    cr_assert_eq(letters(), 0);
    check_balance(60, 60);
}

/* What lies in `dead` may be anything: it is dropped as any other. */
Test(drop, entries_that_are_no_letters_go_too)
{
    shard_run(&s, "XADD %s 0-1 foo bar", s.k.dead);
    shard_run(&s, "XADD %s 3-1 h x h x h x", s.k.dead);
    struct claim_dropped d =
        drop((struct claim_drop){.retention_ms = HOUR_MS, .tell_ms = HOUR_MS / 2, .most = 500});
    cr_assert(d.dropped == 2 && d.left == 0 && d.oldest_ms > 1000 * HOUR_MS);
    /* One from the future never is old, and is counted as any other. */
    shard_run(&s, "XADD %s 18446744073709551615-1 foo bar", s.k.dead);
    shard_run(&s, "XADD %s 18446744073709551615-2 foo bar", s.k.dead);
    d = drop((struct claim_drop){.retention_ms = 1, .tell_ms = 1, .most = 500});
    cr_assert(d.dropped == 0 && d.left == 2 && d.oldest_ms == -1);
    d = drop((struct claim_drop){.keep = 1, .retention_ms = 1, .most = 500});
    cr_assert(d.dropped == 1 && d.left == 1);
}

/* An operator has looked; meanwhile jobd drops half of it. Each letter has one fate. */
Test(drop, of_retry_and_drop_one_gets_each_letter)
{
    size_t done = 0, open = 0;
    add_letters(100);
    size_t n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    cr_assert_eq(drop((struct claim_drop){.keep = 60, .most = 500}).dropped, 40);
    cr_assert_eq(control_revive(&in, &s.k, &act, jobs, n, NULL, 0, results, NULL), JOBQ_OK);
    size_t revived = 0, gone = 0;
    for (size_t i = 0; i < n; i++) {
        revived += results[i].fate == CONTROL_DONE;
        gone += results[i].fate == CONTROL_GONE;
    }
    cr_assert(revived == 60 && gone == 40);
    cr_assert_eq(length(LANE_NORMAL), 60);
    struct claim_dropped d = drop((struct claim_drop){.keep = 1, .most = 500});
    cr_assert(d.dropped == 0 && d.left == 0);
    cr_assert_eq(control_purge(&in, &s.k, &act, INSPECT_DEAD, jobs, n, &done, &open, NULL),
                 JOBQ_OK);
    cr_assert_eq(done, 0);
    check_balance(100, 40);
}

/* The job died, its key was given to another: dropping the letter takes it from nobody. */
Test(drop, frees_no_key_of_the_living)
{
    enum claim_fate fate;
    uint64_t holder;
    cr_assert_eq(enqueue_job(&s, 1, 0, 0, "k", NULL), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 1, &t);
    cr_assert_eq(fail_one(&s, "a", &t.job[0], CLAIM_DEAD, 0, &fate), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 2, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 0);
    add_letters(1);
    cr_assert_eq(drop((struct claim_drop){.keep = 1, .most = 500}).dropped, 1);
    cr_assert_eq(enqueue_job(&s, 3, 0, 0, "k", &holder), JOBQ_OK);
    cr_assert_eq(holder, 2);
    cr_assert_eq(length(LANE_NORMAL), 1);
}

Test(drop, the_fenced_drop_nothing)
{
    struct claim_dropped d;
    add_letters(5);
    cr_assert_eq(fence(&s, "b", "a", counter_of(&s, "a")), JOBQ_OK);
    cr_assert_eq(drop_by("a", (struct claim_drop){.keep = 1, .most = 500}, &d), JOBQ_EFENCED);
    cr_assert_eq(drop_by("nobody", (struct claim_drop){.keep = 1, .most = 500}, &d), JOBQ_EFENCED);
    cr_assert_eq(letters(), 5);
}

/* Nothing goes that could not be counted; nor does a full Redis keep what may go. */
Test(drop, drops_nothing_that_it_cannot_count)
{
    struct claim_dropped d;
    struct claim_drop limits = {.keep = 1, .most = 500};
    add_letters(5);
    shard_run(&s, "SET %s x", s.k.totals);
    cr_assert_eq(drop_by("a", limits, &d), JOBQ_EREDIS);
    cr_assert_eq(letters(), 5);
    shard_run(&s, "DEL %s", s.k.totals);
    static const char *const rights[] = {"-xtrim", "-xdel", "-hincrby", "-expire"};
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        shard_run(&s, "ACL SETUSER default %s", rights[i]);
        cr_assert_eq(drop_by("a", limits, &d), JOBQ_EREDIS, "%s", rights[i]);
        shard_run(&s, "ACL SETUSER default +@all");
        cr_assert_eq(letters(), 5);
    }
    shard_run(&s, "CONFIG SET maxmemory 1");
    cr_assert_eq(drop(limits).dropped, 4);
    check_balance(5, 4);
}
