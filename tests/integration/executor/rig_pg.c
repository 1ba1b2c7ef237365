/* SPDX-License-Identifier: MIT */
#include "tests/integration/executor/rig_pg.h"

#include <criterion/criterion.h>

#define CONFIG_MAX 12

struct postgres *db_start(void)
{
    struct postgres *p = postgres_start(false);

    pg_load(p, source_path("contrib/postgres/schema.sql"));
    pg_load(p, source_path("tests/modules/tables.sql"));
    return p;
}

bool db_is_up(struct rig *r)
{
    return r->pg == 1;
}

bool db_is_down(struct rig *r)
{
    return r->pg == 0;
}

struct rig *db_rig_of(const char *conninfo, const char *const *env, const char *const *extra)
{
    const char *modules[] = {lib_path("jobq-test/test_pg.so"), NULL};
    const char *config[CONFIG_MAX + 1] = {"postgres", conninfo};
    struct rig *r;

    for (size_t n = 2; extra != NULL && *extra != NULL; extra++)
        config[n++] = *extra;
    r = rig_start(config, modules, env);
    cr_assert(r->ready, "%s", r->failed);
    return r;
}

struct rig *db_rig(struct postgres *p, const char *const *env)
{
    struct rig *r = db_rig_of(p->conninfo, env, NULL);

    rig_wait(r, db_is_up);
    return r;
}

jobq_id db_id(void)
{
    jobq_id id;
    jobq_err err;

    cr_assert_eq(jobq_id_new(&id, &err), JOBQ_OK, "%s", err.msg);
    return id;
}

const char *db_id_text(const jobq_id *id)
{
    char text[JOBQ_ID_TEXT_SIZE];

    jobq_id_format(id, text);
    return fmt("%s", text);
}

long long db_effects(struct postgres *p, const jobq_id *id)
{
    if (id == NULL)
        return pg_int(p, "SELECT count(*) FROM effects");
    return pg_int(p, "SELECT count(*) FROM effects WHERE job_id = '%s'", db_id_text(id));
}

long long db_done(struct postgres *p, const jobq_id *id)
{
    return pg_int(p, "SELECT count(*) FROM jobq.done WHERE id = '%s'", db_id_text(id));
}

const struct said *db_run(struct rig *r, const jobq_id *id, const char *type, const char *payload)
{
    return rig_run_job(r, &(struct rig_job){.type = type, .payload = payload, .id = id});
}

void db_run_elsewhere(struct postgres *p, const jobq_id *id, const char *type, const char *payload,
                      enum frame_verdict verdict)
{
    struct rig *r = db_rig(p, NULL);

    rig_expect(db_run(r, id, type, payload), verdict, NULL);
    cr_assert_eq(rig_drain(r), 0);
    rig_free(r);
}

struct query {
    struct postgres *p;
    const char *text;
};

static bool is_positive(void *ctx)
{
    const struct query *q = ctx;

    return pg_int(q->p, "%s", q->text) > 0;
}

void db_wait(struct postgres *p, const char *query)
{
    struct query q = {p, query};

    if (!wait_until(patience_ms(20000), is_positive, &q))
        fail_test("never true: %s", query);
}
