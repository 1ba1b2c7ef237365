/* SPDX-License-Identifier: MIT */
/* cmd_init: jobctl init. */
#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/pg.h"
#include "admin/jobctl/schema.h"
#include "admin/jobctl/session.h"
#include "base/error.h"

static int prepare(struct pg *p, const char *schema, bool *created, jobq_err *err)
{
    struct schema_state before, after;
    int rc = schema_look(p, schema, &before, err);
    if (rc != JOBQ_OK)
        return rc;
    if (before.complete) {
        *created = false;
        return JOBQ_OK;
    }
    rc = schema_create(p, schema, err);
    if (rc == JOBQ_OK)
        rc = schema_look(p, schema, &after, err);
    if (rc == JOBQ_OK && !after.complete)
        rc = error_set(err, JOBQ_ESTATE,
                       "a table of that name is there but differs, in schema %.40s: %s", schema,
                       after.missing);
    *created = true;
    return rc;
}

int cmd_init(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"schema", "schema", OUT_TEXT},
        {"postgres", "postgres", OUT_TEXT},
        {"created", "created", OUT_TEXT},
    };
    static const struct out_section section = {"init", columns, ARRAY_LEN(columns), NULL};
    struct pg *p = NULL;
    bool created = false;
    const char *schema = settings_schema(s->settings);
    (void)a;
    int rc = session_postgres(s, &p, err);
    if (rc == JOBQ_OK)
        rc = prepare(p, schema, &created, err);
    if (rc != JOBQ_OK)
        return rc;
    json_t *row = json_pack("{s:s, s:s, s:b}", "schema", schema, "postgres", pg_where(p), "created",
                            (int)created);
    return out_show(&s->out, json_pack("{s:o}", "init", row), &section, 1, err);
}
