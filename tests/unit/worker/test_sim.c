/* SPDX-License-Identifier: MIT */
/*
 * Many leases against one Redis, in simulated time: processes are killed, paused and lost with
 * their host, answers are lost, connections break, Redis freezes; every process has a clock of its
 * own. Whoever lives and was not stopped for long must never be fenced; whoever died must be, soon.
 * The same seed gives the same trace.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "tests/unit/base/prng.h"
#include "tests/unit/worker/lease_told.h"

#define NODES 12
#define INCARNATIONS 600
#define OPS 64
#define TICK 5
#define LEASE 5000
#define SHORT_PAUSE 1000
#define CALM_BOUND 1250 /* G15 says 2 s with everything around it */
/* G15 says a lease and a second, for one at a time. */
#define ROUGH_BOUND (3 * LEASE)   /* observers pause too, and start to count anew */
#define LOST_BOUND (LEASE + 1500) /* G15 says a lease and a second, for one at a time */
#define REAP_BOUND 1500
#define SEEN_BY_ALL 1500

enum op_kind { OP_BEAT, OP_LOOK, OP_FENCE, OP_REAP };

struct op {
    enum op_kind kind;
    bool executed, refused,
        done; /* refused: the caller is fenced; done: what it asked for came true */
    int64_t due, sent_local, counter;
    const char *victim;
    struct told alive[2 * NODES]; /* as it was when the command was executed */
    const char *asked[2 * NODES];
    int64_t subscribers[2 * NODES];
    size_t n, asked_n;
};

/* One incarnation. */
struct life {
    char name[16];
    size_t node;
    bool living, long_paused, subscribed, in_alive;
    bool only_silent; /* died with its host, or before anybody had seen it subscribed: only silence
                         tells */
    int64_t counter;
    int64_t born_thawed, died_thawed,
        fenced_thawed; /* in time during which Redis answered; -1: not yet */
};

struct node {
    struct lease *lease;
    struct life *life; /* NULL: to be started again */
    struct op ops[OPS];
    size_t op_count;
    int64_t offset, paused_until, link_up_at, sub_up_at, restart_at;
    int64_t steady_at; /* its subscription does not break again, nor is it paused, before */
    bool link_down, sub_down;
};

struct dangers { /* one in so many ticks of a node; 0: never */
    unsigned kill, host_loss, pause, long_pause, sub_break, link_break, freeze;
};

struct sim {
    const struct dangers *dangers;
    struct node nodes[NODES];
    struct life lives[INCARNATIONS];
    size_t born;
    uint64_t seed, trace;
    int64_t t, thawed, frozen_until;
    bool has_breaks;
    size_t deaths, fenced_dead, reaped, allowed_steals, freezes;
};

static bool happens(struct sim *s, unsigned one_in)
{
    return one_in && prng(&s->seed) % one_in == 0;
}

static int64_t upto(struct sim *s, int64_t most)
{
    return (int64_t)(prng(&s->seed) % (uint64_t)(most + 1));
}

static void note(struct sim *s, uint64_t what)
{
    s->trace = (s->trace ^ what ^ (uint64_t)s->t << 20) * UINT64_C(1099511628211);
}

static bool is_frozen(const struct sim *s)
{
    return s->t < s->frozen_until;
}

static struct life *find_life(struct sim *s, const char *name)
{
    for (size_t i = 0; i < s->born; i++)
        if (strcmp(s->lives[i].name, name) == 0)
            return &s->lives[i];
    cr_assert_fail("%s never lived", name);
    return NULL;
}

static int64_t local(const struct sim *s, const struct node *n)
{
    return s->t + n->offset;
}

static void start_node(struct sim *s, size_t i)
{
    struct node *n = &s->nodes[i];
    cr_assert_lt(s->born, INCARNATIONS);
    struct life *l = &s->lives[s->born++];
    snprintf(l->name, sizeof(l->name), "n%zu.%zu", i, s->born);
    l->node = i;
    l->living = l->subscribed = l->in_alive = true;
    l->died_thawed = l->fenced_thawed = -1;
    l->born_thawed = s->thawed;
    int64_t offset = upto(s, 1000000000);
    memset(n, 0, sizeof(*n));
    n->life = l;
    n->offset = offset;
    n->lease = new_lease(l->name, LEASE);
    lease_registered(n->lease, local(s, n), local(s, n));
}

/* The process is no more. lost: with its host, so that its connections stay open. */
static void end_node(struct sim *s, struct node *n, bool lost)
{
    struct life *l = n->life;
    l->living = false;
    l->only_silent = lost || s->thawed - l->born_thawed < SEEN_BY_ALL;
    l->subscribed = lost;
    l->died_thawed = s->thawed;
    s->deaths++;
    lease_free(n->lease);
    n->lease = NULL;
    n->life = NULL;
    n->op_count = 0;
    n->restart_at = s->t + 2000 + upto(s, 6000);
}

/* ---- Redis ---- */

static void snapshot(struct sim *s, struct op *o)
{
    o->n = 0;
    for (size_t i = 0; i < s->born; i++)
        if (s->lives[i].in_alive) {
            cr_assert_lt(o->n, ARRAY_LEN(o->alive), "too many dead lie about");
            o->alive[o->n++] = (struct told){s->lives[i].name, s->lives[i].counter};
        }
    for (size_t i = 0; i < o->asked_n; i++)
        o->subscribers[i] = find_life(s, o->asked[i])->subscribed;
}

static void fence(struct sim *s, struct op *o)
{
    struct life *victim = find_life(s, o->victim);
    if (victim->in_alive && victim->counter == o->counter) {
        cr_assert(!victim->living || victim->long_paused, "%s lives, and was fenced at %lld",
                  victim->name, (long long)s->t);
        victim->counter = FENCED;
        victim->fenced_thawed = s->thawed;
        s->allowed_steals += victim->living;
        s->fenced_dead += !victim->living;
    }
    o->done = victim->in_alive && victim->counter == FENCED;
}

static void reap(struct sim *s, struct op *o)
{
    struct life *victim = find_life(s, o->victim);
    o->done = true;
    if (!victim->in_alive || victim->counter != FENCED)
        return;
    victim->in_alive = false;
    s->reaped++;
}

static void execute(struct sim *s, struct life *caller, struct op *o)
{
    o->executed = true;
    o->due = s->t + upto(s, 3) * TICK;
    o->refused = o->kind != OP_LOOK && (!caller->in_alive || caller->counter == FENCED);
    note(s, (uint64_t)o->kind + 7 * (uint64_t)(caller - s->lives) + 1000 * (uint64_t)o->refused);
    if (o->refused)
        return;
    if (o->kind == OP_BEAT)
        caller->counter++;
    if (o->kind == OP_FENCE)
        fence(s, o);
    else if (o->kind == OP_REAP)
        reap(s, o);
    else
        snapshot(s, o);
}

/* Each connection in its order, the connections in any. */
static void run_redis(struct sim *s)
{
    if (is_frozen(s))
        return;
    s->thawed += TICK;
    size_t first = prng(&s->seed) % NODES;
    for (size_t k = 0; k < NODES; k++) {
        struct node *n = &s->nodes[(first + k) % NODES];
        if (n->life && n->sub_down && s->t >= n->sub_up_at)
            n->life->subscribed = true;
        for (size_t i = 0; i < n->op_count; i++)
            if (!n->ops[i].executed && s->t >= n->ops[i].due)
                execute(s, n->life, &n->ops[i]);
    }
}

/* ---- a process ---- */

static void send_op(struct sim *s, struct node *n, enum op_kind kind, const struct lease_action *a)
{
    cr_assert_lt(n->op_count, OPS);
    struct op *o = &n->ops[n->op_count++];
    memset(o, 0, sizeof(*o));
    o->kind = kind;
    o->due = s->t + upto(s, 2) * TICK;
    o->sent_local = local(s, n);
    o->counter = a->counter;
    o->victim = a->victim ? find_life(s, a->victim)->name : NULL;
    const char *name;
    while (kind == OP_LOOK && o->asked_n < ARRAY_LEN(o->asked) &&
           (name = lease_peer_name(n->lease, o->asked_n)))
        o->asked[o->asked_n++] = find_life(s, name)->name;
}

static void take_answer(struct sim *s, struct node *n, const struct op *o)
{
    int64_t now = local(s, n);
    switch (o->kind) {
    case OP_BEAT:
        cr_assert_eq(tell_beat(n->lease, o->alive, o->n, o->sent_local, now), JOBQ_OK);
        break;
    case OP_LOOK:
        tell_look(n->lease, o->alive, o->n, now);
        for (size_t i = 0; i < o->asked_n; i++)
            lease_presence(n->lease, o->asked[i], o->subscribers[i], now);
        break;
    case OP_FENCE:
        lease_act_answered(n->lease, o->victim, o->done ? LEASE_ACT_FENCED : LEASE_ACT_DONE, now);
        break;
    case OP_REAP:
        lease_act_answered(n->lease, o->victim, LEASE_ACT_DONE, now);
    }
}

static void lose_answer(struct sim *s, struct node *n, const struct op *o)
{
    int64_t now = local(s, n);
    if (o->kind == OP_BEAT)
        lease_beat_failed(n->lease, now);
    else if (o->kind == OP_LOOK)
        lease_look_failed(n->lease, now);
    else
        lease_act_answered(n->lease, o->victim, LEASE_ACT_RETRY, now);
}

/* What was under way may have arrived, or not; its answers are lost. */
static void break_link(struct sim *s, struct node *n)
{
    for (size_t i = 0; i < n->op_count; i++) {
        if (!n->ops[i].executed && !is_frozen(s) && prng(&s->seed) % 2)
            execute(s, n->life, &n->ops[i]);
        lose_answer(s, n, &n->ops[i]);
    }
    n->op_count = 0;
    n->link_down = true;
    n->link_up_at = s->t + upto(s, 500);
}

static bool take_answers(struct sim *s, struct node *n)
{
    while (n->op_count && n->ops[0].executed && s->t >= n->ops[0].due) {
        struct op o = n->ops[0];
        memmove(&n->ops[0], &n->ops[1], --n->op_count * sizeof(n->ops[0]));
        if (o.refused) {
            cr_assert(n->life->long_paused, "%s learnt that it is fenced", n->life->name);
            end_node(s, n, false);
            return false;
        }
        take_answer(s, n, &o);
    }
    return true;
}

static void think(struct sim *s, struct node *n)
{
    static const enum op_kind kinds[] = {[LEASE_SEND_BEAT] = OP_BEAT,
                                         [LEASE_SEND_LOOK] = OP_LOOK,
                                         [LEASE_SEND_FENCE] = OP_FENCE,
                                         [LEASE_SEND_REAP] = OP_REAP};
    for (int guard = 0;; guard++) {
        struct lease_action a = lease_next(n->lease, local(s, n));
        cr_assert_lt(guard, OPS, "acts for ever");
        if (a.act == LEASE_NOTHING)
            break;
        cr_assert(a.act == LEASE_SEND_BEAT || a.act == LEASE_SEND_LOOK ||
                  lease_may_start(n->lease, local(s, n)));
        send_op(s, n, kinds[a.act], &a);
    }
    cr_assert_gt(lease_due_ms(n->lease, local(s, n)), local(s, n),
                 "due at once, yet nothing to do");
}

static void run_connections(struct sim *s, struct node *n)
{
    const struct dangers *d = s->dangers;
    if (n->link_down && s->t >= n->link_up_at && !is_frozen(s)) {
        n->link_down = false;
        lease_reconnected(n->lease);
    } else if (!n->link_down && happens(s, d->link_break)) {
        break_link(s, n);
    }
    if (n->sub_down && s->t >= n->sub_up_at && !is_frozen(s)) {
        n->sub_down = false;
        n->steady_at = s->t + 1000;
        n->life->subscribed = true;
        lease_hidden(n->lease, false, local(s, n));
    } else if (!n->sub_down && s->t >= n->steady_at && happens(s, d->sub_break)) {
        n->sub_down = true;
        n->sub_up_at = s->t + upto(s, 500);
        n->life->subscribed = false;
        lease_hidden(n->lease, true, local(s, n));
    }
}

static void run_node(struct sim *s, size_t i)
{
    const struct dangers *d = s->dangers;
    struct node *n = &s->nodes[i];
    if (!n->life) {
        if (s->t >= n->restart_at && !is_frozen(s))
            start_node(s, i);
        return;
    }
    if (happens(s, d->kill) || happens(s, d->host_loss)) {
        end_node(s, n, d->host_loss && prng(&s->seed) % 2);
        return;
    }
    if (s->t < n->paused_until)
        return;
    /* Stopped while it is hidden, it could not be back within half a second: no promise covers
     * that. */
    if (!n->sub_down && !n->link_down && s->t >= n->steady_at && happens(s, d->pause))
        n->paused_until = s->t + upto(s, SHORT_PAUSE);
    if (happens(s, d->long_pause)) {
        n->paused_until = s->t + LEASE + upto(s, 4 * LEASE);
        n->life->long_paused = true;
    }
    if (s->t < n->paused_until)
        return;
    run_connections(s, n);
    if (!n->link_down && take_answers(s, n))
        think(s, n);
}

/* Whoever died is fenced, and what it held given back, within its bound of time in which Redis
 * answered. */
static void check_dead(struct sim *s)
{
    for (size_t i = 0; i < s->born; i++) {
        const struct life *l = &s->lives[i];
        if (l->living || !l->in_alive || l->long_paused)
            continue;
        int64_t bound = s->has_breaks ? ROUGH_BOUND : l->only_silent ? LOST_BOUND : CALM_BOUND;
        if (l->fenced_thawed < 0)
            cr_assert_leq(s->thawed - l->died_thawed, bound, "%s is dead and not fenced", l->name);
        else
            cr_assert_leq(s->thawed - l->fenced_thawed, s->has_breaks ? ROUGH_BOUND : REAP_BOUND,
                          "%s is not reaped", l->name);
    }
}

static uint64_t simulate(const struct dangers *dangers, uint64_t seed, int64_t ms,
                         struct sim *totals)
{
    struct sim *s = calloc(1, sizeof(*s));
    cr_assert_not_null(s);
    s->dangers = dangers;
    s->seed = seed;
    s->has_breaks = dangers->link_break || dangers->pause || dangers->long_pause || dangers->freeze;
    for (size_t i = 0; i < NODES; i++)
        start_node(s, i);
    for (s->t = 0; s->t < ms; s->t += TICK) {
        if (!is_frozen(s) && happens(s, dangers->freeze)) {
            s->frozen_until = s->t + upto(s, prng(&s->seed) % 2 ? 1500 : 15000);
            s->freezes++;
        }
        run_redis(s);
        for (size_t i = 0; i < NODES; i++)
            run_node(s, i);
        check_dead(s);
    }
    for (size_t i = 0; i < NODES; i++)
        lease_free(s->nodes[i].lease);
    totals->deaths += s->deaths;
    totals->fenced_dead += s->fenced_dead;
    totals->reaped += s->reaped;
    totals->allowed_steals += s->allowed_steals;
    totals->freezes += s->freezes;
    uint64_t trace = s->trace;
    free(s);
    return trace;
}

static void simulate_many(const struct dangers *dangers, int64_t ms, struct sim *totals)
{
    memset(totals, 0, sizeof(*totals));
    for (uint64_t seed = 1; seed <= 8; seed++)
        simulate(dangers, seed * 7919, ms, totals);
}

#define EACH(seconds) ((unsigned)((seconds)*1000 / TICK))
static struct sim totals;

Test(sim, in_calm_nobody_is_fenced)
{
    static const struct dangers none = {0};
    simulate_many(&none, 300000, &totals);
    cr_assert_eq(totals.fenced_dead + totals.allowed_steals + totals.reaped, 0);
}

Test(sim, the_killed_are_fenced_within_a_second_and_nobody_else)
{
    static const struct dangers kills = {.kill = EACH(60), .sub_break = EACH(20)};
    simulate_many(&kills, 300000, &totals);
    cr_assert_gt(totals.deaths, 200);
    cr_assert_geq(totals.fenced_dead + 16, totals.deaths);
}

Test(sim, those_lost_with_their_host_are_fenced_within_a_lease_and_a_second)
{
    static const struct dangers losses = {.host_loss = EACH(60), .sub_break = EACH(20)};
    simulate_many(&losses, 300000, &totals);
    cr_assert_gt(totals.deaths, 200);
    cr_assert_geq(totals.fenced_dead + 32, totals.deaths);
}

Test(sim, a_freezing_redis_and_breaking_links_cost_nobody_his_life)
{
    static const struct dangers outage = {
        .sub_break = EACH(3), .link_break = EACH(5), .pause = EACH(4), .freeze = EACH(4)};
    simulate_many(&outage, 300000, &totals);
    cr_assert_gt(totals.freezes, 150);
    cr_assert_eq(totals.fenced_dead + totals.allowed_steals + totals.reaped, 0);
}

Test(sim, in_the_midst_of_everything_the_dead_are_fenced_and_the_living_not)
{
    static const struct dangers all = {.kill = EACH(60),
                                       .host_loss = EACH(120),
                                       .pause = EACH(10),
                                       .long_pause = EACH(120),
                                       .sub_break = EACH(5),
                                       .link_break = EACH(15),
                                       .freeze = EACH(10)};
    simulate_many(&all, 300000, &totals);
    cr_assert_gt(totals.deaths, 200);
    cr_assert_gt(totals.fenced_dead, 200);
    cr_assert_gt(totals.allowed_steals, 20, "who stands still for long is fenced");
    cr_assert_gt(totals.freezes, 50);
}

Test(sim, the_same_seed_gives_the_same_trace)
{
    static const struct dangers all = {.kill = EACH(30),
                                       .pause = EACH(10),
                                       .long_pause = EACH(60),
                                       .sub_break = EACH(5),
                                       .link_break = EACH(15),
                                       .freeze = EACH(10)};
    uint64_t trace = simulate(&all, 5, 60000, &totals);
    cr_assert_eq(simulate(&all, 5, 60000, &totals), trace);
    cr_assert_neq(simulate(&all, 6, 60000, &totals), trace);
}
