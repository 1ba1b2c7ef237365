/* SPDX-License-Identifier: MIT */
/*
 * ◆ delivery.md 4: Redis out of memory. Were beats refused while fences pass, everybody could be
 * fenced and nobody renew; so all scripts but enqueue carry allow-oom. What adds jobs is refused
 * (G7), what frees memory works.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/script.h"
#include "tests/script/shard.h"

static struct shard s;
static struct taken t;

static void starve(void)
{
    redisReply *r;

    shard_run(&s, "CONFIG SET maxmemory 1");
    r = redisCommand(s.c, "XADD %s * h x p y", s.k.lanes[LANE_NORMAL]);
    cr_assert(r->type == REDIS_REPLY_ERROR && strncmp(r->str, "OOM", 3) == 0,
              "a plain job is refused");
    freeReplyObject(r);
}

static void set_up(void)
{
    shard_open(&s, NULL);
    cr_assert_eq(join(&s, "a"), JOBQ_OK);
    cr_assert_eq(join(&s, "b"), JOBQ_OK);
    for (uint64_t n = 1; n <= 20; n++)
        add_job(&s, LANE_NORMAL, n, NULL);
    cr_assert_eq(enqueue_job(&s, 30, 0, 0, "k", NULL), JOBQ_OK);
    cr_assert_eq(enqueue_job(&s, 31, 1, 0, NULL, NULL), JOBQ_OK);
    take(&s, "a", LANE_NORMAL, 10, &t);
    starve();
}

static void tear_down(void)
{
    shard_close(&s);
}

TestSuite(oom, .init = set_up, .fini = tear_down);

Test(oom, refuses_new_jobs_only)
{
    int64_t acked;
    enum claim_fate fate;

    cr_assert_eq(enqueue_job(&s, 50, 0, 0, "other", NULL), JOBQ_EREJECTED);
    cr_assert_eq(enqueue_job(&s, 51, 60000, 0, NULL, NULL), JOBQ_EREJECTED);
    cr_assert_eq(shard_int(&s, "EXISTS %s:unique:other", s.k.base), 0, "and it holds no key");
    cr_assert_eq(shard_int(&s, "ZCARD %s", s.k.later), 1);
    cr_assert_eq(ack(&s, "a", t.job, 4, &acked), JOBQ_OK);
    cr_assert_eq(acked, 4);
    for (int action = CLAIM_LATER; action <= CLAIM_RECOVERED; action++) {
        cr_assert_eq(fail_one(&s, "a", &t.job[4 + action], (enum claim_action)action, 60000, &fate),
                     JOBQ_OK);
        cr_assert_eq(fate, CLAIM_MOVED);
    }
    take(&s, "a", LANE_NORMAL, 100, &t);
    cr_assert_eq(t.n, 11, "reading goes on");
    cr_assert_eq(ack(&s, "a", &t.job[10], 1, &acked), JOBQ_OK);
    cr_assert_str_eq(shard_text(&s, "GET %s:unique:k", s.k.base), fmt("ended:%s", id_text(30)));
}

Test(oom, lets_the_living_renew)
{
    struct claim_beat b;

    cr_assert_eq(beat(&s, "a", &b), JOBQ_OK);
    cr_assert_eq(b.counter, 1);
    cr_assert_eq(fence(&s, "b", "a", 0), JOBQ_ESTATE, "so nobody can fence it");
    cr_assert_eq(join(&s, "c"), JOBQ_OK, "a jobd may start");
    cr_assert_eq(beat(&s, "c", NULL), JOBQ_OK);
}

Test(oom, lets_the_dead_be_reaped)
{
    int64_t n;

    cr_assert_eq(bury(&s, "b", "a"), 10);
    take(&s, "b", LANE_RECOVERED, 100, &t);
    cr_assert_eq(t.n, 10);
    cr_assert_eq(t.job[0].header.losses, 1);
    cr_assert_eq(take_and_lose(&s, "a", LANE_NORMAL, 1), 1);
    cr_assert_eq(sweep(&s, "b", &n), JOBQ_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(bury(&s, "b", "a"), 1);
}

static bool is_moved(void *ctx)
{
    struct claim_move *m = ctx;

    cr_assert_eq(move(&s, "a", m), JOBQ_OK);
    return m->moved == 1;
}

Test(oom, lets_jobs_move_and_leave)
{
    struct claim_move m;
    enum claim_fate fate;
    struct entry_id id;
    int64_t n;
    bool more;
    redisReply *r;

    cr_assert(wait_until(now_ms() + patience_ms(5000), is_moved, &m));
    cr_assert_eq(fail_one(&s, "a", &t.job[0], CLAIM_PARKED, 0, &fate), JOBQ_OK);
    r = redisCommand(s.c, "XRANGE %s - +", s.k.parked);
    cr_assert_eq(
        entry_id_parse(r->element[0]->element[0]->str, r->element[0]->element[0]->len, &id),
        JOBQ_OK);
    freeReplyObject(r);
    cr_assert_eq(unpark(&s, "a", &id, 1, &n), JOBQ_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(leave(&s, "a", &more, &n), JOBQ_OK);
    cr_assert(n == 9 && !more);
}

/* The flags themselves, so that a new script is not forgotten. */
Test(oom, is_allowed_by_name_in_every_script_but_enqueue)
{
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        const char *body = script_table[i].body;
        const char *first = i == SCRIPT_ENQUEUE ? "#!lua\n" : "#!lua flags=allow-oom\n";

        cr_assert_eq(strncmp(body, first, strlen(first)), 0, "%s",
                     script_word((enum script_name)i));
    }
}
