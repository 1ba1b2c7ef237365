/* SPDX-License-Identifier: MIT */
/* inspect: searching for an id, page by page; see inspect.h. */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "broker/ask.h"
#include "broker/conn.h"
#include "broker/inspect.h"
#include "broker/inspect_entry.h"
#include "broker/reply.h"
#include "broker/resp.h"

#define PAGE_FIRST 16

/* "(" or nothing, and an entry id. */
#define BOUND_SIZE (ENTRY_ID_TEXT_SIZE + 1)

/* Half widths of the windows around the id's own time; after the last one, everything. */
static const int64_t windows_ms[] = {10, 100, 1000, 60 * 1000, 3600 * 1000};

/* ---- pages ---- */

/* One page of a stream. Caller frees *out with ask_free(). */
static int ask_page(const struct inspect *in, const char *key, const char *from, const char *to,
                    size_t count, struct redisReply **out, jobq_err *err)
{
    struct buf *b = conn_out(in->conn);
    resp_begin(b, 6);
    resp_str(b, "XRANGE");
    resp_str(b, key);
    resp_str(b, from);
    resp_str(b, to);
    resp_str(b, "COUNT");
    resp_int(b, (int64_t)count);
    int rc = ask_many(in->conn, in->deadline_ms, out, 1, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = ask_shape(*out, REDIS_REPLY_ARRAY, key, err);
    if (rc == JOBQ_OK && (*out)->elements > count)
        rc = error_set(err, JOBQ_EPROTO, "%s: Redis answered with more entries than were asked for",
                       key);
    if (rc != JOBQ_OK)
        ask_free(out, 1);
    return rc;
}

/* "(" and the id of the last entry of a page: where the next one starts. */
static int set_next(const struct redisReply *page, char from[BOUND_SIZE], jobq_err *err)
{
    const char *id = NULL;
    size_t len = 0;
    const struct redisReply *last = page->element[page->elements - 1];
    if (last->type != REDIS_REPLY_ARRAY || !reply_bytes(last, 0, &id, &len) || len + 2 > BOUND_SIZE)
        return error_set(err, JOBQ_EPROTO, "a stream's entry without an id");
    snprintf(from, BOUND_SIZE, "(%s", id);
    return JOBQ_OK;
}

/* ---- the search ---- */

struct search {
    const struct inspect *in;
    const struct shard_keys *k; /* n of them */
    size_t n;
    const jobq_id *id;
    int64_t id_ms; /* -1: the id tells no time */
    int only;      /* the one place to search, or -1 */
    int64_t max_entries;
    int64_t entries; /* looked at so far */
    bool *filled;    /* of each partition's streams: holds anything at all */
    bool found;
    bool has_finished; /* a finished copy was met: the answer unless a live one is found */
    size_t finished_shard;
    struct inspect_place finished;
};

/* Looks through the partitions once, only to skip what is empty. */
static int look_for_filled(struct search *s, jobq_err *err)
{
    struct redisReply *r[INSPECT_WHERE_COUNT];
    for (size_t i = 0; i < s->n; i++) {
        for (int where = 0; where < INSPECT_WHERE_COUNT; where++) {
            bool later = where == INSPECT_LATER;
            resp_command(conn_out(s->in->conn), later ? "ZCARD" : "XLEN",
                         later ? s->k[i].later : inspect_stream_key(&s->k[i], where), NULL);
        }
        int rc = ask_many(s->in->conn, s->in->deadline_ms, r, INSPECT_WHERE_COUNT, err);
        if (rc != JOBQ_OK)
            return rc;
        for (int where = 0; rc == JOBQ_OK && where < INSPECT_WHERE_COUNT; where++) {
            rc = ask_shape(r[where], REDIS_REPLY_INTEGER, s->k[i].base, err);
            s->filled[i * INSPECT_WHERE_COUNT + (size_t)where] =
                r[where]->integer > 0 && (s->only < 0 || s->only == where);
        }
        ask_free(r, INSPECT_WHERE_COUNT);
        if (rc != JOBQ_OK)
            return rc;
    }
    return JOBQ_OK;
}

/* An entry of our id was met: the answer, unless it is gone meanwhile or only a finished copy. */
static int take(struct search *s, size_t shard, int where, const struct entry_id *entry,
                struct inspect_job *out, jobq_err *err)
{
    struct inspect_job job;
    bool found = false;
    int rc = inspect_at_entry(s->in, &s->k[shard], where, entry, &job, &found, err);
    if (rc != JOBQ_OK || !found)
        return rc;
    if (job.state == INSPECT_FINISHED) {
        s->has_finished = true;
        s->finished_shard = shard;
        s->finished = job.place;
        inspect_job_done(&job);
        return JOBQ_OK;
    }
    *out = job;
    s->found = true;
    return JOBQ_OK;
}

static int search_page(struct search *s, size_t shard, int where, const struct redisReply *page,
                       struct inspect_job *out, jobq_err *err)
{
    for (size_t i = 0; i < page->elements; i++) {
        struct inspect_job job;
        s->entries++;
        if (!inspect_read_entry(page->element[i], &s->k[shard], where, &job) || !job.has_id ||
            id_compare(&job.id, s->id) != 0)
            continue;
        int rc = take(s, shard, where, &job.place.entry, out, err);
        if (rc != JOBQ_OK || s->found)
            return rc;
    }
    return JOBQ_OK;
}

/* All entries of one stream from one bound to the other, unless the budget ends before. */
static int search_range(struct search *s, size_t shard, int where, const char *first,
                        const char *to, struct inspect_job *out, jobq_err *err)
{
    char from[BOUND_SIZE];
    size_t count = PAGE_FIRST;
    int rc = JOBQ_OK;
    snprintf(from, sizeof(from), "%s", first);
    while (rc == JOBQ_OK && !s->found && s->entries < s->max_entries) {
        struct redisReply *page = NULL;
        count = MIN(count, (size_t)(s->max_entries - s->entries));
        rc = ask_page(s->in, inspect_stream_key(&s->k[shard], where), from, to, count, &page, err);
        if (rc != JOBQ_OK)
            return rc;
        bool last = page->elements < count;
        rc = search_page(s, shard, where, page, out, err);
        if (rc == JOBQ_OK && !last)
            rc = set_next(page, from, err);
        count = inspect_next_count((const struct redisReply *const *)&page, 1, page->elements);
        ask_free(&page, 1);
        if (last)
            break;
    }
    return rc;
}

/* The two rims that this window adds to the narrower one before it. width -1: everything; inner -1:
 * no narrower one. */
static int search_stream(struct search *s, size_t shard, int where, int64_t inner, int64_t width,
                         struct inspect_job *out, jobq_err *err)
{
    char low[BOUND_SIZE] = "-", high[BOUND_SIZE] = "+", rim[BOUND_SIZE];
    if (s->id_ms < 0)
        return search_range(s, shard, where, low, high, out, err);
    if (width >= 0) {
        snprintf(low, sizeof(low), "%" PRId64, MAX(s->id_ms - width, 0));
        snprintf(high, sizeof(high), "%" PRId64, s->id_ms + width);
    }
    if (inner < 0)
        return search_range(s, shard, where, low, high, out, err);
    snprintf(rim, sizeof(rim), "%" PRId64, s->id_ms + inner + 1);
    int rc = search_range(s, shard, where, rim, high, out, err);
    if (rc != JOBQ_OK || s->found || s->id_ms - inner < 1)
        return rc;
    snprintf(rim, sizeof(rim), "%" PRId64, s->id_ms - inner - 1);
    return search_range(s, shard, where, low, rim, out, err);
}

static int search_window(struct search *s, int64_t inner, int64_t width, struct inspect_job *out,
                         jobq_err *err)
{
    int rc = JOBQ_OK;
    for (int where = 0; where < INSPECT_WHERE_COUNT; where++) {
        for (size_t i = 0; rc == JOBQ_OK && !s->found && i < s->n; i++) {
            if (!s->filled[i * INSPECT_WHERE_COUNT + (size_t)where])
                continue;
            if (where != INSPECT_LATER)
                rc = search_stream(s, i, where, inner, width, out, err);
            else if (inner < 0)
                rc = inspect_at_later(s->in, &s->k[i], s->id, out, &s->found, err);
        }
    }
    return rc;
}

/* Narrow windows first; *around_ms: the widest one searched whole, -1: even all there is. */
static int search_windows(struct search *s, int64_t *around_ms, struct inspect_job *out,
                          jobq_err *err)
{
    int64_t inner = -1;
    *around_ms = 0;
    for (size_t i = 0; s->id_ms >= 0 && i < ARRAY_LEN(windows_ms); i++) {
        int rc = search_window(s, inner, windows_ms[i], out, err);
        if (rc != JOBQ_OK || s->found || s->entries >= s->max_entries)
            return rc;
        inner = windows_ms[i];
        *around_ms = inner;
    }
    int rc = search_window(s, inner, -1, out, err);
    if (rc == JOBQ_OK && !s->found && s->entries < s->max_entries)
        *around_ms = -1;
    return rc;
}

int inspect_find(const struct inspect *in, const struct shard_keys *k, size_t n, const jobq_id *id,
                 int only, int64_t max_entries, struct inspect_job *out, bool *found,
                 struct inspect_looked *looked, jobq_err *err)
{
    struct search s = {.in = in,
                       .k = k,
                       .n = n,
                       .id = id,
                       .id_ms = id_time_ms(id),
                       .only = only,
                       .max_entries = max_entries};
    int64_t around_ms = 0;
    s.filled = mem_zalloc(n * INSPECT_WHERE_COUNT + 1, sizeof(*s.filled));
    if (s.filled == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory to search %zu partitions", n);
    int rc = look_for_filled(&s, err);
    if (rc == JOBQ_OK)
        rc = search_windows(&s, &around_ms, out, err);
    if (rc == JOBQ_OK && !s.found && s.has_finished)
        rc = inspect_at_entry(in, &k[s.finished_shard], s.finished.where, &s.finished.entry, out,
                              &s.found, err);
    mem_free(s.filled);
    if (rc != JOBQ_OK)
        return rc;
    *found = s.found;
    *looked = (struct inspect_looked){.entries = s.entries,
                                      .partitions = n,
                                      .whole = around_ms < 0,
                                      .around_ms = MAX(around_ms, 0)};
    return JOBQ_OK;
}
