/* SPDX-License-Identifier: MIT */
/* lease_world: see lease_world.h. */
#include "tests/unit/worker/lease_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

const char *const NAMES[PEERS + 1] = {"me", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};

void open_world(struct world *w, size_t peers)
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

void answer_look(struct world *w)
{
    const char *name;
    tell_look(w->l, w->alive, w->n, w->now);
    for (size_t i = 0; (name = lease_peer_name(w->l, i)); i++) {
        size_t k = find(w, name);
        lease_presence(w->l, name, k < w->n && w->subscribed[k], w->now);
    }
}

void answer_beat(struct world *w)
{
    w->alive[0].counter++;
    cr_assert_eq(tell_beat(w->l, w->alive, w->n, w->beat_sent, w->now), JOBQ_OK);
}

void fence(struct world *w, const struct lease_action *a)
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

void live(struct world *w, int64_t ms)
{
    for (int64_t end = w->now + ms; w->now < end; w->now += STEP) {
        if (!w->frozen)
            peers_beat(w);
        observe(w);
    }
}

void thaw(struct world *w)
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

void close_world(struct world *w)
{
    lease_free(w->l);
}
