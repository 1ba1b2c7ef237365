/* SPDX-License-Identifier: MIT */
/*
 * All scripts together, at random: incarnations that crash, stall, leave, read late and lose
 * answers, jobs of every lane that succeed, fail, wait, are parked and reaped, one incarnation that
 * holds an entry of each lane to the end. A model beside it knows what each job must be; every
 * delivery, acknowledgement and count is compared with it.
 *
 * Shown: no job lost, none acknowledged twice (G1, G13), zombies powerless (G14), the four counts
 * exact (G27), done entries bounded (G12), counters that balance.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/script/model.h"

/* ---- death ---- */

static int64_t pending_of(int who)
{
    int64_t n = 0;

    for (uint64_t i = 1; i < next_job; i++)
        n += job[i].state == PENDING && job[i].owner == who;
    return n;
}

static void try_fence(int who)
{
    int victim = any(2) ? some(CRASHED) : some(ALIVE);
    int64_t seen_counter;

    if (victim < 0 || victim == who)
        return;
    seen_counter = counter_of(&s, name_of(victim));
    if (cast[victim].life == ALIVE && any(2)) { /* it beats between the look and the fence */
        cr_assert_eq(beat(&s, name_of(victim), NULL), JOBQ_OK);
        cr_assert_eq(fence(&s, name_of(who), name_of(victim), seen_counter), JOBQ_ESTATE);
        return;
    }
    cr_assert_eq(fence(&s, name_of(who), name_of(victim), seen_counter), JOBQ_OK);
    cast[victim].stalled = cast[victim].life == ALIVE;
    cast[victim].life = FENCED;
    cast[victim].to_move = pending_of(victim);
}

/* All that was its own is somewhere else now. */
static void settle_all(int who)
{
    for (uint64_t i = 1; i < next_job; i++)
        if (job[i].state == PENDING && job[i].owner == who)
            settle(&job[i]);
}

static void reap_some(int who, int victim)
{
    int64_t moved;
    bool more;

    if (victim < 0)
        return;
    cr_assert_eq(reap(&s, name_of(who), name_of(victim), BUDGET, &more, &moved), JOBQ_OK);
    cast[victim].to_move -= moved;
    seen.moved_by_reap += moved;
    if (more)
        return;
    cr_assert_eq(cast[victim].to_move, 0, "w%d: moved all, and nothing else", victim);
    settle_all(victim);
    cast[victim].life = GONE;
    cast[victim].is_back = false;
}

static void leave_some(int who)
{
    int64_t released;
    bool more;

    if (cast[who].life == ALIVE) {
        cast[who].life = LEAVING;
        cast[who].to_move = pending_of(who);
        cast[who].n = 0;
    }
    cr_assert_eq(leave(&s, name_of(who), &more, &released), JOBQ_OK);
    cast[who].to_move -= released;
    if (more)
        return;
    cr_assert_eq(cast[who].to_move, 0);
    settle_all(who);
    cast[who].life = GONE;
}

/* A fenced incarnation whose process still runs tries everything, then learns it. */
static void zombie_acts(int who)
{
    struct cast *c = &cast[who];
    enum claim_fate fate;
    int64_t n;

    cr_assert_eq(beat(&s, name_of(who), NULL), JOBQ_EFENCED);
    if (c->n > 0) {
        cr_assert_eq(ack(&s, name_of(who), c->table, 1, &n), JOBQ_EFENCED);
        cr_assert_eq(fail_one(&s, name_of(who), c->table, CLAIM_RECOVERED, 0, &fate), JOBQ_EFENCED);
        seen.zombies++;
    }
    cr_assert_eq(fence(&s, name_of(who), name_of(0), counter_of(&s, name_of(0))), JOBQ_EFENCED);
    c->stalled = false;
    c->n = 0;
}

/* Whether Redis has a consumer of that name; a read that brings nothing makes one, or not, by the
 * version. */
static bool is_consumer(int who, enum lane lane)
{
    redisReply *r = redisCommand(s.c, "XINFO CONSUMERS %s jobq", s.k.lanes[lane]);
    bool found = false;

    for (size_t i = 0; i < r->elements; i++)
        found = found || strcmp(r->element[i]->element[1]->str, name_of(who)) == 0;
    freeReplyObject(r);
    return found;
}

/* Its read was in flight when it was declared dead, or even reaped. */
static void late_read(int who)
{
    enum lane lane = (enum lane)any(LANE_COUNT);
    struct cast *c = &cast[MAX(who, 0)];

    if (who < 0)
        return;
    take(&s, name_of(who), lane, 1 + any(20), &t);
    for (size_t i = 0; i < t.n; i++)
        check_delivery(who, &t.job[i]);
    c->to_move += (int64_t)t.n;
    c->is_back = c->is_back || (c->life == GONE && is_consumer(who, lane));
    seen.late += t.n > 0;
}

static void sweep_all(int who)
{
    int64_t expected = 0;
    int64_t fenced;

    for (int i = 0; i < born; i++) {
        if (cast[i].life != GONE || !cast[i].is_back)
            continue;
        cast[i].life = FENCED;
        expected++;
    }
    cr_assert_eq(sweep(&s, name_of(who), &fenced), JOBQ_OK);
    cr_assert_eq(fenced, expected);
}

/* ---- the partition ---- */

static void move_due(int who)
{
    struct claim_move m;

    cr_assert_eq(move(&s, name_of(who), &m), JOBQ_OK);
    cr_assert_eq(m.corrupt, 0);
}

static void unpark_some(int who)
{
    struct taken *p = &t;
    struct entry_id ids[100];
    redisReply *r;
    int64_t moved;

    r = redisCommand(s.c, "XRANGE %s - + COUNT 100", s.k.parked);
    p->n = r->elements;
    for (size_t i = 0; i < p->n; i++)
        cr_assert_eq(
            entry_id_parse(r->element[i]->element[0]->str, r->element[i]->element[0]->len, &ids[i]),
            JOBQ_OK);
    freeReplyObject(r);
    if (p->n == 0)
        return;
    cr_assert_eq(unpark(&s, name_of(who), ids, p->n, &moved), JOBQ_OK);
    cr_assert_eq((size_t)moved, p->n);
}

/* G12, and the model's pending is Redis's. */
static void check_lanes(void)
{
    static const char look[] =
        "local g = redis.call('XINFO', 'GROUPS', KEYS[1])[1]\n"
        "local f = {} for i = 1, #g, 2 do f[g[i]] = g[i + 1] end\n"
        "local new = #redis.call('XRANGE', KEYS[1], '(' .. f['last-delivered-id'], '+')\n"
        "return {redis.call('XLEN', KEYS[1]), f['pending'], new}";
    int64_t pending = 0;
    int64_t expected = 0;

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        redisReply *r = redisCommand(s.c, "EVAL %s 1 %s", look, s.k.lanes[lane]);
        long long kept = r->element[0]->integer - r->element[1]->integer - r->element[2]->integer;

        cr_assert(kept >= 0 && kept <= KEPT, "%s: %lld kept", keys_lane_name((enum lane)lane),
                  kept);
        seen.walked += kept >= 4000;
        pending += r->element[1]->integer;
        freeReplyObject(r);
    }
    for (uint64_t i = 1; i < next_job; i++)
        expected += job[i].state == PENDING && cast[job[i].owner].life != FENCED &&
                    cast[job[i].owner].life != LEAVING;
    for (int i = 0; i < born; i++)
        expected += cast[i].life == FENCED || cast[i].life == LEAVING ? cast[i].to_move : 0;
    cr_assert_eq(pending, expected);
}

static void step(void)
{
    int who = some(ALIVE);
    uint64_t die = any(1000);

    if (who < 0 || count(ALIVE) < CREW) {
        begin();
    } else if (die < 90) {
        enqueue_plain();
    } else if (die < 250) {
        enqueue_special();
    } else if (die < 480) {
        read_some(who, false);
    } else if (die < 490) {
        read_some(who, true);
    } else if (die < 760) {
        ack_some(who, 1 + any(100));
    } else if (die < 850) {
        fail_some(who);
    } else if (die < 870) {
        audit(who);
    } else if (die < 875) {
        cast[who].life = CRASHED;
        cast[who].n = 0;
        seen.crashes++;
    } else if (die < 890) {
        try_fence(who);
    } else if (die < 910) {
        reap_some(who, some(FENCED));
    } else if (die < 914) {
        leave_some(some(LEAVING) >= 0 ? some(LEAVING) : who);
    } else if (die < 920) {
        late_read(any(2) ? some(GONE) : some(FENCED));
    } else if (die < 930) {
        sweep_all(who);
    } else if (die < 960) {
        move_due(who);
    } else if (die < 970) {
        unpark_some(who);
    } else {
        cr_assert_eq(beat(&s, name_of(who), NULL), JOBQ_OK);
    }
    for (int i = 0; i < born; i++)
        if (cast[i].stalled && any(3) == 0)
            zombie_acts(i);
}

/* ---- the end ---- */

/* Chance may have brought none: somebody who holds jobs is fenced while it lives, and tries all. */
static void make_sure_of_a_zombie(void)
{
    for (int i = 1; i < born && seen.zombies == 0; i++) {
        if (cast[i].life != ALIVE || cast[i].n == 0)
            continue;
        cr_assert_eq(fence(&s, name_of(0), name_of(i), counter_of(&s, name_of(i))), JOBQ_OK);
        cast[i].life = FENCED;
        cast[i].to_move = pending_of(i);
        zombie_acts(i);
    }
}

static void heal(int last)
{
    for (int i = 1; i < born; i++) {
        if (i == last)
            continue;
        while (cast[i].life == ALIVE || cast[i].life == LEAVING)
            leave_some(i);
        if (cast[i].life == CRASHED) {
            cr_assert_eq(fence(&s, name_of(last), name_of(i), counter_of(&s, name_of(i))), JOBQ_OK);
            cast[i].life = FENCED;
            cast[i].to_move = pending_of(i);
        }
    }
    sweep_all(last);
    for (int i = 1; i < born; i++)
        while (cast[i].life == FENCED)
            reap_some(last, i);
}

static bool drain_once(void *ctx)
{
    int who = *(int *)ctx;

    move_due(who);
    unpark_some(who);
    for (int i = 0; i < 20; i++)
        read_some(who, false);
    audit(who);
    while (cast[who].n > 0) {
        for (size_t i = cast[who].n; i-- > 0;)
            if (!may_succeed(&cast[who].table[i])) {
                fail_some(who);
                break;
            }
        ack_some(who, 1000);
    }
    return seen.succeeded + seen.dead == (int64_t)next_job - 1 - (int64_t)cast[0].n;
}

static void check_the_end(int last)
{
    int64_t acked;

    for (size_t i = 0; i < cast[0].n; i++) {
        cr_assert_eq(ack(&s, name_of(0), &cast[0].table[i], 1, &acked), JOBQ_OK);
        cr_assert_eq(acked, 1, "held from the first to the last");
        end_job(cast[0].table[i].n, SUCCEEDED);
    }
    for (uint64_t i = 1; i < next_job; i++)
        cr_assert(job[i].state == SUCCEEDED || job[i].state == DEAD, "job %llu is lost",
                  (unsigned long long)i);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        cr_assert_eq(shard_int(&s, "XLEN %s", s.k.lanes[lane]), 0, "%s",
                     keys_lane_name((enum lane)lane));
        cr_assert_eq(shard_pending(&s, (enum lane)lane), 0);
    }
    cr_assert_eq(shard_int(&s, "EXISTS %s %s", s.k.later, s.k.held), 0);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.parked), 0);
    cr_assert_eq(shard_int(&s, "XLEN %s", s.k.dead), seen.dead);
    cr_assert_eq(shard_stat(&s, "succeeded"), seen.succeeded);
    cr_assert_eq(shard_stat(&s, "dead"), seen.dead);
    cr_assert_eq(shard_stat(&s, "reaped"), seen.moved_by_reap);
    cr_assert_eq(shard_stat(&s, "merged"), 0);
    cr_assert_eq(shard_int(&s, "HLEN %s", s.k.alive), 2, "the keeper and w%d", last);
    cr_assert_eq(shard_int(&s, "HLEN %s", s.k.types), 2);
    for (int key = 0; key < KEYS; key++)
        if (last_ended[key])
            cr_assert_str_eq(shard_text(&s, "GET %s:unique:k%d", s.k.base, key),
                             fmt("ended:%s", id_text(last_ended[key])));
}

static void run(uint64_t seed)
{
    int last;

    shard_open(&s, NULL);
    job = calloc(JOBS + 1, sizeof(*job));
    cr_assert(job);
    state_of_random = seed;
    next_job = 1;
    begin();
    for (int lane = LANE_HIGH; lane < LANE_COUNT; lane++) {
        static const uint8_t flags[] = {[LANE_HIGH] = 1, [LANE_NORMAL] = 0, [LANE_LOW] = 2};
        struct job_header h = {.flags = flags[lane]};

        job[next_job] = (struct job){.state = WAITING, .lane = (enum lane)lane, .key = -1};
        add_job(&s, (enum lane)lane, next_job++, &h);
        take(&s, name_of(0), (enum lane)lane, 1, &t);
        check_delivery(0, &t.job[0]);
        remember(0, &t.job[0]);
    }
    for (int i = 0; i < CREW; i++)
        begin();
    for (int i = 0; next_job < JOBS || i % 1000 != 0; i++) {
        step();
        if (i % 40 == 0)
            check_lanes();
    }
    make_sure_of_a_zombie();
    last = begin();
    heal(last);
    cr_assert(wait_until(now_ms() + patience_ms(30000), drain_once, &last), "%lld of %llu ended",
              (long long)(seen.succeeded + seen.dead), (unsigned long long)next_job - 1);
    check_lanes();
    check_the_end(last);
    /* what was to be shown did happen */
    cr_assert(seen.moved_by_reap > 200 && seen.crashes > 5 && seen.late > 0 && seen.zombies > 0,
              "%lld %lld %lld %lld", (long long)seen.moved_by_reap, (long long)seen.crashes,
              (long long)seen.late, (long long)seen.zombies);
    cr_assert(seen.lost_answers > 5 && seen.duplicates > 50 && seen.dead > 50 && seen.walked > 0);
    cr_log_info("seed %llu: %lld succeeded, %lld dead, %lld reaped, %lld crashes, %lld late reads, "
                "%lld zombies, %lld lost answers, %lld duplicates, %lld walked",
                (unsigned long long)seed, (long long)seen.succeeded, (long long)seen.dead,
                (long long)seen.moved_by_reap, (long long)seen.crashes, (long long)seen.late,
                (long long)seen.zombies, (long long)seen.lost_answers, (long long)seen.duplicates,
                (long long)seen.walked);
    for (int i = 0; i < born; i++)
        free(cast[i].table);
    free(job);
    shard_close(&s);
}

Test(model, loses_nothing_and_acknowledges_nothing_twice)
{
    run(20240229);
}

Test(model, does_so_by_another_seed)
{
    run(77003);
}

Test(model, does_so_by_a_third)
{
    run(test_seed(999331));
}
