/* SPDX-License-Identifier: MIT */
/* inspect_audit: see inspect_audit.h. */
#include "broker/inspect_audit.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/error.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/reply.h"
#include "broker/resp.h"

/* How often operators, or jobd, may act between two looks before the numbers are given as they are.
 */
#define LOOKS_MAX 5
#define TIME_MAX (INT64_C(1) << 53) /* Unix ms, any that make sense */

/* ---- records ---- */

static struct inspect_text text_of(const struct redisReply *fields, const char *name)
{
    struct inspect_text t = {NULL, 0};
    if (!ask_bytes(ask_field(fields, name), &t.bytes, &t.len))
        t = (struct inspect_text){NULL, 0};
    return t;
}

static bool read_entry(const struct redisReply *e, struct inspect_record *out)
{
    const char *id = NULL;
    size_t len = 0;
    if (reply_count(e) != 2 || !reply_bytes(e, 0, &id, &len) ||
        entry_id_parse(id, len, &out->at) != JOBQ_OK || !reply_is_array(e->element[1]))
        return false;
    const struct redisReply *fields = e->element[1];
    out->began_ms = ask_int(ask_field(fields, "began"), -1);
    if (out->began_ms < 0 || out->began_ms > TIME_MAX)
        out->began_ms = -1;
    out->jobs = ask_field_count(fields, "jobs", 0);
    out->act = text_of(fields, "act");
    out->action = text_of(fields, "action");
    out->by = text_of(fields, "by");
    out->user = text_of(fields, "user");
    out->command = text_of(fields, "command");
    out->note = text_of(fields, "note");
    return true;
}

int inspect_audit(const struct inspect *in, const struct shard_keys *k, const struct entry_id *last,
                  struct inspect_audit *out, jobq_err *err)
{
    char id[ENTRY_ID_TEXT_SIZE] = "+";
    struct buf *b = conn_out(in->conn);
    memset(out, 0, sizeof(*out));
    if (last != NULL)
        entry_id_format(last, id);
    resp_begin(b, 6);
    resp_str(b, "XREVRANGE");
    resp_str(b, k->audit);
    resp_str(b, id);
    resp_str(b, "-");
    resp_str(b, "COUNT");
    resp_int(b, INSPECT_AUDIT_PAGE);
    int rc = ask_many(in->conn, in->deadline_ms, &out->reply, 1, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(out->reply, REDIS_REPLY_ARRAY, k->audit, err);
    size_t n = reply_count(out->reply);
    if (rc == JOBQ_OK && n > INSPECT_AUDIT_PAGE)
        rc = reply_refuse_shape(k->audit, err);
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        if (!read_entry(out->reply->element[i], &out->records[out->n++]))
            rc = reply_refuse_shape(k->audit, err);
    }
    if (rc != JOBQ_OK)
        inspect_audit_done(out);
    return rc;
}

void inspect_audit_done(struct inspect_audit *a)
{
    ask_free(&a->reply, 1);
    memset(a, 0, sizeof(*a));
}

/* ---- books ---- */

static int read_totals(const struct redisReply *r, const char *key, struct inspect_books *out,
                       jobq_err *err)
{
    int rc = ask_shape(r, REDIS_REPLY_ARRAY, key, err);
    if (rc == JOBQ_OK && r->elements != 4)
        rc = reply_refuse_shape(key, err);
    if (rc != JOBQ_OK)
        return rc;
    out->purged = ask_count(r->element[0], 0);
    out->revived = ask_count(r->element[1], 0);
    out->discarded = ask_count(r->element[2], 0);
    out->dropped = ask_count(r->element[3], 0);
    return JOBQ_OK;
}

static int look_once(const struct inspect *in, const struct shard_keys *k,
                     struct inspect_books *out, jobq_err *err)
{
    struct redisReply *r[3];
    struct inspect_books before = {0};
    struct buf *b = conn_out(in->conn);
    resp_command(b, "HMGET", k->totals, "purged", "revived", "discarded", "dropped", NULL);
    resp_command(b, "XINFO", "STREAM", k->dead, NULL);
    resp_command(b, "HMGET", k->totals, "purged", "revived", "discarded", "dropped", NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 3, err);
    if (rc != JOBQ_OK)
        return rc;
    memset(out, 0, sizeof(*out));
    rc = read_totals(r[0], k->totals, &before, err);
    if (rc == JOBQ_OK)
        rc = read_totals(r[2], k->totals, out, err);
    bool none = reply_is_error(r[1]) && strstr(reply_text(r[1]), "no such key") != NULL;
    if (rc == JOBQ_OK && !none)
        rc = ask_shape(r[1], REDIS_REPLY_ARRAY, k->dead, err);
    if (rc == JOBQ_OK && !none) {
        out->died = ask_field_count(r[1], "entries-added", 0);
        out->dead = ask_field_count(r[1], "length", 0);
    }
    /* They only grow: equal ones were so between, too. */
    out->settled = before.revived == out->revived && before.discarded == out->discarded &&
                   before.dropped == out->dropped;
    ask_free(r, 3);
    return rc;
}

int inspect_books(const struct inspect *in, const struct shard_keys *k, struct inspect_books *out,
                  jobq_err *err)
{
    int rc = look_once(in, k, out, err);
    for (int i = 1; rc == JOBQ_OK && !out->settled && i < LOOKS_MAX; i++)
        rc = look_once(in, k, out, err);
    return rc;
}
