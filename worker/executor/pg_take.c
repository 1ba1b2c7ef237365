/* SPDX-License-Identifier: MIT */
/*
 * pg_take: the row that is the right to an effect: taking it, finding it taken, asking for it after
 * a COMMIT whose answer was lost. See pg_job.h. Single thread.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "worker/executor/children.h"
#include "worker/executor/pg_job.h"

#define TAKE_MS 10000
#define RESOLVE_MS 10000
#define RESOLVE_PAUSE_MS 100
#define CONNECT_ROOM_MS 5000 /* more than one server takes to be found silent */
#define NAME_SIZE 64 /* PostgreSQL cuts an application_name to 63 bytes */

/* statement_timeout and the like: what is left of the hard limit, in ms. */
static void format_left(const struct pg *p, char *out, size_t out_size)
{
    int64_t left = p->job.hard_ms - clock_mono_ms();

    if (left > INT32_MAX)
        left = 0; /* no limit */
    else if (left < 1)
        left = 1;
    (void)snprintf(out, out_size, "%lld", (long long)left);
}

static void format_name(const struct pg *p, char out[NAME_SIZE])
{
    /* The id always fits; the type may have to be cut. */
    (void)snprintf(out, NAME_SIZE, "jobq %.*s %.36s", NAME_SIZE - 1 - 6 - 36, p->job.type,
                   p->job.id_text);
}

bool pg_ready(struct pg *p)
{
    if (session_settle(&p->session, pg_deadline(p, TAKE_MS)))
        return true;
    return p->job.hard_ms - clock_mono_ms() >= CONNECT_ROOM_MS && session_connect(&p->session);
}

/* After a failed or fruitless attempt to take the row. */
static enum take leave(struct pg *p, enum take how)
{
    return session_rollback(&p->session, pg_deadline(p, TAKE_MS)) ? how : TAKE_LOST;
}

enum take pg_take(struct pg *p)
{
    struct session *s = &p->session;
    char left[24], name[NAME_SIZE];
    struct statement st[3] = {
        {.text = SQL_BEGIN},
        {.n = 3, .values = {left, left, name}},
        {.text = p->sql.take, .n = 1, .values = {p->job.id_text}},
    };
    PGresult *results[3];
    const char *xid;
    size_t failed;

    format_left(p, left, sizeof(left));
    format_name(p, name);
    st[1].text = PQserverVersion(s->conn) >= SQL_CHECK_INTERVAL_VERSION ? SQL_LOCAL_14 : SQL_LOCAL;
    session_forget_errors(s);
    if (session_run(s, st, results, 3, pg_deadline(p, TAKE_MS)) != JOBQ_OK)
        return TAKE_LOST;
    failed = session_first_failed(results, 3);
    xid = failed == 3 ? session_value(results[2], 0) : NULL;
    if (xid != NULL)
        (void)snprintf(p->xid, sizeof(p->xid), "%s", xid);
    session_clear(results, 3);
    if (failed < 3)
        return leave(p, TAKE_FAILED);
    return xid != NULL ? TAKE_OURS : leave(p, TAKE_BEFORE);
}

int pg_stored_children(struct pg *p, struct children *children)
{
    struct statement st = {.text = p->sql.children, .n = 1, .values = {p->job.id_text}};
    PGresult *r = NULL;
    unsigned char *bytes;
    const char *text;
    size_t len = 0;
    int rc;

    if (session_run(&p->session, &st, &r, 1, pg_deadline(p, TAKE_MS)) != JOBQ_OK)
        return JOBQ_ECONN;
    if (session_first_failed(&r, 1) == 0) {
        session_clear(&r, 1);
        return JOBQ_ECONN;
    }
    children_clear(children, children->seq);
    rc = JOBQ_OK;
    /* No row: it was pruned long after its children were sent. */
    text = session_value(r, 0);
    if (text != NULL) {
        bytes = PQunescapeBytea((const unsigned char *)text, &len);
        rc = bytes != NULL ? children_unpack(children, bytes, len, NULL) : JOBQ_EPROTO;
        PQfreemem(bytes);
    }
    session_clear(&r, 1);
    return rc == JOBQ_OK ? JOBQ_OK : JOBQ_EPROTO;
}

/* ---- a COMMIT without an answer ---- */

/* Whether the old transaction is known to have been rolled back. Its being committed is for the row
 * to say. */
static bool was_rolled_back(struct pg *p, const char *xid)
{
    struct statement st = {.text = SQL_XACT_STATUS, .n = 1, .values = {xid}};
    PGresult *r = NULL;
    const char *status;
    bool yes;

    if (session_run(&p->session, &st, &r, 1, pg_deadline(p, TAKE_MS)) != JOBQ_OK)
        return false;
    status = session_value(r, 0);
    yes = status != NULL && strcmp(status, "aborted") == 0;
    session_clear(&r, 1);
    return yes;
}

static enum pg_end found_committed(struct pg *p, struct children *children, struct verdict *v)
{
    switch (pg_stored_children(p, children)) {
    case JOBQ_OK:
        pg_decide(v, FRAME_V_DONE, -1, "%s", "");
        return PG_END_BEFORE;
    case JOBQ_EPROTO:
        pg_decide(v, FRAME_V_RETRY, -1, "it was done, but its stored children cannot be read");
        return PG_END_OK;
    default:
        pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(),
                  "connection lost while its stored children were read");
        return PG_END_OK;
    }
}

enum pg_end pg_resolve(struct pg *p, struct children *children, struct verdict *v)
{
    int64_t deadline = pg_deadline(p, RESOLVE_MS);
    char old[PG_XID_SIZE];

    memcpy(old, p->xid, sizeof(old));
    do {
        enum take taken = pg_ready(p) ? pg_take(p) : TAKE_LOST;

        if (taken == TAKE_BEFORE)
            return found_committed(p, children, v);
        if (taken == TAKE_OURS) {
            (void)!session_rollback(&p->session, pg_deadline(p, TAKE_MS));
            pg_decide(v, FRAME_V_RELEASE, 0, "COMMIT was not answered and did not happen");
            return PG_END_OK;
        }
        /* Still open on the other side, or no way to take the row: whoever runs it next will ask
         * again. */
        if (taken == TAKE_FAILED && was_rolled_back(p, old)) {
            pg_decide(v, FRAME_V_RELEASE, 0, "COMMIT was not answered and was rolled back");
            return PG_END_OK;
        }
        (void)poll(NULL, 0, RESOLVE_PAUSE_MS);
    } while (clock_mono_ms() < deadline);
    pg_decide(v, FRAME_V_RELEASE, pg_soon_ms(),
              "COMMIT was not answered; the next run finds out whether it happened");
    return PG_END_OK;
}

/* ---- types with a connection but without the runtime's transaction ---- */

/* Names the session after the job. Lasts until the session is wiped. */
static bool name_session(struct pg *p)
{
    struct session *s = &p->session;
    char left[24], name[NAME_SIZE];
    struct statement st = {.text = SQL_SESSION, .n = 2, .values = {name, left}};
    PGresult *r = NULL;
    bool ok;

    format_left(p, left, sizeof(left));
    format_name(p, name);
    if (PQserverVersion(s->conn) >= SQL_CHECK_INTERVAL_VERSION) {
        st.text = SQL_SESSION_14;
        st.n = 1;
    }
    if (session_run(s, &st, &r, 1, pg_deadline(p, TAKE_MS)) != JOBQ_OK)
        return false;
    ok = session_first_failed(&r, 1) == 1;
    session_clear(&r, 1);
    return ok;
}

struct pg_conn *pg_conn(struct pg *p, char *why, size_t why_size)
{
    struct session *s = &p->session;
    bool transactional = (p->job.flags & JOBQ_HANDLER_TRANSACTIONAL) != 0;
    bool there = s->conn != NULL;

    if (!p->handed_out && !transactional) {
        /* It may have died while it was idle: the second try is on a new one. */
        there = pg_ready(p) && name_session(p);
        there = there || (pg_ready(p) && name_session(p));
    }
    if (!there) {
        p->unavailable = true;
        (void)snprintf(why, why_size, "pg(): %s", s->why[0] != '\0' ? s->why : "connection lost");
        return NULL;
    }
    p->handed_out = true;
    /* libpq's type under the name that handler.h gives it. */
    return (struct pg_conn *)s->conn;
}
