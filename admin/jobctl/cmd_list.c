/* SPDX-License-Identifier: MIT */
/* cmd_list: jobctl job list and parked list: jobs place by place, a page at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/consent.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/inspect_walk.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 10000
#define SCAN_DEFAULT 100000
#define SCAN_MAX INT64_C(1000000000)

/* "place", of a delayed job "place@due". */
#define CURSOR_SIZE (INSPECT_PLACE_SIZE + 24)

struct list {
    struct session *s;
    int64_t limit, scan;
    const char *type; /* NULL: any */
    int state, lane;  /* -1: any */
    bool has_after;
    struct inspect_place after;
    int64_t after_due_ms;
    json_t *rows;
    int64_t looked;
    bool more; /* there is, or may be */
    char next[CURSOR_SIZE];
};

/* ---- the cursor ---- */

static void set_cursor(struct list *l, const struct inspect_job *job)
{
    char place[INSPECT_PLACE_SIZE];
    inspect_place_format(&job->place, place);
    if (job->state == INSPECT_DELAYED)
        snprintf(l->next, sizeof(l->next), "%s@%" PRId64, place, job->due_ms);
    else
        snprintf(l->next, sizeof(l->next), "%s", place);
}

static int read_cursor(const char *text, struct list *l, jobq_err *err)
{
    char place[CURSOR_SIZE];
    const char *at = strchr(text, '@');
    size_t len = at != NULL ? (size_t)(at - text) : strlen(text);
    if (len >= sizeof(place))
        return error_set(err, JOBQ_EINVAL, "--after: not what a list ended with: %.80s", text);
    memcpy(place, text, len);
    place[len] = '\0';
    int rc = inspect_place_parse(place, &l->after, err);
    if (rc != JOBQ_OK)
        return rc;
    if ((at != NULL) != (l->after.where == INSPECT_LATER) ||
        (at != NULL && text_parse_int(at + 1, &l->after_due_ms) != JOBQ_OK))
        return error_set(err, JOBQ_EINVAL, "--after: not what a list ended with: %.80s", text);
    l->has_after = true;
    return JOBQ_OK;
}

/* Whether a partition lies before the one where the list goes on; *here: it is that one. */
static bool is_before(const struct list *l, const struct shard_keys *k, bool *here)
{
    int order = strcmp(k->queue, l->after.queue);
    if (order == 0)
        order = (k->partition > l->after.partition) - (k->partition < l->after.partition);
    *here = l->has_after && order == 0;
    return l->has_after && order < 0;
}

/* ---- the pages ---- */

static int keep_page(struct list *l, const struct inspect_page *page, jobq_err *err)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct inspect_job *job = &page->jobs[i];
        bool wanted = l->type == NULL || (strlen(l->type) == job->header.type_len &&
                                          memcmp(l->type, job->header.type, strlen(l->type)) == 0);
        if (wanted && (int64_t)json_array_size(l->rows) == l->limit) {
            l->more = true;
            return JOBQ_OK;
        }
        if (wanted && json_array_append_new(l->rows, job_json_row(job)) != 0)
            return error_set(err, JOBQ_ENOMEM, "no memory for the list of jobs");
        set_cursor(l, job);
    }
    return JOBQ_OK;
}

static int list_place(struct list *l, struct inspect *in, const struct shard_keys *k, int where,
                      enum inspect_state state, bool here, jobq_err *err)
{
    struct inspect_walk w;
    session_renew(l->s, in);
    int rc = inspect_walk_begin(in, k, where, state, &w, err);
    if (rc == JOBQ_OK && here && where == l->after.where)
        inspect_walk_after(&w, &l->after, l->after_due_ms);
    while (rc == JOBQ_OK && !w.ended && !l->more && !consent_stopped(l->s)) {
        struct inspect_page page;
        size_t left = (size_t)(l->limit + 1 - (int64_t)json_array_size(l->rows));
        session_renew(l->s, in);
        rc = inspect_walk_next(in, &w, l->type == NULL ? left : SIZE_MAX, &page, err);
        if (rc != JOBQ_OK)
            return rc;
        rc = keep_page(l, &page, err);
        l->looked += (int64_t)page.looked;
        l->more = l->more || l->looked >= l->scan;
        inspect_page_done(&page);
    }
    return rc;
}

/* What a worker holds of a lane lies before what waits there. */
static int list_shard(struct list *l, struct inspect *in, const struct shard_keys *k, bool here,
                      jobq_err *err)
{
    static const enum inspect_state others[] = {[INSPECT_LATER] = INSPECT_DELAYED,
                                                [INSPECT_DEAD] = INSPECT_IS_DEAD,
                                                [INSPECT_PARKED] = INSPECT_IS_PARKED};
    int rc = JOBQ_OK;
    for (int where = here ? l->after.where : 0; where < INSPECT_WHERE_COUNT; where++) {
        bool lane = where < LANE_COUNT;
        enum inspect_state states[] = {lane ? INSPECT_CLAIMED : others[where], INSPECT_QUEUED};
        if (l->lane >= 0 && l->lane != where)
            continue;
        for (size_t i = 0; rc == JOBQ_OK && !l->more && i < (lane ? 2 : 1); i++) {
            if (l->state < 0 || l->state == (int)states[i])
                rc = list_place(l, in, k, where, states[i], here, err);
        }
    }
    return rc;
}

static int list_all(struct list *l, const char *queue, jobq_err *err)
{
    struct inspect in;
    struct session_shards shards = {0};
    int rc = session_redis(l->s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    for (size_t i = 0; rc == JOBQ_OK && !l->more && i < shards.n; i++) {
        bool here = false;
        if (!is_before(l, &shards.keys[i], &here))
            rc = list_shard(l, &in, &shards.keys[i], here, err);
    }
    if (rc == JOBQ_OK && consent_stopped(l->s))
        rc = error_set(err, JOBQ_ESTATE, "interrupted");
    session_shards_free(&shards);
    return rc;
}

/* ---- the commands ---- */

static int read_line(const struct args *a, struct list *l, jobq_err *err)
{
    const char *after = args_value(a, "after");
    l->type = args_value(a, "type");
    int rc = args_int(a, "limit", 1, LIMIT_MAX, &l->limit, err);
    if (rc == JOBQ_OK)
        rc = args_int(a, "scan", 1, SCAN_MAX, &l->scan, err);
    if (rc == JOBQ_OK && after != NULL)
        rc = read_cursor(after, l, err);
    return rc;
}

static int show(struct list *l, const struct args *a, const struct out_section *section,
                jobq_err *err)
{
    l->rows = json_array();
    l->limit = LIMIT_DEFAULT;
    l->scan = SCAN_DEFAULT;
    int rc = read_line(a, l, err);
    consent_watch();
    if (rc == JOBQ_OK)
        rc = list_all(l, args_value(a, "queue"), err);
    if (rc != JOBQ_OK) {
        json_decref(l->rows);
        return rc;
    }
    bool next = l->more && l->next[0] != '\0';
    return out_show(&l->s->out,
                    json_pack("{s:o, s:o}", section->key, l->rows, "next",
                              next ? json_string(l->next) : json_null()),
                    section, 1, err);
}

int cmd_job_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"since_ms", "SINCE", OUT_TIME},      {"id", "ID", OUT_TEXT},
        {"type", "TYPE", OUT_TEXT},           {"state", "STATE", OUT_STATE},
        {"attempts", "ATTEMPTS", OUT_NUMBER}, {"claimed_for_ms", "FOR", OUT_DURATION},
        {"due_ms", "DUE", OUT_TIME},          {"place", "PLACE", OUT_TEXT},
        {"owner", "OWNER", OUT_TEXT},
    };
    static const struct out_section section = {"jobs", columns, ARRAY_LEN(columns), "no jobs"};
    /* In the order of the flag's choices. */
    static const enum inspect_state states[] = {INSPECT_QUEUED,   INSPECT_QUEUED,  INSPECT_CLAIMED,
                                                INSPECT_CLAIMED,  INSPECT_DELAYED, INSPECT_IS_DEAD,
                                                INSPECT_IS_PARKED};
    int state = args_choice(a, "state");
    struct list l = {
        .s = s, .state = state >= 0 ? (int)states[state] : -1, .lane = args_choice(a, "lane")};
    if (l.lane >= 0 && l.state >= 0 && l.state != INSPECT_QUEUED && l.state != INSPECT_CLAIMED)
        return error_set(err, JOBQ_EINVAL, "--lane is for jobs that are queued or claimed");
    return show(&l, a, &section, err);
}

int cmd_parked_list(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"since_ms", "PARKED", OUT_TIME}, {"id", "ID", OUT_TEXT},
        {"type", "TYPE", OUT_TEXT},       {"attempts", "ATTEMPTS", OUT_NUMBER},
        {"place", "PLACE", OUT_TEXT},
    };
    static const struct out_section section = {"parked", columns, ARRAY_LEN(columns),
                                               "no parked jobs"};
    struct list l = {.s = s, .state = INSPECT_IS_PARKED, .lane = -1};
    return show(&l, a, &section, err);
}
