/* SPDX-License-Identifier: MIT */
#include "worker/lease.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "broker/claim.h"

#define NAME_SIZE 128
#define RETRY_MS 500 /* an act that failed is tried again after so long */
/* Absence is counted in our looks as well: a clock runs on while Redis, or we, stand still. */
#define GONE_LOOKS (LEASE_GONE_MS / LEASE_POLL_MS + 1)

struct peer {
    char name[NAME_SIZE];
    uint64_t score;       /* rendezvous hash of partition and name: highest acts first */
    int64_t counter;
    unsigned unchanged;   /* our accepted beats over which counter did not move */
    bool fenced;
    bool seen_subscribed; /* by us, on this connection */
    bool mentioned;       /* in the look or beat being read */
    bool waiting;         /* a fence or reap is under way */
    int64_t gone_since_ms; /* -1: present, or not known */
    unsigned gone_looks;   /* how many of our looks found it gone since then */
    int64_t suspect_ms;   /* when we first held it dead or fenced; -1: we do not */
    int64_t not_before_ms;
};

struct lease {
    char name[NAME_SIZE];
    char *partition;
    char dead_for_certain[NAME_SIZE];
    uint64_t score;
    int64_t lease_ms, beat_ms;
    bool registered;
    bool beating;    /* a beat is under way */
    bool looking;
    bool hidden;     /* our subscriber connection is down */
    bool presence;
    bool look_soon;
    int64_t proved_ms;  /* when the last accepted beat was sent */
    int64_t next_beat_ms;
    int64_t hidden_beat_ms;
    int64_t next_look_ms;
    bool extra_due;     /* a beat outside the regular ones is to be sent */
    bool extra_beat;    /* the one under way is such: it counts no silence */
    struct peer *peers;
    size_t count, cap;
};

/* FNV-1a with a final mix: only its evenness matters, all incarnations compute the same. */
static uint64_t rank_score(const char *partition, const char *name)
{
    uint64_t h = 1469598103934665603ULL;
    for (const char *p = partition; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211ULL;
    h = (h ^ 0xff) * 1099511628211ULL;
    for (const char *p = name; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211ULL;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return h;
}

int lease_new(const char *partition, const char *name, int64_t lease_ms, struct lease **out,
              jobq_err *err)
{
    if (strlen(name) >= NAME_SIZE)
        return error_set(err, JOBQ_EINVAL, "incarnation name is longer than %d bytes",
                         NAME_SIZE - 1);
    struct lease *l = mem_zalloc(1, sizeof(*l));
    if (!l)
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    l->partition = mem_strdup(partition);
    if (!l->partition) {
        mem_free(l);
        return error_set(err, JOBQ_ENOMEM, "out of memory");
    }
    memcpy(l->name, name, strlen(name) + 1);
    l->score = rank_score(partition, name);
    l->lease_ms = lease_ms;
    l->beat_ms = MAX(lease_ms / LEASE_BEATS, 1);
    l->presence = true;
    *out = l;
    return JOBQ_OK;
}

void lease_free(struct lease *l)
{
    if (!l)
        return;
    mem_free(l->peers);
    mem_free(l->partition);
    mem_free(l);
}

static struct peer *find_peer(struct lease *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->peers[i].name, name) == 0)
            return &l->peers[i];
    return NULL;
}

static struct peer *add_peer(struct lease *l, const char *name, jobq_err *err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        struct peer *grown = mem_realloc(l->peers, cap * sizeof(*grown));
        if (!grown) {
            error_set(err, JOBQ_ENOMEM, "out of memory");
            return NULL;
        }
        l->peers = grown;
        l->cap = cap;
    }
    struct peer *p = &l->peers[l->count++];
    memset(p, 0, sizeof(*p));
    memcpy(p->name, name, strlen(name) + 1);
    p->score = rank_score(l->partition, name);
    p->counter = -1;
    p->gone_since_ms = -1;
    p->suspect_ms = -1;
    return p;
}

void lease_registered(struct lease *l, int64_t sent_ms, int64_t now_ms)
{
    l->registered = true;
    l->beating = false;
    l->looking = false;
    l->proved_ms = sent_ms;
    l->next_beat_ms = now_ms + l->beat_ms;
    l->next_look_ms = now_ms;
    l->extra_due = true; /* the first one only tells who is there */
}

static void not_gone(struct peer *p)
{
    p->gone_since_ms = -1;
    p->gone_looks = 0;
}

static void suspect_no_more(struct peer *p)
{
    p->unchanged = 0;
    p->suspect_ms = -1;
    not_gone(p);
}

/* Takes in what Redis says of one name; silence is counted only by a regular beat. */
static int observe(struct lease *l, const char *name, bool fenced, int64_t counter,
                   bool count_silence, jobq_err *err)
{
    if (strlen(name) >= NAME_SIZE || strcmp(name, l->name) == 0)
        return JOBQ_OK; /* no incarnation of ours has such a name: sweep's business, not ours */
    struct peer *p = find_peer(l, name);
    if (!p) {
        if (!(p = add_peer(l, name, err)))
            return JOBQ_ENOMEM;
        l->look_soon = true; /* the sooner it is seen subscribed, the sooner its absence tells */
    }
    p->mentioned = true;
    if (fenced) {
        if (!p->fenced)
            p->not_before_ms = 0;
        p->fenced = true;
        return JOBQ_OK;
    }
    if (counter != p->counter) {
        p->counter = counter;
        suspect_no_more(p);
    } else if (count_silence) {
        p->unchanged++;
    }
    return JOBQ_OK;
}

static void forget_unmentioned(struct lease *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (!l->peers[i].mentioned)
            continue;
        if (kept != i)
            l->peers[kept] = l->peers[i];
        kept++;
    }
    l->count = kept;
}

static void unmention_all(struct lease *l)
{
    for (size_t i = 0; i < l->count; i++)
        l->peers[i].mentioned = false;
}

int lease_beat_answered(struct lease *l, const struct claim_beat *beat, int64_t sent_ms,
                        int64_t now_ms, jobq_err *err)
{
    l->beating = false;
    l->proved_ms = MAX(l->proved_ms, sent_ms);
    bool counted = !l->extra_beat;
    if (counted)
        l->next_beat_ms = MAX(sent_ms + l->beat_ms, now_ms);
    unmention_all(l);
    for (size_t i = 0; i < beat->peers; i++) {
        struct claim_peer peer;
        if (!claim_beat_peer(beat, i, &peer))
            continue;
        int rc = observe(l, peer.name, peer.fenced, peer.counter, counted, err);
        if (rc)
            return rc;
    }
    forget_unmentioned(l);
    return JOBQ_OK;
}

void lease_beat_failed(struct lease *l, int64_t now_ms)
{
    l->beating = false;
    l->next_beat_ms = now_ms + MIN(l->beat_ms, RETRY_MS);
    l->hidden_beat_ms = l->next_beat_ms;
    l->extra_due = false;
}

void lease_beat_soon(struct lease *l, int64_t now_ms)
{
    (void)now_ms;
    l->extra_due = l->registered;
}

void lease_hidden(struct lease *l, bool hidden, int64_t now_ms)
{
    l->hidden = hidden;
    if (hidden)
        lease_beat_soon(l, now_ms);
}

int lease_look_peer(struct lease *l, const char *name, bool fenced, int64_t counter, int64_t now_ms,
                    jobq_err *err)
{
    (void)now_ms;
    if (!l->looking)
        return JOBQ_OK;
    return observe(l, name, fenced, counter, false, err);
}

void lease_look_done(struct lease *l, int64_t now_ms)
{
    (void)now_ms;
    if (!l->looking)
        return;
    l->looking = false;
    forget_unmentioned(l);
}

void lease_look_failed(struct lease *l, int64_t now_ms)
{
    l->looking = false;
    l->next_look_ms = now_ms + LEASE_POLL_MS;
}

void lease_presence(struct lease *l, const char *name, int64_t subscribers, int64_t now_ms)
{
    struct peer *p = find_peer(l, name);
    if (!p || !l->presence)
        return;
    if (subscribers > 0) {
        p->seen_subscribed = true;
        not_gone(p);
        if (p->unchanged < LEASE_BEATS)
            p->suspect_ms = p->fenced ? p->suspect_ms : -1;
    } else if (p->seen_subscribed) {
        if (p->gone_since_ms < 0)
            p->gone_since_ms = now_ms;
        p->gone_looks++;
    }
}

void lease_use_presence(struct lease *l, bool use)
{
    l->presence = use;
    if (!use)
        for (size_t i = 0; i < l->count; i++)
            not_gone(&l->peers[i]);
}

void lease_reconnected(struct lease *l)
{
    l->beating = false;
    l->looking = false;
    for (size_t i = 0; i < l->count; i++) {
        struct peer *p = &l->peers[i];
        suspect_no_more(p);
        p->seen_subscribed = false;
        p->waiting = false;
    }
}

void lease_act_answered(struct lease *l, const char *victim, enum lease_result result,
                        int64_t now_ms)
{
    struct peer *p = find_peer(l, victim);
    if (!p)
        return;
    p->waiting = false;
    if (result == LEASE_ACT_RETRY) {
        p->not_before_ms = now_ms + RETRY_MS;
    } else if (result == LEASE_ACT_FENCED) {
        p->fenced = true;
    } else if (result == LEASE_ACT_DONE && p->fenced) {
        *p = l->peers[--l->count]; /* reaped to the end: its name is gone from Redis too */
    } else if (result == LEASE_ACT_DONE) {
        /* It beat meanwhile, or is gone: the next look tells which. */
        suspect_no_more(p);
        p->not_before_ms = now_ms + RETRY_MS;
        l->next_look_ms = now_ms;
    }
}

static bool is_dead(const struct lease *l, const struct peer *p, int64_t now_ms)
{
    if (p->fenced || strcmp(p->name, l->dead_for_certain) == 0)
        return true;
    if (p->unchanged >= LEASE_BEATS)
        return true;
    return p->gone_looks >= GONE_LOOKS && now_ms - p->gone_since_ms >= LEASE_GONE_MS;
}

void lease_declare_dead(struct lease *l, const char *name)
{
    if (strlen(name) < NAME_SIZE)
        memcpy(l->dead_for_certain, name, strlen(name) + 1);
}

unsigned lease_rank(const struct lease *l, int64_t now_ms)
{
    unsigned rank = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct peer *p = &l->peers[i];
        if (p->gone_since_ms < 0 && !is_dead(l, p, now_ms) && p->score > l->score)
            rank++;
    }
    return rank;
}

static int64_t look_interval(const struct lease *l, int64_t now_ms)
{
    if (l->presence && lease_rank(l, now_ms) < LEASE_POLLERS)
        return LEASE_POLL_MS;
    return MIN(l->beat_ms, LEASE_LOOK_MS);
}

/* When we act on a dead one: the better ranks first. */
static int64_t turn_ms(const struct lease *l, const struct peer *p, unsigned rank, int64_t now_ms)
{
    int64_t since = p->suspect_ms >= 0 ? p->suspect_ms : now_ms;
    return strcmp(p->name, l->dead_for_certain) == 0 ? since
                                                     : since + (int64_t)rank * LEASE_RANK_MS;
}

static bool next_act_on_peer(struct lease *l, int64_t now_ms, struct lease_action *out)
{
    unsigned rank = lease_rank(l, now_ms);
    for (size_t i = 0; i < l->count; i++) {
        struct peer *p = &l->peers[i];
        if (p->waiting || !is_dead(l, p, now_ms))
            continue;
        if (p->suspect_ms < 0)
            p->suspect_ms = now_ms;
        if (now_ms < turn_ms(l, p, rank, now_ms) || now_ms < p->not_before_ms)
            continue;
        p->waiting = true;
        out->act = p->fenced ? LEASE_SEND_REAP : LEASE_SEND_FENCE;
        out->victim = p->name;
        out->counter = p->counter;
        return true;
    }
    return false;
}

static int64_t beat_due_ms(const struct lease *l, int64_t now_ms)
{
    int64_t due = l->extra_due ? now_ms : l->next_beat_ms;
    return l->hidden ? MIN(due, l->hidden_beat_ms) : due;
}

struct lease_action lease_next(struct lease *l, int64_t now_ms)
{
    struct lease_action a = {.act = LEASE_NOTHING};
    if (!l->registered)
        return a;
    if (!l->beating && now_ms >= beat_due_ms(l, now_ms)) {
        l->beating = true;
        l->extra_beat = now_ms < l->next_beat_ms;
        l->extra_due = false;
        l->hidden_beat_ms = now_ms + LEASE_POLL_MS;
        a.act = LEASE_SEND_BEAT;
        return a;
    }
    if (!l->looking && (now_ms >= l->next_look_ms || l->look_soon)) {
        l->looking = true;
        l->look_soon = false;
        l->next_look_ms = now_ms + look_interval(l, now_ms);
        unmention_all(l);
        a.act = LEASE_SEND_LOOK;
        return a;
    }
    /* Who cannot prove to be alive judges nobody. */
    if (lease_may_start(l, now_ms))
        next_act_on_peer(l, now_ms, &a);
    return a;
}

int64_t lease_due_ms(const struct lease *l, int64_t now_ms)
{
    if (!l->registered)
        return INT64_MAX;
    int64_t due = INT64_MAX;
    if (!l->beating)
        due = MIN(due, beat_due_ms(l, now_ms));
    if (!l->looking)
        due = MIN(due, l->look_soon ? now_ms : l->next_look_ms);
    /* Without proof of our own life only the answer to a beat brings anything new. */
    unsigned rank = lease_rank(l, now_ms);
    for (size_t i = 0; i < l->count && lease_may_start(l, now_ms); i++) {
        const struct peer *p = &l->peers[i];
        if (p->waiting)
            continue;
        if (is_dead(l, p, now_ms))
            due = MIN(due, MAX(turn_ms(l, p, rank, now_ms), p->not_before_ms));
        else if (p->gone_looks >= GONE_LOOKS)
            due = MIN(due, p->gone_since_ms + LEASE_GONE_MS);
    }
    return MAX(due, now_ms);
}

bool lease_may_start(const struct lease *l, int64_t now_ms)
{
    return l->registered && now_ms - l->proved_ms < l->lease_ms - l->beat_ms;
}

int64_t lease_proof_ends_ms(const struct lease *l)
{
    return l->proved_ms + l->lease_ms - l->beat_ms;
}

int64_t lease_beat_ms(const struct lease *l)
{
    return l->beat_ms;
}

const char *lease_peer_name(const struct lease *l, size_t i)
{
    for (size_t k = 0; k < l->count; k++)
        if (!l->peers[k].fenced && i-- == 0)
            return l->peers[k].name;
    return NULL;
}

size_t lease_living_peers(const struct lease *l)
{
    size_t living = 0;
    for (size_t i = 0; i < l->count; i++)
        if (!l->peers[i].fenced && l->peers[i].gone_since_ms < 0)
            living++;
    return living;
}
