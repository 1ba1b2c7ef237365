/* SPDX-License-Identifier: MIT */
/* store: see store.h. */
#include "worker/handlers/mail/store.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <string.h>

#include "worker/handlers/common/text.h"
#include "worker/handlers/mail/store_sql.h"

#define NUMBER_MAX 24
#define PRUNE_ROWS "200"

void store_init(struct store *s, const char *schema)
{
    *s = (struct store){.version = FORUM_UNKNOWN};
    text_format(s->record, sizeof(s->record),
                "INSERT INTO \"%s\".mail_sent (message_id) VALUES ($1::text)"
                " ON CONFLICT (message_id) DO NOTHING",
                schema);
    text_format(s->is_sent, sizeof(s->is_sent),
                "SELECT EXISTS (SELECT FROM \"%s\".mail_sent WHERE message_id = $1::text)", schema);
    text_format(s->prune, sizeof(s->prune),
                "DELETE FROM \"%s\".mail_sent WHERE ctid = ANY (ARRAY(SELECT ctid FROM"
                " \"%s\".mail_sent WHERE at < now() - $1::float8 * interval '1 millisecond'"
                " ORDER BY at LIMIT " PRUNE_ROWS " FOR UPDATE SKIP LOCKED))",
                schema, schema);
}

static void write_number(char out[NUMBER_MAX], int64_t number)
{
    text_format(out, NUMBER_MAX, "%" PRId64, number);
}

static enum store_outcome probe(struct store *s, PGconn *conn, struct pg_failure *why)
{
    char text[sizeof(why->text)];

    if (s->version != FORUM_UNKNOWN) {
        return STORE_OK;
    }
    if (forum_probe(conn, &s->version, text, sizeof(text), why) < 0) {
        return STORE_FAILED;
    }
    if (s->version != FORUM_UNKNOWN) {
        return STORE_OK;
    }
    *why = (struct pg_failure){.state = ""};
    text_format(why->text, sizeof(why->text), "%s", text);
    return STORE_UNKNOWN;
}

static enum store_outcome lock(PGconn *conn, const char *sql, int n, const char *const *params,
                               struct store_facts *facts, struct pg_failure *why)
{
    PGresult *r = pg_query(conn, sql, n, params, why);
    enum store_outcome outcome = STORE_OK;

    if (!r) {
        return STORE_FAILED;
    }
    if (PQntuples(r) == 0) {
        facts->skip = "the user does not watch the thread any more";
        outcome = STORE_SKIP;
    } else if (strcmp(PQgetvalue(r, 0, 0), "t") != 0) {
        outcome = STORE_BUSY;
    }
    PQclear(r);
    return outcome;
}

static const char *value(const PGresult *r, enum store_column column)
{
    return PQgetisnull(r, 0, (int)column) ? NULL : PQgetvalue(r, 0, (int)column);
}

static void take_row(struct store_facts *facts, PGresult *r)
{
    const char *is_private = value(r, COLUMN_IS_PRIVATE);

    *facts = (struct store_facts){
        .row = r,
        .skip = value(r, COLUMN_SKIP),
        .notification_id = value(r, COLUMN_NOTIFICATION_ID),
        .user_id = value(r, COLUMN_USER_ID),
        .user_name = value(r, COLUMN_USER_NAME),
        .user_email = value(r, COLUMN_USER_EMAIL),
        .actor_name = value(r, COLUMN_ACTOR_NAME),
        .post_id = value(r, COLUMN_POST_ID),
        .thread_id = value(r, COLUMN_THREAD_ID),
        .thread_title = value(r, COLUMN_THREAD_TITLE),
        .thread_slug = value(r, COLUMN_THREAD_SLUG),
        .thread_is_private = is_private && is_private[0] == 't',
        .watched_id = value(r, COLUMN_WATCHED_ID),
        .secret = value(r, COLUMN_SECRET),
        .forum_address = value(r, COLUMN_FORUM_ADDRESS),
        .forum_name = value(r, COLUMN_FORUM_NAME),
        .forum_footer = value(r, COLUMN_FORUM_FOOTER),
    };
}

static enum store_outcome load(PGconn *conn, const char *sql, const char *const *params,
                               struct store_facts *facts, struct pg_failure *why)
{
    PGresult *r = pg_query(conn, sql, 3, params, why);

    if (!r) {
        return STORE_FAILED;
    }
    if (PQntuples(r) == 0) {
        PQclear(r);
        facts->skip = "the user is gone"; /* or, of a reply, no longer watches since the lock */
        return STORE_SKIP;
    }
    take_row(facts, r);
    return facts->skip ? STORE_SKIP : STORE_OK;
}

enum store_outcome store_load(struct store *s, PGconn *conn, const struct store_request *request,
                              struct store_facts *facts, struct pg_failure *why)
{
    char numbers[3][NUMBER_MAX];
    const char *const params[3] = {numbers[0], numbers[1], numbers[2]};
    const struct store_sql *sql;
    enum store_outcome outcome;

    *facts = (struct store_facts){.row = NULL};
    outcome = probe(s, conn, why);
    if (outcome != STORE_OK) {
        return outcome;
    }
    sql = s->version == FORUM_039 ? &store_sql_039 : &store_sql_040;
    write_number(numbers[0], request->is_private ? request->thread_id : request->post_id);
    write_number(numbers[1], request->is_private ? request->user_id : request->watched_id);
    write_number(numbers[2], request->is_private ? request->actor_id : request->user_id);
    if (!pg_run(conn, "BEGIN ISOLATION LEVEL READ COMMITTED", why)) {
        return STORE_FAILED;
    }
    outcome = request->is_private ? lock(conn, sql->lock_private, 2, params, facts, why)
                                  : lock(conn, sql->lock_reply, 3, params, facts, why);
    if (outcome == STORE_OK) {
        outcome = load(conn, request->is_private ? sql->load_private : sql->load_reply, params,
                       facts, why);
    }
    if (outcome == STORE_FAILED && pg_is_schema_mismatch(why)) {
        s->version = FORUM_UNKNOWN; /* the forum was upgraded meanwhile: look again */
    }
    return outcome;
}

void store_facts_done(struct store_facts *facts)
{
    PQclear(facts->row);
    *facts = (struct store_facts){.row = NULL};
}

bool store_is_sent(const struct store *s, PGconn *conn, const char *message_id, bool *is_sent,
                   struct pg_failure *why)
{
    PGresult *r = pg_query(conn, s->is_sent, 1, &message_id, why);

    if (!r) {
        return false;
    }
    *is_sent = strcmp(PQgetvalue(r, 0, 0), "t") == 0;
    PQclear(r);
    return true;
}

bool store_record(const struct store *s, PGconn *conn, const char *message_id,
                  struct pg_failure *why)
{
    PGresult *r = pg_query(conn, s->record, 1, &message_id, why);

    PQclear(r);
    return r != NULL && pg_run(conn, "COMMIT", why);
}

void store_leave(PGconn *conn)
{
    struct pg_failure ignored;

    if (PQtransactionStatus(conn) == PQTRANS_INTRANS ||
        PQtransactionStatus(conn) == PQTRANS_INERROR) {
        (void)pg_run(conn, "ROLLBACK", &ignored); /* where this fails the connection is gone */
    }
}

bool store_prune(const struct store *s, PGconn *conn, int64_t retention_ms, struct pg_failure *why)
{
    char age[NUMBER_MAX];
    const char *const params[1] = {age};
    PGresult *r;

    write_number(age, retention_ms);
    r = pg_query(conn, s->prune, 1, params, why);
    PQclear(r);
    return r != NULL;
}
