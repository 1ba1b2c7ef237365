/* SPDX-License-Identifier: MIT */
/* cmd_dead: jobctl dead list. Showing one is in cmd_job.c, changing them in cmd_dead_act.c. */
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/consent.h"
#include "admin/jobctl/filter.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/inspect_walk.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 10000

/* Rows of several partitions, of which the newest are kept. Of one instant those of the first
 * partition come first. */
struct letters {
    struct session *s;
    struct filter filter;
    size_t limit;
    bool has_after;
    struct inspect_place after;
    struct letter {
        struct entry_id at;
        size_t shard;
        json_t *row;
    } * list;
    size_t n;
};

static int compare_newest_first(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    int order = entry_id_compare(&y->at, &x->at);
    return order != 0 ? order : (x->shard > y->shard) - (x->shard < y->shard);
}

/* After each partition only what may be shown stays, so that memory does not grow with their
 * number; one more, which tells that there are more. */
static void drop_oldest(struct letters *l)
{
    qsort(l->list, l->n, sizeof(*l->list), compare_newest_first);
    while (l->n > l->limit + 1)
        json_decref(l->list[--l->n].row);
}

static int compare_shards(const struct shard_keys *k, const struct inspect_place *place)
{
    int order = strcmp(k->queue, place->queue);
    return order != 0 ? order
                      : (k->partition > place->partition) - (k->partition < place->partition);
}

static void begin_after(const struct letters *l, struct inspect_walk *w)
{
    if (!l->has_after)
        return;
    if (compare_shards(w->k, &l->after) <= 0)
        inspect_walk_after(w, &l->after, -1);
    else if (entry_id_compare(&l->after.entry, &w->last) < 0)
        w->last = l->after.entry;
}

static int keep_page(struct letters *l, const struct inspect_page *page, size_t shard, size_t *kept,
                     jobq_err *err)
{
    for (size_t i = 0; i < page->n && *kept <= l->limit; i++) {
        if (!filter_matches(&l->filter, &page->jobs[i]))
            continue;
        json_t *row = job_json_brief(&page->jobs[i]);
        if (row == NULL)
            return error_set(err, JOBQ_ENOMEM, "no memory for the list of dead letters");
        l->list[l->n++] = (struct letter){page->jobs[i].place.entry, shard, row};
        ++*kept;
    }
    return JOBQ_OK;
}

static int gather_shard(struct letters *l, struct inspect *in, const struct shard_keys *k,
                        size_t shard, int64_t now_ms, jobq_err *err)
{
    struct inspect_walk w;
    size_t kept = 0;
    int rc = inspect_walk_begin(in, k, INSPECT_DEAD, INSPECT_IS_DEAD, &w, err);
    if (rc != JOBQ_OK)
        return rc;
    w.newest_first = true;
    filter_narrow(&l->filter, now_ms, &w);
    begin_after(l, &w);
    while (rc == JOBQ_OK && !w.ended && kept <= l->limit && !consent_stopped(l->s)) {
        struct inspect_page page;
        session_renew(l->s, in);
        rc = inspect_walk_next(in, &w, l->filter.any ? SIZE_MAX : l->limit + 1 - kept, &page, err);
        if (rc != JOBQ_OK)
            return rc;
        rc = keep_page(l, &page, shard, &kept, err);
        inspect_page_done(&page);
    }
    return rc;
}

static int gather(struct letters *l, const char *queue, jobq_err *err)
{
    struct inspect in;
    struct inspect_server server;
    struct session_shards shards = {0};
    int rc = session_redis(l->s, &in, err);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    for (size_t i = 0; rc == JOBQ_OK && i < shards.n && !consent_stopped(l->s); i++) {
        rc = gather_shard(l, &in, &shards.keys[i], i, server.clock_ms, err);
        drop_oldest(l);
    }
    if (rc == JOBQ_OK && consent_stopped(l->s))
        rc = error_set(err, JOBQ_ESTATE, "interrupted");
    session_shards_free(&shards);
    return rc;
}

static int read_list_flags(const struct args *a, struct letters *l, jobq_err *err)
{
    int64_t limit = LIMIT_DEFAULT;
    const char *after = args_value(a, "after");
    int rc = args_int(a, "limit", 1, LIMIT_MAX, &limit, err);
    if (rc == JOBQ_OK)
        rc = filter_read(a, &l->filter, err);
    if (rc == JOBQ_OK && after != NULL)
        rc = inspect_place_parse(after, &l->after, err);
    if (rc == JOBQ_OK && after != NULL && l->after.where != INSPECT_DEAD)
        rc = error_set(err, JOBQ_EINVAL, "--after: not a place in dead: %.80s", after);
    if (rc != JOBQ_OK)
        return rc;
    l->has_after = after != NULL;
    l->limit = (size_t)limit;
    l->list = mem_zalloc(2 * (l->limit + 1), sizeof(*l->list));
    return l->list != NULL
               ? JOBQ_OK
               : error_set(err, JOBQ_ENOMEM, "no memory for %zu dead letters", l->limit);
}

/* Takes the rows. NULL: out of memory. */
static json_t *letters_json(struct letters *l)
{
    json_t *rows = json_array(), *next = json_null();
    if (l->n > l->limit && l->limit > 0)
        next = json_incref(json_object_get(l->list[l->limit - 1].row, "place"));
    for (size_t i = 0; i < l->n; i++) {
        if (i < l->limit)
            json_array_append_new(rows, l->list[i].row);
        else
            json_decref(l->list[i].row);
    }
    l->n = 0;
    return json_pack("{s:o, s:o}", "dead", rows, "next", next);
}

int cmd_dead_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"died_ms", "DIED", OUT_TIME},        {"id", "ID", OUT_TEXT},
        {"type", "TYPE", OUT_TEXT},           {"reason", "REASON", OUT_TEXT},
        {"attempts", "ATTEMPTS", OUT_NUMBER}, {"place", "PLACE", OUT_TEXT},
        {"error", "ERROR", OUT_TEXT},
    };
    static const struct out_section section = {"dead", columns, ARRAY_LEN(columns),
                                               "no dead letters"};
    struct letters l = {.s = s};
    consent_watch();
    int rc = read_list_flags(a, &l, err);
    if (rc == JOBQ_OK)
        rc = gather(&l, args_value(a, "queue"), err);
    json_t *root = rc == JOBQ_OK ? letters_json(&l) : NULL;
    while (l.n > 0)
        json_decref(l.list[--l.n].row);
    mem_free(l.list);
    return rc == JOBQ_OK ? out_show(&s->out, root, &section, 1, err) : rc;
}
