/* SPDX-License-Identifier: MIT */
/* model: see model.h. Single thread. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/script/model.h"

struct shard s;
struct taken t;
struct job *job;
struct cast cast[CASTS];
int born;
uint64_t next_job;
uint64_t state_of_random;
uint64_t holder[KEYS];
uint64_t last_ended[KEYS];
struct seen seen;

uint64_t any(uint64_t below)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return state_of_random % below;
}

const char *name_of(int who)
{
    return fmt("w%d", who);
}

/* ---- incarnations ---- */

int begin(void)
{
    cr_assert_lt(born, CASTS);
    cast[born].life = ALIVE;
    cr_assert_eq(join(&s, name_of(born)), JOBQ_OK);
    return born++;
}

int some(enum life life)
{
    int start = 1 + (int)any((uint64_t)MAX(born - 1, 1));

    for (int i = 0; i < born - 1; i++) {
        int who = 1 + (start - 1 + i) % (born - 1);

        if (cast[who].life == life)
            return who;
    }
    return -1;
}

int count(enum life life)
{
    int n = 0;

    for (int i = 1; i < born; i++)
        n += cast[i].life == life;
    return n;
}

void remember(int who, const struct held *h)
{
    struct cast *c = &cast[who];

    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->table = realloc(c->table, c->cap * sizeof(*c->table));
        cr_assert(c->table);
    }
    c->table[c->n++] = *h;
}

static void forget_row(int who, size_t i)
{
    cast[who].table[i] = cast[who].table[--cast[who].n];
}

/* ---- what a delivery must look like ---- */

void settle(struct job *j)
{
    enum life life = cast[j->owner].life;

    if (j->state != PENDING)
        return;
    cr_assert(life == FENCED || life == LEAVING, "delivered although w%d holds it", j->owner);
    if (life == FENCED)
        j->losses = MIN(j->losses + 1, 255u);
    else
        j->releases++;
    j->state = WAITING;
}

void check_delivery(int who, const struct held *h)
{
    struct job *j = &job[h->n];
    char p[32];

    cr_assert_lt(h->n, next_job);
    settle(j);
    cr_assert_eq(j->state, WAITING, "job %llu delivered in state %d", (unsigned long long)h->n,
                 j->state);
    cr_assert_eq(h->header.attempts, j->attempts);
    cr_assert_eq(h->header.crashes, j->crashes);
    cr_assert_eq(h->header.losses, j->losses);
    cr_assert_eq(h->header.releases, j->releases);
    cr_assert_eq((h->header.flags & CODEC_FLAG_EXHAUSTED) != 0, j->losses > BUDGET);
    cr_assert_eq(keys_lane_of_flags(h->header.flags), j->lane);
    cr_assert(h->lane == j->lane || h->lane == LANE_RECOVERED);
    if (h->header.enqueued_ms && j->enqueued_ms)
        cr_assert_eq(h->header.enqueued_ms, j->enqueued_ms);
    else
        cr_assert_eq(j->enqueued_ms, 0, "a copy without option 10");
    j->enqueued_ms = h->header.enqueued_ms ? h->header.enqueued_ms : (int64_t)h->entry.ms;
    snprintf(p, sizeof(p), "{\"n\":%llu}", (unsigned long long)h->n);
    cr_assert(h->p_len == strlen(p) && memcmp(h->p, p, h->p_len) == 0);
    j->state = PENDING;
    j->owner = who;
}

/* ---- enqueue ---- */

void enqueue_plain(void)
{
    static const uint8_t flags[] = {[LANE_HIGH] = 1, [LANE_NORMAL] = 0, [LANE_LOW] = 2};
    uint64_t die = any(100);
    enum lane lane = die < 70 ? LANE_NORMAL : die < 85 ? LANE_HIGH : LANE_LOW;

    for (uint64_t n = 1 + any(64); n > 0 && next_job < JOBS; n--) {
        struct job_header h = {.flags = flags[lane]};

        job[next_job] =
            (struct job){.state = WAITING, .lane = lane, .key = -1, .runs_out = any(50) == 0};
        add_job(&s, lane, next_job++, &h);
    }
}

void enqueue_special(void)
{
    int key = any(2) ? (int)any(KEYS) : -1;
    int64_t delay = any(2) ? 1 + (int64_t)any(15) : 0;
    uint64_t n = next_job;
    uint64_t told;
    uint64_t expected = 0;
    char text[16] = "";

    if (n >= JOBS)
        return;
    if (key >= 0) {
        snprintf(text, sizeof(text), "k%d", key);
        if (any(4) == 0 && last_ended[key] && !holder[key])
            n = last_ended[key]; /* a repeat of what has ended */
        expected = holder[key] ? holder[key] : n == last_ended[key] ? n : 0;
    }
    cr_assert_eq(enqueue_job(&s, n, delay, 0, key >= 0 ? text : NULL, &told), JOBQ_OK);
    cr_assert_eq(told, expected, "key %d", key);
    seen.duplicates += expected != 0;
    if (expected)
        return;
    job[next_job++] = (struct job){.state = WAITING, .lane = LANE_NORMAL, .key = key};
    if (key >= 0)
        holder[key] = n;
}

/* ---- claim ---- */

void read_some(int who, bool is_lost)
{
    enum lane lane = any(3) ? (enum lane)any(LANE_COUNT) : LANE_NORMAL;

    take(&s, name_of(who), lane, 1 + any(64), &t);
    cr_assert_eq(t.odd, 0);
    for (size_t i = 0; i < t.n; i++) {
        check_delivery(who, &t.job[i]);
        if (!is_lost)
            remember(who, &t.job[i]);
    }
    seen.lost_answers += is_lost && t.n > 0;
}

static struct entry_id audit_ids[TAKEN_MAX];
static size_t audit_count;

static void note_audit(void *ctx, const struct entry_id *id)
{
    (void)ctx;
    audit_ids[audit_count++] = *id;
}

static bool is_known(const struct cast *c, enum lane lane, const struct entry_id *id)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->table[i].lane == lane && entry_id_compare(&c->table[i].entry, id) == 0)
            return true;
    return false;
}

static void fetch(int who, enum lane lane, const struct entry_id *id)
{
    struct claim_entry e;
    struct held h = {.lane = lane, .entry = *id};
    redisReply *r;
    bool found;

    claim_fetch(&s.out, &s.k, lane, id);
    r = shard_call(&s);
    cr_assert_eq(claim_fetch_reply(r, lane, &e, &found, NULL), JOBQ_OK);
    cr_assert(found && e.h && e.h_len <= sizeof(h.h), "what is pending is in the stream");
    memcpy(h.h, e.h, e.h_len);
    h.h_len = e.h_len;
    memcpy(h.p, e.p, e.p_len);
    h.p_len = e.p_len;
    cr_assert_eq(codec_decode(h.h, h.h_len, &h.header, NULL), CODEC_OK);
    h.n = number_of(&h.header.id);
    freeReplyObject(r);
    cr_assert(job[h.n].state == PENDING && job[h.n].owner == who);
    remember(who, &h);
}

void audit(int who)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        redisReply *r;

        audit_count = 0;
        claim_pending(&s.out, &s.k, (enum lane)lane, name_of(who), TAKEN_MAX, NULL);
        r = shard_call(&s);
        cr_assert_eq(claim_pending_reply(r, note_audit, NULL, NULL), JOBQ_OK);
        freeReplyObject(r);
        for (size_t i = 0; i < audit_count; i++)
            if (!is_known(&cast[who], (enum lane)lane, &audit_ids[i]))
                fetch(who, (enum lane)lane, &audit_ids[i]);
    }
}

/* ---- outcomes ---- */

void end_job(uint64_t n, enum state how)
{
    struct job *j = &job[n];

    cr_assert_eq(j->state, PENDING, "ended twice");
    j->state = how;
    if (how == SUCCEEDED)
        seen.succeeded++;
    else
        seen.dead++;
    if (j->key >= 0) {
        cr_assert_eq(holder[j->key], n);
        holder[j->key] = 0;
        last_ended[j->key] = n;
    }
}

bool may_succeed(const struct held *h)
{
    return !(h->header.flags & CODEC_FLAG_EXHAUSTED) && !job[h->n].runs_out;
}

void ack_some(int who, size_t most)
{
    static struct held batch[TAKEN_MAX];
    struct cast *c = &cast[who];
    int64_t acked;
    size_t n = 0;
    enum lane lane = c->n ? c->table[any(c->n)].lane : LANE_LOW;

    for (size_t i = c->n; i-- > 0 && n < most;) {
        if (c->table[i].lane != lane || !may_succeed(&c->table[i]) || any(3) == 0)
            continue;
        batch[n++] = c->table[i];
        forget_row(who, i);
    }
    if (n == 0)
        return;
    cr_assert_eq(ack(&s, name_of(who), batch, n, &acked), JOBQ_OK);
    cr_assert_eq((size_t)acked, n, "all of it was ours");
    for (size_t i = 0; i < n; i++)
        end_job(batch[i].n, SUCCEEDED);
    if (any(8) == 0) {
        cr_assert_eq(ack(&s, name_of(who), batch, n, &acked), JOBQ_OK);
        cr_assert_eq(acked, 0, "acknowledged twice");
    }
}

/* The header of the copy, as jobd makes it. */
static void patch(struct held *h, enum claim_action action, bool is_crash)
{
    struct job *j = &job[h->n];
    struct job_header header;
    struct buf b;

    cr_assert_eq(codec_decode(h->h, h->h_len, &header, NULL), CODEC_OK);
    header.enqueued_ms = j->enqueued_ms;
    if (action == CLAIM_LATER)
        header.attempts = (uint16_t)++j->attempts;
    else if (action == CLAIM_RECOVERED && is_crash)
        header.crashes = (uint8_t)++j->crashes;
    else if (action == CLAIM_RECOVERED)
        header.releases = (uint16_t)++j->releases;
    buf_init(&b, sizeof(h->h));
    codec_encode(&header, &b);
    cr_assert_not(b.failed);
    memcpy(h->h, b.data, b.len);
    h->h_len = b.len;
    buf_done(&b);
}

void fail_some(int who)
{
    struct cast *c = &cast[who];
    size_t row = c->n ? any(c->n) : 0;
    enum claim_action action = (enum claim_action)any(4);
    enum claim_fate fate;
    struct held h;

    if (c->n == 0)
        return;
    h = c->table[row];
    forget_row(who, row);
    if (!may_succeed(&h))
        action = CLAIM_DEAD;
    else if (action == CLAIM_DEAD)
        action = CLAIM_LATER;
    if (action != CLAIM_DEAD)
        patch(&h, action, any(2));
    cr_assert_eq(fail_one(&s, name_of(who), &h, action, (int64_t)any(6), &fate), JOBQ_OK);
    cr_assert_eq(fate, CLAIM_MOVED);
    if (action == CLAIM_DEAD)
        end_job(h.n, DEAD);
    else
        job[h.n].state = WAITING;
    if (any(4) == 0) {
        cr_assert_eq(fail_one(&s, name_of(who), &h, action, 1, &fate), JOBQ_OK);
        cr_assert_eq(fate, CLAIM_STALE);
    }
}
