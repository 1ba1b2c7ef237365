/* SPDX-License-Identifier: MIT */
/* What an operator's act leaves behind: its record, the counters, the books of dead letters. */
#include <stdlib.h>
#include <string.h>

#include "broker/inspect_audit.h"
#include "tests/script/acting.h"

ACTING_SUITE(audit);

static struct inspect_audit page;

/* The newest records, at most those of a page; valid until the next call. */
static const struct inspect_record *records(size_t expected)
{
    inspect_audit_done(&page);
    cr_assert_eq(inspect_audit(&in, &s.k, NULL, &page, NULL), JOBQ_OK);
    cr_assert_eq(page.n, expected, "%zu records", page.n);
    return page.records;
}

static bool is_text(struct inspect_text have, const char *text)
{
    return have.len == strlen(text) && memcmp(have.bytes, text, have.len) == 0;
}

static long long counted(const char *field)
{
    long long sum = 0;
    int64_t minute = shard_time_ms(&s) / 60000;
    for (int64_t m = minute - 5; m <= minute + 1; m++)
        sum += strtoll(shard_text(&s, "HGET %s:stats:%lld %s", s.k.base, (long long)m, field), NULL,
                       10);
    return sum;
}

static long long total(const char *field)
{
    return strtoll(shard_text(&s, "HGET %s %s", s.k.totals, field), NULL, 10);
}

Test(audit, an_act_leaves_one_record_however_many_calls_it_takes)
{
    char id[JOBQ_ID_TEXT_SIZE];
    add_many(LANE_NORMAL, 1, 300);
    for (uint64_t n = 1; n <= 5; n++)
        cr_assert_eq(enqueue_job(&s, 1000 + n, 60000, 0, NULL, NULL), JOBQ_OK);
    begin_act("too \"many\"\n\xc3\xa4");
    jobq_id_format(&act.id, id);
    int64_t before = shard_time_ms(&s);
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 300), 300);
    cr_assert_eq(purge_all(INSPECT_LATER, INSPECT_DELAYED, 5), 5);
    const struct inspect_record *r = records(1);
    cr_assert_eq(r->jobs, 305);
    cr_assert(r->began_ms >= before && r->at.ms >= (uint64_t)r->began_ms);
    cr_assert(is_text(r->act, id) && is_text(r->action, "purge") && is_text(r->by, "eve@web1") &&
              is_text(r->user, "op") && is_text(r->command, "queue purge \"q\"") &&
              is_text(r->note, "too \"many\"\n\xc3\xa4"));
    begin_act(NULL);
    add_job(&s, LANE_NORMAL, 2000, NULL);
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 1), 1);
    r = records(2);
    cr_assert(r[0].jobs == 1 && r[0].note.len == 0 && r[1].jobs == 305, "newest first");
    cr_assert(counted("purged") == 306 && total("purged") == 306);
    cr_assert(counted("revived") + counted("discarded") == 0);
}

Test(audit, retry_and_discard_are_recorded_as_what_they_are)
{
    for (uint64_t n = 1; n <= 100; n++)
        add_dead(n, NULL, "{}");
    cr_assert_eq(revive_all(NULL, 100), JOBQ_OK);
    for (uint64_t n = 1; n <= 7; n++)
        add_dead(200 + n, NULL, "{}");
    begin_act(NULL);
    cr_assert_eq(purge_all(INSPECT_DEAD, INSPECT_IS_DEAD, 7), 7);
    const struct inspect_record *r = records(2);
    cr_assert(is_text(r[0].action, "discard") && r[0].jobs == 7);
    cr_assert(is_text(r[1].action, "retry") && r[1].jobs == 100);
    cr_assert(counted("revived") == 100 && counted("discarded") == 7 && counted("purged") == 0);
    cr_assert(total("revived") == 100 && total("discarded") == 7);
}

Test(audit, what_a_worker_claimed_first_is_not_counted)
{
    size_t done = 0, open = 0;
    add_many(LANE_NORMAL, 1, 100);
    size_t n = gather(LANE_NORMAL, INSPECT_QUEUED, jobs);
    take(&s, "a", LANE_NORMAL, 70, &t);
    cr_assert_eq(control_purge(&in, &s.k, &act, LANE_NORMAL, jobs, n, &done, &open, NULL), JOBQ_OK);
    cr_assert(done == 30 && records(1)->jobs == 30 && total("purged") == 30);
}

Test(audit, what_changes_nothing_leaves_no_record)
{
    add_dead(1, NULL, "{}");
    size_t n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs), done = 0, open = 0;
    cr_assert_eq(control_revive(&in, &s.k, &act, jobs, n, NULL, 0, results, NULL), JOBQ_OK);
    begin_act(NULL);
    cr_assert_eq(control_revive(&in, &s.k, &act, jobs, n, NULL, 0, results, NULL), JOBQ_OK);
    cr_assert_eq(results[0].fate, CONTROL_GONE);
    cr_assert_eq(control_purge(&in, &s.k, &act, INSPECT_DEAD, jobs, n, &done, &open, NULL),
                 JOBQ_OK);
    cr_assert_eq(done, 0);
    cr_assert_eq(records(1)->jobs, 1);
    cr_assert_eq(counted("revived"), 1);
}

/* Two operators, call by call: each record counts what its own act changed. */
Test(audit, two_acts_at_once_share_no_record)
{
    struct control_act other;
    size_t n, sums[2] = {0, 0}, open = 0;
    for (uint64_t i = 1; i <= 300; i++)
        add_dead(i, NULL, "{}");
    n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    other = act;
    begin_act("b");
    for (size_t i = 0; i < n; i += 30) { /* each half of it a second time */
        size_t done[2];
        cr_assert_eq(
            control_purge(&in, &s.k, &act, INSPECT_DEAD, jobs + i, 20, &done[0], &open, NULL),
            JOBQ_OK);
        cr_assert_eq(
            control_purge(&in, &s.k, &other, INSPECT_DEAD, jobs + i, 30, &done[1], &open, NULL),
            JOBQ_OK);
        sums[0] += done[0];
        sums[1] += done[1];
    }
    const struct inspect_record *r = records(2);
    cr_assert(sums[0] == 200 && sums[1] == 100);
    cr_assert(r[0].jobs == 100 && r[1].jobs == 200 && is_text(r[1].note, "b"));
    cr_assert_eq(total("discarded"), 300);
}

Test(audit, an_act_is_refused_when_it_cannot_be_recorded)
{
    static const char *const rights[] = {"-xadd", "-hincrby", "-expire"};
    size_t done = 0, open = 0;
    add_many(LANE_NORMAL, 1, 3);
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        shard_run(&s, "ACL SETUSER lesser reset on >pw ~* &* +@all %s", rights[i]);
        connect_as("lesser");
        size_t n = gather(LANE_NORMAL, INSPECT_QUEUED, jobs);
        cr_assert_eq(n, 3);
        cr_assert_eq(control_purge(&in, &s.k, &act, LANE_NORMAL, jobs, n, &done, &open, NULL),
                     JOBQ_EAUTH, "%s", rights[i]);
        cr_assert_eq(length(LANE_NORMAL), 3);
    }
    connect_as(NULL);
    const char *const keys[] = {s.k.audit, s.k.totals};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        shard_run(&s, "SET %s x", keys[i]);
        size_t n = gather(LANE_NORMAL, INSPECT_QUEUED, jobs);
        cr_assert_eq(control_purge(&in, &s.k, &act, LANE_NORMAL, jobs, n, &done, &open, NULL),
                     JOBQ_EREDIS);
        cr_assert_eq(length(LANE_NORMAL), 3);
        shard_run(&s, "DEL %s", keys[i]);
    }
    records(0);
    shard_run(&s, "ACL SETUSER silent on >pw ~* resetchannels +@all");
    connect_as("silent");
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 3), 3, "telling it is no condition");
    cr_assert_eq(records(1)->jobs, 3);
}

/* It frees memory, and the record takes little. */
Test(audit, a_full_redis_is_purged_and_that_is_recorded)
{
    add_many(LANE_NORMAL, 1, 100);
    shard_run(&s, "CONFIG SET maxmemory 1");
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 100), 100);
    cr_assert_eq(records(1)->jobs, 100);
    cr_assert(total("purged") == 100 && counted("purged") == 100);
}

/* A lane of another type: the second letter cannot be put back, the first one is. */
Test(audit, a_script_that_fails_half_way_records_what_it_did)
{
    struct job_header high = {.flags = 1};
    add_dead(1, NULL, "{}");
    add_dead(2, &high, "{}");
    shard_run(&s, "DEL %s", s.k.lanes[LANE_HIGH]);
    shard_run(&s, "SET %s x", s.k.lanes[LANE_HIGH]);
    cr_assert_eq(revive_all(NULL, 2), JOBQ_EREDIS);
    cr_assert_eq(length(LANE_NORMAL), 1);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 1);
    cr_assert_eq(records(1)->jobs, 1);
    cr_assert_eq(total("revived"), 1);
}

Test(audit, about_ten_thousand_records_are_kept)
{
    static const char add[] =
        "for i = 1, 10200 do redis.call('XADD', KEYS[1], '*', 'act', 'x', 'jobs', '1') end";
    redisReply *added = redisCommand(s.c, "EVAL %s 1 %s", add, s.k.audit);
    cr_assert(added != NULL && added->type != REDIS_REPLY_ERROR);
    freeReplyObject(added);
    add_job(&s, LANE_NORMAL, 1, NULL);
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 1), 1);
    long long kept = shard_int(&s, "XLEN %s", s.k.audit);
    cr_assert(kept >= 10000 && kept <= 10101, "%lld", kept);
}

/* What lies in Redis may be anything. */
Test(audit, records_that_are_none_are_read_without_harm)
{
    shard_run(&s, "XADD %s 18446744073709551615-1 began -5 jobs many", s.k.audit);
    const struct inspect_record *r = records(1);
    cr_assert(r->jobs == 0 && r->began_ms == -1 && r->act.bytes == NULL && r->note.bytes == NULL);
    shard_run(&s, "DEL %s", s.k.audit);
    shard_run(&s, "SET %s x", s.k.audit);
    inspect_audit_done(&page);
    cr_assert_neq(inspect_audit(&in, &s.k, NULL, &page, NULL), JOBQ_OK);
}

Test(audit, the_books_of_dead_letters_balance)
{
    struct inspect_books b;
    cr_assert_eq(inspect_books(&in, &s.k, &b, NULL), JOBQ_OK);
    cr_assert(b.settled && b.died + b.dead + b.revived + b.discarded + b.purged == 0);
    for (uint64_t n = 1; n <= 130; n++)
        add_dead(n, NULL, "{}");
    size_t done = 0, open = 0, n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    cr_assert_eq(control_revive(&in, &s.k, &act, jobs, 70, NULL, 0, results, NULL), JOBQ_OK);
    cr_assert_eq(control_purge(&in, &s.k, &act, INSPECT_DEAD, jobs, n - 10, &done, &open, NULL),
                 JOBQ_OK);
    cr_assert_eq(inspect_books(&in, &s.k, &b, NULL), JOBQ_OK);
    cr_assert(b.settled && b.died == 130 && b.dead == 10 && b.revived == 70 && b.discarded == 50);
    /* Past jobctl: it shows. */
    shard_run(&s, "XTRIM %s MAXLEN 8", s.k.dead);
    cr_assert_eq(inspect_books(&in, &s.k, &b, NULL), JOBQ_OK);
    cr_assert_eq(b.died - b.dead - b.revived - b.discarded, 2);
}
