/* SPDX-License-Identifier: MIT */
/*
 * What an operator does to jobs: revive, purge, purge_later, called through broker/control and
 * broker/inspect_walk as jobctl does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "broker/conn.h"
#include "broker/control.h"
#include "broker/inspect_audit.h"
#include "broker/inspect_walk.h"
#include "broker/url.h"
#include "tests/script/pair.h"

#define JOBS_MAX 1000

static struct conn *conn;
static struct inspect in;
static struct control_act act;

/* What is done from now on is another act. */
static void begin_act(const char *note)
{
    act = (struct control_act){
        .by = "eve@web1", .user = "op", .command = "queue purge \"q\"", .note = note};
    cr_assert_eq(control_begin(&in, &act, NULL), JOBQ_OK);
}

static void connect_as(const char *user)
{
    struct redis_url url;
    jobq_err err = {0};
    conn_free(conn);
    cr_assert(url_parse(user == NULL ? s.redis->url
                                     : fmt("redis://%s:pw@127.0.0.1:%d/0", user, s.redis->port),
                        &url, &err) == JOBQ_OK,
              "%s", err.msg);
    cr_assert(conn_new(&url, "test", &conn, &err) == JOBQ_OK, "%s", err.msg);
    url_done(&url);
    in = (struct inspect){conn, NULL, clock_mono_ms() + patience_ms(60000)};
    cr_assert(conn_connect(conn, in.deadline_ms, &err) == JOBQ_OK, "%s", err.msg);
    begin_act(NULL);
}

static void open_all(void)
{
    pair_open();
    connect_as(NULL);
}

static void close_all(void)
{
    conn_free(conn);
    pair_close();
}

TestSuite(control, .init = open_all, .fini = close_all);

/* ---- jobs that are dead ---- */

static void add_dead(uint64_t n, const struct job_header *like, const char *payload)
{
    struct buf h;
    struct job_header header = {.attempts = 10,
                                .crashes = 2,
                                .losses = 3,
                                .releases = 4,
                                .flags = CODEC_FLAG_EXHAUSTED,
                                .error = "no",
                                .error_len = 2,
                                .enqueued_ms = 1000};
    if (like != NULL)
        header = *like;
    header.type = "t";
    header.type_len = 1;
    id_of(n, &header.id);
    buf_init(&h, CODEC_HEADER_MAX);
    codec_encode(&header, &h);
    redisReply *r = redisCommand(s.c, "XADD %s * h %b p %s reason permanent error no by x",
                                 s.k.dead, h.data, h.len, payload);
    cr_assert(r->type == REDIS_REPLY_STRING);
    freeReplyObject(r);
    buf_done(&h);
}

/* All jobs of one kind, of at most JOBS_MAX; valid until the next call. */
static size_t gather(int where, enum inspect_state state, const struct inspect_job **out)
{
    static struct inspect_page pages[JOBS_MAX];
    static size_t page_count;
    struct inspect_walk w;
    jobq_err err = {0};
    size_t n = 0;
    while (page_count > 0)
        inspect_page_done(&pages[--page_count]);
    cr_assert(inspect_walk_begin(&in, &s.k, where, state, &w, &err) == JOBQ_OK, "%s", err.msg);
    while (!w.ended) {
        struct inspect_page *page = &pages[page_count++];
        cr_assert(inspect_walk_next(&in, &w, SIZE_MAX, page, &err) == JOBQ_OK, "%s", err.msg);
        for (size_t i = 0; i < page->n; i++)
            out[n++] = &page->jobs[i];
    }
    return n;
}

static const struct inspect_job *jobs[JOBS_MAX];
static struct control_result results[JOBS_MAX];

static int revive_all(const char *payload, size_t expected)
{
    size_t n = gather(INSPECT_DEAD, INSPECT_IS_DEAD, jobs);
    cr_assert_eq(n, expected);
    return control_revive(&in, &s.k, &act, jobs, n, payload, payload != NULL ? strlen(payload) : 0,
                          results, NULL);
}

Test(control, revives_into_its_own_lane_as_if_enqueued_now)
{
    static const uint8_t flags[] = {0, 1, 2};
    static const enum lane lanes[] = {LANE_NORMAL, LANE_HIGH, LANE_LOW};
    for (uint64_t i = 0; i < 3; i++) {
        struct job_header h = {.attempts = 10,
                               .crashes = 2,
                               .losses = 3,
                               .releases = 4,
                               .flags = (uint8_t)(flags[i] | CODEC_FLAG_EXHAUSTED),
                               .error = "no",
                               .error_len = 2,
                               .enqueued_ms = 1000,
                               .expires_ms = 5000,
                               .max_attempts = 10};
        add_dead(i + 1, &h, "{\"a\":1}");
    }
    cr_assert_eq(revive_all(NULL, 3), JOBQ_OK);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(results[i].fate, CONTROL_DONE);
        take(&s, "a", lanes[i], 10, &t);
        cr_assert_eq(t.n, 1);
        const struct held *job = &t.job[0];
        cr_assert(job->n == i + 1 && job->header.flags == flags[i]);
        cr_assert(job->header.attempts == 0 && job->header.crashes == 0 &&
                  job->header.losses == 0 && job->header.releases == 0);
        cr_assert(job->header.enqueued_ms == 0 && job->header.error == NULL,
                  "the entry's own time counts");
        cr_assert(job->header.expires_ms == 5000 && job->header.max_attempts == 10);
        cr_assert(job->p_len == 7 && memcmp(job->p, "{\"a\":1}", 7) == 0);
    }
}

Test(control, revives_with_another_payload)
{
    add_dead(1, NULL, "{\"a\":1}");
    cr_assert_eq(revive_all("{\"b\":2}", 1), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 1 && t.job[0].p_len == 7 && memcmp(t.job[0].p, "{\"b\":2}", 7) == 0);
}

Test(control, revives_once_whoever_asks_again)
{
    for (uint64_t n = 1; n <= 250; n++)
        add_dead(n, NULL, "{}");
    cr_assert_eq(revive_all(NULL, 250), JOBQ_OK);
    cr_assert_eq(control_revive(&in, &s.k, &act, jobs, 250, NULL, 0, results, NULL), JOBQ_OK);
    for (size_t i = 0; i < 250; i++)
        cr_assert_eq(results[i].fate, CONTROL_GONE);
    cr_assert_eq(length(LANE_NORMAL), 250);
}

Test(control, revives_a_unique_job_only_when_its_key_is_free)
{
    struct job_header h = {.unique = "k", .unique_len = 1};
    add_dead(1, &h, "{}");
    add_dead(2, &h, "{}");
    shard_run(&s, "SET %s:unique:k ended:%s PX 600000", s.k.base, id_text(1));
    cr_assert_eq(revive_all(NULL, 2), JOBQ_OK);
    cr_assert_eq(results[0].fate, CONTROL_DONE);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k", s.k.base), id_text(1));
    cr_assert_eq(shard_int(&s, "PTTL %s:unique:k", s.k.base), -1,
                 "while it lives it has no expiry");
    cr_assert(results[1].fate == CONTROL_HELD && results[1].has_holder &&
              number_of(&results[1].holder) == 1);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 1);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert_eq(t.n, 1);
    ack_all("a", &t);
    cr_assert_eq(revive_all(NULL, 1), JOBQ_OK);
    cr_assert_eq(results[0].fate, CONTROL_DONE, "free again");
}

Test(control, does_not_revive_what_lives_or_cannot_be_read)
{
    cr_assert_eq(enqueue_job(&s, 1, 60000, 0, NULL, NULL), JOBQ_OK);
    add_dead(1, NULL, "{}");
    shard_run(&s, "XADD %s * h broken p {} reason corrupt error no by x", s.k.dead);
    shard_run(&s, "XADD %s * reason corrupt error no by x", s.k.dead);
    add_dead(2, NULL, "{}");
    cr_assert_eq(revive_all(NULL, 4), JOBQ_OK);
    cr_assert(results[0].fate == CONTROL_HELD && number_of(&results[0].holder) == 1);
    cr_assert_eq(results[1].fate, CONTROL_UNREADABLE);
    cr_assert_eq(results[2].fate, CONTROL_UNREADABLE);
    cr_assert_eq(results[3].fate, CONTROL_DONE);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 3);
}

Test(control, changes_nothing_when_part_of_it_is_not_permitted)
{
    struct job_header h = {.unique = "k", .unique_len = 1};
    size_t done = 0, open = 0;
    add_dead(1, &h, "{}");
    cr_assert_eq(enqueue_job(&s, 2, 60000, 0, "k2", NULL), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 3, 0, 0, "k3", NULL), JOBQ_OK);
    shard_run(&s, "ACL SETUSER nodel on >pw ~* &* +@all -xdel -hdel");
    shard_run(&s, "ACL SETUSER noset on >pw ~* &* +@all -set");
    for (int i = 0; i < 2; i++) {
        connect_as(i == 0 ? "nodel" : "noset");
        cr_assert_eq(revive_all(NULL, 1), JOBQ_EAUTH);
        cr_assert_eq(length(LANE_NORMAL), 1, "only the one that was enqueued");
        size_t n = gather(INSPECT_LATER, INSPECT_DELAYED, jobs);
        cr_assert_eq(n, 1);
        cr_assert_eq(control_purge(&in, &s.k, &act, INSPECT_LATER, jobs, n, &done, &open, NULL),
                     JOBQ_EAUTH);
        cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 1);
        n = gather(LANE_NORMAL, INSPECT_QUEUED, jobs);
        cr_assert_eq(n, 1);
        cr_assert_eq(control_purge(&in, &s.k, &act, LANE_NORMAL, jobs, n, &done, &open, NULL),
                     JOBQ_EAUTH);
        cr_assert(done == 0 && open == 0);
    }
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k2", s.k.base), id_text(2));
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k3", s.k.base), id_text(3));
}

/* ---- purging ---- */

static size_t purge_all(int where, enum inspect_state state, size_t expected)
{
    size_t done = 0, open = 0, n = gather(where, state, jobs);
    cr_assert_eq(n, expected, "%zu", n);
    cr_assert_eq(control_purge(&in, &s.k, &act, where, jobs, n, &done, &open, NULL), JOBQ_OK);
    cr_assert_eq(open, 0);
    return done;
}

Test(control, purges_what_nobody_claimed_and_no_more)
{
    add_many(LANE_NORMAL, 1, 300);
    take(&s, "a", LANE_NORMAL, 100, &t);
    cr_assert_eq(gather(LANE_NORMAL, INSPECT_QUEUED, jobs), 200);
    /* Claimed between the look and the purge: they stay. */
    static struct taken more;
    take(&s, "b", LANE_NORMAL, 20, &more);
    size_t done = 0, open = 0;
    cr_assert_eq(control_purge(&in, &s.k, &act, LANE_NORMAL, jobs, 200, &done, &open, NULL),
                 JOBQ_OK);
    cr_assert_eq(done, 180);
    cr_assert_eq(length(LANE_NORMAL), 120);
    add_job(&s, LANE_NORMAL, 400, NULL);
    ack_all("a", &t);
    ack_all("b", &more);
    take(&s, "a", LANE_NORMAL, 10, &t);
    cr_assert(t.n == 1 && t.job[0].n == 400, "the lane goes on as before");
    ack_all("a", &t);
    cr_assert_eq(length(LANE_NORMAL), 0);
}

Test(control, purges_a_lane_that_no_worker_ever_read)
{
    shard_run(&s, "DEL %s", s.k.lanes[LANE_LOW]);
    add_many(LANE_LOW, 1, 3);
    cr_assert_eq(purge_all(LANE_LOW, INSPECT_QUEUED, 3), 3);
    cr_assert_eq(length(LANE_LOW), 0);
    shard_run(&s, "DEL %s", s.k.lanes[LANE_LOW]);
    cr_assert_eq(gather(LANE_LOW, INSPECT_QUEUED, jobs), 0);
}

Test(control, frees_the_keys_of_what_it_purges)
{
    add_job(&s, LANE_NORMAL, 1, NULL);
    cr_assert_eq(enqueue_job(&s, 2, 0, 0, "k2", NULL), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 3, 60000, 0, "k3", NULL), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 4, 60000, 0, NULL, NULL), JOBQ_OK);
    add_job(&s, LANE_NORMAL, 5, NULL);
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 3), 3);
    cr_assert_eq(purge_all(INSPECT_LATER, INSPECT_DELAYED, 2), 2);
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later) + shard_int(&s, "HLEN %s", s.k.held), 0);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k2", s.k.base), fmt("ended:%s", id_text(2)));
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k3", s.k.base), fmt("ended:%s", id_text(3)));
    cr_assert_eq(enqueue_job(&s, 6, 0, 0, "k2", NULL), JOBQ_OK, "another one is admitted");
}

Test(control, discards_a_dead_letter_without_touching_a_living_key)
{
    struct job_header h = {.unique = "k", .unique_len = 1};
    add_dead(1, &h, "{}");
    shard_run(&s, "SET %s:unique:k %s", s.k.base, id_text(1));
    cr_assert_eq(purge_all(INSPECT_DEAD, INSPECT_IS_DEAD, 1), 1);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), 0);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k", s.k.base), id_text(1));
}

/* ---- the record of it ---- */

static struct inspect_audit audit;

/* The newest records, at most those of a page; valid until the next call. */
static const struct inspect_record *records(size_t expected)
{
    inspect_audit_done(&audit);
    cr_assert_eq(inspect_audit(&in, &s.k, NULL, &audit, NULL), JOBQ_OK);
    cr_assert_eq(audit.n, expected, "%zu records", audit.n);
    return audit.records;
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

Test(control, an_act_leaves_one_record_however_many_calls_it_takes)
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

Test(control, retry_and_discard_are_recorded_as_what_they_are)
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

Test(control, what_changes_nothing_leaves_no_record)
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
Test(control, two_acts_at_once_share_no_record)
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

Test(control, an_act_is_refused_when_it_cannot_be_recorded)
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
Test(control, a_full_redis_is_purged_and_that_is_recorded)
{
    add_many(LANE_NORMAL, 1, 100);
    shard_run(&s, "CONFIG SET maxmemory 1");
    cr_assert_eq(purge_all(LANE_NORMAL, INSPECT_QUEUED, 100), 100);
    cr_assert_eq(records(1)->jobs, 100);
    cr_assert(total("purged") == 100 && counted("purged") == 100);
}

/* A lane of another type: the second letter cannot be put back, the first one is. */
Test(control, a_script_that_fails_half_way_records_what_it_did)
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

Test(control, about_ten_thousand_records_are_kept)
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
Test(control, records_that_are_none_are_read_without_harm)
{
    shard_run(&s, "XADD %s 18446744073709551615-1 began -5 jobs many", s.k.audit);
    const struct inspect_record *r = records(1);
    cr_assert(r->jobs == 0 && r->began_ms == -1 && r->act.bytes == NULL && r->note.bytes == NULL);
    shard_run(&s, "DEL %s", s.k.audit);
    shard_run(&s, "SET %s x", s.k.audit);
    inspect_audit_done(&audit);
    cr_assert_neq(inspect_audit(&in, &s.k, NULL, &audit, NULL), JOBQ_OK);
}

Test(control, the_books_of_dead_letters_balance)
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

/* ---- walking ---- */

Test(control, walks_delayed_jobs_of_one_instant_page_by_page)
{
    struct inspect_walk w;
    struct inspect_place place = {.where = INSPECT_LATER};
    bool seen[601] = {false};
    for (uint64_t n = 1; n <= 600; n++)
        cr_assert_eq(enqueue_job(&s, n, 0, n <= 500 ? 1900000000000 : 1900000000001, NULL, NULL),
                     JOBQ_OK);
    cr_assert_eq(inspect_walk_begin(&in, &s.k, INSPECT_LATER, INSPECT_DELAYED, &w, NULL), JOBQ_OK);
    size_t sum = 0;
    for (int pages = 0; !w.ended; pages++) {
        struct inspect_page page;
        cr_assert_eq(inspect_walk_next(&in, &w, SIZE_MAX, &page, NULL), JOBQ_OK);
        for (size_t i = 0; i < page.n; i++) {
            uint64_t n = number_of(&page.jobs[i].id);
            cr_assert(!seen[n], "job %d twice", (int)n);
            seen[n] = true;
        }
        sum += page.n;
        if (pages == 1 && page.n > 0) { /* the one it goes on after leaves meanwhile */
            const char *gone = id_text(number_of(&page.jobs[page.n - 1].id));
            shard_run(&s, "ZREM %s %s", s.k.later, gone);
            shard_run(&s, "HDEL %s %s", s.k.held, gone);
        }
        inspect_page_done(&page);
    }
    cr_assert_eq(sum, 600);
    id_of(500, &place.id);
    cr_assert_eq(inspect_walk_begin(&in, &s.k, INSPECT_LATER, INSPECT_DELAYED, &w, NULL), JOBQ_OK);
    inspect_walk_after(&w, &place, 1900000000000);
    struct inspect_page page;
    cr_assert_eq(inspect_walk_next(&in, &w, 1, &page, NULL), JOBQ_OK);
    cr_assert(page.n == 1 && number_of(&page.jobs[0].id) == 501);
    inspect_page_done(&page);
}

Test(control, walks_past_what_is_no_job)
{
    for (int i = 0; i < 100; i++)
        shard_run(&s, "ZADD %s 1 stranger-%d", s.k.later, i);
    cr_assert_eq(enqueue_job(&s, 1, 60000, 0, NULL, NULL), JOBQ_OK);
    shard_run(&s, "ZADD %s inf %s", s.k.later, id_text(2));
    size_t n = gather(INSPECT_LATER, INSPECT_DELAYED, jobs);
    cr_assert(n == 1 && number_of(&jobs[0]->id) == 1, "%zu", n);
}

Test(control, walks_what_workers_hold_and_what_waits_apart)
{
    add_many(LANE_NORMAL, 1, 60);
    take(&s, "a", LANE_NORMAL, 20, &t);
    take(&s, "b", LANE_NORMAL, 20, &t);
    ack_all("b", &t);
    size_t n = gather(LANE_NORMAL, INSPECT_CLAIMED, jobs);
    cr_assert_eq(n, 20);
    for (size_t i = 0; i < n; i++)
        cr_assert(number_of(&jobs[i]->id) == i + 1 && strcmp(jobs[i]->owner, "a") == 0 &&
                  jobs[i]->idle_ms >= 0 && jobs[i]->state == INSPECT_CLAIMED);
    n = gather(LANE_NORMAL, INSPECT_QUEUED, jobs);
    cr_assert_eq(n, 20);
    cr_assert_eq(number_of(&jobs[0]->id), 41);
}
