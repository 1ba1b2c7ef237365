/* SPDX-License-Identifier: MIT */
/*
 * pg_sql: the statements of the runtime for one schema, and what an SQLSTATE means. See pg_sql.h.
 */
#include "worker/executor/pg_sql.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#define SCHEMA_MAX 63
#define TEXT_MAX 2048

/* An identifier that needs no escape between double quotes. */
static bool is_schema(const char *name)
{
    size_t len = strlen(name);

    if (len == 0 || len > SCHEMA_MAX || (name[0] >= '0' && name[0] <= '9'))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* Replaces each % by the quoted schema. */
static char *fill_in(const char *text, const char *schema)
{
    struct buf b;
    char *out;

    buf_init(&b, TEXT_MAX);
    for (; *text != '\0'; text++) {
        if (*text != '%') {
            buf_append_char(&b, *text);
            continue;
        }
        buf_append_char(&b, '"');
        buf_append_str(&b, schema);
        buf_append_char(&b, '"');
    }
    out = buf_steal(&b, NULL);
    buf_done(&b);
    return out;
}

int sql_init(struct sql *s, const char *schema, jobq_err *err)
{
    *s = (struct sql){0};
    if (!is_schema(schema))
        return error_set(err, JOBQ_ECONFIG,
                         "schema \"%.80s\" is not 1 to 63 of a-z 0-9 _, beginning with no digit",
                         schema);
    s->table = fill_in("%.done", schema);
    s->check = fill_in("SELECT pg_catalog.to_regclass($1) IS NOT NULL,"
                       " CASE WHEN pg_catalog.to_regclass($1) IS NOT NULL THEN"
                       " pg_catalog.has_table_privilege($1, 'SELECT')"
                       " AND pg_catalog.has_table_privilege($1, 'INSERT')"
                       " AND pg_catalog.has_table_privilege($1, 'UPDATE')"
                       " AND pg_catalog.has_table_privilege($1, 'DELETE') END",
                       schema);
    s->take =
        fill_in("INSERT INTO %.done (id) VALUES ($1::pg_catalog.uuid) ON CONFLICT (id) DO NOTHING"
                " RETURNING pg_catalog.pg_current_xact_id()::text",
                schema);
    s->take_children = fill_in(
        "INSERT INTO %.done (id, children) VALUES ($1::pg_catalog.uuid, $2::pg_catalog.bytea)"
        " ON CONFLICT (id) DO NOTHING RETURNING pg_catalog.pg_current_xact_id()::text",
        schema);
    s->children = fill_in("SELECT children FROM %.done WHERE id = $1::pg_catalog.uuid", schema);
    s->store = fill_in(
        "UPDATE %.done SET children = $2::pg_catalog.bytea WHERE id = $1::pg_catalog.uuid", schema);
    s->record = fill_in(
        "INSERT INTO %.done (id) VALUES ($1::pg_catalog.uuid) ON CONFLICT (id) DO NOTHING", schema);
    s->forget = fill_in("UPDATE %.done SET children = NULL"
                        " WHERE id = ANY ($1::pg_catalog.uuid[]) AND children IS NOT NULL",
                        schema);
    s->prune = fill_in("DELETE FROM %.done WHERE ctid = ANY (ARRAY(SELECT ctid FROM %.done"
                       " WHERE at < pg_catalog.now() - $1::float8 * interval '1 millisecond'"
                       " LIMIT $2::int FOR UPDATE SKIP LOCKED))",
                       schema);
    if (s->table == NULL || s->check == NULL || s->take == NULL || s->take_children == NULL ||
        s->children == NULL || s->store == NULL || s->record == NULL || s->forget == NULL ||
        s->prune == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the statements");
    return JOBQ_OK;
}

void sql_done(struct sql *s)
{
    mem_free(s->table);
    mem_free(s->check);
    mem_free(s->take);
    mem_free(s->take_children);
    mem_free(s->children);
    mem_free(s->store);
    mem_free(s->record);
    mem_free(s->forget);
    mem_free(s->prune);
    *s = (struct sql){0};
}

enum sql_class sql_classify(const char *state)
{
    static const struct {
        const char *state;
        enum sql_class class;
    } known[] = {
        {"40001", SQL_CONFLICT},   {"40P01", SQL_CONFLICT},  {"57P01", SQL_LOST},
        {"57P02", SQL_LOST},       {"57P03", SQL_LOST},      {"57P05", SQL_LOST},
        {"25P03", SQL_LOST},       {"25006", SQL_READ_ONLY}, {"55P03", SQL_LOCKED},
        {"57014", SQL_CANCELLED},  {"53300", SQL_FULL},      {"53100", SQL_FULL},
        {"3F000", SQL_NO_TABLE},   {"42P01", SQL_NO_TABLE},  {"42501", SQL_NO_RIGHT},
        {"23503", SQL_NO_SUBJECT},
    };

    if (strncmp(state, "08", 2) == 0)
        return SQL_LOST;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(state, known[i].state) == 0)
            return known[i].class;
    }
    return SQL_OTHER;
}
