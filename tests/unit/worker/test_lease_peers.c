/* SPDX-License-Identifier: MIT */
/*
 * The lease's judgement of others, in a world of one observer and a few peers: who is fenced, when,
 * and who never is.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/unit/worker/lease_told.h"

#define LEASE 5000
#define BEAT  (LEASE / LEASE_BEATS)
#define STEP  10
#define PEERS 8

struct world {
    struct lease *l;
    struct told alive[PEERS + 1]; /* [0] is the observer */
    bool beats[PEERS + 1];
    bool subscribed[PEERS + 1];
    size_t n;
    int64_t now;
    bool frozen;           /* Redis does not answer */
    bool beating, looking; /* asked while it was frozen */
    int64_t beat_sent;
    int fences, refused, reaps, reap_parts; /* reap_parts: how often a reap says that there is
                                             * more */
    enum lease_result reap_result;
    int64_t first_fence_ms, last_reap_ms;
    char victim[64];
};

static const char *const NAMES[PEERS + 1] = {"me", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};

static void open_world(struct world *w, size_t peers)
{
    memset(w, 0, sizeof(*w));
    w->l = new_lease("me", LEASE);
    w->n = peers + 1;
    for (size_t i = 0; i < w->n; i++) {
        w->alive[i] = (struct told){NAMES[i], 1};
        w->beats[i] = w->subscribed[i] = true;
    }
    lease_registered(w->l, 0, 0);
}

static size_t find(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->alive[i].name, name) == 0)
            return i;
    return w->n;
}

static void answer_look(struct world *w)
{
    const char *name;
    tell_look(w->l, w->alive, w->n, w->now);
    for (size_t i = 0; (name = lease_peer_name(w->l, i)); i++) {
        size_t k = find(w, name);
        lease_presence(w->l, name, k < w->n && w->subscribed[k], w->now);
    }
}

static void answer_beat(struct world *w)
{
    w->alive[0].counter++;
    cr_assert_eq(tell_beat(w->l, w->alive, w->n, w->beat_sent, w->now), JOBQ_OK);
}

static void fence(struct world *w, const struct lease_action *a)
{
    size_t k = find(w, a->victim);
    cr_assert_lt(k, w->n, "%s is not in alive", a->victim);
    bool same = w->alive[k].counter == a->counter;
    if (same) {
        w->alive[k].counter = FENCED;
        w->first_fence_ms = w->fences++ ? w->first_fence_ms : w->now;
        snprintf(w->victim, sizeof(w->victim), "%s", a->victim);
    } else if (w->alive[k].counter != FENCED) {
        w->refused++;
    }
    bool took = w->alive[k].counter == FENCED;
    lease_act_answered(w->l, a->victim, took ? LEASE_ACT_FENCED : LEASE_ACT_DONE, w->now);
}

static void reap(struct world *w, const struct lease_action *a)
{
    size_t k = find(w, a->victim);
    cr_assert_lt(k, w->n);
    cr_assert_eq(w->alive[k].counter, FENCED, "reaped before it was fenced");
    w->reaps++;
    w->last_reap_ms = w->now;
    if (w->reap_parts) {
        w->reap_parts--;
        lease_act_answered(w->l, a->victim, w->reap_result, w->now);
        return;
    }
    char victim[64];
    snprintf(victim, sizeof(victim), "%s", a->victim);
    w->alive[k] = w->alive[--w->n];
    w->beats[k] = w->beats[w->n];
    w->subscribed[k] = w->subscribed[w->n];
    lease_act_answered(w->l, victim, LEASE_ACT_DONE, w->now);
}

static void observe(struct world *w)
{
    for (int guard = 0;; guard++) {
        struct lease_action a = lease_next(w->l, w->now);
        cr_assert_lt(guard, 100, "never says that there is nothing more to do");
        if (a.act == LEASE_NOTHING)
            break;
        if (a.act == LEASE_SEND_BEAT) {
            w->beat_sent = w->now;
            if (w->frozen)
                w->beating = true;
            else
                answer_beat(w);
        } else if (a.act == LEASE_SEND_LOOK) {
            if (w->frozen)
                w->looking = true;
            else
                answer_look(w);
        } else if (!w->frozen && a.act == LEASE_SEND_FENCE) {
            fence(w, &a);
        } else if (!w->frozen) {
            reap(w, &a);
        }
    }
    cr_assert_gt(lease_due_ms(w->l, w->now), w->now, "due at once, yet nothing to do");
}

static void peers_beat(struct world *w)
{
    for (size_t i = 1; i < w->n; i++)
        if (w->beats[i] && w->alive[i].counter != FENCED &&
            (w->now + 70 * (int64_t)i) % BEAT < STEP)
            w->alive[i].counter++;
}

/* Everybody lives on for so long; Redis takes beats unless it is frozen. */
static void live(struct world *w, int64_t ms)
{
    for (int64_t end = w->now + ms; w->now < end; w->now += STEP) {
        if (!w->frozen)
            peers_beat(w);
        observe(w);
    }
}

/* Answers what was asked; what peers sent meanwhile was taken first. */
static void thaw(struct world *w)
{
    w->frozen = false;
    for (size_t i = 1; i < w->n; i++)
        w->alive[i].counter += w->beats[i];
    if (w->beating)
        answer_beat(w);
    if (w->looking)
        answer_look(w);
    w->beating = w->looking = false;
}

static void close_world(struct world *w)
{
    lease_free(w->l);
}

Test(peers, who_beat_are_never_suspected)
{
    struct world w;
    open_world(&w, PEERS);
    live(&w, 200 * LEASE);
    cr_assert_eq(w.fences, 0);
    cr_assert_eq(lease_living_peers(w.l), PEERS);
    close_world(&w);
}

Test(peers, who_fall_silent_are_fenced_after_five_own_beats_and_reaped)
{
    struct world w;
    open_world(&w, 1);
    lease_use_presence(w.l, false);
    live(&w, 2 * LEASE);
    w.beats[1] = false;
    int64_t silent = w.now;
    live(&w, 2 * LEASE);
    cr_assert_eq(w.fences, 1);
    cr_assert_str_eq(w.victim, "p1");
    cr_assert_geq(w.first_fence_ms - silent, (LEASE_BEATS - 1) * BEAT, "after %lld ms",
                  (long long)(w.first_fence_ms - silent));
    cr_assert_leq(w.first_fence_ms - silent, LEASE + BEAT);
    cr_assert_eq(w.reaps, 1);
    cr_assert_eq(w.n, 1);
    cr_assert_null(lease_peer_name(w.l, 0));
    close_world(&w);
}

Test(peers, who_vanish_are_fenced_within_a_second)
{
    struct world w;
    open_world(&w, 1);
    live(&w, 2 * LEASE);
    w.beats[1] = w.subscribed[1] = false;
    int64_t died = w.now;
    live(&w, LEASE);
    cr_assert_eq(w.fences, 1);
    cr_assert_geq(w.first_fence_ms - died, LEASE_GONE_MS);
    cr_assert_leq(w.first_fence_ms - died, LEASE_GONE_MS + LEASE_POLL_MS + 2 * STEP);
    cr_assert_leq(w.last_reap_ms - died, 1500);
    close_world(&w);
}

Test(peers, never_seen_subscribed_are_not_dead_by_absence)
{
    struct world w;
    open_world(&w, 1);
    w.subscribed[1] = false;
    live(&w, 3 * LEASE);
    cr_assert_eq(w.fences, 0);
    w.beats[1] = false;
    int64_t silent = w.now;
    live(&w, 2 * LEASE);
    cr_assert_eq(w.fences, 1);
    cr_assert_geq(w.first_fence_ms - silent, (LEASE_BEATS - 1) * BEAT);
    close_world(&w);
}

Test(peers, back_within_half_a_second_are_spared)
{
    struct world w;
    open_world(&w, 3);
    live(&w, LEASE);
    for (int i = 0; i < 100; i++) {
        w.subscribed[1] = false;
        live(&w, 500);
        w.subscribed[1] = true;
        live(&w, BEAT + STEP);
    }
    for (int i = 0; i < 200; i++) {
        w.subscribed[1] = false;
        w.alive[1].counter++; /* whoever loses that connection beats at once */
        live(&w, 500);
        w.subscribed[1] = true;
        live(&w, 130);
    }
    cr_assert_eq(w.fences + w.refused, 0);
    close_world(&w);
}

Test(peers, absent_who_beat_meanwhile_are_spared)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.subscribed[1] = false;
    for (int i = 0; i < 100; i++) {
        w.alive[1].counter++; /* as one does that knows it is hidden */
        live(&w, LEASE_POLL_MS);
    }
    cr_assert_eq(w.fences + w.refused, 0);
    close_world(&w);
}

Test(peers, absent_before_the_observer_reconnected_count_as_never_seen)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.subscribed[1] = false;
    live(&w, 500);
    lease_reconnected(w.l);
    live(&w, LEASE);
    cr_assert_eq(w.fences, 0);
    close_world(&w);
}

Test(peers, silence_is_counted_anew_after_the_observer_reconnected)
{
    struct world w;
    open_world(&w, 1);
    lease_use_presence(w.l, false);
    live(&w, LEASE);
    w.beats[1] = false;
    for (int i = 0; i < 20; i++) {
        live(&w, (LEASE_BEATS - 2) * BEAT);
        lease_reconnected(w.l);
    }
    cr_assert_eq(w.fences, 0);
    live(&w, LEASE + 2 * BEAT);
    cr_assert_eq(w.fences, 1);
    close_world(&w);
}

Test(peers, presence_is_ignored_behind_a_proxy)
{
    struct world w;
    open_world(&w, 2);
    live(&w, LEASE);
    w.subscribed[1] = w.subscribed[2] = false;
    live(&w, 600);
    lease_use_presence(w.l, false);
    live(&w, 3 * LEASE);
    cr_assert_eq(w.fences, 0);
    w.beats[1] = false;
    int64_t silent = w.now;
    live(&w, LEASE + 2 * BEAT);
    cr_assert_eq(w.fences, 1);
    cr_assert_geq(w.first_fence_ms - silent, (LEASE_BEATS - 1) * BEAT);
    close_world(&w);
}

/* Redis stands still for any time: nobody's silence counts, however the clock runs. */
Test(peers, outlive_a_frozen_redis)
{
    static const int64_t lengths[] = {100, 760, 1000, 3000, 4100, 6000, 60000, 3600000};
    struct world w;
    open_world(&w, PEERS);
    live(&w, LEASE);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        w.frozen = true;
        live(&w, MIN(lengths[i], 20000));
        w.now += lengths[i] - MIN(lengths[i], 20000);
        thaw(&w);
        live(&w, 770);
    }
    cr_assert_eq(w.fences + w.refused, 0);
    close_world(&w);
}

/* The last look before Redis stood still found it absent; it was back before anybody could see
 * it. */
Test(peers, absent_in_the_last_look_before_a_freeze_outlive_it)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.subscribed[1] = false;
    live(&w, 2 * LEASE_POLL_MS);
    w.beats[1] = false; /* what it sends does not arrive: and a fence sent now would arrive first */
    w.frozen = true;
    for (int i = 0; i < 300; i++) {
        struct lease_action a = lease_next(w.l, w.now);
        cr_assert(a.act != LEASE_SEND_FENCE, "judged without having looked");
        w.beating |= a.act == LEASE_SEND_BEAT;
        w.looking |= a.act == LEASE_SEND_LOOK;
        w.now += STEP;
    }
    w.beats[1] = w.subscribed[1] = true;
    thaw(&w);
    live(&w, LEASE);
    cr_assert_eq(w.fences, 0);
    close_world(&w);
}

/* The observer is stopped and goes on: to it, its clock jumps. */
Test(peers, outlive_a_pause_of_the_observer)
{
    struct world w;
    open_world(&w, PEERS);
    live(&w, LEASE);
    for (int i = 1; i < 60; i++) {
        w.subscribed[1 + i % PEERS] = false;
        live(&w, 100 + i);
        w.subscribed[1 + i % PEERS] = true;
        for (size_t k = 1; k < w.n; k++)
            w.alive[k].counter += i;
        w.now += i * 977;
        live(&w, 700);
    }
    cr_assert_eq(w.fences + w.refused, 0);
    close_world(&w);
}

Test(peers, are_not_judged_by_one_who_cannot_prove_to_be_alive)
{
    struct world w;
    open_world(&w, 1);
    live(&w, LEASE);
    w.alive[1].counter = FENCED; /* by somebody else; still to be reaped */
    w.reap_result = LEASE_ACT_RETRY;
    w.reap_parts = 1000;
    live(&w, 2000);
    int before = w.reaps;
    cr_assert_gt(before, 0);
    for (int64_t end = w.now + 4 * LEASE; w.now < end; w.now += STEP) {
        enum lease_act a;
        int guard = 0;
        while ((a = lease_next(w.l, w.now).act) != LEASE_NOTHING && guard++ < 10) {
            bool proof = lease_may_start(w.l, w.now);
            cr_assert(proof || (a != LEASE_SEND_REAP && a != LEASE_SEND_FENCE));
            if (a == LEASE_SEND_BEAT)
                lease_beat_failed(w.l, w.now);
            else if (a == LEASE_SEND_LOOK)
                lease_look_failed(w.l, w.now);
            else
                lease_act_answered(w.l, "p1", LEASE_ACT_RETRY, w.now);
        }
        cr_assert_gt(lease_due_ms(w.l, w.now), w.now, "would spin");
    }
    cr_assert(!lease_may_start(w.l, w.now));
    w.reap_parts = 0;
    live(&w, LEASE);
    cr_assert_eq(w.n, 1, "reaped once it could prove it again");
    close_world(&w);
}

Test(peers, who_beat_between_look_and_fence_live_on)
{
    struct world w;
    open_world(&w, 1);
    lease_use_presence(w.l, false);
    live(&w, LEASE);
    w.beats[1] = false;
    struct lease_action a = {0};
    for (int64_t end = w.now + 2 * LEASE; w.now < end && a.act != LEASE_SEND_FENCE; w.now += STEP)
        while ((a = lease_next(w.l, w.now)).act == LEASE_SEND_BEAT || a.act == LEASE_SEND_LOOK) {
            w.beat_sent = w.now;
            if (a.act == LEASE_SEND_BEAT)
                answer_beat(&w);
            else
                answer_look(&w);
        }
    cr_assert_eq(a.act, LEASE_SEND_FENCE);
    cr_assert_eq(a.counter, w.alive[1].counter);
    w.alive[1].counter++;
    w.beats[1] = true;
    fence(&w, &a);
    cr_assert_eq(w.refused, 1);
    live(&w, 3 * LEASE);
    cr_assert_eq(w.fences, 0);
    cr_assert_eq(w.refused, 1);
    close_world(&w);
}

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

Test(peers, gone_from_alive_are_forgotten)
{
    struct world w;
    open_world(&w, 3);
    live(&w, LEASE);
    w.n = 2;
    live(&w, 2 * BEAT);
    cr_assert_eq(lease_living_peers(w.l), 1);
    cr_assert_str_eq(lease_peer_name(w.l, 0), "p1");
    cr_assert_null(lease_peer_name(w.l, 1));
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

Test(peers, extra_beats_count_no_silence)
{
    struct world w;
    open_world(&w, 1);
    lease_use_presence(w.l, false);
    live(&w, LEASE);
    w.beats[1] = false;
    int64_t silent = w.now;
    for (int i = 0; i < 350; i++) {
        lease_beat_soon(w.l, w.now);
        live(&w, STEP);
    }
    cr_assert_eq(w.fences, 0, "after %lld ms", (long long)(w.now - silent));
    live(&w, LEASE);
    cr_assert_eq(w.fences, 1, "nor do they keep it from being counted");
    cr_assert_leq(w.first_fence_ms - silent, LEASE + BEAT);
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

Test(peers, names_that_no_incarnation_has_are_left_alone)
{
    char longest[200];
    struct world w;
    open_world(&w, 1);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[120] = '\0'; /* the answer's strings hold 127 */
    w.alive[1].name = longest;
    live(&w, BEAT);
    cr_assert_eq(lease_living_peers(w.l), 1);
    jobq_err err;
    longest[120] = 'x';
    longest[sizeof(longest) - 1] = '\0';
    cr_assert_eq(lease_look_peer(w.l, longest, false, 1, w.now, &err), JOBQ_OK);
    lease_presence(w.l, longest, 0, w.now);
    lease_act_answered(w.l, longest, LEASE_ACT_DONE, w.now);
    lease_declare_dead(w.l, longest);
    cr_assert_eq(lease_living_peers(w.l), 1);
    close_world(&w);
}
