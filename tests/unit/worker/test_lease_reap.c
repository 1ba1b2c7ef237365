/* SPDX-License-Identifier: MIT */
/* Who is fenced and reaped by whom: the dead are reaped to the end, a predecessor at once, and
 * ranks spare observers from doing it all at the same time. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/worker/lease_world.h"

Test(peers, with_much_to_reap_are_reaped_without_pause)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.reap_parts = 40;
    w.reap_result = LEASE_ACT_MORE;
    w.beats[1] = w.subscribed[1] = false;
    live(&w, 2 * LEASE);
    cr_assert_eq(w.reaps, 41);
    cr_assert_leq(w.last_reap_ms - w.first_fence_ms, 2 * STEP);
    close_world(&w);
}

Test(peers, whose_reap_fails_are_reaped_again_but_not_in_a_frenzy)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.reap_parts = 1000;
    w.reap_result = LEASE_ACT_RETRY;
    w.beats[1] = w.subscribed[1] = false;
    live(&w, 3 * LEASE);
    cr_assert_geq(w.reaps, 20);
    cr_assert_leq(w.reaps, 30);
    w.reap_parts = 0;
    live(&w, LEASE);
    cr_assert_eq(w.n, 1);
    close_world(&w);
}

Test(peers, fenced_by_somebody_else_are_reaped)
{
    struct world w;
    open_world(&w, 2);
    live(&w, LEASE);
    w.alive[2].counter = FENCED;
    live(&w, 2000);
    cr_assert_eq(w.fences, 0);
    cr_assert_eq(w.reaps, 1);
    cr_assert_eq(w.n, 2);
    close_world(&w);
}

Test(peers, a_predecessor_is_fenced_at_once_and_once)
{
    struct world w;
    open_world(&w, PEERS);
    lease_declare_dead(w.l, "p5");
    w.beats[5] = false;
    live(&w, 2 * STEP);
    cr_assert_eq(w.fences, 1);
    cr_assert_str_eq(w.victim, "p5");
    cr_assert_eq(w.first_fence_ms, 0);
    live(&w, LEASE);
    cr_assert_eq(w.fences, 1);
    cr_assert_eq(w.reaps, 1);
    cr_assert_leq(w.last_reap_ms, 100);
    cr_assert_eq(lease_living_peers(w.l), PEERS - 1);
    close_world(&w);
}

/* All incarnations order themselves alike, and without those whom they suspect. */
Test(peers, rank_everybody_differently)
{
    bool taken[PEERS + 1] = {false};
    struct told alive[PEERS + 1];
    for (size_t i = 0; i <= PEERS; i++)
        alive[i] = (struct told){NAMES[i], 7};
    for (size_t i = 0; i <= PEERS; i++) {
        struct lease *l = new_lease(NAMES[i], LEASE);
        lease_registered(l, 0, 0);
        cr_assert_eq(lease_next(l, 0).act, LEASE_SEND_BEAT);
        cr_assert_eq(tell_beat(l, alive, PEERS + 1, 0, 0), JOBQ_OK);
        unsigned rank = lease_rank(l, 0);
        cr_assert_leq(rank, PEERS);
        cr_assert(!taken[rank], "two of rank %u", rank);
        taken[rank] = true;
        lease_free(l);
    }
}

Test(peers, suspected_have_no_rank)
{
    struct world w;
    open_world(&w, PEERS);
    live(&w, LEASE);
    for (size_t i = 1; i <= PEERS; i++)
        w.subscribed[i] = w.beats[i] = false;
    live(&w, 2000);
    cr_assert_eq(lease_rank(w.l, w.now), 0);
    cr_assert_eq(lease_living_peers(w.l), 0);
    live(&w, 2000);
    cr_assert_eq(w.fences, PEERS);
    cr_assert_eq(w.reaps, PEERS);
    close_world(&w);
}

/* How long after p1 fell silent an observer of that name fences it, and its rank then. */
static int64_t time_to_fence(const char *own, size_t peers, unsigned *rank)
{
    struct world w;
    open_world(&w, peers);
    lease_free(w.l);
    w.l = new_lease(own, LEASE);
    w.alive[0].name = own;
    lease_registered(w.l, 0, 0);
    lease_use_presence(w.l, false);
    live(&w, LEASE);
    w.beats[1] = false;
    int64_t silent = w.now;
    while (!w.fences && w.now < silent + 3 * LEASE)
        live(&w, STEP);
    cr_assert_eq(w.fences, 1);
    *rank = lease_rank(w.l, w.now);
    close_world(&w);
    return w.first_fence_ms - silent;
}

/* The later the rank, the later it acts; the fence of the first spares the others' theirs. */
Test(peers, are_fenced_later_by_later_ranks)
{
    unsigned ranks = 0;
    for (int i = 1; i <= 60; i++) {
        char own[16];
        unsigned alone, rank;
        snprintf(own, sizeof(own), "me%d", i);
        int64_t first = time_to_fence(own, 1, &alone);
        int64_t later = time_to_fence(own, PEERS, &rank);
        cr_assert_eq(alone, 0);
        cr_assert_eq(later - first, (int64_t)rank * LEASE_RANK_MS);
        ranks |= 1u << rank;
    }
    cr_assert_geq(__builtin_popcount(ranks), PEERS / 2,
                  "too few different ranks: the test tells nothing");
}
