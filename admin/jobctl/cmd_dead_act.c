/* SPDX-License-Identifier: MIT */
/*
 * cmd_dead_act: jobctl dead retry and dead discard: one dead letter, or all that are meant, page
 * after page. Whatever stops it, each letter was dealt with whole or not at all, and it says how
 * far it came.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/actor.h"
#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/consent.h"
#include "admin/jobctl/filter.h"
#include "admin/jobctl/find.h"
#include "admin/jobctl/job_json.h"
#include "admin/jobctl/payload.h"
#include "admin/jobctl/session.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "broker/control.h"
#include "broker/inspect_walk.h"

#define SHOWN_MAX 20 /* of a dry run, and of those that stay */

struct act {
    struct session *s;
    const struct args *args;
    struct actor *actor;
    bool begun; /* the actor is known */
    bool discard, dry;
    struct filter filter;
    int64_t limit;
    struct buf payload; /* empty: each keeps its own */
    int64_t looked, matched, done, gone, refused, unknown;
    json_t *jobs;
    bool failed; /* no memory for one of jobs */
};

/* ---- one page ---- */

static void show_job(struct act *a, const struct inspect_job *job, const struct control_result *r)
{
    char holder[JOBQ_ID_TEXT_SIZE];
    if (json_array_size(a->jobs) >= SHOWN_MAX)
        return;
    json_t *row = job_json_brief(job);
    a->failed = a->failed || row == NULL;
    if (r != NULL) {
        bool held = r->fate == CONTROL_HELD;
        json_object_set_new(row, "why", json_string(held ? "held" : "unreadable"));
        if (r->has_holder)
            jobq_id_format(&r->holder, holder);
        json_object_set_new(row, "holder", r->has_holder ? json_string(holder) : json_null());
    }
    json_array_append_new(a->jobs, row);
}

static int revive(struct act *a, const struct inspect *in, const struct shard_keys *k,
                  const struct inspect_job *const *jobs, size_t n, jobq_err *err)
{
    struct control_result *results = mem_zalloc(n, sizeof(*results));
    if (results == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a page of %zu jobs", n);
    const char *payload = a->payload.len > 0 ? a->payload.data : NULL;
    int rc = control_revive(in, k, &a->actor->act, jobs, n, payload, a->payload.len, results, err);
    for (size_t i = 0; i < n; i++) {
        bool refused = results[i].fate == CONTROL_HELD || results[i].fate == CONTROL_UNREADABLE;
        a->done += results[i].fate == CONTROL_DONE;
        a->gone += results[i].fate == CONTROL_GONE;
        a->unknown += results[i].fate == CONTROL_OPEN && rc == JOBQ_EUNKNOWN;
        a->refused += refused;
        if (refused)
            show_job(a, jobs[i], &results[i]);
    }
    mem_free(results);
    return rc;
}

static int discard(struct act *a, const struct inspect *in, const struct shard_keys *k,
                   const struct inspect_job *const *jobs, size_t n, jobq_err *err)
{
    size_t done = 0, open = 0;
    int rc = control_purge(in, k, &a->actor->act, INSPECT_DEAD, jobs, n, &done, &open, err);
    a->done += (int64_t)done;
    a->unknown += (int64_t)open;
    if (rc == JOBQ_OK)
        a->gone += (int64_t)(n - done);
    return rc;
}

static int act_on(struct act *a, struct inspect *in, const struct shard_keys *k,
                  const struct inspect_job *const *jobs, size_t n, jobq_err *err)
{
    a->matched += (int64_t)n;
    for (size_t i = 0; a->dry && i < n; i++)
        show_job(a, jobs[i], NULL);
    if (a->dry || n == 0)
        return JOBQ_OK;
    session_renew(a->s, in);
    int rc = a->begun ? JOBQ_OK : actor_begin(a->s, a->args, in, a->actor, err);
    if (rc != JOBQ_OK)
        return rc;
    a->begun = true;
    return a->discard ? discard(a, in, k, jobs, n, err) : revive(a, in, k, jobs, n, err);
}

static int act_on_page(struct act *a, struct inspect *in, const struct shard_keys *k,
                       const struct inspect_page *page, jobq_err *err)
{
    size_t n = 0;
    const struct inspect_job **jobs = mem_zalloc(page->n + 1, sizeof(*jobs));
    if (jobs == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a page of %zu jobs", page->n);
    a->looked += (int64_t)page->n;
    for (size_t i = 0; i < page->n && a->matched + (int64_t)n < a->limit; i++) {
        if (filter_matches(&a->filter, &page->jobs[i]))
            jobs[n++] = &page->jobs[i];
    }
    int rc = act_on(a, in, k, jobs, n, err);
    mem_free(jobs);
    return rc;
}

/* ---- all pages ---- */

/* For who waits at a terminal. */
static void tell_progress(const struct act *a, bool last)
{
    if (a->s->out.json || !isatty(STDERR_FILENO))
        return;
    if (last)
        fprintf(stderr, "\r\033[K");
    else
        fprintf(stderr, "\r%" PRId64 " of %" PRId64 " dead letters …",
                a->dry ? a->matched : a->done, a->looked);
    fflush(stderr);
}

static int act_on_shard(struct act *a, struct inspect *in, const struct shard_keys *k,
                        int64_t now_ms, jobq_err *err)
{
    struct inspect_walk w;
    session_renew(a->s, in);
    int rc = inspect_walk_begin(in, k, INSPECT_DEAD, INSPECT_IS_DEAD, &w, err);
    if (rc == JOBQ_OK)
        filter_narrow(&a->filter, now_ms, &w);
    /* What dies meanwhile, perhaps of this very retry, is another day's. */
    if (rc == JOBQ_OK && !w.ended)
        rc = inspect_walk_until_now(in, &w, err);
    while (rc == JOBQ_OK && !w.ended && a->matched < a->limit && !consent_stopped(a->s)) {
        struct inspect_page page;
        session_renew(a->s, in);
        rc = inspect_walk_next(in, &w, SIZE_MAX, &page, err);
        if (rc != JOBQ_OK)
            break;
        rc = act_on_page(a, in, k, &page, err);
        inspect_page_done(&page);
        tell_progress(a, false);
    }
    return rc;
}

static int act_on_all(struct act *a, const char *queue, jobq_err *err)
{
    struct inspect in;
    struct inspect_server server;
    struct session_shards shards = {0};
    int rc = session_redis(a->s, &in, err);
    session_renew(a->s, &in);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, err);
    if (rc == JOBQ_OK)
        rc = session_shards(&in, queue, &shards, err);
    for (size_t i = 0; rc == JOBQ_OK && i < shards.n && !consent_stopped(a->s); i++)
        rc = act_on_shard(a, &in, &shards.keys[i], server.clock_ms, err);
    session_shards_free(&shards);
    tell_progress(a, true);
    return rc;
}

/* ---- telling ---- */

static const char *how_it_ended(const struct act *a, int rc)
{
    if (rc != JOBQ_OK)
        return "failed";
    if (consent_stopped(a->s))
        return "interrupted";
    return a->matched >= a->limit ? "limit" : "complete";
}

static int show_result(struct act *a, int rc, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"action", "action", OUT_TEXT},        {"ended", "ended", OUT_STATE},
        {"matched", "matched", OUT_NUMBER},    {"done", "done", OUT_NUMBER},
        {"gone", "gone meanwhile", OUT_COUNT}, {"refused", "not possible", OUT_COUNT},
        {"unknown", "not known", OUT_COUNT},   {"unreadable", "payload unreadable", OUT_COUNT},
    };
    static const struct out_column job_columns[] = {
        {"died_ms", "DIED", OUT_TIME}, {"id", "ID", OUT_TEXT},
        {"type", "TYPE", OUT_TEXT},    {"reason", "REASON", OUT_TEXT},
        {"place", "PLACE", OUT_TEXT},  {"error", "ERROR", OUT_TEXT},
        {"why", "WHY", OUT_TEXT},      {"holder", "HOLDER", OUT_TEXT},
    };
    /* In a dry run nothing stands in the way yet. */
    const struct out_section sections[] = {
        {"dead", columns, ARRAY_LEN(columns), NULL},
        {"jobs", job_columns, ARRAY_LEN(job_columns) - (a->dry ? 2 : 0), NULL},
    };
    json_t *root =
        json_pack("{s:{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:O}", "dead", "action",
                  a->discard ? "discard" : "retry", "dry_run", (int)a->dry, "ended",
                  how_it_ended(a, rc), "looked", (json_int_t)a->looked, "matched",
                  (json_int_t)a->matched, "done", (json_int_t)a->done, "gone", (json_int_t)a->gone,
                  "refused", (json_int_t)a->refused, "unknown", (json_int_t)a->unknown,
                  "unreadable", (json_int_t)a->filter.unreadable, "jobs", a->jobs);
    return out_show(&a->s->out, root, sections, ARRAY_LEN(sections), err);
}

/* The answer first, then what went wrong: it says how far it came. */
static int finish(struct act *a, int rc, const jobq_err *why, jobq_err *err)
{
    const char *what = a->discard ? "discarded" : "put back";
    int told = show_result(a, rc, err);
    if (rc == JOBQ_EUNKNOWN)
        return error_set(err, rc,
                         "%s: %" PRId64 " %s, of %" PRId64
                         " more it is not known; run it again for those that are left",
                         why->msg, a->done, what, a->unknown);
    if (rc != JOBQ_OK)
        return error_set(err, rc, "%s; %" PRId64 " %s until then", why->msg, a->done, what);
    if (told != JOBQ_OK)
        return told;
    if (consent_stopped(a->s))
        return error_set(err, JOBQ_ESTATE,
                         "interrupted: %" PRId64 " %s; run it again for those that are left",
                         a->done, what);
    if (a->failed)
        return error_set(err, JOBQ_ENOMEM, "no memory for the answer");
    if (a->refused > 0)
        return error_set(err, JOBQ_ESTATE, "%" PRId64 " cannot be %s", a->refused, what);
    return JOBQ_OK;
}

/* ---- the command line ---- */

static int read_payload(const struct args *a, struct act *act, jobq_err *err)
{
    const char *text = args_value(a, "payload"), *file = args_value(a, "edit");
    int rc = JOBQ_OK;
    if (text == NULL && file == NULL)
        return JOBQ_OK;
    if (text != NULL && file != NULL)
        return error_set(err, JOBQ_EINVAL, "--payload and --edit are two ways to say the same");
    if (a->operand_count == 0)
        return error_set(err, JOBQ_EINVAL, "a new payload is for one job: name its id or place");
    rc = text != NULL ? payload_read(text, &act->payload, err)
                      : payload_read_file(file, &act->payload, err);
    if (rc != JOBQ_OK)
        return rc;
    rc = json_check_object(act->payload.len > 0 ? act->payload.data : " ",
                           MAX(act->payload.len, (size_t)1), err);
    if (rc != JOBQ_OK)
        error_prefix(err, "payload: not a JSON object in UTF-8");
    return rc;
}

static int read_line(const struct args *a, struct act *act, jobq_err *err)
{
    bool one = a->operand_count > 0, all = args_has(a, "all");
    act->dry = args_has(a, "dry-run");
    act->limit = INT64_MAX;
    int rc = args_int(a, "limit", 1, INT64_MAX, &act->limit, err);
    if (rc == JOBQ_OK)
        rc = actor_read(a, act->actor, err);
    if (rc == JOBQ_OK)
        rc = filter_read(a, &act->filter, err);
    if (rc == JOBQ_OK)
        rc = read_payload(a, act, err);
    if (rc != JOBQ_OK)
        return rc;
    if (one + all + act->filter.any == 1)
        return JOBQ_OK;
    return error_set(err, JOBQ_EINVAL,
                     "%s: which ones? name one by its id or place, or give a filter (--type, "
                     "--reason, --error, --older-than, --newer-than, --field), or --all",
                     a->command->words);
}

/* Counts first, so that the question says of how many. */
static int ask(struct act *a, const char *queue, jobq_err *err)
{
    char question[160];
    struct act count = *a;
    count.dry = true;
    count.jobs = json_array();
    int rc = act_on_all(&count, queue, err);
    json_decref(count.jobs);
    if (rc != JOBQ_OK)
        return rc;
    if (consent_stopped(a->s))
        return error_set(err, JOBQ_ESTATE, "interrupted: nothing was changed");
    snprintf(question, sizeof(question), "%s %" PRId64 " dead letter%s of %.70s",
             a->discard ? "delete" : "retry", count.matched, count.matched == 1 ? "" : "s",
             queue != NULL ? queue : "all queues");
    return count.matched == 0 ? JOBQ_OK : consent_ask(question, err);
}

static int act_on_one(struct act *act, const struct args *a, jobq_err *err)
{
    struct inspect in;
    struct inspect_job job;
    const struct inspect_job *jobs[] = {&job};
    struct shard_keys k;
    struct find_report report;
    bool found = false;
    int rc = find_job(act->s, a, a->operands[0], INSPECT_DEAD, &job, &found, &report, err);
    json_decref(report.looked);
    if (rc == JOBQ_OK && !found)
        rc = find_none(&report, a->operands[0], "no such dead letter", err);
    if (rc != JOBQ_OK)
        return rc;
    rc = session_redis(act->s, &in, err);
    if (rc == JOBQ_OK)
        rc = keys_init(&k, in.prefix, job.place.queue, job.place.partition, err);
    size_t max = MAX(job.payload_len, JOBQ_PAYLOAD_DEFAULT_MAX);
    if (rc == JOBQ_OK && act->payload.len > max) {
        keys_done(&k);
        rc = error_set(err, JOBQ_ETOOBIG, "the payload is over %zu bytes", max);
    }
    if (rc == JOBQ_OK) {
        act->looked = 1;
        rc = act_on(act, &in, &k, jobs, 1, err);
        keys_done(&k);
    }
    inspect_job_done(&job);
    return rc;
}

static int act_on_many(struct act *act, const struct args *a, jobq_err *err)
{
    bool asks = false;
    const char *queue = args_value(a, "queue");
    int rc = act->dry ? JOBQ_OK : consent_needed(a, &asks, err);
    if (rc == JOBQ_OK && asks)
        rc = ask(act, queue, err);
    return rc == JOBQ_OK ? act_on_all(act, queue, err) : rc;
}

static int run(struct session *s, const struct args *a, bool discards, jobq_err *err)
{
    struct actor actor = {0};
    struct act act = {
        .s = s, .args = a, .actor = &actor, .discard = discards, .jobs = json_array()};
    jobq_err why = {0};
    buf_init(&act.payload, JOBQ_PAYLOAD_HARD_MAX);
    int rc = read_line(a, &act, err);
    if (rc == JOBQ_OK) {
        consent_watch();
        rc = a->operand_count > 0 ? act_on_one(&act, a, &why) : act_on_many(&act, a, &why);
        /* Nothing was tried: then there is nothing to tell but why. */
        if (rc != JOBQ_OK && act.looked == 0)
            rc = error_set(err, rc, "%s", why.msg);
        else
            rc = finish(&act, rc, &why, err);
    }
    json_decref(act.jobs);
    buf_done(&act.payload);
    return rc;
}

int cmd_dead_retry(struct session *s, const struct args *a, jobq_err *err)
{
    return run(s, a, false, err);
}

int cmd_dead_discard(struct session *s, const struct args *a, jobq_err *err)
{
    return run(s, a, true, err);
}
