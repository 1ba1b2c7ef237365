/* SPDX-License-Identifier: MIT */
/*
 * pg_job: one job's life in PostgreSQL. See pg_job.h. Single thread.
 */
#include "worker/executor/pg_job.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "worker/executor/children.h"

#define END_MS 10000
#define COMMIT_MS 3600000 /* a COMMIT is waited for up to the job's hard limit */

/* ---- begin ---- */

static enum pg_gate refuse(struct pg *p, struct verdict *v)
{
    const struct session *s = &p->session;

    if (s->why[0] != '\0' && s->conn == NULL)
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "PostgreSQL: %s", s->why);
    else
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "PostgreSQL: connection lost");
    return PG_GATE_REFUSED;
}

static enum pg_gate done_before(struct pg *p, struct children *children, struct verdict *v)
{
    switch (pg_stored_children(p, children)) {
    case JOBQ_OK:
        pg_decide(v, FRAME_V_DONE, -1, "%s", "");
        return PG_GATE_BEFORE;
    case JOBQ_EPROTO:
        pg_decide(v, FRAME_V_RETRY, -1,
                  "it was done before, but its stored children cannot be read");
        return PG_GATE_REFUSED;
    default:
        return refuse(p, v);
    }
}

static enum pg_gate not_taken(struct pg *p, struct verdict *v)
{
    struct session *s = &p->session;
    char text[256];

    v->kind = FRAME_V_RETRY;
    v->text[0] = '\0';
    switch (sql_classify(s->state)) {
    case SQL_NO_TABLE:
    case SQL_NO_RIGHT:
        session_describe(s, text, sizeof(text));
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "%s: run \"jobctl init\"", text);
        session_fail(s, v->text);
        return PG_GATE_REFUSED;
    case SQL_OTHER:
        /* Nothing of the job's own has run: this is the database's trouble. */
        session_describe(s, text, sizeof(text));
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "%s", text);
        return PG_GATE_REFUSED;
    default:
        if (!pg_judge(p, v))
            return PG_GATE_REFUSED;
        v->kind = FRAME_V_RELEASE; /* should it be given up: the job itself has not been tried */
        v->delay_ms = pg_soon_ms();
        return PG_GATE_AGAIN;
    }
}

enum pg_gate pg_begin(struct pg *p, const struct pg_job *job, struct children *children,
                      struct verdict *v)
{
    p->job = *job;
    p->handed_out = false;
    p->unavailable = false;
    p->completed = PG_NOT_COMPLETED;
    p->xid[0] = '\0';
    buf_clear(&p->stored);
    session_forget_errors(&p->session);
    if (!pg_ready(p))
        return refuse(p, v);
    if ((job->flags & JOBQ_HANDLER_TRANSACTIONAL) == 0)
        return PG_GATE_RUN;

    /* The connection may have died while it was idle: the second try is on a new one. */
    for (int try = 0; try < 2; try++) {
        switch (pg_take(p)) {
        case TAKE_OURS:
            return PG_GATE_RUN;
        case TAKE_BEFORE:
            return done_before(p, children, v);
        case TAKE_FAILED:
            return not_taken(p, v);
        case TAKE_LOST:
            break;
        }
        if (clock_mono_ms() >= job->soft_ms || !pg_ready(p))
            break;
    }
    return refuse(p, v);
}

/* ---- complete ---- */

static int poison(struct pg *p)
{
    struct statement st = {.text = SQL_POISON};
    PGresult *r = NULL;

    if (session_run(&p->session, &st, &r, 1, pg_deadline(p, END_MS)) != JOBQ_OK)
        return -1;
    session_clear(&r, 1);
    return 1;
}

/* The row is there: keep its children, and see that nothing else of this transaction can be
 * committed. */
static int found_before(struct pg *p, char *why, size_t why_size)
{
    struct statement st = {.text = p->sql.children, .n = 1, .values = {p->job.id_text}};
    PGresult *r = NULL;
    unsigned char *bytes;
    size_t len = 0;

    if (session_run(&p->session, &st, &r, 1, pg_deadline(p, END_MS)) != JOBQ_OK) {
        (void)snprintf(why, why_size, "complete(): connection lost");
        return -1;
    }
    if (session_value(r, 0) != NULL) {
        bytes = PQunescapeBytea((const unsigned char *)session_value(r, 0), &len);
        if (bytes != NULL)
            buf_append(&p->stored, bytes, len);
        else
            p->stored.failed = true;
        PQfreemem(bytes);
    }
    session_clear(&r, 1);
    if (!p->stored.failed && poison(p) == 1)
        return 1;
    (void)snprintf(why, why_size, "complete(): the stored children cannot be read");
    return -1;
}

static int try_complete(struct pg *p, const struct children *children, char *why, size_t why_size)
{
    struct session *s = &p->session;
    struct statement st = {.text = p->sql.take_children, .n = 2, .values = {p->job.id_text}};
    PGresult *r = NULL;
    const char *xid;
    bool failed;

    buf_clear(&p->packed);
    children_pack(children, &p->packed);
    if (p->packed.failed) {
        (void)snprintf(why, why_size, "complete(): no memory for the children");
        return -1;
    }
    if (p->packed.len > 0) {
        st.values[1] = p->packed.data;
        st.lengths[1] = (int)p->packed.len;
        st.formats[1] = 1;
    }
    if (session_run(s, &st, &r, 1, pg_deadline(p, END_MS)) != JOBQ_OK) {
        (void)snprintf(why, why_size, "complete(): connection lost");
        return -1;
    }
    failed = session_first_failed(&r, 1) == 0;
    xid = session_value(r, 0);
    if (xid != NULL)
        (void)snprintf(p->xid, sizeof(p->xid), "%s", xid);
    session_clear(&r, 1);
    if (failed) {
        session_describe(s, why, why_size);
        return -1;
    }
    return xid != NULL ? 0 : found_before(p, why, why_size);
}

int pg_complete(struct pg *p, const struct children *children, char *why, size_t why_size)
{
    const struct session *s = &p->session;

    if (!p->handed_out || s->conn == NULL || PQtransactionStatus(s->conn) != PQTRANS_INTRANS ||
        PQpipelineStatus(s->conn) != PQ_PIPELINE_OFF) {
        (void)snprintf(why, why_size,
                       "complete(): not inside a transaction of the handler on pg()");
        return -1;
    }
    p->completed = try_complete(p, children, why, why_size);
    return p->completed;
}

/* ---- end: transactional ---- */

/* The effect has nothing to belong to any more: the job is done without one. */
static enum pg_end end_without_subject(struct pg *p, struct children *children, struct verdict *v)
{
    struct session *s = &p->session;
    struct statement st[3] = {{.text = SQL_BEGIN},
                              {.text = p->sql.record, .n = 1, .values = {p->job.id_text}},
                              {.text = "COMMIT"}};
    PGresult *results[3];
    char text[256];
    size_t failed;

    session_describe(s, text, sizeof(text));
    if (session_run(s, st, results, 3, pg_deadline(p, END_MS)) != JOBQ_OK) {
        pg_judge_lost(p, v);
        return PG_END_OK;
    }
    failed = session_first_failed(results, 3);
    session_clear(results, 3);
    if (failed < 3) {
        (void)!session_rollback(s, pg_deadline(p, END_MS));
        return pg_judge(p, v) ? PG_END_AGAIN : PG_END_OK;
    }
    children_clear(children, children->seq);
    pg_decide(v, FRAME_V_DONE, -1, "its subject is gone, nothing was changed: %s", text);
    return PG_END_OK;
}

static enum pg_end commit_failed(struct pg *p, size_t which, size_t last, struct children *children,
                                 struct verdict *v)
{
    struct session *s = &p->session;

    if (!session_rollback(s, pg_deadline(p, END_MS))) {
        pg_judge_lost(p, v);
        return PG_END_OK;
    }
    if (which == 0 && strcmp(s->state, SQL_NOT_OURS) == 0) {
        pg_decide(v, FRAME_V_CRASH, -1,
                  "the handler ended the runtime's transaction and began another");
        return PG_END_OK;
    }
    if (which == last && sql_classify(s->state) == SQL_NO_SUBJECT)
        return end_without_subject(p, children, v);
    return pg_judge(p, v) ? PG_END_AGAIN : PG_END_OK;
}

/* JOBQ_OK with the index of the first that failed; JOBQ_ECONN: no answer. */
static int send_commit(struct pg *p, const struct statement *st, size_t n, size_t *failed)
{
    struct session *s = &p->session;
    int64_t deadline = pg_deadline(p, COMMIT_MS);
    PGresult *results[3];

    if (session_send(s, st, n, deadline) != JOBQ_OK)
        return JOBQ_ECONN;
    CRASH_POINT("execute.commit_sent");
    if (session_read(s, results, n, deadline) != JOBQ_OK)
        return JOBQ_ECONN;
    *failed = session_first_failed(results, n);
    /* COMMIT of a failed transaction is answered by ROLLBACK. */
    if (*failed == n && strcmp(PQcmdStatus(results[n - 1]), "COMMIT") != 0)
        *failed = n - 1;
    session_clear(results, n);
    return JOBQ_OK;
}

static enum pg_end commit(struct pg *p, struct children *children, struct verdict *v)
{
    struct statement st[3] = {{.text = SQL_STILL_OURS, .n = 1, .values = {p->xid}}};
    size_t n = 1, failed;

    buf_clear(&p->packed);
    children_pack(children, &p->packed);
    if (p->packed.failed) {
        pg_decide(v, FRAME_V_RETRY, -1, "no memory for the children");
        (void)!session_rollback(&p->session, pg_deadline(p, END_MS));
        return PG_END_OK;
    }
    if (p->packed.len > 0)
        st[n++] = (struct statement){.text = p->sql.store,
                                     .n = 2,
                                     .values = {p->job.id_text, p->packed.data},
                                     .lengths = {0, (int)p->packed.len},
                                     .formats = {0, 1}};
    st[n++] = (struct statement){.text = "COMMIT"};
    session_forget_errors(&p->session);
    CRASH_POINT("execute.before_commit");
    if (send_commit(p, st, n, &failed) != JOBQ_OK)
        return pg_resolve(p, children, v);
    return failed < n ? commit_failed(p, failed, n - 1, children, v) : PG_END_OK;
}

static void breach(struct session *s, struct verdict *v, const char *what)
{
    session_drop(s);
    pg_decide(v, FRAME_V_CRASH, -1, "%s", what);
}

static enum pg_end end_transactional(struct pg *p, struct children *children, struct verdict *v)
{
    struct session *s = &p->session;
    bool again;

    switch (PQtransactionStatus(s->conn)) {
    case PQTRANS_INTRANS:
        if (v->kind == FRAME_V_DONE)
            return commit(p, children, v);
        break;
    case PQTRANS_INERROR:
        again = pg_judge(p, v);
        if (!session_rollback(s, pg_deadline(p, END_MS)))
            return PG_END_OK;
        return again ? PG_END_AGAIN : PG_END_OK;
    case PQTRANS_IDLE:
        breach(s, v, "the handler ended the runtime's transaction");
        return PG_END_OK;
    case PQTRANS_ACTIVE:
        if (v->kind == FRAME_V_DONE)
            breach(s, v, "the handler left a statement unfinished");
        else
            session_drop(s);
        return PG_END_OK;
    case PQTRANS_UNKNOWN:
        break;
    }
    (void)!session_rollback(s, pg_deadline(p, END_MS));
    return PG_END_OK;
}

/* ---- end: manual, or only a connection ---- */

static bool was_committed(struct pg *p, bool *lost)
{
    struct statement st = {.text = SQL_XACT_STATUS, .n = 1, .values = {p->xid}};
    PGresult *r = NULL;
    const char *status;
    bool yes;

    *lost = session_run(&p->session, &st, &r, 1, pg_deadline(p, END_MS)) != JOBQ_OK;
    if (*lost)
        return false;
    status = session_value(r, 0);
    yes = status != NULL && strcmp(status, "committed") == 0;
    session_clear(&r, 1);
    return yes;
}

/* The handler says DONE. */
static enum pg_end end_own_done(struct pg *p, struct children *children, struct verdict *v,
                                bool open)
{
    bool lost;

    if (p->completed == 1) {
        if (children_unpack(children, p->stored.data, p->stored.len, NULL) == JOBQ_OK)
            return PG_END_BEFORE;
        pg_decide(v, FRAME_V_RETRY, -1,
                  "it was done before, but its stored children cannot be read");
    } else if (open) {
        pg_decide(v, FRAME_V_CRASH, -1, "the handler said done and left its transaction open");
    } else if (p->completed == 0) {
        bool committed = was_committed(p, &lost);

        if (lost)
            pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(),
                      "connection lost before it was known whether the handler's COMMIT happened");
        else if (!committed)
            pg_decide(v, FRAME_V_CRASH, -1,
                      "the handler said done, but what it completed was not committed");
    } else if (p->completed == -1) {
        pg_decide(v, FRAME_V_CRASH, -1, "the handler said done after complete() failed");
    }
    return PG_END_OK;
}

/* The handler says RETRY or DEAD: maybe only because of what the database answered. */
static enum pg_end end_own_failed(struct pg *p, struct verdict *v)
{
    switch (sql_classify(p->session.state)) {
    case SQL_CONFLICT:
        if ((p->job.flags & JOBQ_HANDLER_MANUAL) == 0)
            return PG_END_OK;
        return pg_judge(p, v) ? PG_END_AGAIN : PG_END_OK;
    case SQL_LOST:
    case SQL_READ_ONLY:
    case SQL_LOCKED:
    case SQL_FULL:
    case SQL_CANCELLED:
        (void)pg_judge(p, v);
        return PG_END_OK;
    default:
        return PG_END_OK;
    }
}

static enum pg_end end_own(struct pg *p, struct children *children, struct verdict *v)
{
    struct session *s = &p->session;
    PGTransactionStatusType state = PQtransactionStatus(s->conn);
    bool open = state == PQTRANS_INTRANS || state == PQTRANS_INERROR;

    if (state == PQTRANS_ACTIVE) {
        if (v->kind == FRAME_V_DONE)
            breach(s, v, "the handler left a statement unfinished");
        else
            session_drop(s);
        return PG_END_OK;
    }
    if (open && !session_rollback(s, pg_deadline(p, END_MS)) && v->kind != FRAME_V_DONE) {
        pg_judge_lost(p, v);
        return PG_END_OK;
    }
    if (v->kind == FRAME_V_DONE)
        return end_own_done(p, children, v, open);
    return v->kind == FRAME_V_SNOOZE ? PG_END_OK : end_own_failed(p, v);
}

/* ---- end ---- */

static enum pg_end end_without_connection(struct pg *p, struct verdict *v)
{
    if (p->session.destroyed) {
        p->session.destroyed = false;
        pg_decide(v, FRAME_V_CRASH, -1, "the handler closed the runtime's connection");
        return PG_END_OK;
    }
    /* Done without a transaction of ours or a right it took: the database had no part in it. */
    if (v->kind == FRAME_V_DONE && (p->job.flags & JOBQ_HANDLER_TRANSACTIONAL) == 0 &&
        p->completed != 0)
        return PG_END_OK;
    pg_judge_lost(p, v);
    return PG_END_OK;
}

enum pg_end pg_end(struct pg *p, struct children *children, struct verdict *v)
{
    struct session *s = &p->session;
    bool transactional = (p->job.flags & JOBQ_HANDLER_TRANSACTIONAL) != 0;
    enum pg_end how;

    if (!transactional && !p->handed_out) {
        if (p->unavailable && (v->kind == FRAME_V_RETRY || v->kind == FRAME_V_DEAD))
            pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(), "PostgreSQL: %s",
                      s->why[0] != '\0' ? s->why : "connection lost");
        return PG_END_OK;
    }
    if (s->conn == NULL || PQstatus(s->conn) != CONNECTION_OK) {
        how = end_without_connection(p, v);
        session_drop(s);
        return how;
    }
    /* A pipeline that is not empty cannot be left: then something is still on its way. */
    if (PQpipelineStatus(s->conn) != PQ_PIPELINE_OFF && !PQexitPipelineMode(s->conn)) {
        if (v->kind == FRAME_V_DONE)
            breach(s, v, "the handler left a pipeline unfinished");
        else
            session_drop(s);
        return PG_END_OK;
    }
    how = transactional ? end_transactional(p, children, v) : end_own(p, children, v);
    if (p->handed_out)
        session_wipe(s);
    return how;
}
