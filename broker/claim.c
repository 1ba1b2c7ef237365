/* SPDX-License-Identifier: MIT */
/*
 * claim: commands and scripts of a worker as bytes, and their replies back. What a script does
 * stands in its head.
 */
#include "broker/claim.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "broker/script.h"

static void put_lanes(struct buf *out, const struct shard_keys *k)
{
    for (int lane = 0; lane < LANE_COUNT; lane++)
        resp_str(out, k->lanes[lane]);
}

static void put_entry_id(struct buf *out, const struct entry_id *id)
{
    char text[ENTRY_ID_TEXT_SIZE];

    resp_bytes(out, text, entry_id_format(id, text));
}

static void put_stats(struct buf *out, const struct shard_keys *k, int64_t minute)
{
    char key[KEYS_MAX];

    resp_bytes(out, key, keys_stats(k, minute, key, sizeof(key)));
}

static void put_unique(struct buf *out, const struct shard_keys *k, const char *unique, size_t len)
{
    char key[KEYS_MAX];

    resp_bytes(out, key, keys_unique(k, unique, len, key, sizeof(key)));
}

static void put_job_id(struct buf *out, const jobq_id *id)
{
    char text[JOBQ_ID_TEXT_SIZE];

    jobq_id_format(id, text);
    resp_str(out, text);
}

/* The answer of a script: JOBQ_OK if its first word is OK; what follows is checked by each
 * parser. */
static int check_script(const struct redisReply *r, const char *what, jobq_err *err)
{
    int rc = reply_expect_array(r, what, err);

    if (rc != JOBQ_OK)
        return rc;
    if (reply_is_word(r, 0, "OK"))
        return JOBQ_OK;
    if (reply_is_word(r, 0, "FENCED"))
        return error_set(err, JOBQ_EFENCED, "%s: this incarnation was declared dead", what);
    if (reply_is_word(r, 0, "EXISTS"))
        return error_set(err, JOBQ_ESTATE, "%s: the name was used before", what);
    if (reply_is_word(r, 0, "CHANGED"))
        return error_set(err, JOBQ_ESTATE, "%s: the other incarnation is not in that state", what);
    return reply_refuse_shape(what, err);
}

/* Element i, a number not below least. */
static bool number_at(const struct redisReply *r, size_t i, int64_t least, int64_t *out)
{
    return reply_int(r, i, out) && *out >= least;
}

/* ---- membership ---- */

void claim_register(struct buf *out, const struct shard_keys *k, const char *name,
                    const char *types)
{
    script_call(out, SCRIPT_REGISTER, 2 + LANE_COUNT, 2);
    resp_str(out, k->alive);
    resp_str(out, k->types);
    put_lanes(out, k);
    resp_str(out, name);
    resp_str(out, types);
}

int claim_register_reply(const struct redisReply *r, int64_t *redis_ms, jobq_err *err)
{
    int rc = check_script(r, "register", err);
    int64_t ms;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &ms))
        return reply_refuse_shape("register", err);
    *redis_ms = ms;
    return JOBQ_OK;
}

void claim_create_groups(struct buf *out, const struct shard_keys *k)
{
    for (int lane = 0; lane < LANE_COUNT; lane++)
        resp_command(out, "XGROUP", "CREATE", k->lanes[lane], KEYS_GROUP, "0", "MKSTREAM", NULL);
}

void claim_beat(struct buf *out, const struct shard_keys *k, const char *name, const char *info,
                size_t info_len)
{
    size_t more = info != NULL ? 1 : 0;

    script_call(out, SCRIPT_BEAT, 1 + more, 1 + more);
    resp_str(out, k->alive);
    if (info != NULL)
        resp_str(out, k->info);
    resp_str(out, name);
    if (info != NULL)
        resp_bytes(out, info, info_len);
}

#define BEAT_HEAD 3 /* OK, time, counter */

int claim_beat_reply(const struct redisReply *r, struct claim_beat *out, jobq_err *err)
{
    int rc = check_script(r, "beat", err);
    struct claim_beat b = {.reply = r};

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &b.redis_ms) || !number_at(r, 2, 0, &b.counter) ||
        (r->elements - BEAT_HEAD) % 2 != 0)
        return reply_refuse_shape("beat", err);
    b.peers = (r->elements - BEAT_HEAD) / 2;
    *out = b;
    return JOBQ_OK;
}

bool claim_beat_peer(const struct claim_beat *b, size_t i, struct claim_peer *out)
{
    struct claim_peer p = {0};

    if (i >= b->peers || !reply_bytes(b->reply, BEAT_HEAD + 2 * i, &p.name, &p.len))
        return false;
    p.fenced = reply_is_word(b->reply, BEAT_HEAD + 2 * i + 1, "F");
    if (!p.fenced && !number_at(b->reply, BEAT_HEAD + 2 * i + 1, 0, &p.counter))
        return false;
    *out = p;
    return true;
}

void claim_leave(struct buf *out, const struct shard_keys *k, const char *name)
{
    script_call(out, SCRIPT_LEAVE, LANE_COUNT + 3, 1);
    put_lanes(out, k);
    resp_str(out, k->alive);
    resp_str(out, k->types);
    resp_str(out, k->info);
    resp_str(out, name);
}

/* OK, more, how many: of leave and reap. */
static int takeover_reply(const struct redisReply *r, const char *what, bool *more, int64_t *moved,
                          jobq_err *err)
{
    int rc = check_script(r, what, err);
    int64_t again;
    int64_t count;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &again) || !number_at(r, 2, 0, &count))
        return reply_refuse_shape(what, err);
    *more = again != 0;
    *moved = count;
    return JOBQ_OK;
}

int claim_leave_reply(const struct redisReply *r, bool *more, int64_t *released, jobq_err *err)
{
    return takeover_reply(r, "leave", more, released, err);
}

/* ---- outcomes ---- */

void claim_ack(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
               int64_t minute, const struct claim_done *done, size_t n)
{
    size_t uniques = 0;

    ASSERT(n >= 1 && n <= CLAIM_BATCH_MAX);
    for (size_t i = 0; i < n; i++)
        uniques += done[i].unique != NULL;
    script_call(out, SCRIPT_ACK, 3 + uniques, 2 + n + uniques);
    resp_str(out, k->lanes[lane]);
    resp_str(out, k->alive);
    put_stats(out, k, minute);
    for (size_t i = 0; i < n && uniques > 0; i++)
        if (done[i].unique)
            put_unique(out, k, done[i].unique, done[i].unique_len);
    resp_str(out, name);
    resp_int(out, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        if (!done[i].unique)
            put_entry_id(out, &done[i].entry);
    for (size_t i = 0; i < n && uniques > 0; i++)
        if (done[i].unique)
            put_entry_id(out, &done[i].entry);
    for (size_t i = 0; i < n && uniques > 0; i++)
        if (done[i].unique)
            put_job_id(out, &done[i].id);
}

int claim_ack_reply(const struct redisReply *r, int64_t *acked, jobq_err *err)
{
    int rc = check_script(r, "ack", err);
    int64_t n;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &n))
        return reply_refuse_shape("ack", err);
    *acked = n;
    return JOBQ_OK;
}

static const char *action_word(enum claim_action a)
{
    static const char *const words[] = {"later", "dead", "parked", "recovered"};

    return words[a];
}

static const char *reason_word(enum claim_reason reason)
{
    static const char *const words[] = {"permanent", "exhausted", "expired", "corrupt"};

    return words[reason];
}

static const char *count_word(enum claim_count count)
{
    static const char *const words[] = {"retried", "snoozed", "crashed", "released",
                                        "dead",    "expired", "corrupt", "parked"};

    return words[count];
}

#define FAIL_KEYS 8
#define FAIL_HEAD 2
#define FAIL_WORDS 10

/* unique_at: where its unique key stands in KEYS, from 1; 0: none. */
static void put_failed(struct buf *out, const struct claim_failed *f, size_t unique_at)
{
    put_entry_id(out, &f->entry);
    if (f->has_id)
        put_job_id(out, &f->id);
    else
        resp_str(out, "");
    resp_str(out, action_word(f->action));
    resp_str(out, count_word(f->count));
    resp_int(out, MAX(f->delay_ms, 0));
    resp_str(out, f->action == CLAIM_DEAD ? reason_word(f->reason) : "");
    resp_bytes(out, f->error ? f->error : "", f->error ? f->error_len : 0);
    resp_bytes(out, f->h ? f->h : "", f->h ? f->h_len : 0);
    resp_bytes(out, f->p ? f->p : "", f->p ? f->p_len : 0);
    resp_int(out, (int64_t)unique_at);
}

static bool frees_unique(const struct claim_failed *f)
{
    return f->unique && f->has_id && f->action == CLAIM_DEAD;
}

void claim_fail(struct buf *out, const struct shard_keys *k, enum lane lane, const char *name,
                int64_t minute, const struct claim_failed *failed, size_t n)
{
    size_t uniques = 0;
    size_t unique_at = FAIL_KEYS;

    ASSERT(n >= 1 && n <= CLAIM_BATCH_MAX);
    for (size_t i = 0; i < n; i++) {
        ASSERT(failed[i].has_id || failed[i].action != CLAIM_LATER);
        uniques += frees_unique(&failed[i]);
    }
    script_call(out, SCRIPT_FAIL, FAIL_KEYS + uniques, FAIL_HEAD + FAIL_WORDS * n);
    resp_str(out, k->lanes[lane]);
    resp_str(out, k->lanes[LANE_RECOVERED]);
    resp_str(out, k->later);
    resp_str(out, k->held);
    resp_str(out, k->dead);
    resp_str(out, k->parked);
    resp_str(out, k->alive);
    put_stats(out, k, minute);
    for (size_t i = 0; i < n; i++)
        if (frees_unique(&failed[i]))
            put_unique(out, k, failed[i].unique, failed[i].unique_len);
    resp_str(out, name);
    resp_str(out, k->wake);
    for (size_t i = 0; i < n; i++)
        put_failed(out, &failed[i], frees_unique(&failed[i]) ? ++unique_at : 0);
}

static bool fate_at(const struct redisReply *r, size_t i, enum claim_fate *out)
{
    static const char *const words[] = {"MOVED", "MERGED", "STALE"};

    for (size_t w = 0; w < ARRAY_LEN(words); w++) {
        if (reply_is_word(r, i, words[w])) {
            *out = (enum claim_fate)w;
            return true;
        }
    }
    return false;
}

int claim_fail_reply(const struct redisReply *r, enum claim_fate *fates, size_t n, jobq_err *err)
{
    int rc = check_script(r, "fail", err);
    enum claim_fate fate;

    if (rc != JOBQ_OK)
        return rc;
    if (r->elements != n + 1)
        return reply_refuse_shape("fail", err);
    for (size_t i = 0; i < n; i++)
        if (!fate_at(r, i + 1, &fate))
            return reply_refuse_shape("fail", err);
    for (size_t i = 0; i < n; i++)
        (void)fate_at(r, i + 1, &fates[i]);
    return JOBQ_OK;
}

/* ---- for the whole partition ---- */

void claim_move(struct buf *out, const struct shard_keys *k, const char *name, int64_t minute)
{
    script_call(out, SCRIPT_MOVE, 8, 1);
    resp_str(out, k->later);
    resp_str(out, k->held);
    resp_str(out, k->dead);
    resp_str(out, k->alive);
    put_stats(out, k, minute);
    resp_str(out, k->lanes[LANE_NORMAL]); /* in the order of the flags of a header */
    resp_str(out, k->lanes[LANE_HIGH]);
    resp_str(out, k->lanes[LANE_LOW]);
    resp_str(out, name);
}

int claim_move_reply(const struct redisReply *r, struct claim_move *out, jobq_err *err)
{
    int rc = check_script(r, "move", err);
    struct claim_move m = {0};

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &m.moved) || !number_at(r, 2, 0, &m.corrupt) ||
        !number_at(r, 3, -1, &m.next_due_ms) || !number_at(r, 4, 0, &m.redis_ms))
        return reply_refuse_shape("move", err);
    m.more = m.next_due_ms >= 0 && m.next_due_ms <= m.redis_ms;
    *out = m;
    return JOBQ_OK;
}

void claim_fence(struct buf *out, const struct shard_keys *k, const char *name, const char *victim,
                 int64_t counter_seen)
{
    script_call(out, SCRIPT_FENCE, 1, 3);
    resp_str(out, k->alive);
    resp_str(out, name);
    resp_str(out, victim);
    resp_int(out, counter_seen);
}

int claim_fence_reply(const struct redisReply *r, jobq_err *err)
{
    return check_script(r, "fence", err);
}

void claim_reap(struct buf *out, const struct shard_keys *k, const char *name, const char *victim,
                int64_t minute, unsigned loss_budget)
{
    script_call(out, SCRIPT_REAP, LANE_COUNT + 4, 3);
    put_lanes(out, k);
    resp_str(out, k->alive);
    resp_str(out, k->types);
    put_stats(out, k, minute);
    resp_str(out, k->info);
    resp_str(out, name);
    resp_str(out, victim);
    resp_int(out, loss_budget);
}

int claim_reap_reply(const struct redisReply *r, bool *more, int64_t *moved, jobq_err *err)
{
    return takeover_reply(r, "reap", more, moved, err);
}

void claim_sweep(struct buf *out, const struct shard_keys *k, const char *name)
{
    script_call(out, SCRIPT_SWEEP, LANE_COUNT + 1, 1);
    put_lanes(out, k);
    resp_str(out, k->alive);
    resp_str(out, name);
}

int claim_sweep_reply(const struct redisReply *r, int64_t *fenced, jobq_err *err)
{
    int rc = check_script(r, "sweep", err);
    int64_t n;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &n))
        return reply_refuse_shape("sweep", err);
    *fenced = n;
    return JOBQ_OK;
}

void claim_drop(struct buf *out, const struct shard_keys *k, const char *name, int64_t minute,
                const struct claim_drop *drop)
{
    script_call(out, SCRIPT_DROP, 4, 5);
    resp_str(out, k->dead);
    resp_str(out, k->alive);
    resp_str(out, k->totals);
    put_stats(out, k, minute);
    resp_str(out, name);
    resp_int(out, drop->keep);
    resp_int(out, drop->retention_ms);
    resp_int(out, drop->tell_ms);
    resp_int(out, drop->most);
}

int claim_drop_reply(const struct redisReply *r, struct claim_dropped *out, jobq_err *err)
{
    int rc = check_script(r, "drop", err);
    struct claim_dropped d = {0};
    int64_t more;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &d.dropped) || !number_at(r, 2, 0, &d.left) ||
        !number_at(r, 3, 0, &more) || !number_at(r, 4, -1, &d.oldest_ms))
        return reply_refuse_shape("drop", err);
    d.more = more != 0;
    *out = d;
    return JOBQ_OK;
}

void claim_unpark(struct buf *out, const struct shard_keys *k, const char *name,
                  const struct entry_id *ids, size_t n)
{
    ASSERT(n >= 1 && n <= CLAIM_BATCH_MAX);
    script_call(out, SCRIPT_UNPARK, 3, 1 + n);
    resp_str(out, k->parked);
    resp_str(out, k->lanes[LANE_RECOVERED]);
    resp_str(out, k->alive);
    resp_str(out, name);
    for (size_t i = 0; i < n; i++)
        put_entry_id(out, &ids[i]);
}

int claim_unpark_reply(const struct redisReply *r, int64_t *moved, jobq_err *err)
{
    int rc = check_script(r, "unpark", err);
    int64_t n;

    if (rc != JOBQ_OK)
        return rc;
    if (!number_at(r, 1, 0, &n))
        return reply_refuse_shape("unpark", err);
    *moved = n;
    return JOBQ_OK;
}
