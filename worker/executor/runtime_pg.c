/* SPDX-License-Identifier: MIT */
/*
 * runtime_pg: runtime-pg.so, the only part of the runtime that links libpq. See runtime_pg.h.
 * Single thread.
 */
#include "worker/executor/runtime_pg.h"

#include "base/error.h"
#include "base/mem.h"
#include "worker/executor/pg_job.h"

static void pg_close(struct pg *p)
{
    if (p == NULL)
        return;
    session_done(&p->session);
    sql_done(&p->sql);
    buf_done(&p->stored);
    buf_done(&p->packed);
    mem_free(p);
}

static int pg_open(const struct pg_options *o, struct pg **out, jobq_err *err)
{
    struct pg *p = mem_zalloc(1, sizeof(*p));
    int rc;

    if (p == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the database connection");
    buf_init(&p->stored, FRAME_MAX + 1);
    buf_init(&p->packed, FRAME_MAX + 1);
    p->retention_ms = o->retention_ms;
    rc = sql_init(&p->sql, o->schema, err);
    if (rc == JOBQ_OK)
        rc = session_init(&p->session, o->conninfo, &p->sql, err);
    if (rc != JOBQ_OK) {
        pg_close(p);
        return rc;
    }
    p->session.needs_schema = o->needs_schema;
    p->session.report = o->report;
    p->session.report_ctx = o->ctx;
    *out = p;
    return JOBQ_OK;
}

static int pg_fd(const struct pg *p)
{
    return p->session.conn != NULL ? PQsocket(p->session.conn) : -1;
}

extern __attribute__((visibility("default"))) const struct runtime_pg jobq_runtime_pg;
const struct runtime_pg jobq_runtime_pg = {
    .build = RUNTIME_PG_BUILD,
    .open = pg_open,
    .close = pg_close,
    .begin = pg_begin,
    .conn = pg_conn,
    .complete = pg_complete,
    .end = pg_end,
    .sent = pg_sent,
    .idle = pg_idle,
    .fd = pg_fd,
};
