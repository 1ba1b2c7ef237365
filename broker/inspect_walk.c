/* SPDX-License-Identifier: MIT */
/* inspect_walk: see inspect_walk.h. */
#include "broker/inspect_walk.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect_entry.h"
#include "broker/reply.h"
#include "broker/resp.h"

#define PAGE_BYTES (512 * 1024)
#define PAGE_MIN 2
#define PAGE_FIRST 16
#define PAGE_MAX 256

static const struct entry_id ENTRY_FIRST = {0, 0}, ENTRY_LAST = {UINT64_MAX, UINT64_MAX};

/* ---- entry ids ---- */

/* false: there is none. */
static bool step_up(struct entry_id *id)
{
    if (++id->seq != 0)
        return true;
    return ++id->ms != 0;
}

static bool step_down(struct entry_id *id)
{
    if (id->seq-- != 0)
        return true;
    return id->ms-- != 0;
}

static bool is_within(const struct inspect_walk *w, const struct entry_id *id)
{
    return entry_id_compare(&w->first, id) <= 0 && entry_id_compare(id, &w->last) <= 0;
}

static void narrow(struct inspect_walk *w, struct entry_id edge)
{
    bool more = w->newest_first ? step_down(&edge) : step_up(&edge);
    if (!more)
        w->ended = true;
    else if (w->newest_first && entry_id_compare(&edge, &w->last) < 0)
        w->last = edge;
    else if (!w->newest_first && entry_id_compare(&edge, &w->first) > 0)
        w->first = edge;
}

/* ---- pages ---- */

static size_t count_bytes(const struct redisReply *r)
{
    size_t sum = 0;
    if (r == NULL)
        return 0;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        sum += count_bytes(r->element[i]);
    return sum + (r->type == REDIS_REPLY_STRING ? r->len : 0);
}

size_t inspect_next_count(const struct redisReply *const *replies, size_t n, size_t entries)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += count_bytes(replies[i]);
    return entries == 0
               ? PAGE_FIRST
               : MIN(MAX(PAGE_BYTES / (sum / entries + 1), (size_t)PAGE_MIN), (size_t)PAGE_MAX);
}

void inspect_page_done(struct inspect_page *page)
{
    if (page->replies != NULL)
        ask_free(page->replies, page->reply_count);
    mem_free(page->replies);
    mem_free(page->jobs);
    memset(page, 0, sizeof(*page));
}

/* Room for so many jobs and replies. */
static int begin_page(struct inspect_page *page, size_t jobs, size_t replies, jobq_err *err)
{
    page->jobs = mem_zalloc(jobs + 1, sizeof(*page->jobs));
    page->replies = mem_zalloc(replies + 1, sizeof(struct redisReply *));
    if (page->jobs == NULL || page->replies == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a page of %zu jobs", jobs);
    return JOBQ_OK;
}

/* Asks into the page, which has room. */
static int ask_page(const struct inspect *in, struct inspect_page *page, size_t n, jobq_err *err)
{
    int rc = ask_many(in->conn, in->deadline_ms, page->replies + page->reply_count, n, err);
    if (rc == JOBQ_OK)
        page->reply_count += n;
    return rc;
}

static int check_page(const struct redisReply *r, const char *key, size_t most, jobq_err *err)
{
    int rc = ask_shape(r, REDIS_REPLY_ARRAY, key, err);
    if (rc == JOBQ_OK && r->elements > most)
        rc = error_set(err, JOBQ_EPROTO, "%s: Redis answered with more entries than were asked for",
                       key);
    return rc;
}

/* ---- a stream ---- */

static int next_of_stream(const struct inspect *in, struct inspect_walk *w, size_t count,
                          struct inspect_page *page, jobq_err *err)
{
    char first[ENTRY_ID_TEXT_SIZE], last[ENTRY_ID_TEXT_SIZE];
    const char *key = inspect_stream_key(w->k, w->where);
    struct buf *b = conn_out(in->conn);
    int rc = begin_page(page, count, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    entry_id_format(&w->first, first);
    entry_id_format(&w->last, last);
    resp_begin(b, 6);
    resp_str(b, w->newest_first ? "XREVRANGE" : "XRANGE");
    resp_str(b, key);
    resp_str(b, w->newest_first ? last : first);
    resp_str(b, w->newest_first ? first : last);
    resp_str(b, "COUNT");
    resp_int(b, (int64_t)count);
    rc = ask_page(in, page, 1, err);
    if (rc == JOBQ_OK)
        rc = check_page(page->replies[0], key, count, err);
    if (rc != JOBQ_OK)
        return rc;
    const struct redisReply *r = page->replies[0];
    page->looked = r->elements;
    for (size_t i = 0; i < r->elements; i++) {
        struct inspect_job *job = &page->jobs[page->n];
        if (!inspect_read_entry(r->element[i], w->k, w->where, job) || w->ended ||
            !is_within(w, &job->place.entry))
            return error_set(err, JOBQ_EPROTO, "%s: not an entry that was asked for", key);
        narrow(w, job->place.entry);
        page->n++;
    }
    w->ended = w->ended || r->elements < count;
    return JOBQ_OK;
}

/* ---- what a lane's workers hold ---- */

struct pending {
    struct entry_id entry;
    char owner[256];
    int64_t idle_ms;
};

static int ask_pending(const struct inspect *in, const struct inspect_walk *w, size_t count,
                       struct redisReply **out, jobq_err *err)
{
    char first[ENTRY_ID_TEXT_SIZE], last[ENTRY_ID_TEXT_SIZE];
    struct buf *b = conn_out(in->conn);
    entry_id_format(&w->first, first);
    entry_id_format(&w->last, last);
    resp_begin(b, 6);
    resp_str(b, "XPENDING");
    resp_str(b, w->k->lanes[w->where]);
    resp_str(b, KEYS_GROUP);
    resp_str(b, first);
    resp_str(b, last);
    resp_int(b, (int64_t)count);
    return ask_many(in->conn, in->deadline_ms, out, 1, err);
}

static int read_pending(const struct redisReply *r, struct inspect_walk *w, size_t count,
                        struct pending *out, jobq_err *err)
{
    const char *key = w->k->lanes[w->where];
    int rc = check_page(r, key, count, err);
    for (size_t i = 0; rc == JOBQ_OK && i < r->elements; i++) {
        const char *id = NULL, *owner = NULL;
        size_t id_len = 0, owner_len = 0;
        const struct redisReply *e = r->element[i];
        if (!reply_is_array(e) || !reply_bytes(e, 0, &id, &id_len) ||
            entry_id_parse(id, id_len, &out[i].entry) != JOBQ_OK ||
            !reply_bytes(e, 1, &owner, &owner_len) || !reply_int(e, 2, &out[i].idle_ms) ||
            w->ended || !is_within(w, &out[i].entry))
            return error_set(err, JOBQ_EPROTO, "XPENDING %s: not a pending entry", key);
        text_sanitize(owner, owner_len, out[i].owner, sizeof(out[i].owner));
        narrow(w, out[i].entry);
    }
    return rc;
}

static int fetch_pending(const struct inspect *in, const struct inspect_walk *w,
                         const struct pending *pending, size_t n, struct inspect_page *page,
                         jobq_err *err)
{
    const char *key = w->k->lanes[w->where];
    int rc = begin_page(page, n, n, err);
    if (rc != JOBQ_OK || n == 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        char id[ENTRY_ID_TEXT_SIZE];
        entry_id_format(&pending[i].entry, id);
        resp_command(conn_out(in->conn), "XRANGE", key, id, id, NULL);
    }
    rc = ask_page(in, page, n, err);
    for (size_t i = 0; rc == JOBQ_OK && i < n; i++) {
        const struct redisReply *r = page->replies[i];
        struct inspect_job *job = &page->jobs[page->n];
        rc = check_page(r, key, 1, err);
        if (rc != JOBQ_OK || r->elements == 0 ||
            !inspect_read_entry(r->element[0], w->k, w->where, job))
            continue; /* finished meanwhile */
        job->state = INSPECT_CLAIMED;
        job->idle_ms = pending[i].idle_ms;
        memcpy(job->owner, pending[i].owner, sizeof(job->owner));
        page->n++;
    }
    page->looked = n;
    return rc;
}

static int next_of_pending(const struct inspect *in, struct inspect_walk *w, size_t count,
                           struct inspect_page *page, jobq_err *err)
{
    struct redisReply *r = NULL;
    struct pending *pending = mem_zalloc(count, sizeof(*pending));
    if (pending == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a page of %zu jobs", count);
    int rc = ask_pending(in, w, count, &r, err);
    if (rc != JOBQ_OK)
        goto out;
    if (r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOGROUP", 7) == 0) {
        w->ended = true; /* no worker ever came */
        goto out;
    }
    rc = read_pending(r, w, count, pending, err);
    if (rc != JOBQ_OK)
        goto out;
    w->ended = w->ended || r->elements < count;
    rc = fetch_pending(in, w, pending, r->elements, page, err);
out:
    ask_free(&r, 1);
    mem_free(pending);
    return rc;
}

/* ---- delayed ones ---- */

static int ask_int_of(const struct inspect *in, const char *key, int64_t *out, jobq_err *err)
{
    struct redisReply *r = NULL;
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r, REDIS_REPLY_INTEGER, key, err);
    if (rc == JOBQ_OK)
        *out = ask_count(r, 0);
    ask_free(&r, 1);
    return rc;
}

/* Jobs from an instant on: `count` of them behind the first `offset`. */
static void append_due(const struct inspect *in, const struct inspect_walk *w, const char *until,
                       int64_t offset, int64_t count, bool scores)
{
    struct buf *b = conn_out(in->conn);
    resp_begin(b, scores ? 9 : 8);
    resp_str(b, "ZRANGE");
    resp_str(b, w->k->later);
    if (w->has_later)
        resp_int(b, w->later_due_ms);
    else
        resp_str(b, "-inf");
    resp_str(b, until);
    resp_str(b, "BYSCORE");
    resp_str(b, "LIMIT");
    resp_int(b, offset);
    resp_int(b, count);
    if (scores)
        resp_str(b, "WITHSCORES");
}

/* Whether the job at this offset among those due at the same instant sorts behind `after`. */
static int is_behind(const struct inspect *in, const struct inspect_walk *w, const char *due,
                     int64_t offset, const char *after, bool *out, jobq_err *err)
{
    struct redisReply *r = NULL;
    const char *id = NULL;
    size_t len = 0;
    append_due(in, w, due, offset, 1, false);
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc == JOBQ_OK)
        rc = ask_shape(r, REDIS_REPLY_ARRAY, w->k->later, err);
    if (rc == JOBQ_OK)
        *out = !reply_bytes(r, 0, &id, &len) || strcmp(id, after) > 0;
    ask_free(&r, 1);
    return rc;
}

/* How many of those due at the same instant sort up to the one the walk goes on after, which may be
 * gone meanwhile. Many may be due at once, hence by halves. */
static int find_offset(const struct inspect *in, const struct inspect_walk *w, int64_t *out,
                       jobq_err *err)
{
    char after[JOBQ_ID_TEXT_SIZE], due[32];
    int64_t low = 0, high = 0;
    *out = 0;
    if (!w->has_later)
        return JOBQ_OK;
    jobq_id_format(&w->later_id, after);
    snprintf(due, sizeof(due), "%" PRId64, w->later_due_ms);
    resp_command(conn_out(in->conn), "ZCOUNT", w->k->later, due, due, NULL);
    int rc = ask_int_of(in, w->k->later, &high, err);
    while (rc == JOBQ_OK && low < high) {
        int64_t middle = low + (high - low) / 2;
        bool behind = false;
        rc = is_behind(in, w, due, middle, after, &behind, err);
        if (behind)
            high = middle;
        else
            low = middle + 1;
    }
    *out = low;
    return rc;
}

static bool sorts_behind(const struct inspect_walk *w, int64_t due_ms, const jobq_id *id)
{
    return !w->has_later || due_ms > w->later_due_ms ||
           (due_ms == w->later_due_ms && id_compare(id, &w->later_id) > 0);
}

/* Ids and times into the page's jobs. */
static int ask_later(const struct inspect *in, struct inspect_walk *w, int64_t offset, size_t count,
                     struct inspect_page *page, jobq_err *err)
{
    append_due(in, w, "+inf", offset, (int64_t)count, true);
    int rc = ask_page(in, page, 1, err);
    if (rc == JOBQ_OK)
        rc = check_page(page->replies[0], w->k->later, 2 * count, err);
    if (rc != JOBQ_OK)
        return rc;
    const struct redisReply *r = page->replies[0];
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *id = NULL;
        size_t len = 0;
        struct inspect_job *job = &page->jobs[page->n];
        int64_t due_ms = ask_int(r->element[i + 1], -1);
        /* A stranger's, which move removes when it is due; or one that came meanwhile. */
        if (!reply_bytes(r, i, &id, &len) || jobq_id_parse(id, &job->id, NULL) != JOBQ_OK ||
            due_ms < 0 || !sorts_behind(w, due_ms, &job->id)) {
            w->later_skip++;
            continue;
        }
        w->later_skip = 0;
        job->due_ms = due_ms;
        w->has_later = true;
        w->later_due_ms = due_ms;
        w->later_id = job->id;
        page->n++;
    }
    page->looked = r->elements / 2;
    w->ended = page->looked < count;
    return JOBQ_OK;
}

static int next_of_later(const struct inspect *in, struct inspect_walk *w, size_t count,
                         struct inspect_page *page, jobq_err *err)
{
    int64_t offset = 0;
    int rc = begin_page(page, count, 2, err);
    if (rc == JOBQ_OK)
        rc = find_offset(in, w, &offset, err);
    if (rc == JOBQ_OK)
        rc = ask_later(in, w, offset + w->later_skip, count, page, err);
    size_t n = page->n;
    page->n = 0;
    if (rc != JOBQ_OK || n == 0)
        return rc;
    struct buf *b = conn_out(in->conn);
    resp_begin(b, 2 + n);
    resp_str(b, "HMGET");
    resp_str(b, w->k->held);
    for (size_t i = 0; i < n; i++) {
        char id[JOBQ_ID_TEXT_SIZE];
        jobq_id_format(&page->jobs[i].id, id);
        resp_str(b, id);
    }
    rc = ask_page(in, page, 1, err);
    if (rc == JOBQ_OK)
        rc = check_page(page->replies[1], w->k->held, n, err);
    for (size_t i = 0; rc == JOBQ_OK && i < page->replies[1]->elements; i++) {
        jobq_id id = page->jobs[i].id;
        int64_t due_ms = page->jobs[i].due_ms;
        if (inspect_read_held(page->replies[1]->element[i], w->k, &id, due_ms,
                              &page->jobs[page->n]))
            page->n++; /* else it left meanwhile */
    }
    return rc;
}

/* ---- the walk ---- */

int inspect_walk_begin(const struct inspect *in, const struct shard_keys *k, int where,
                       enum inspect_state state, struct inspect_walk *out, jobq_err *err)
{
    struct redisReply *r = NULL;
    *out = (struct inspect_walk){.k = k,
                                 .where = where,
                                 .state = state,
                                 .first = ENTRY_FIRST,
                                 .last = ENTRY_LAST,
                                 .count = PAGE_FIRST};
    if (state != INSPECT_QUEUED)
        return JOBQ_OK;
    resp_command(conn_out(in->conn), "XINFO", "GROUPS", k->lanes[where], NULL);
    int rc = ask_many(in->conn, in->deadline_ms, &r, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    if (r->type == REDIS_REPLY_ERROR && reply_class_of(r) == REPLY_OTHER &&
        strstr(r->str, "no such key") != NULL)
        out->ended = true;
    else
        rc = ask_shape(r, REDIS_REPLY_ARRAY, k->lanes[where], err);
    if (rc == JOBQ_OK && !out->ended) {
        struct entry_id delivered = inspect_last_delivered(r);
        if (entry_id_compare(&delivered, &ENTRY_FIRST) > 0)
            narrow(out, delivered);
    }
    ask_free(&r, 1);
    return rc;
}

void inspect_walk_after(struct inspect_walk *w, const struct inspect_place *place, int64_t due_ms)
{
    if (w->state == INSPECT_DELAYED) {
        w->has_later = true;
        w->later_due_ms = due_ms;
        w->later_id = place->id;
    } else {
        narrow(w, place->entry);
    }
}

int inspect_walk_until_now(const struct inspect *in, struct inspect_walk *w, jobq_err *err)
{
    struct inspect_page page = {0};
    struct inspect_walk end = *w;
    end.newest_first = true;
    int rc = next_of_stream(in, &end, 1, &page, err);
    if (rc == JOBQ_OK && page.n == 0)
        w->ended = true;
    else if (rc == JOBQ_OK)
        w->last = page.jobs[0].place.entry;
    inspect_page_done(&page);
    return rc;
}

int inspect_walk_next(const struct inspect *in, struct inspect_walk *w, size_t max,
                      struct inspect_page *page, jobq_err *err)
{
    int rc = JOBQ_OK;
    size_t count = MIN(w->count, MAX(max, (size_t)1));
    memset(page, 0, sizeof(*page));
    if (w->ended)
        return JOBQ_OK;
    if (w->state == INSPECT_DELAYED)
        rc = next_of_later(in, w, count, page, err);
    else if (w->state == INSPECT_CLAIMED)
        rc = next_of_pending(in, w, count, page, err);
    else
        rc = next_of_stream(in, w, count, page, err);
    if (rc == JOBQ_OK)
        w->count = inspect_next_count((const struct redisReply *const *)page->replies,
                                      page->reply_count, page->looked);
    else
        inspect_page_done(page);
    return rc;
}
