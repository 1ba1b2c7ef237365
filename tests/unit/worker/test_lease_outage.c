/* SPDX-License-Identifier: MIT */
/* The lease in bad times: Redis stands still, the observer does, or no answer comes: nobody who
 * lives is fenced. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "tests/unit/worker/lease_world.h"

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
