/* SPDX-License-Identifier: MIT */
/* doctor_postgres: what doctor finds of PostgreSQL; see doctor.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/doctor.h"
#include "admin/jobctl/pg.h"
#include "admin/jobctl/schema.h"
#include "admin/jobctl/session.h"
#include "base/clock.h"
#include "base/text.h"

#define POSTGRES_MIN 130000 /* pg_current_xact_id() and pg_xact_status() of it */

/* contrib/postgres/grants, embedded by the build. */
extern const char grants_recount_039[], grants_recount_040[], grants_notify_039[],
    grants_notify_040[], grants_mail_039[], grants_mail_040[], grants_avatar[];

static const char mend_what_it_says[] = "mend what PostgreSQL says";

static void check_writable(struct pg *p, struct doctor *d)
{
    struct pg_result *result = NULL;
    jobq_err err = {0};
    int rc = pg_query(p,
                      "SELECT pg_catalog.pg_is_in_recovery(), "
                      "pg_catalog.current_setting('transaction_read_only')",
                      0, NULL, &result, &err);
    if (rc != JOBQ_OK) {
        doctor_add(d, "postgres writable", DOCTOR_FAULT, err.msg, mend_what_it_says);
        return;
    }
    const char *standby = pg_value(result, 0), *read_only = pg_value(result, 1);
    bool writable = read_only != NULL && strcmp(read_only, "off") == 0;
    if (standby != NULL && standby[0] == 't')
        doctor_add(d, "postgres writable", DOCTOR_FAULT, "a standby",
                   "name the primary, or all hosts with target_session_attrs=read-write");
    else
        doctor_judge(d, "postgres writable", writable, writable ? "read-write" : "read-only",
                     "set default_transaction_read_only off for this database and role");
    pg_result_free(result);
}

/* A COMMIT waits for a synchronous standby for as long as there is none. Whether one lags is told
 * only to members of pg_monitor. */
static void check_standbys(struct pg *p, struct doctor *d)
{
    static const char check[] = "postgres standbys";
    static const char look[] =
        "SELECT pg_catalog.current_setting('synchronous_standby_names') <> ''"
        " AND pg_catalog.current_setting('synchronous_commit') NOT IN ('off', 'local'),"
        " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication)";
    struct pg_result *r = NULL;
    jobq_err err = {0};
    char found[96];
    if (pg_query(p, look, 0, NULL, &r, &err) != JOBQ_OK) {
        doctor_add(d, check, DOCTOR_FAULT, err.msg, mend_what_it_says);
        return;
    }
    const char *waits = pg_value(r, 0), *count = pg_value(r, 1);
    long long n = count != NULL ? strtoll(count, NULL, 10) : 0;
    if (waits != NULL && waits[0] == 't' && n == 0) {
        doctor_add(
            d, check, DOCTOR_FAULT, "synchronous_standby_names is set, and none is connected",
            "bring the standby back, or take it out of synchronous_standby_names: until then "
            "every COMMIT waits");
    } else {
        snprintf(found, sizeof(found), n > 0 ? "%lld" : "none", n);
        doctor_add(d, check, DOCTOR_OK, found, NULL);
    }
    pg_result_free(r);
}

static void check_clock(struct pg *p, struct doctor *d)
{
    static const char check[] = "postgres clock";
    struct pg_result *r = NULL;
    jobq_err err = {0};
    int64_t asked_ms = clock_wall_ms();
    int rc = pg_query(p,
                      "SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())"
                      " * 1000)::bigint",
                      0, NULL, &r, &err);
    if (rc != JOBQ_OK) {
        doctor_add(d, check, DOCTOR_FAULT, err.msg, mend_what_it_says);
        return;
    }
    const char *ms = pg_value(r, 0);
    doctor_clock(d, check, asked_ms, ms != NULL ? strtoll(ms, NULL, 10) : 0);
    pg_result_free(r);
}

static void check_schema(struct session *s, struct pg *p, struct doctor *d)
{
    struct schema_state state;
    char found[320];
    jobq_err err = {0};
    const char *name = settings_schema(s->settings);
    if (schema_look(p, name, &state, &err) != JOBQ_OK) {
        doctor_add(d, "postgres schema", DOCTOR_FAULT, err.msg, mend_what_it_says);
        doctor_add(d, "postgres privileges", DOCTOR_SKIPPED, "the schema could not be looked at",
                   NULL);
        return;
    }
    if (!state.exists)
        snprintf(found, sizeof(found), "there is no schema %.60s", name);
    else if (!state.complete)
        snprintf(found, sizeof(found), "schema %.60s misses %s", name, state.missing);
    else
        snprintf(found, sizeof(found), "schema %.60s", name);
    doctor_judge(d, "postgres schema", state.complete, found, "run jobctl init");
    if (!state.complete) {
        doctor_add(d, "postgres privileges", DOCTOR_SKIPPED, "the schema is not complete", NULL);
        return;
    }
    if (state.may_use)
        snprintf(found, sizeof(found), "role %s may use it", state.role);
    else
        snprintf(found, sizeof(found), "role %s lacks %s", state.role, state.refused);
    doctor_judge(d, "postgres privileges", state.may_use, found,
                 "as the owner, GRANT what is lacking to that role");
}

/* ---- the forum's tables ---- */

static const struct module {
    const char *name;
    const char *grants[2]; /* for 0.39, for 0.40 */
} modules[] = {
    {"recount", {grants_recount_039, grants_recount_040}},
    {"notify", {grants_notify_039, grants_notify_040}},
    {"mail", {grants_mail_039, grants_mail_040}},
    {"avatar", {grants_avatar, grants_avatar}},
};

/* 0: 0.39, 1: 0.40, -1: no forum to be seen; else a jobq_err code is in *rc. */
static int forum_version(struct pg *p, int *rc, jobq_err *err)
{
    struct pg_result *r = NULL;
    int version = -1;
    *rc = pg_query(p,
                   "SELECT attname = 'last_posted_at' FROM pg_catalog.pg_attribute"
                   " WHERE attrelid = pg_catalog.to_regclass('misago_threads_thread')"
                   " AND attname IN ('last_post_on', 'last_posted_at') AND NOT attisdropped",
                   0, NULL, &r, err);
    if (*rc != JOBQ_OK)
        return -1;
    const char *is_040 = pg_value(r, 0);
    if (is_040 != NULL)
        version = is_040[0] == 't';
    pg_result_free(r);
    return version;
}

/* The file's own GRANTs, one by one: has this role, by inheritance or itself, all of them? */
static bool check_module(struct pg *p, const struct module *m, int version, char *found,
                         size_t size, jobq_err *err)
{
    static const char look[] =
        "WITH statement AS ("
        " SELECT pg_catalog.regexp_match(x, '^\\s*GRANT (.*)\\s+ON (misago_\\w+) TO ') AS m"
        " FROM pg_catalog.regexp_split_to_table("
        "  pg_catalog.regexp_replace($1, '--[^\\n]*', '', 'g'), ';') x"
        "), part AS ("
        " SELECT m[2] AS tab, pg_catalog.regexp_matches(m[1],"
        "  '(SELECT|INSERT|UPDATE|DELETE)\\s*(?:\\(([^)]*)\\))?', 'g') AS x"
        " FROM statement WHERE m IS NOT NULL"
        "), wanted AS ("
        " SELECT tab, x[1] AS priv, pg_catalog.btrim(c, E' \\n') AS col FROM part"
        " LEFT JOIN LATERAL pg_catalog.regexp_split_to_table(x[2], ',') c ON true"
        ") SELECT (SELECT pg_catalog.count(*) FROM wanted), pg_catalog.count(*),"
        " pg_catalog.min(w.priv || coalesce(' (' || w.col || ')', '') || ' on ' || w.tab),"
        " current_user"
        " FROM wanted w WHERE (CASE WHEN w.col IS NULL THEN"
        "  pg_catalog.has_table_privilege(pg_catalog.to_regclass(w.tab), w.priv)"
        " ELSE (SELECT pg_catalog.has_column_privilege(a.attrelid, a.attnum, w.priv)"
        "  FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass(w.tab)"
        "  AND a.attname = w.col AND NOT a.attisdropped) END) IS NOT TRUE";
    struct pg_result *r = NULL;
    const char *values[] = {m->grants[version]};
    char what[160];
    bool fine = false;
    if (pg_query(p, look, 1, values, &r, err) != JOBQ_OK) {
        snprintf(found, size, "%s", err->msg);
        return false;
    }
    const char *asked = pg_value(r, 0), *lacking = pg_value(r, 1), *first = pg_value(r, 2);
    const char *role = pg_value(r, 3);
    fine = asked != NULL && strtoll(asked, NULL, 10) > 0 && lacking != NULL &&
           strcmp(lacking, "0") == 0;
    if (!fine) {
        text_sanitize(first != NULL ? first : "?", first != NULL ? strlen(first) : 1, what,
                      sizeof(what));
        snprintf(found, size, "role %.60s lacks %s for module %s (%.10s in all)",
                 role != NULL ? role : "?", what, m->name, lacking != NULL ? lacking : "?");
    }
    pg_result_free(r);
    return fine;
}

static void check_forum(struct session *s, struct pg *p, struct doctor *d)
{
    static const char check[] = "postgres forum";
    char found[400];
    jobq_err err = {0};
    size_t n = 0;
    int rc = JOBQ_OK;
    for (size_t i = 0; i < ARRAY_LEN(modules); i++)
        n += settings_has_module(s->settings, modules[i].name);
    if (n == 0) {
        doctor_add(d, check, DOCTOR_SKIPPED, "no module of the forum is configured", NULL);
        return;
    }
    int version = forum_version(p, &rc, &err);
    if (rc != JOBQ_OK) {
        doctor_add(d, check, DOCTOR_FAULT, err.msg, mend_what_it_says);
        return;
    }
    if (version < 0) {
        doctor_add(d, check, DOCTOR_FAULT, "no table misago_threads_thread to be seen",
                   "name the forum's database in postgres, and GRANT USAGE on its schema: "
                   "contrib/postgres/grants");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(modules); i++) {
        if (settings_has_module(s->settings, modules[i].name) &&
            !check_module(p, &modules[i], version, found, sizeof(found), &err)) {
            doctor_add(d, check, DOCTOR_FAULT, found,
                       "as the owner of the forum's tables, run the module's file of "
                       "contrib/postgres/grants");
            return;
        }
    }
    snprintf(found, sizeof(found), "%s, with the rights of %zu module%s",
             version == 0 ? "0.39" : "0.40", n, n == 1 ? "" : "s");
    doctor_add(d, check, DOCTOR_OK, found, NULL);
}

void doctor_postgres(struct session *s, struct doctor *d)
{
    static const char *const all[] = {
        "postgres reachable", "postgres version", "postgres writable",   "postgres standbys",
        "postgres clock",     "postgres schema",  "postgres privileges", "postgres forum"};
    char found[64];
    struct pg *p = NULL;
    jobq_err err = {0};
    if (settings_postgres(s->settings) == NULL) {
        doctor_skip(d, all, ARRAY_LEN(all), "no PostgreSQL is configured");
        return;
    }
    int rc = session_postgres(s, &p, &err);
    if (rc != JOBQ_OK) {
        doctor_add(d, all[0], DOCTOR_FAULT, err.msg,
                   rc == JOBQ_EAUTH || rc == JOBQ_ECONFIG
                       ? "correct user, password and database: postgres in the configuration, "
                         "JOBQ_POSTGRES or --postgres"
                       : "start PostgreSQL, or name the right one: postgres in the configuration, "
                         "JOBQ_POSTGRES or --postgres");
        doctor_skip(d, all + 1, ARRAY_LEN(all) - 1, "PostgreSQL is not reachable");
        return;
    }
    doctor_add(d, all[0], DOCTOR_OK, pg_where(p), NULL);
    snprintf(found, sizeof(found), "%d.%d", pg_version(p) / 10000, pg_version(p) % 10000);
    doctor_judge(d, all[1], pg_version(p) >= POSTGRES_MIN, found, "install PostgreSQL 13 or newer");
    check_writable(p, d);
    check_standbys(p, d);
    check_clock(p, d);
    check_schema(s, p, d);
    check_forum(s, p, d);
}
