/* SPDX-License-Identifier: MIT */
/* What an operator does to jobs: revive, purge, purge_later; and walking over them page by page. */
#include <string.h>

#include "tests/script/acting.h"

ACTING_SUITE(control);

/* ---- dead letters ---- */

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

/* ---- walking ---- */

Test(control, walks_delayed_jobs_of_one_instant_page_by_page)
{
    struct inspect_walk w;
    struct inspect_place place = {.where = INSPECT_LATER};
    bool seen[601] = {false};
    for (uint64_t n = 1; n <= 600; n++)
        cr_assert_eq(enqueue_job(&s, n, 0, n <= 500 ? 4100000000000 : 4100000000001, NULL, NULL),
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
    inspect_walk_after(&w, &place, 4100000000000);
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
