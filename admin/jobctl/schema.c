/* SPDX-License-Identifier: MIT */
/* schema: see schema.h. */
#include "admin/jobctl/schema.h"

#include <stdio.h>
#include <string.h>

#include "admin/jobctl/pg.h"
#include "base/error.h"
#include "base/text.h"

/* contrib/postgres/schema.sql, embedded by the build. */
extern const char schema_sql[];

/* The part of it that names no schema. */
static const char start_mark[] = "-- From here on jobctl init runs";
static const char end_mark[] = "\nCOMMIT;";

/* One row: exists, what is missing, what is refused, role. Read from the catalogue, as a schema we
 * may not use raises. */
static const char look_sql[] =
    "WITH wanted(tab, col, typ) AS (VALUES ('done', 'id', 'uuid'), ('done', 'at', 'timestamp with "
    "time zone'),"
    "     ('done', 'children', 'bytea'), ('mail_sent', 'message_id', 'text'),"
    "     ('mail_sent', 'at', 'timestamp with time zone')),"
    " ns AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1),"
    " tabs AS (SELECT c.oid, c.relname FROM pg_catalog.pg_class c JOIN ns ON c.relnamespace = "
    "ns.oid"
    "     WHERE c.relkind IN ('r', 'p')),"
    " missing AS (SELECT w.tab || '.' || w.col || ' ' || w.typ AS what FROM wanted w WHERE NOT "
    "EXISTS ("
    "     SELECT 1 FROM tabs t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid"
    "     WHERE t.relname = w.tab AND a.attname = w.col AND NOT a.attisdropped"
    "     AND pg_catalog.format_type(a.atttypid, NULL) = w.typ)),"
    " refused AS (SELECT 'USAGE on schema ' || $1 AS what FROM ns"
    "     WHERE NOT pg_catalog.has_schema_privilege(ns.oid, 'USAGE')"
    "   UNION ALL SELECT p.priv || ' on ' || t.relname FROM tabs t, (VALUES ('SELECT'), "
    "('INSERT'), ('UPDATE'),"
    "     ('DELETE')) p(priv) WHERE t.relname IN ('done', 'mail_sent')"
    "     AND NOT pg_catalog.has_table_privilege(t.oid, p.priv))"
    " SELECT EXISTS (SELECT 1 FROM ns), (SELECT pg_catalog.string_agg(what, ', ') FROM missing),"
    "     (SELECT pg_catalog.string_agg(what, ', ') FROM refused), current_user";

static void copy_text(char *out, size_t out_size, const char *text)
{
    text_sanitize(text != NULL ? text : "", text != NULL ? strlen(text) : 0, out, out_size);
}

int schema_look(struct pg *p, const char *name, struct schema_state *out, jobq_err *err)
{
    struct pg_result *r = NULL;
    struct schema_state s = {0};
    const char *values[] = {name};
    int rc = pg_query(p, look_sql, 1, values, &r, err);
    if (rc != JOBQ_OK)
        return rc;
    const char *exists = pg_value(r, 0);
    s.exists = exists != NULL && exists[0] == 't';
    s.complete = s.exists && pg_value(r, 1) == NULL;
    s.may_use = s.complete && pg_value(r, 2) == NULL;
    copy_text(s.missing, sizeof(s.missing), pg_value(r, 1));
    copy_text(s.refused, sizeof(s.refused), pg_value(r, 2));
    copy_text(s.role, sizeof(s.role), pg_value(r, 3));
    pg_result_free(r);
    *out = s;
    return JOBQ_OK;
}

/* The server quotes the name, and we run the statement it made. A schema that is there is not made
 * again: even IF NOT EXISTS asks for the right to make schemas, which our owner need not have. */
static int create_namespace(struct pg *p, const char *name, jobq_err *err)
{
    struct pg_result *r = NULL;
    const char *values[] = {name};
    int rc = pg_query(p,
                      "SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_namespace"
                      " WHERE nspname = $1::text)"
                      " THEN pg_catalog.format('CREATE SCHEMA %I', $1::text) END",
                      1, values, &r, err);
    if (rc != JOBQ_OK)
        return rc;
    const char *statement = pg_value(r, 0);
    rc = statement != NULL ? pg_run(p, statement, err) : JOBQ_OK;
    pg_result_free(r);
    return rc;
}

static int create_tables(struct pg *p, jobq_err *err)
{
    char tables[4096];
    const char *start = strstr(schema_sql, start_mark);
    const char *end = start != NULL ? strstr(start, end_mark) : NULL;
    ASSERT(end != NULL && (size_t)(end - start) < sizeof(tables));
    snprintf(tables, sizeof(tables), "%.*s", (int)(end - start), start);
    return pg_run(p, tables, err);
}

int schema_create(struct pg *p, const char *name, jobq_err *err)
{
    const char *values[] = {name};
    int rc = pg_run(p, "BEGIN", err);
    /* Two of us at once: CREATE … IF NOT EXISTS of both would collide. The number is ours alone:
     * "jobq". */
    if (rc == JOBQ_OK)
        rc = pg_run(p, "SELECT pg_catalog.pg_advisory_xact_lock(1785684593)", err);
    if (rc == JOBQ_OK)
        rc = pg_run(p, "SET LOCAL client_min_messages TO warning", err);
    if (rc == JOBQ_OK)
        rc = create_namespace(p, name, err);
    if (rc == JOBQ_OK)
        rc = pg_query(
            p, "SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident($1), true)", 1,
            values, NULL, err);
    if (rc == JOBQ_OK)
        rc = create_tables(p, err);
    /* Without COMMIT nothing stays: the connection is closed after a failure. */
    return rc == JOBQ_OK ? pg_run(p, "COMMIT", err) : rc;
}
