/* SPDX-License-Identifier: MIT */
/* The lease's judgement of others, in a world of one observer and a few peers: who is fenced, when,
 * and who never is. Where nobody can be heard, see test_lease_outage.c; what becomes of the fenced,
 * test_lease_reap.c. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/worker/lease_world.h"

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
