/* SPDX-License-Identifier: MIT */
/* cmd_audit: jobctl audit list: what operators did, newest first, over all partitions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/consent.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "broker/inspect_audit.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 10000
/* "queue/partition/audit/entry" */
#define CURSOR_SIZE 144
#define CURSOR_PLACE "audit"

/* Rows of several partitions, of which the newest are kept. Of one instant those of the first
 * partition come first. */
struct records {
    struct session *s;
    size_t limit;
    bool has_after;
    char queue[JOBQ_NAME_MAX + 1]; /* after this one */
    int64_t partition;
    struct entry_id entry;
    struct row {
        struct entry_id at;
        size_t shard;
        json_t *json;
    } * rows;
    size_t n;
};

/* ---- the cursor ---- */

static int refuse_cursor(const char *text, jobq_err *err)
{
    return error_set(err, JOBQ_EINVAL, "--after: not what a list ended with: %.80s", text);
}

static int read_cursor(const char *text, struct records *r, jobq_err *err)
{
    char copy[CURSOR_SIZE], *parts[4], *rest = copy;
    size_t n = 0;
    if (strlen(text) >= sizeof(copy))
        return refuse_cursor(text, err);
    snprintf(copy, sizeof(copy), "%s", text);
    while (n < ARRAY_LEN(parts) && (parts[n] = strsep(&rest, "/")) != NULL)
        n++;
    if (n != ARRAY_LEN(parts) || rest != NULL || !text_is_name(parts[0], strlen(parts[0])) ||
        text_parse_int(parts[1], &r->partition) != JOBQ_OK || r->partition < 0 ||
        r->partition >= KEYS_PARTITIONS_MAX || strcmp(parts[2], CURSOR_PLACE) != 0 ||
        entry_id_parse(parts[3], strlen(parts[3]), &r->entry) != JOBQ_OK)
        return refuse_cursor(text, err);
    snprintf(r->queue, sizeof(r->queue), "%s", parts[0]);
    r->has_after = true;
    return JOBQ_OK;
}

/* What of a partition comes after the cursor; false: nothing. */
static bool begin_after(const struct records *r, const struct shard_keys *k, struct entry_id *last)
{
    int order = strcmp(k->queue, r->queue);
    if (order == 0)
        order = (k->partition > r->partition) - (k->partition < r->partition);
    *last = r->entry;
    if (order > 0)
        return true;
    if (last->seq-- == 0 && last->ms-- == 0)
        return false;
    return true;
}

/* ---- the records ---- */

static int compare_newest_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = entry_id_compare(&y->at, &x->at);
    return order != 0 ? order : (x->shard > y->shard) - (x->shard < y->shard);
}

static json_t *text_json(const struct inspect_text *t)
{
    return out_string(t->len > 0 ? t->bytes : NULL, t->len);
}

static json_t *record_json(const struct inspect_record *r, const struct shard_keys *k)
{
    char place[CURSOR_SIZE], entry[ENTRY_ID_TEXT_SIZE];
    entry_id_format(&r->at, entry);
    snprintf(place, sizeof(place), "%s/%u/" CURSOR_PLACE "/%s", k->queue, k->partition, entry);
    return json_pack("{s:o, s:o, s:s, s:i, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:s}", "at_ms",
                     out_time((int64_t)MIN(r->at.ms, (uint64_t)INT64_MAX)), "began_ms",
                     out_time(r->began_ms), "queue", k->queue, "partition", (int)k->partition,
                     "action", text_json(&r->action), "jobs", (json_int_t)r->jobs, "by",
                     text_json(&r->by), "user", text_json(&r->user), "command",
                     text_json(&r->command), "note", text_json(&r->note), "act", text_json(&r->act),
                     "place", place);
}

static int keep_page(struct records *r, const struct inspect_audit *page,
                     const struct shard_keys *k, size_t shard, size_t *kept, jobq_err *err)
{
    for (size_t i = 0; i < page->n && *kept <= r->limit; i++) {
        json_t *row = record_json(&page->records[i], k);
        if (row == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for the list of acts");
        r->rows[r->n++] = (struct row){page->records[i].at, shard, row};
        ++*kept;
    }
    return JOBQ_OK;
}

/* After each partition only what may be shown stays, and one more, which tells that there are
 * more. */
static int gather_shard(struct records *r, struct inspect *in, const struct shard_keys *k,
                        size_t shard, jobq_err *err)
{
    struct entry_id last = {UINT64_MAX, UINT64_MAX};
    bool more = !r->has_after || begin_after(r, k, &last);
    size_t kept = 0;
    int rc = JOBQ_OK;
    while (rc == JOBQ_OK && more && kept <= r->limit && !consent_stopped(r->s)) {
        struct inspect_audit page;
        session_renew(r->s, in);
        rc = inspect_audit(in, k, &last, &page, err);
        if (rc != JOBQ_OK)
            break;
        rc = keep_page(r, &page, k, shard, &kept, err);
        more = page.n == INSPECT_AUDIT_PAGE;
        if (more)
            last = page.records[page.n - 1].at;
        more = more && (last.seq-- != 0 || last.ms-- != 0);
        inspect_audit_done(&page);
    }
    qsort(r->rows, r->n, sizeof(*r->rows), compare_newest_first);
    while (r->n > r->limit + 1)
        json_decref(r->rows[--r->n].json);
    return rc;
}

static int gather(struct records *r, const char *queue, jobq_err *err)
{
    struct inspect in;
    struct session_shards shards = {0};
    int rc = session_redis(r->s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    for (size_t i = 0; rc == JOBQ_OK && i < shards.n && !consent_stopped(r->s); i++)
        rc = gather_shard(r, &in, &shards.keys[i], i, err);
    if (rc == JOBQ_OK && consent_stopped(r->s))
        rc = error_set(err, JOBQ_ESTATE, "interrupted");
    session_shards_free(&shards);
    return rc;
}

/* ---- the command ---- */

static int read_line(const struct args *a, struct records *r, jobq_err *err)
{
    int64_t limit = LIMIT_DEFAULT;
    const char *after = args_value(a, "after");
    int rc = args_int(a, "limit", 1, LIMIT_MAX, &limit, err);
    if (rc == JOBQ_OK && after != NULL)
        rc = read_cursor(after, r, err);
    if (rc != JOBQ_OK)
        return rc;
    r->limit = (size_t)limit;
    r->rows = mem_zalloc(2 * (r->limit + 1), sizeof(*r->rows));
    return r->rows != NULL ? JOBQ_OK
                           : error_set(err, JOBQ_ENOMEM, "no memory for %zu acts", r->limit);
}

/* Takes the rows. NULL: out of memory. */
static json_t *records_json(struct records *r)
{
    json_t *rows = json_array(), *next = json_null();
    if (r->n > r->limit)
        next = json_incref(json_object_get(r->rows[r->limit - 1].json, "place"));
    for (size_t i = 0; i < r->n; i++) {
        if (i < r->limit)
            json_array_append_new(rows, r->rows[i].json);
        else
            json_decref(r->rows[i].json);
    }
    r->n = 0;
    return json_pack("{s:o, s:o}", "audit", rows, "next", next);
}

int cmd_audit_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"at_ms", "WHEN", OUT_TIME},      {"queue", "QUEUE", OUT_TEXT},
        {"action", "ACTION", OUT_TEXT},   {"jobs", "JOBS", OUT_NUMBER},
        {"by", "BY", OUT_TEXT},           {"user", "USER", OUT_TEXT},
        {"command", "COMMAND", OUT_TEXT}, {"note", "NOTE", OUT_TEXT},
    };
    static const struct out_section section = {"audit", columns, ARRAY_LEN(columns),
                                               "no acts of operators"};
    struct records r = {.s = s};
    consent_watch();
    int rc = read_line(a, &r, err);
    if (rc == JOBQ_OK)
        rc = gather(&r, args_value(a, "queue"), err);
    json_t *root = rc == JOBQ_OK ? records_json(&r) : NULL;
    while (r.n > 0)
        json_decref(r.rows[--r.n].json);
    mem_free(r.rows);
    return rc == JOBQ_OK ? out_show(&s->out, root, &section, 1, err) : rc;
}
