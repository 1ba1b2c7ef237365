/* SPDX-License-Identifier: MIT */
/* cmd_dead: jobctl dead list. */
#include <stdlib.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/mem.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 10000

/* Rows of several partitions, of which the newest are kept. */
struct letters {
    struct letter {
        struct entry_id at;
        json_t *row;
    } *list;
    size_t n;
    bool failed;
};

static void keep(void *ctx, const struct inspect_job *job)
{
    struct letters *l = ctx;
    json_t *row = job_json_brief(job);
    l->failed = l->failed || row == NULL;
    if (row == NULL)
        return;
    l->list[l->n].at = job->place.entry;
    l->list[l->n++].row = row;
}

static int compare_newest_first(const void *a, const void *b)
{
    return entry_id_compare(&((const struct letter *)b)->at, &((const struct letter *)a)->at);
}

/* After each partition only the limit stays, so that memory does not grow with their number. */
static void drop_oldest(struct letters *l, size_t limit)
{
    qsort(l->list, l->n, sizeof(*l->list), compare_newest_first);
    while (l->n > limit)
        json_decref(l->list[--l->n].row);
}

static int gather(const struct inspect *in, const struct session_shards *shards, size_t limit,
                  struct letters *l, jobq_err *err)
{
    for (size_t i = 0; i < shards->n; i++) {
        int rc = inspect_dead(in, &shards->keys[i], limit, keep, l, err);
        if (rc != JOBQ_OK)
            return rc;
        if (l->failed)
            return error_set(err, JOBQ_ENOMEM, "no memory for the list of dead letters");
        drop_oldest(l, limit);
    }
    return JOBQ_OK;
}

static int list(struct session *s, const struct args *a, size_t limit, struct letters *l,
                jobq_err *err)
{
    struct inspect in;
    struct session_shards shards = {0};
    int rc = session_redis(s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, args_value(a, "queue"), &shards, err);
    if (rc == JOBQ_OK)
        rc = gather(&in, &shards, limit, l, err);
    session_shards_free(&shards);
    return rc;
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
    struct letters l = {0};
    int64_t limit = LIMIT_DEFAULT;
    json_t *rows = json_array();
    int rc = args_int(a, "limit", 1, LIMIT_MAX, &limit, err);
    if (rc == JOBQ_OK) {
        l.list = mem_zalloc((size_t)limit * 2, sizeof(*l.list));
        if (l.list == NULL)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for %lld dead letters", (long long)limit);
    }
    if (rc == JOBQ_OK)
        rc = list(s, a, (size_t)limit, &l, err);
    for (size_t i = 0; i < l.n; i++) {
        if (json_array_append_new(rows, l.list[i].row) != 0 && rc == JOBQ_OK)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for the list of dead letters");
    }
    mem_free(l.list);
    if (rc != JOBQ_OK) {
        json_decref(rows);
        return rc;
    }
    return out_show(&s->out, json_pack("{s:o}", "dead", rows), &section, 1, err);
}
