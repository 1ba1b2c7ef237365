/* SPDX-License-Identifier: MIT */
/*
 * cmd_doctor: jobctl doctor. Each check is one line that is ok, a fault with the way to mend it, or
 * skipped because what it needs is at fault already.
 */
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/pg.h"
#include "admin/jobctl/schema.h"
#include "admin/jobctl/session.h"
#include "base/error.h"
#include "broker/conn.h"
#include "broker/url.h"

#define REDIS_MAJOR_MIN 7
#define POSTGRES_MIN 130000 /* pg_current_xact_id() and pg_xact_status() of it */

enum verdict { SKIPPED, OK, FAULT };

struct report {
    json_t *checks;
    int faults;
};

/* mend is for faults only. */
static void add(struct report *r, const char *check, enum verdict verdict, const char *found,
                const char *mend)
{
    static const char *const words[] = {[SKIPPED] = "skipped", [OK] = "ok", [FAULT] = "fault"};
    bool fault = verdict == FAULT;
    r->faults += fault;
    json_array_append_new(
        r->checks, json_pack("{s:s, s:s, s:o, s:o}", "check", check, "status", words[verdict],
                             "found", out_string(found, strlen(found)), "mend",
                             fault && mend != NULL ? json_string(mend) : json_null()));
}

static void judge(struct report *r, const char *check, bool fine, const char *found,
                  const char *mend)
{
    add(r, check, fine ? OK : FAULT, found, mend);
}

static void skip(struct report *r, const char *const *checks, size_t n, const char *why)
{
    for (size_t i = 0; i < n; i++)
        add(r, checks[i], SKIPPED, why, NULL);
}

/* ---- Redis ---- */

static void check_server(struct report *r, const struct inspect_server *s)
{
    bool master = strcmp(s->role, "master") == 0;
    judge(r, "redis version", s->major >= REDIS_MAJOR_MIN, s->version,
          "install Redis 7.0 or newer, or Valkey");
    judge(r, "redis role", master, master ? s->role : "a replica",
          "name the master: a replica takes no jobs");
    judge(r, "redis eviction", strcmp(s->maxmemory_policy, "noeviction") == 0, s->maxmemory_policy,
          "set maxmemory-policy noeviction: any other one throws jobs away when memory is short");
    judge(r, "redis persistence", s->aof_enabled,
          s->aof_enabled ? "appendonly yes" : "appendonly no",
          "set appendonly yes: without it a restart of Redis loses jobs");
}

static void check_redis(struct session *s, struct report *r)
{
    static const char *const rest[] = {"redis version", "redis role", "redis eviction",
                                       "redis persistence"};
    struct inspect in;
    struct inspect_server server;
    jobq_err err = {0};
    int rc = session_redis(s, &in, &err);
    if (rc == JOBQ_OK)
        rc = inspect_server(&in, &server, &err);
    if (rc == JOBQ_OK) {
        add(r, "redis reachable", OK, conn_where(in.conn), NULL);
        check_server(r, &server);
        return;
    }
    add(r, "redis reachable", FAULT, err.msg,
        rc == JOBQ_EAUTH
            ? "give user and password in the URL, with permission for INFO and jobq's keys"
            : "start Redis, or name the right one: redis in the configuration, JOBQ_REDIS or "
              "--redis");
    skip(r, rest, ARRAY_LEN(rest), "redis is not reachable");
}

/* ---- PostgreSQL ---- */

static void check_writable(struct pg *p, struct report *r)
{
    struct pg_result *result = NULL;
    jobq_err err = {0};
    int rc = pg_query(p,
                      "SELECT pg_catalog.pg_is_in_recovery(), "
                      "pg_catalog.current_setting('transaction_read_only')",
                      0, NULL, &result, &err);
    if (rc != JOBQ_OK) {
        add(r, "postgres writable", FAULT, err.msg, "mend what PostgreSQL says");
        return;
    }
    const char *standby = pg_value(result, 0), *read_only = pg_value(result, 1);
    if (standby != NULL && standby[0] == 't')
        add(r, "postgres writable", FAULT, "a standby",
            "name the primary, or all hosts with target_session_attrs=read-write");
    else
        judge(r, "postgres writable", read_only != NULL && strcmp(read_only, "off") == 0,
              read_only != NULL && strcmp(read_only, "off") == 0 ? "read-write" : "read-only",
              "set default_transaction_read_only off for this database and role");
    pg_result_free(result);
}

static void check_schema(struct session *s, struct pg *p, struct report *r)
{
    struct schema_state state;
    char found[320];
    jobq_err err = {0};
    const char *name = settings_schema(s->settings);
    if (schema_look(p, name, &state, &err) != JOBQ_OK) {
        add(r, "postgres schema", FAULT, err.msg, "mend what PostgreSQL says");
        add(r, "postgres privileges", SKIPPED, "the schema could not be looked at", NULL);
        return;
    }
    if (!state.exists)
        snprintf(found, sizeof(found), "there is no schema %.60s", name);
    else if (!state.complete)
        snprintf(found, sizeof(found), "schema %.60s misses %s", name, state.missing);
    else
        snprintf(found, sizeof(found), "schema %.60s", name);
    judge(r, "postgres schema", state.complete, found, "run jobctl init");
    if (!state.complete) {
        add(r, "postgres privileges", SKIPPED, "the schema is not complete", NULL);
        return;
    }
    if (state.may_use)
        snprintf(found, sizeof(found), "role %s may use it", state.role);
    else
        snprintf(found, sizeof(found), "role %s lacks %s", state.role, state.refused);
    judge(r, "postgres privileges", state.may_use, found,
          "as the owner, GRANT what is lacking to that role");
}

static void check_postgres(struct session *s, struct report *r)
{
    static const char *const all[] = {"postgres reachable", "postgres version", "postgres writable",
                                      "postgres schema", "postgres privileges"};
    char found[64];
    struct pg *p = NULL;
    jobq_err err = {0};
    if (!settings_has_postgres(s->settings)) {
        skip(r, all, ARRAY_LEN(all), "no PostgreSQL is configured");
        return;
    }
    int rc = session_postgres(s, &p, &err);
    if (rc != JOBQ_OK) {
        add(r, all[0], FAULT, err.msg,
            rc == JOBQ_EAUTH || rc == JOBQ_ECONFIG
                ? "correct user, password and database: postgres in the configuration, "
                  "JOBQ_POSTGRES or --postgres"
                : "start PostgreSQL, or name the right one: postgres in the configuration, "
                  "JOBQ_POSTGRES or --postgres");
        skip(r, all + 1, ARRAY_LEN(all) - 1, "PostgreSQL is not reachable");
        return;
    }
    add(r, all[0], OK, pg_where(p), NULL);
    snprintf(found, sizeof(found), "%d.%d", pg_version(p) / 10000, pg_version(p) % 10000);
    judge(r, all[1], pg_version(p) >= POSTGRES_MIN, found, "install PostgreSQL 13 or newer");
    check_writable(p, r);
    check_schema(s, p, r);
}

int cmd_doctor(struct session *s, const struct args *a, jobq_err *err)
{
    static const struct out_column columns[] = {
        {"check", "CHECK", OUT_TEXT},
        {"status", "STATUS", OUT_STATE},
        {"found", "FOUND", OUT_TEXT},
        {"mend", "MEND", OUT_TEXT},
    };
    static const struct out_section section = {"checks", columns, ARRAY_LEN(columns), NULL};
    struct report r = {.checks = json_array()};
    (void)a;
    check_redis(s, &r);
    check_postgres(s, &r);
    json_t *root = json_pack("{s:o, s:i}", "checks", r.checks, "faults", r.faults);
    int rc = out_show(&s->out, root, &section, 1, err);
    if (rc == JOBQ_OK && r.faults > 0)
        rc = error_set(err, JOBQ_ESTATE, "%d fault%s", r.faults, r.faults == 1 ? "" : "s");
    return rc;
}
