/* SPDX-License-Identifier: MIT */
/*
 * The lease's own proof of life: when beats are sent, what they prove, and until when jobs may be
 * started.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/worker/lease_told.h"

#define LEASE 5000
#define BEAT  (LEASE / LEASE_BEATS)

static const struct told ALONE[] = {{"me", 1}};

static enum lease_act act(struct lease *l, int64_t now)
{
    return lease_next(l, now).act;
}

/* Everything due is sent; looks are answered with nobody. */
static bool beat_is_sent(struct lease *l, int64_t now)
{
    bool sent = false;
    enum lease_act a;
    while ((a = act(l, now)) != LEASE_NOTHING) {
        sent |= a == LEASE_SEND_BEAT;
        if (a == LEASE_SEND_LOOK)
            tell_look(l, ALONE, 1, now);
    }
    return sent;
}

static void beat_at(struct lease *l, int64_t now)
{
    cr_assert(beat_is_sent(l, now), "no beat at %lld", (long long)now);
    cr_assert_eq(tell_beat(l, ALONE, 1, now, now), JOBQ_OK);
}

Test(lease, does_nothing_before_it_is_registered)
{
    struct lease *l = new_lease("me", LEASE);
    cr_assert_eq(act(l, 0), LEASE_NOTHING);
    cr_assert_eq(lease_due_ms(l, 0), INT64_MAX);
    cr_assert(!lease_may_start(l, 0));
    lease_beat_soon(l, 0);
    cr_assert_eq(act(l, 100000), LEASE_NOTHING);
    lease_free(l);
    lease_free(NULL);
}

Test(lease, beats_at_once_and_then_five_times_a_lease)
{
    struct lease *l = new_lease("me", LEASE);
    int64_t sent = 0, last = 0;
    cr_assert_eq(lease_beat_ms(l), BEAT);
    lease_registered(l, 90, 100);
    beat_at(l, 100);
    for (int64_t now = 100; now < 100 + 10 * LEASE; now += 10) {
        if (!beat_is_sent(l, now))
            continue;
        if (sent)
            cr_assert_eq(now - last, BEAT);
        sent++;
        last = now;
        cr_assert_eq(tell_beat(l, ALONE, 1, now, now + 3), JOBQ_OK);
    }
    cr_assert_eq(sent, 49);
    lease_free(l);
}

Test(lease, has_one_beat_under_way_at_most)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 0, 0);
    cr_assert(beat_is_sent(l, 0));
    for (int64_t now = 1; now < 10 * LEASE; now += 50) {
        lease_beat_soon(l, now);
        cr_assert(!beat_is_sent(l, now));
    }
    lease_free(l);
}

Test(lease, ends_the_right_to_start_a_beat_before_the_lease)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 1000, 1500);
    cr_assert(lease_may_start(l, 1000 + LEASE - BEAT - 1));
    cr_assert(!lease_may_start(l, 1000 + LEASE - BEAT),
              "proof counts from the sending, not from the answer");
    cr_assert_eq(lease_proof_ends_ms(l), 1000 + LEASE - BEAT);
    cr_assert(beat_is_sent(l, 3000));
    cr_assert_eq(tell_beat(l, ALONE, 1, 3000, 6900), JOBQ_OK);
    cr_assert(lease_may_start(l, 6999));
    cr_assert(!lease_may_start(l, 7000));
    lease_free(l);
}

Test(lease, takes_no_failed_beat_and_no_older_one_for_proof)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 5000, 5000);
    cr_assert(beat_is_sent(l, 5000));
    lease_beat_failed(l, 8000);
    cr_assert_eq(lease_proof_ends_ms(l), 9000);
    cr_assert(!beat_is_sent(l, 8499));
    cr_assert(beat_is_sent(l, 8500), "sent again soon");
    cr_assert_eq(tell_beat(l, ALONE, 1, 2000, 8600), JOBQ_OK);
    cr_assert_eq(lease_proof_ends_ms(l), 9000);
    lease_free(l);
}

Test(lease, sends_an_extra_beat_at_once_without_moving_the_regular_ones)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 0, 0);
    beat_at(l, 0);
    beat_at(l, BEAT);
    lease_beat_soon(l, 1300);
    cr_assert_eq(lease_due_ms(l, 1300), 1300);
    beat_at(l, 1300);
    cr_assert(!beat_is_sent(l, 2 * BEAT - 1));
    beat_at(l, 2 * BEAT);
    lease_free(l);
}

Test(lease, sends_an_extra_beat_asked_for_under_way_once_it_is_answered)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 0, 0);
    beat_at(l, 0);
    cr_assert(beat_is_sent(l, BEAT));
    lease_beat_soon(l, BEAT + 1);
    cr_assert_eq(tell_beat(l, ALONE, 1, BEAT, BEAT + 2), JOBQ_OK);
    beat_at(l, BEAT + 2);
    cr_assert(!beat_is_sent(l, BEAT + 3));
    lease_free(l);
}

Test(lease, beats_more_often_than_absence_means_death_while_it_is_hidden)
{
    struct lease *l = new_lease("me", LEASE);
    int64_t last = 0, now = 0;
    lease_registered(l, 0, 0);
    beat_at(l, 0);
    lease_hidden(l, true, 100);
    beat_at(l, 100);
    for (last = now = 100; now < 4 * LEASE; now++) {
        if (now >= lease_due_ms(l, now) && beat_is_sent(l, now)) {
            cr_assert_eq(tell_beat(l, ALONE, 1, now, now), JOBQ_OK);
            last = now;
        }
        cr_assert_lt(now - last, LEASE_GONE_MS);
    }
    lease_hidden(l, false, now);
    int sent = 0;
    for (int64_t end = now + 10 * BEAT; now < end; now++)
        if (beat_is_sent(l, now)) {
            cr_assert_eq(tell_beat(l, ALONE, 1, now, now), JOBQ_OK);
            sent++;
        }
    cr_assert_eq(sent, 10, "as often as before");
    lease_free(l);
}

Test(lease, retries_no_failed_beat_in_a_frenzy)
{
    struct lease *l = new_lease("me", LEASE);
    int sent = 0;
    lease_registered(l, 0, 0);
    lease_hidden(l, true, 0);
    for (int64_t now = 0; now < LEASE; now++)
        if (beat_is_sent(l, now)) {
            lease_beat_failed(l, now);
            sent++;
        }
    cr_assert_eq(sent, 10);
    lease_free(l);
}

Test(lease, counts_a_beat_and_a_look_under_way_as_lost_with_their_connection)
{
    struct lease *l = new_lease("me", LEASE);
    lease_registered(l, 0, 0);
    cr_assert_eq(act(l, 0), LEASE_SEND_BEAT);
    cr_assert_eq(act(l, 0), LEASE_SEND_LOOK);
    cr_assert_eq(act(l, 2000), LEASE_NOTHING);
    lease_reconnected(l);
    cr_assert_eq(act(l, 2000), LEASE_SEND_BEAT);
    cr_assert_eq(act(l, 2000), LEASE_SEND_LOOK);
    lease_free(l);
}

Test(lease, of_a_millisecond_still_beats)
{
    struct lease *l = new_lease("me", 1);
    cr_assert_eq(lease_beat_ms(l), 1);
    lease_registered(l, 0, 0);
    beat_at(l, 0);
    beat_at(l, 1);
    lease_free(l);
}

Test(lease, refuses_a_name_that_is_too_long)
{
    char name[200];
    struct lease *l = NULL;
    jobq_err err;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_assert_eq(lease_new(PARTITION, name, LEASE, &l, &err), JOBQ_EINVAL);
    cr_assert_null(l);
}

Test(lease, survives_want_of_memory)
{
    struct lease *l = NULL;
    jobq_err err;
    static const struct told two[] = {{"me", 1}, {"other", 1}};
    for (long nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth, 0);
        cr_assert_eq(lease_new(PARTITION, "me", LEASE, &l, &err), JOBQ_ENOMEM);
    }
    mem_fail_at(0, 0);
    l = new_lease("me", LEASE);
    lease_registered(l, 0, 0);
    cr_assert_eq(act(l, 0), LEASE_SEND_BEAT);
    mem_fail_at(1, 0);
    cr_assert_eq(tell_beat(l, two, 2, 0, 0), JOBQ_ENOMEM);
    mem_fail_at(0, 0);
    cr_assert(lease_may_start(l, 100), "the beat was accepted all the same");
    cr_assert_null(lease_peer_name(l, 0));
    beat_is_sent(l, BEAT);
    cr_assert_eq(tell_beat(l, two, 2, BEAT, BEAT), JOBQ_OK);
    cr_assert_str_eq(lease_peer_name(l, 0), "other");
    lease_free(l);
}
