/* SPDX-License-Identifier: MIT */
/* control: see control.h. */
#include "broker/control.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect_entry.h"
#include "broker/reply.h"
#include "broker/resp.h"
#include "broker/script.h"

/* Of one call; the scripts read the payloads too. */
#define TAKE 64
#define TAKE_BYTES (64 * 1024)
/* Redis's clock, in Unix seconds: some ten thousand years. */
#define SECONDS_MAX (INT64_C(1) << 38)

/* ---- one call ---- */

/* What a call is made of: appended once, and again when the script had to be loaded. */
struct call {
    enum script_name script;
    struct buf keys, args; /* resp words */
    size_t key_count, arg_count;
};

static void begin_call(struct call *c, enum script_name script)
{
    *c = (struct call){.script = script};
    buf_init(&c->keys, (size_t)1 << 26);
    buf_init(&c->args, (size_t)1 << 26);
}

static void end_call(struct call *c)
{
    buf_done(&c->keys);
    buf_done(&c->args);
}

static void add_key(struct call *c, const char *key, size_t len)
{
    resp_bytes(&c->keys, key, len);
    c->key_count++;
}

static void add_arg(struct call *c, const void *bytes, size_t len)
{
    resp_bytes(&c->args, bytes, len);
    c->arg_count++;
}

static void add_text(struct call *c, const char *text)
{
    add_arg(c, text, strlen(text));
}

static void add_number(struct call *c, size_t n)
{
    resp_int(&c->args, (int64_t)n);
    c->arg_count++;
}

static void add_entry(struct call *c, const struct entry_id *id)
{
    char text[ENTRY_ID_TEXT_SIZE];
    add_arg(c, text, entry_id_format(id, text));
}

static void add_id(struct call *c, const jobq_id *id)
{
    char text[JOBQ_ID_TEXT_SIZE];
    jobq_id_format(id, text);
    add_text(c, text);
}

static void add_unique(struct call *c, const struct shard_keys *k, const struct job_header *h)
{
    char key[KEYS_MAX];
    add_key(c, key, keys_unique(k, h->unique, h->unique_len, key, sizeof(key)));
}

/* ---- the act ---- */

int control_begin(const struct inspect *in, struct control_act *act, jobq_err *err)
{
    struct redisReply *r = NULL;
    int64_t seconds = 0, us = 0;
    int rc = jobq_id_new(&act->id, err);
    if (rc != JOBQ_OK)
        return rc;
    resp_command(conn_out(in->conn), "TIME", NULL);
    rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r, REDIS_REPLY_ARRAY, "TIME", err);
    if (rc == JOBQ_OK && (!reply_int(r, 0, &seconds) || !reply_int(r, 1, &us) || seconds < 0 ||
                          seconds > SECONDS_MAX || us < 0 || us >= 1000000))
        rc = reply_refuse_shape("TIME", err);
    act->ahead_ms = seconds * 1000 + us / 1000 - clock_mono_ms();
    act->base[0] = '\0';
    ask_free(&r, 1);
    return rc;
}

/* What every script of an act begins with: see lua/audit.lua. */
static void add_act(struct call *c, const struct shard_keys *k, struct control_act *act,
                    const char *action)
{
    char stats[KEYS_MAX];
    if (strcmp(act->base, k->base) != 0) {
        snprintf(act->base, sizeof(act->base), "%s", k->base);
        act->record = (struct entry_id){0, 0};
    }
    size_t len = keys_stats(k, (clock_mono_ms() + act->ahead_ms) / 60000, stats, sizeof(stats));
    add_key(c, k->audit, strlen(k->audit));
    add_key(c, k->totals, strlen(k->totals));
    add_key(c, stats, len);
    if (act->record.ms != 0 || act->record.seq != 0)
        add_entry(c, &act->record);
    else
        add_text(c, "");
    add_id(c, &act->id);
    add_text(c, action);
    add_text(c, act->by);
    add_text(c, act->user);
    add_text(c, act->command);
    add_text(c, act->note != NULL ? act->note : "");
    add_text(c, k->events);
}

/* Element i of the reply: where the act's record is now. */
static int read_record(const struct redisReply *r, size_t i, enum script_name script,
                       struct control_act *act, jobq_err *err)
{
    const char *text = NULL;
    size_t len = 0;
    if (!reply_bytes(r, i, &text, &len) ||
        (len > 0 && entry_id_parse(text, len, &act->record) != JOBQ_OK))
        return reply_refuse_shape(script_word(script), err);
    return JOBQ_OK;
}

/* Refused for want of memory, disk or a master: another exit status than a link that broke. */
static int refused(const struct redisReply *r, const char *what, jobq_err *err)
{
    enum reply_class class = reply_class_of(r);
    int rc = ask_shape(r, REDIS_REPLY_ARRAY, what, err);
    return class == REPLY_OOM || class == REPLY_NOT_WRITABLE || class == REPLY_DEMOTED
               ? JOBQ_EREJECTED
               : rc;
}

/* The reply is an array that begins with OK. Caller frees *out with ask_free(). */
static int send_call(const struct inspect *in, const struct call *c, struct redisReply **out,
                     jobq_err *err)
{
    if (c->keys.failed || c->args.failed)
        return error_set(err, JOBQ_ENOMEM, "no memory for a batch of jobs");
    for (int load = 0;; load++) {
        struct redisReply *r[2] = {NULL, NULL};
        size_t n = load > 0 ? 2 : 1;
        if (load > 0)
            script_load(conn_out(in->conn), c->script);
        script_call(conn_out(in->conn), c->script, c->key_count, c->arg_count);
        buf_append(conn_out(in->conn), c->keys.data, c->keys.len);
        buf_append(conn_out(in->conn), c->args.data, c->args.len);
        int rc = ask_many(in->conn, in->deadline_ms, r, n, err);
        if (rc != JOBQ_OK)
            return conn_may_have_sent(in->conn) ? JOBQ_EUNKNOWN : rc;
        *out = r[n - 1];
        r[n - 1] = NULL;
        ask_free(r, n);
        if (load == 0 && reply_class_of(*out) == REPLY_NOSCRIPT) {
            ask_free(out, 1);
            continue;
        }
        rc = refused(*out, script_word(c->script), err);
        if (rc == JOBQ_OK && !reply_is_word(*out, 0, "OK"))
            rc = reply_refuse_shape(script_word(c->script), err);
        if (rc != JOBQ_OK)
            ask_free(out, 1);
        return rc;
    }
}

/* How many of the jobs go into one call. */
static size_t take(const struct inspect_job *const *jobs, size_t n)
{
    size_t bytes = 0, i = 0;
    while (i < n && i < TAKE && (i == 0 || bytes < TAKE_BYTES))
        bytes += jobs[i++]->payload_len;
    return i;
}

/* ---- reviving ---- */

static bool can_run(const struct inspect_job *j)
{
    return j->readable == CODEC_OK && j->payload != NULL;
}

/* As if it were enqueued now. */
static void put_header(struct buf *out, const struct inspect_job *j)
{
    struct job_header h = j->header;
    h.flags &= (uint8_t)~CODEC_FLAG_EXHAUSTED;
    h.attempts = 0;
    h.crashes = 0;
    h.losses = 0;
    h.releases = 0;
    h.enqueued_ms = 0;
    h.error = NULL;
    h.error_len = 0;
    codec_encode(&h, out);
}

static int append_revive(struct call *c, const struct shard_keys *k, const struct inspect_job *j,
                         const char *payload, size_t payload_len)
{
    struct buf h;
    buf_init(&h, CODEC_HEADER_MAX);
    put_header(&h, j);
    bool fits = !h.failed;
    add_entry(c, &j->place.entry);
    add_id(c, &j->header.id);
    add_number(c, j->header.flags & CODEC_FLAG_LANE);
    add_arg(c, h.data, h.len);
    add_arg(c, payload, payload != NULL ? payload_len : 0);
    if (j->header.unique != NULL)
        add_unique(c, k, &j->header);
    add_number(c, j->header.unique != NULL ? c->key_count : 0);
    buf_done(&h);
    return fits ? JOBQ_OK : JOBQ_ENOMEM;
}

static int read_fate(const struct redisReply *r, size_t i, struct control_result *out,
                     jobq_err *err)
{
    const char *word = NULL;
    size_t len = 0;
    if (reply_is_word(r, i, "REVIVED")) {
        out->fate = CONTROL_DONE;
    } else if (reply_is_word(r, i, "GONE")) {
        out->fate = CONTROL_GONE;
    } else if (reply_bytes(r, i, &word, &len) && len >= 4 && memcmp(word, "HELD", 4) == 0) {
        out->fate = CONTROL_HELD;
        out->has_holder = jobq_id_parse(word + 4, &out->holder, NULL) == JOBQ_OK;
    } else {
        return reply_refuse_shape("revive", err);
    }
    return JOBQ_OK;
}

static int revive_some(const struct inspect *in, const struct shard_keys *k,
                       struct control_act *act, const struct inspect_job *const *jobs, size_t n,
                       const char *payload, size_t payload_len, struct control_result *results,
                       jobq_err *err)
{
    struct call c;
    struct redisReply *r = NULL;
    size_t at = 2, sent = 0;
    int rc = JOBQ_OK;
    begin_call(&c, SCRIPT_REVIVE);
    add_act(&c, k, act, "retry");
    add_key(&c, k->dead, strlen(k->dead));
    add_key(&c, k->held, strlen(k->held));
    static const enum lane lanes[] = {LANE_NORMAL, LANE_HIGH, LANE_LOW};
    for (size_t i = 0; i < ARRAY_LEN(lanes); i++)
        add_key(&c, k->lanes[lanes[i]], strlen(k->lanes[lanes[i]]));
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        if (!can_run(jobs[i])) {
            results[i].fate = CONTROL_UNREADABLE;
            continue;
        }
        rc = append_revive(&c, k, jobs[i], payload, payload_len);
        sent++;
    }
    if (rc == JOBQ_ENOMEM)
        rc = error_set(err, rc, "no memory for a batch of jobs");
    if (rc == JOBQ_OK && sent > 0)
        rc = send_call(in, &c, &r, err);
    if (rc == JOBQ_OK && sent > 0)
        rc = read_record(r, 1, c.script, act, err);
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        if (results[i].fate == CONTROL_OPEN)
            rc = read_fate(r, at++, &results[i], err);
    }
    ask_free(&r, 1);
    end_call(&c);
    return rc;
}

int control_revive(const struct inspect *in, const struct shard_keys *k, struct control_act *act,
                   const struct inspect_job *const *jobs, size_t n, const char *payload,
                   size_t payload_len, struct control_result *results, jobq_err *err)
{
    memset(results, 0, n * sizeof(*results));
    for (size_t i = 0; i < n;) {
        size_t some = take(jobs + i, n - i);
        int rc = revive_some(in, k, act, jobs + i, some, payload, payload_len, results + i, err);
        if (rc != JOBQ_OK)
            return rc;
        i += some;
        CRASH_POINT("control.revived");
    }
    return JOBQ_OK;
}

/* ---- purging ---- */

/* A dead letter holds no key: it may be that of a living job of its id. */
static bool has_unique(int where, const struct inspect_job *j)
{
    return where != INSPECT_DEAD && j->readable == CODEC_OK && j->header.unique != NULL;
}

static void append_purge(struct call *c, const struct shard_keys *k, int where,
                         const struct inspect_job *const *jobs, size_t n)
{
    if (where == INSPECT_LATER) {
        add_key(c, k->later, strlen(k->later));
        add_key(c, k->held, strlen(k->held));
    } else {
        const char *key = inspect_stream_key(k, where);
        add_key(c, key, strlen(key));
        add_number(c, n);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            if (has_unique(where, jobs[i]) != (pass == 1))
                continue;
            if (where == INSPECT_LATER)
                add_id(c, &jobs[i]->id);
            else
                add_entry(c, &jobs[i]->place.entry);
            if (pass == 1)
                add_unique(c, k, &jobs[i]->header);
        }
    }
    for (size_t i = 0; where != INSPECT_LATER && i < n; i++) {
        if (has_unique(where, jobs[i]))
            add_id(c, &jobs[i]->header.id);
    }
}

int control_purge(const struct inspect *in, const struct shard_keys *k, struct control_act *act,
                  int where, const struct inspect_job *const *jobs, size_t n, size_t *done,
                  size_t *open, jobq_err *err)
{
    *done = *open = 0;
    for (size_t i = 0; i < n;) {
        struct call c;
        struct redisReply *r = NULL;
        int64_t taken = 0;
        size_t some = MIN(n - i, (size_t)TAKE);
        begin_call(&c, where == INSPECT_LATER ? SCRIPT_PURGE_LATER : SCRIPT_PURGE);
        add_act(&c, k, act, where == INSPECT_DEAD ? "discard" : "purge");
        append_purge(&c, k, where, jobs + i, some);
        int rc = send_call(in, &c, &r, err);
        if (rc == JOBQ_OK && (!reply_int(r, 1, &taken) || taken < 0 || taken > (int64_t)some))
            rc = reply_refuse_shape(script_word(c.script), err);
        if (rc == JOBQ_OK)
            rc = read_record(r, 2, c.script, act, err);
        ask_free(&r, 1);
        end_call(&c);
        if (rc == JOBQ_EUNKNOWN)
            *open = some;
        if (rc != JOBQ_OK)
            return rc;
        *done += (size_t)taken;
        i += some;
        CRASH_POINT("control.purged");
    }
    return JOBQ_OK;
}
