/* SPDX-License-Identifier: MIT */
/*
 * cmd_purge: jobctl queue purge: takes out what waits in one queue, page after page, while workers
 * go on claiming. What they claim first is theirs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/actor.h"
#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/consent.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/control.h"
#include "broker/inspect_walk.h"

#define SHOWN_MAX 20

/* In the order of the flag's choices. */
static const struct place {
    int where;
    enum inspect_state state;
} places[] = {
    {LANE_RECOVERED, INSPECT_QUEUED}, {LANE_HIGH, INSPECT_QUEUED},
    {LANE_NORMAL, INSPECT_QUEUED},    {LANE_LOW, INSPECT_QUEUED},
    {INSPECT_LATER, INSPECT_DELAYED}, {INSPECT_PARKED, INSPECT_IS_PARKED},
};

struct purge {
    struct session *s;
    struct actor actor;
    const char *queue;
    int only; /* of places; -1: all */
    bool dry;
    int64_t waiting[ARRAY_LEN(places)], done[ARRAY_LEN(places)];
    bool exact; /* waiting is, not an upper bound */
    int64_t unknown;
    json_t *jobs;
};

static bool is_meant(const struct purge *p, size_t i)
{
    return p->only < 0 || p->only == (int)i;
}

static int64_t sum(const int64_t *numbers)
{
    int64_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        total += numbers[i];
    return total;
}

/* ---- counting ---- */

static int64_t waiting_at(const struct inspect_shard *s, size_t i)
{
    if (places[i].where == INSPECT_LATER)
        return s->delayed;
    return places[i].where == INSPECT_PARKED ? s->parked : s->lanes[places[i].where].waiting;
}

/* At once, whatever there is. */
static int count(struct purge *p, const struct inspect *in, const struct session_shards *shards,
                 jobq_err *err)
{
    p->exact = true;
    for (size_t i = 0; i < shards->n; i++) {
        struct inspect_shard shard;
        int rc = inspect_shard(in, &shards->keys[i], &shard, err);
        if (rc != JOBQ_OK)
            return rc;
        for (size_t j = 0; j < ARRAY_LEN(places); j++) {
            if (!is_meant(p, j))
                continue;
            p->waiting[j] += waiting_at(&shard, j);
            p->exact =
                p->exact && (places[j].where >= LANE_COUNT || shard.lanes[places[j].where].exact);
        }
    }
    return JOBQ_OK;
}

static int sample(struct purge *p, struct inspect *in, const struct shard_keys *k, size_t at,
                  jobq_err *err)
{
    struct inspect_walk w;
    struct inspect_page page = {0};
    int rc = inspect_walk_begin(in, k, places[at].where, places[at].state, &w, err);
    if (rc == JOBQ_OK)
        rc = inspect_walk_next(in, &w, SHOWN_MAX, &page, err);
    for (size_t i = 0; rc == JOBQ_OK && i < page.n && json_array_size(p->jobs) < SHOWN_MAX; i++) {
        if (json_array_append_new(p->jobs, job_json_row(&page.jobs[i])) != 0)
            rc = error_set(err, JOBQ_ENOMEM, "no memory for the list of jobs");
    }
    inspect_page_done(&page);
    return rc;
}

/* ---- purging ---- */

static int purge_page(struct purge *p, struct inspect *in, const struct shard_keys *k, size_t at,
                      const struct inspect_page *page, jobq_err *err)
{
    size_t done = 0, open = 0;
    const struct inspect_job **jobs = mem_zalloc(page->n + 1, sizeof(*jobs));
    if (jobs == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a page of %zu jobs", page->n);
    for (size_t i = 0; i < page->n; i++)
        jobs[i] = &page->jobs[i];
    session_renew(p->s, in);
    int rc =
        control_purge(in, k, &p->actor.act, places[at].where, jobs, page->n, &done, &open, err);
    p->done[at] += (int64_t)done;
    p->unknown += (int64_t)open;
    mem_free(jobs);
    return rc;
}

/* What comes meanwhile stays: streams end where they ended, and of the delayed ones no more are
 * taken than there were. */
static int purge_place(struct purge *p, struct inspect *in, const struct shard_keys *k, size_t at,
                       jobq_err *err)
{
    struct inspect_walk w;
    struct inspect_shard shard = {0};
    int64_t left = INT64_MAX;
    session_renew(p->s, in);
    int rc = inspect_walk_begin(in, k, places[at].where, places[at].state, &w, err);
    if (rc == JOBQ_OK && places[at].where == INSPECT_LATER) {
        rc = inspect_shard(in, k, &shard, err);
        left = shard.delayed;
    } else if (rc == JOBQ_OK && !w.ended) {
        rc = inspect_walk_until_now(in, &w, err);
    }
    while (rc == JOBQ_OK && !w.ended && left > 0 && !consent_stopped(p->s)) {
        struct inspect_page page;
        session_renew(p->s, in);
        rc = inspect_walk_next(in, &w, (size_t)left, &page, err);
        if (rc != JOBQ_OK)
            return rc;
        rc = purge_page(p, in, k, at, &page, err);
        left -= (int64_t)page.looked;
        inspect_page_done(&page);
    }
    return rc;
}

typedef int (*place_fn)(struct purge *p, struct inspect *in, const struct shard_keys *k, size_t at,
                        jobq_err *err);

static int each_place(struct purge *p, struct inspect *in, const struct session_shards *shards,
                      place_fn fn, jobq_err *err)
{
    int rc = JOBQ_OK;
    for (size_t i = 0; i < shards->n; i++) {
        for (size_t j = 0; rc == JOBQ_OK && j < ARRAY_LEN(places) && !consent_stopped(p->s); j++) {
            if (is_meant(p, j))
                rc = fn(p, in, &shards->keys[i], j, err);
        }
    }
    return rc;
}

/* ---- telling ---- */

static const char *how_it_ended(const struct purge *p, int rc)
{
    if (rc != JOBQ_OK)
        return "failed";
    return consent_stopped(p->s) ? "interrupted" : "complete";
}

static json_t *places_json(const struct purge *p)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (is_meant(p, i))
            json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "place",
                                                  inspect_where_name(places[i].where), "waiting",
                                                  (json_int_t)p->waiting[i], "purged",
                                                  (json_int_t)p->done[i]));
    }
    return rows;
}

static int show_result(const struct purge *p, int rc, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"queue", "queue", OUT_TEXT},        {"ended", "ended", OUT_STATE},
        {"waiting", "waiting", OUT_NUMBER},  {"purged", "purged", OUT_NUMBER},
        {"unknown", "not known", OUT_COUNT},
    };
    static const struct out_column place_columns[] = {
        {"place", "PLACE", OUT_TEXT},
        {"waiting", "WAITING", OUT_NUMBER},
        {"purged", "PURGED", OUT_NUMBER},
    };
    static const struct out_column job_columns[] = {
        {"since_ms", "SINCE", OUT_TIME}, {"id", "ID", OUT_TEXT},       {"type", "TYPE", OUT_TEXT},
        {"due_ms", "DUE", OUT_TIME},     {"place", "PLACE", OUT_TEXT},
    };
    static const struct out_section sections[] = {
        {"purge", columns, ARRAY_LEN(columns), NULL},
        {"places", place_columns, ARRAY_LEN(place_columns), NULL},
        {"jobs", job_columns, ARRAY_LEN(job_columns), NULL},
    };
    json_t *root = json_pack("{s:{s:s, s:b, s:s, s:I, s:b, s:I, s:I}, s:o, s:O}", "purge", "queue",
                             p->queue, "dry_run", (int)p->dry, "ended", how_it_ended(p, rc),
                             "waiting", (json_int_t)sum(p->waiting), "waiting_exact", (int)p->exact,
                             "purged", (json_int_t)sum(p->done), "unknown", (json_int_t)p->unknown,
                             "places", places_json(p), "jobs", p->jobs);
    return out_show(&p->s->out, root, sections, ARRAY_LEN(sections), err);
}

static int finish(struct purge *p, int rc, const jobq_err *why, jobq_err *err)
{
    int told = show_result(p, rc, err);
    if (rc == JOBQ_EUNKNOWN)
        return error_set(err, rc,
                         "%s: %" PRId64 " purged, of %" PRId64
                         " more it is not known; run it again for those that are left",
                         why->msg, sum(p->done), p->unknown);
    if (rc != JOBQ_OK)
        return error_set(err, rc, "%s; %" PRId64 " purged until then", why->msg, sum(p->done));
    if (told == JOBQ_OK && consent_stopped(p->s))
        return error_set(err, JOBQ_ESTATE,
                         "interrupted: %" PRId64 " purged; run it again for those that are left",
                         sum(p->done));
    return told;
}

/* ---- the command ---- */

static int ask(const struct purge *p, jobq_err *err)
{
    char question[192];
    snprintf(question, sizeof(question), "delete %s%" PRId64 " waiting job%s of queue %.70s%s%s",
             p->exact ? "" : "up to ", sum(p->waiting), sum(p->waiting) == 1 ? "" : "s", p->queue,
             p->only >= 0 ? ", " : "",
             p->only >= 0 ? inspect_where_name(places[p->only].where) : "");
    return consent_ask(question, err);
}

static int purge(struct purge *p, const struct args *a, jobq_err *err)
{
    struct inspect in = {0};
    struct session_shards shards = {0};
    jobq_err why = {0};
    bool asks = false;
    int rc = actor_read(a, &p->actor, err);
    if (rc == JOBQ_OK && !p->dry)
        rc = consent_needed(a, &asks, err);
    if (rc == JOBQ_OK)
        rc = session_redis(p->s, &in, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, p->queue, &shards, err);
    if (rc == JOBQ_OK)
        rc = count(p, &in, &shards, err);
    if (rc == JOBQ_OK && asks)
        rc = ask(p, err);
    session_renew(p->s, &in);
    if (rc == JOBQ_OK && !p->dry)
        rc = actor_begin(p->s, a, &in, &p->actor, err);
    if (rc == JOBQ_OK) {
        rc = each_place(p, &in, &shards, p->dry ? sample : purge_place, &why);
        rc = finish(p, rc, &why, err);
    }
    session_shards_free(&shards);
    return rc;
}

int cmd_queue_purge(struct session *s, const struct args *a, jobq_err *err)
{
    struct purge p = {.s = s,
                      .queue = a->operands[0],
                      .only = args_choice(a, "lane"),
                      .dry = args_has(a, "dry-run"),
                      .jobs = json_array()};
    consent_watch();
    int rc = purge(&p, a, err);
    json_decref(p.jobs);
    return rc;
}
