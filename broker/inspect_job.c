/* SPDX-License-Identifier: MIT */
/* inspect: places, and the job at one; see inspect.h. Searching is in inspect_find.c. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/inspect_entry.h"
#include "broker/reply.h"
#include "broker/resp.h"

/* ---- places ---- */

const char *inspect_where_name(int where)
{
    switch (where) {
    case INSPECT_LATER:
        return "later";
    case INSPECT_DEAD:
        return "dead";
    case INSPECT_PARKED:
        return "parked";
    default:
        return keys_lane_name((enum lane)where);
    }
}

static int parse_where(const char *word)
{
    for (int where = 0; where < INSPECT_WHERE_COUNT; where++) {
        if (strcmp(word, inspect_where_name(where)) == 0)
            return where;
    }
    return -1;
}

int inspect_place_parse(const char *text, struct inspect_place *out, jobq_err *err)
{
    struct inspect_place p = {0};
    char copy[INSPECT_PLACE_SIZE];
    int64_t partition = 0;
    if (strlen(text) >= sizeof(copy))
        return error_set(err, JOBQ_EINVAL, "too long for queue/partition/lane/entry");
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    const char *queue = strsep(&rest, "/");
    const char *number = strsep(&rest, "/");
    const char *where = strsep(&rest, "/");
    const char *entry = rest;
    if (entry == NULL || !text_is_name(queue, strlen(queue)))
        return error_set(err, JOBQ_EINVAL, "not queue/partition/lane/entry: %s", text);
    if (number == NULL || text_parse_int(number, &partition) != JOBQ_OK || partition < 0 ||
        partition >= KEYS_PARTITIONS_MAX)
        return error_set(err, JOBQ_EINVAL, "not a partition (0 to %d): %s", KEYS_PARTITIONS_MAX - 1,
                         number);
    p.where = where != NULL ? parse_where(where) : -1;
    if (p.where < 0)
        return error_set(err, JOBQ_EINVAL,
                         "not a lane (recovered, high, normal, low, later, dead, parked): %s",
                         where);
    bool fine = p.where == INSPECT_LATER
                    ? jobq_id_parse(entry, &p.id, NULL) == JOBQ_OK
                    : entry_id_parse(entry, strlen(entry), &p.entry) == JOBQ_OK;
    if (!fine)
        return error_set(err, JOBQ_EINVAL, "not an entry of %s: %s", where, entry);
    memcpy(p.queue, queue, strlen(queue) + 1);
    p.partition = (unsigned)partition;
    *out = p;
    return JOBQ_OK;
}

void inspect_place_format(const struct inspect_place *p, char out[INSPECT_PLACE_SIZE])
{
    char entry[ENTRY_ID_TEXT_SIZE > JOBQ_ID_TEXT_SIZE ? ENTRY_ID_TEXT_SIZE : JOBQ_ID_TEXT_SIZE];
    if (p->where == INSPECT_LATER)
        jobq_id_format(&p->id, entry);
    else
        entry_id_format(&p->entry, entry);
    snprintf(out, INSPECT_PLACE_SIZE, "%s/%u/%s/%s", p->queue, p->partition,
             inspect_where_name(p->where), entry);
}

const char *inspect_state_name(enum inspect_state s)
{
    static const char *const names[] = {
        [INSPECT_QUEUED] = "queued",     [INSPECT_CLAIMED] = "claimed",
        [INSPECT_FINISHED] = "finished", [INSPECT_DELAYED] = "delayed",
        [INSPECT_IS_DEAD] = "dead",      [INSPECT_IS_PARKED] = "parked",
    };
    return names[s];
}

const char *inspect_stream_key(const struct shard_keys *k, int where)
{
    if (where == INSPECT_DEAD)
        return k->dead;
    return where == INSPECT_PARKED ? k->parked : k->lanes[where];
}

/* ---- from a reply to a job ---- */

void inspect_job_done(struct inspect_job *j)
{
    if (j->reply != NULL)
        freeReplyObject(j->reply);
    j->reply = NULL;
}

static void set_bytes(const struct redisReply *fields, const char *name, const char **bytes,
                      size_t *len)
{
    const struct redisReply *value = ask_field(fields, name);
    if (value != NULL && value->type == REDIS_REPLY_STRING) {
        *bytes = value->str;
        *len = value->len;
    }
}

static void read_header(struct inspect_job *j, const char *h, size_t len)
{
    j->readable = h != NULL ? codec_decode(h, len, &j->header, NULL) : CODEC_CORRUPT;
    if (j->readable != CODEC_OK)
        memset(&j->header, 0, sizeof(j->header));
    j->has_id = h != NULL && codec_peek_id(h, len, &j->id);
}

static void start_job(struct inspect_job *j, const struct shard_keys *k, int where)
{
    memset(j, 0, sizeof(*j));
    memcpy(j->place.queue, k->queue, sizeof(j->place.queue));
    j->place.partition = k->partition;
    j->place.where = where;
    j->idle_ms = -1;
    j->due_ms = -1;
}

bool inspect_read_entry(const struct redisReply *e, const struct shard_keys *k, int where,
                        struct inspect_job *j)
{
    const char *id = NULL;
    size_t id_len = 0;
    start_job(j, k, where);
    if (e->type != REDIS_REPLY_ARRAY || e->elements != 2 || !reply_bytes(e, 0, &id, &id_len) ||
        entry_id_parse(id, id_len, &j->place.entry) != JOBQ_OK)
        return false;
    const struct redisReply *fields = e->element[1];
    const char *h = NULL;
    size_t h_len = 0;
    set_bytes(fields, "h", &h, &h_len);
    set_bytes(fields, "p", &j->payload, &j->payload_len);
    set_bytes(fields, "reason", &j->reason, &j->reason_len);
    set_bytes(fields, "error", &j->error, &j->error_len);
    set_bytes(fields, "by", &j->by, &j->by_len);
    read_header(j, h, h_len);
    j->state = where == INSPECT_DEAD     ? INSPECT_IS_DEAD
               : where == INSPECT_PARKED ? INSPECT_IS_PARKED
                                         : INSPECT_QUEUED;
    return true;
}

bool inspect_read_held(const struct redisReply *value, const struct shard_keys *k,
                       const jobq_id *id, int64_t due_ms, struct inspect_job *j)
{
    if (value->type != REDIS_REPLY_STRING)
        return false;
    start_job(j, k, INSPECT_LATER);
    j->place.id = *id;
    j->state = INSPECT_DELAYED;
    j->due_ms = due_ms;
    size_t h_len = value->len >= 4 ? load_le32(value->str) : 0;
    bool fits = value->len >= 4 && h_len <= value->len - 4;
    read_header(j, fits ? value->str + 4 : NULL, h_len);
    j->payload = fits ? value->str + 4 + h_len : NULL;
    j->payload_len = fits ? value->len - 4 - h_len : 0;
    j->id = *id;
    j->has_id = true;
    return true;
}

struct entry_id inspect_last_delivered(const struct redisReply *groups)
{
    struct entry_id last = {0, 0};
    for (size_t i = 0; groups->type == REDIS_REPLY_ARRAY && i < groups->elements; i++) {
        const struct redisReply *name = ask_field(groups->element[i], "name");
        const struct redisReply *id = ask_field(groups->element[i], "last-delivered-id");
        if (name != NULL && name->type == REDIS_REPLY_STRING &&
            strcmp(name->str, KEYS_GROUP) == 0 && id != NULL && id->type == REDIS_REPLY_STRING)
            (void)!entry_id_parse(id->str, id->len, &last);
    }
    return last;
}

/* Whose a job in a lane is: nobody's yet, a worker's, or done already. */
static int look_for_owner(const struct inspect *in, const struct shard_keys *k,
                          struct inspect_job *j, jobq_err *err)
{
    const char *key = k->lanes[j->place.where];
    char entry[ENTRY_ID_TEXT_SIZE];
    struct redisReply *r[2];
    const char *owner = NULL;
    size_t owner_len = 0;

    entry_id_format(&j->place.entry, entry);
    resp_command(conn_out(in->conn), "XPENDING", key, KEYS_GROUP, entry, entry, "1", NULL);
    resp_command(conn_out(in->conn), "XINFO", "GROUPS", key, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 2, err);
    if (rc != JOBQ_OK)
        return rc;
    if (r[0]->type == REDIS_REPLY_ERROR && strncmp(r[0]->str, "NOGROUP", 7) == 0)
        goto out; /* no worker ever came: it waits */
    rc = ask_shape(r[0], REDIS_REPLY_ARRAY, key, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r[1], REDIS_REPLY_ARRAY, key, err);
    if (rc != JOBQ_OK)
        goto out;
    if (r[0]->elements == 1 && reply_bytes(r[0]->element[0], 1, &owner, &owner_len)) {
        j->state = INSPECT_CLAIMED;
        text_sanitize(owner, owner_len, j->owner, sizeof(j->owner));
        (void)!reply_int(r[0]->element[0], 2, &j->idle_ms);
    } else {
        struct entry_id last = inspect_last_delivered(r[1]);
        j->state =
            entry_id_compare(&j->place.entry, &last) <= 0 ? INSPECT_FINISHED : INSPECT_QUEUED;
    }
out:
    ask_free(r, 2);
    return rc;
}

/* ---- exact ---- */

int inspect_at_later(const struct inspect *in, const struct shard_keys *k, const jobq_id *id,
                     struct inspect_job *out, bool *found, jobq_err *err)
{
    char text[JOBQ_ID_TEXT_SIZE];
    struct redisReply *r[2];
    *found = false;
    jobq_id_format(id, text);
    resp_command(conn_out(in->conn), "HGET", k->held, text, NULL);
    resp_command(conn_out(in->conn), "ZSCORE", k->later, text, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, r, 2, err);
    if (rc != JOBQ_OK)
        return rc;
    if (r[0]->type != REDIS_REPLY_NIL && r[1]->type != REDIS_REPLY_NIL) {
        rc = ask_shape(r[0], REDIS_REPLY_STRING, k->held, err);
        if (rc == JOBQ_OK)
            rc = ask_shape(r[1], REDIS_REPLY_STRING, k->later, err);
        if (rc != JOBQ_OK)
            goto out;
        *found = inspect_read_held(r[0], k, id, ask_int(r[1], -1), out);
        out->reply = r[0];
        r[0] = NULL;
    }
out:
    ask_free(r, 2);
    return rc;
}

int inspect_at_entry(const struct inspect *in, const struct shard_keys *k, int where,
                     const struct entry_id *entry, struct inspect_job *out, bool *found,
                     jobq_err *err)
{
    char text[ENTRY_ID_TEXT_SIZE];
    const char *key = inspect_stream_key(k, where);
    struct redisReply *r = NULL;
    struct inspect_job j;

    *found = false;
    entry_id_format(entry, text);
    resp_command(conn_out(in->conn), "XRANGE", key, text, text, NULL);
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(r, REDIS_REPLY_ARRAY, key, err);
    if (rc == JOBQ_OK && r->elements == 1 && inspect_read_entry(r->element[0], k, where, &j)) {
        if (where < LANE_COUNT)
            rc = look_for_owner(in, k, &j, err);
        if (rc == JOBQ_OK) {
            j.reply = r;
            r = NULL;
            *out = j;
            *found = true;
        }
    }
    ask_free(&r, 1);
    return rc;
}

int inspect_at(const struct inspect *in, const struct inspect_place *place, struct inspect_job *out,
               bool *found, jobq_err *err)
{
    struct shard_keys k;
    int rc = keys_init(&k, in->prefix, place->queue, place->partition, err);
    if (rc != JOBQ_OK)
        return rc;
    if (place->where == INSPECT_LATER)
        rc = inspect_at_later(in, &k, &place->id, out, found, err);
    else
        rc = inspect_at_entry(in, &k, place->where, &place->entry, out, found, err);
    keys_done(&k);
    return rc;
}
