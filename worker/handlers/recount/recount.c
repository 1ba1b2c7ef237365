/* SPDX-License-Identifier: MIT */
/*
 * recount: puts a forum's stored counters right.
 *
 *   stats.recount      {"kind": "threads" | "categories" | "users", "ids": […]}
 *   stats.recount_all  {"kind": …, "after_id": n} a chunk of ids above n (absent: from the start);
 *                                               enqueues the next chunk as its child
 *
 * Both run inside the runtime's transaction: the counters, the record that the job is done and
 * the next chunk are committed together. Rows are locked in the order of their ids by one
 * statement, counted and written by another (sql.h). A run that finds every counter right writes
 * nothing. Threads are counted before categories and users, which read thread rows: that order is
 * up to whoever enqueues.
 *
 * The state is what is known of the database's tables; it lives as long as the executor.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <jobq/handler.h>

#include "worker/handlers/common/attempts.h"
#include "worker/handlers/common/forum.h"
#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/pg.h"
#include "worker/handlers/common/text.h"
#include "worker/handlers/recount/sql.h"

#define IDS_MAX 1000 /* of one stats.recount: rows stay locked until the job is committed */

struct kind {
    const char *pick_ids;   /* $1 ids */
    const char *pick_chunk; /* $1 after which id, $2 how many */
    const char *lock;       /* $1 ids; for kinds that are looked at before they are locked */
    int chunk;
};

/* Threads and users are locked as they are picked. Category rows are written by every reply of
   the forum, so only those that turn out to be wrong are locked. */
static const struct kind kinds[RECOUNT_KINDS] = {
    [RECOUNT_THREADS] = {
        .pick_ids = "SELECT id FROM misago_threads_thread WHERE id = ANY ($1::bigint[])"
                    " ORDER BY id FOR NO KEY UPDATE",
        .pick_chunk = "SELECT id FROM misago_threads_thread WHERE id > $1::bigint"
                      " ORDER BY id LIMIT $2::int FOR NO KEY UPDATE",
        .chunk = 500,
    },
    [RECOUNT_CATEGORIES] = {
        .pick_ids = "SELECT id FROM misago_categories_category WHERE id = ANY ($1::bigint[])"
                    " ORDER BY id",
        .pick_chunk = "SELECT id FROM misago_categories_category WHERE id > $1::bigint"
                      " ORDER BY id LIMIT $2::int",
        .lock = "SELECT id FROM misago_categories_category WHERE id = ANY ($1::bigint[])"
                " ORDER BY id FOR NO KEY UPDATE",
        .chunk = 200,
    },
    [RECOUNT_USERS] = {
        .pick_ids = "SELECT id FROM misago_users_user WHERE id = ANY ($1::bigint[])"
                    " ORDER BY id FOR NO KEY UPDATE",
        .pick_chunk = "SELECT id FROM misago_users_user WHERE id > $1::bigint"
                      " ORDER BY id LIMIT $2::int FOR NO KEY UPDATE",
        .chunk = 200,
    },
};

static const char *const kind_words[] = {
    [RECOUNT_THREADS] = "threads",
    [RECOUNT_CATEGORIES] = "categories",
    [RECOUNT_USERS] = "users",
    [RECOUNT_KINDS] = NULL,
};

struct state {
    enum forum_version version; /* FORUM_UNKNOWN: not probed yet */
};

struct request {
    enum recount_kind kind;
    bool is_chunk;
    int64_t after_id; /* a chunk's */
    char *ids;        /* otherwise: as PostgreSQL's array text; owned */
    size_t ids_count;
};

struct tally {
    int64_t checked;
    int64_t changed;
    int64_t without_posts;
    int64_t first_without_posts;
    int64_t last_id; /* of the rows checked */
};

/* One run: what its parts share. */
struct run {
    const jobq_job_view *job;
    const jobq_host *host;
    struct state *state;
    PGconn *conn;
    struct pg_failure why;
    char text[512]; /* of the verdict */
};

/* ---- ids ---- */

static int64_t read_int(const PGresult *rows, int row, int column)
{
    return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

/* The first column of the rows, as pg_id_array() writes it. */
static char *format_rows(const PGresult *rows)
{
    int count = PQntuples(rows);
    int64_t *ids = calloc((size_t)count + 1, sizeof(*ids));
    char *out = NULL;

    for (int i = 0; ids && i < count; i++) {
        ids[i] = read_int(rows, i, 0);
    }
    if (ids) {
        out = pg_id_array(ids, (size_t)count);
    }
    free(ids);
    return out;
}

/* ---- the statements ---- */

static enum attempt set_out_of_memory(struct run *run)
{
    run->why = (struct pg_failure){ .state = "53200", .text = "out of memory" };
    return ATTEMPT_FAILED;
}

static enum attempt probe(struct run *run)
{
    if (run->state->version != FORUM_UNKNOWN) {
        return ATTEMPT_OK;
    }
    if (forum_probe(run->conn, &run->state->version, run->text, sizeof(run->text), &run->why) < 0) {
        return ATTEMPT_FAILED;
    }
    return run->state->version == FORUM_UNKNOWN ? ATTEMPT_REFUSED : ATTEMPT_OK;
}

/* The rows to count, by ids. Threads and users are locked by it. Caller frees *ids with free().
   */
static enum attempt pick(struct run *run, const struct request *req, struct tally *tally,
                         char **ids)
{
    const struct kind *kind = &kinds[req->kind];
    char after[PG_ID_TEXT_MAX];
    char limit[PG_ID_TEXT_MAX];
    const char *params[2] = { req->ids, NULL };
    PGresult *rows;

    if (req->is_chunk) {
        text_format(after, sizeof(after), "%" PRId64, req->after_id);
        text_format(limit, sizeof(limit), "%d", kind->chunk);
        params[0] = after;
        params[1] = limit;
        rows = pg_query(run->conn, kind->pick_chunk, 2, params, &run->why);
    } else {
        rows = pg_query(run->conn, kind->pick_ids, 1, params, &run->why);
    }
    if (!rows) {
        return ATTEMPT_FAILED;
    }
    tally->checked = PQntuples(rows);
    tally->last_id = tally->checked > 0 ? read_int(rows, PQntuples(rows) - 1, 0) : req->after_id;
    *ids = format_rows(rows);
    PQclear(rows);
    return *ids ? ATTEMPT_OK : set_out_of_memory(run);
}

/* Leaves only the wrong ones of *ids, and locks those. */
static enum attempt narrow(struct run *run, const char *differing, const char *lock, char **ids)
{
    const char *params[1] = { *ids };
    PGresult *rows = pg_query(run->conn, differing, 1, params, &run->why);

    if (!rows) {
        return ATTEMPT_FAILED;
    }
    free(*ids);
    *ids = format_rows(rows);
    PQclear(rows);
    if (!*ids) {
        return set_out_of_memory(run);
    }
    params[0] = *ids;
    rows = pg_query(run->conn, lock, 1, params, &run->why);
    PQclear(rows);
    return rows ? ATTEMPT_OK : ATTEMPT_FAILED;
}

static enum attempt update(struct run *run, const char *sql, const char *ids, struct tally *tally)
{
    const char *params[1] = { ids };
    PGresult *rows = pg_query(run->conn, sql, 1, params, &run->why);

    if (!rows) {
        return ATTEMPT_FAILED;
    }
    tally->changed = read_int(rows, 0, 0);
    tally->without_posts = read_int(rows, 0, 1);
    tally->first_without_posts = read_int(rows, 0, 2);
    PQclear(rows);
    return ATTEMPT_OK;
}

/* For this transaction: no long wait for a row; no JIT, which takes longer than the statements. */
static const char settings[] =
    "SELECT set_config('lock_timeout', '2s', true), set_config('jit', 'off', true)";

static enum attempt count(struct run *run, const struct request *req, struct tally *tally)
{
    const struct recount_sql *sql;
    char *ids = NULL;
    enum attempt step = probe(run);

    if (step == ATTEMPT_OK && !pg_run(run->conn, settings, &run->why)) {
        step = ATTEMPT_FAILED;
    }
    if (step == ATTEMPT_OK) {
        step = pick(run, req, tally, &ids);
    }
    if (step == ATTEMPT_OK) {
        sql = &(run->state->version == FORUM_039 ? recount_sql_039 : recount_sql_040)[req->kind];
        if (sql->differing) {
            step = narrow(run, sql->differing, kinds[req->kind].lock, &ids);
        }
        if (step == ATTEMPT_OK) {
            step = update(run, sql->update, ids, tally);
        }
    }
    free(ids);
    return step;
}

struct counting {
    struct run *run;
    const struct request *req;
    struct tally *tally;
};

static enum attempt count_once(void *ctx, struct pg_failure *why)
{
    const struct counting *c = ctx;

    (void)why; /* the run's */
    memset(c->tally, 0, sizeof(*c->tally));
    return count(c->run, c->req, c->tally);
}

/* ---- the run ---- */

static int refuse(const struct run *run, enum attempt step)
{
    if (step == ATTEMPT_REFUSED) {
        run->host->set_text(run->host->ctx, run->text);
        return JOBQ_DEAD;
    }
    if (pg_is_schema_mismatch(&run->why)) {
        run->state->version = FORUM_UNKNOWN; /* the forum was upgraded meanwhile: look again */
    }
    run->host->set_text(run->host->ctx, run->why.text);
    return pg_failure_verdict(&run->why);
}

static void report(const struct run *run, const struct request *req, const struct tally *tally)
{
    char json[160];
    char text[160];

    text_format(json, sizeof(json), "{\"checked\":%" PRId64 ",\"changed\":%" PRId64 "}",
                tally->checked, tally->changed);
    run->host->set_result(run->host->ctx, json, strlen(json));
    if (tally->without_posts > 0) {
        text_format(text, sizeof(text),
                    "%" PRId64 " threads have no posts and were left alone, the first is %" PRId64,
                    tally->without_posts, tally->first_without_posts);
        run->host->log(run->host->ctx, JOBQ_LOG_WARN, text);
    }
    if (!req->is_chunk && tally->checked < (int64_t)req->ids_count) {
        text_format(text, sizeof(text), "%" PRId64 " of %zu %s do not exist",
                    (int64_t)req->ids_count - tally->checked, req->ids_count,
                    kind_words[req->kind]);
        run->host->log(run->host->ctx, JOBQ_LOG_WARN, text);
    }
}

/* A chunk that came back full may have more behind it. */
static int enqueue_next(const struct run *run, const struct request *req, const struct tally *tally)
{
    char payload[96];
    jobq_child child = { .size = sizeof(child), .type = run->job->type, .payload = payload };

    if (!req->is_chunk || tally->checked < kinds[req->kind].chunk) {
        return JOBQ_DONE;
    }
    text_format(payload, sizeof(payload), "{\"kind\":\"%s\",\"after_id\":%" PRId64 "}",
                kind_words[req->kind], tally->last_id);
    child.payload_len = strlen(payload);
    child.max_attempts = run->job->max_attempts;
    return run->host->enqueue(run->host->ctx, &child) == 0 ? JOBQ_DONE : JOBQ_RETRY;
}

static int recount(const jobq_job_view *job, const jobq_host *host, void *state,
                   const struct request *req)
{
    struct run run = { .job = job, .host = host, .state = state };
    struct tally tally;
    struct counting c = { .run = &run, .req = req, .tally = &tally };
    enum attempt step;

    run.conn = host->pg(host->ctx);
    if (!run.conn) {
        host->set_text(host->ctx, "no connection to PostgreSQL");
        return JOBQ_SNOOZE;
    }
    step = attempts_run(run.conn, count_once, &c, &run.why);
    if (step != ATTEMPT_OK) {
        return refuse(&run, step);
    }
    report(&run, req, &tally);
    return enqueue_next(&run, req, &tally);
}

static int run_recount(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct payload p;
    struct request req = { .kind = RECOUNT_KINDS };
    int64_t *ids = NULL;
    int verdict = JOBQ_DEAD;
    int kind;

    payload_open(&p, job->payload, job->payload_len);
    kind = payload_word(&p, "kind", kind_words);
    ids = payload_ids(&p, "ids", IDS_MAX, &req.ids_count);
    if (!payload_finish(&p)) {
        host->set_text(host->ctx, p.fault);
    } else if ((req.ids = pg_id_array(ids, req.ids_count)) == NULL) {
        host->set_text(host->ctx, "out of memory");
        verdict = JOBQ_RETRY;
    } else {
        req.kind = (enum recount_kind)kind;
        verdict = recount(job, host, state, &req);
    }
    free(req.ids);
    free(ids);
    payload_done(&p);
    return verdict;
}

static int run_recount_all(const jobq_job_view *job, const jobq_host *host, void *state)
{
    struct payload p;
    struct request req = { .is_chunk = true };
    int verdict = JOBQ_DEAD;
    int kind;

    payload_open(&p, job->payload, job->payload_len);
    kind = payload_word(&p, "kind", kind_words);
    req.after_id = payload_int(&p, "after_id", 0, 0);
    if (payload_finish(&p)) {
        req.kind = (enum recount_kind)kind;
        verdict = recount(job, host, state, &req);
    } else {
        host->set_text(host->ctx, p.fault);
    }
    payload_done(&p);
    return verdict;
}

static int start(const jobq_host *host, void **state)
{
    *state = calloc(1, sizeof(struct state));
    if (!*state) {
        host->log(host->ctx, JOBQ_LOG_ERROR, "recount: out of memory");
        return -1;
    }
    return 0;
}

static const jobq_handler handlers[] = {
    { "stats.recount", run_recount, JOBQ_HANDLER_TRANSACTIONAL },
    { "stats.recount_all", run_recount_all, JOBQ_HANDLER_TRANSACTIONAL },
    { NULL, NULL, 0 },
};

const jobq_module jobq_module_v1 = {
    .size = sizeof(jobq_module),
    .name = "recount",
    .handlers = handlers,
    .start = start,
    .stop = free,
};
