/* SPDX-License-Identifier: MIT */
/* forum: see forum.h. */
#include "tests/integration/recount/forum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE "contrib/forum/fixture/"

/* The module may do what contrib/postgres grants its role, and nothing else. */
static struct forum *open_forum(struct forum *f)
{
    fixture_grant(f->pg, "recount", f->version);
    f->handler = handler_open("recount", fmt("%s user=jobq_worker", f->pg->conninfo), NULL);
    return f;
}

struct handler *recount_alone(void)
{
    return handler_open("recount", NULL, NULL);
}

static struct forum *start_server(void)
{
    struct forum *f = calloc(1, sizeof(*f));

    if (!f) {
        fail_test("out of memory");
    }
    f->pg = postgres_start(false);
    return f;
}

struct forum *forum_start_empty(void)
{
    return open_forum(start_server());
}

struct forum *forum_start(const char *version)
{
    struct forum *f = start_server();

    fixture_load(
        f->pg, &(struct fixture){.version = version, .threads = 600, .posts = 4000, .users = 450});
    f->is_040 = strcmp(version, V040) == 0;
    f->version = version;
    return open_forum(f);
}

void forum_stop(struct forum *f)
{
    handler_close(f->handler);
    postgres_stop(f->pg);
    free(f);
}

void forum_load(struct forum *f, const char *file)
{
    pg_load(f->pg, source_path(fmt(FIXTURE "%s", file)));
}

char *forum_faults(struct forum *f)
{
    const char *const argv[] = {
        "psql", "-XAt", "-d", f->pg->conninfo, "-f", source_path(FIXTURE "verify.sql"), NULL
    };
    char *out = NULL;
    int status = run_command(&out, NULL, argv);

    if (status != 0) {
        fail_test("verify.sql: exit %d: %s", status, out);
    }
    return out;
}

void forum_must_be_right(struct forum *f)
{
    char *faults = forum_faults(f);

    if (faults[0] != '\0') {
        fail_test("counters are wrong:\n%.2000s", faults);
    }
    free(faults);
}

static const char *const tables[] = { "misago_threads_thread", "misago_categories_category",
                                      "misago_users_user", NULL };

void forum_keep(struct forum *f)
{
    pg_do(f->pg, "DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept");
    for (size_t i = 0; tables[i]; i++) {
        pg_do(f->pg, "CREATE TABLE kept.%s AS TABLE %s", tables[i], tables[i]);
    }
}

long long forum_changed_rows(struct forum *f)
{
    long long n = 0;

    for (size_t i = 0; tables[i]; i++) {
        n += pg_int(f->pg,
                    "SELECT count(*) FROM (SELECT t::text FROM kept.%s t EXCEPT ALL"
                    " SELECT t::text FROM %s t) x",
                    tables[i], tables[i]);
    }
    return n;
}

char *forum_row_versions(struct forum *f)
{
    return pg_str(f->pg, "SELECT md5(string_agg(v, ',' ORDER BY v)) FROM ("
                         " SELECT 't' || ctid || xmin AS v FROM misago_threads_thread UNION ALL"
                         " SELECT 'c' || ctid || xmin FROM misago_categories_category UNION ALL"
                         " SELECT 'u' || ctid || xmin FROM misago_users_user) x");
}

struct counted counted(const struct handler *h)
{
    struct counted c;

    if (sscanf(h->result, "{\"checked\":%lld,\"changed\":%lld}", &c.checked, &c.changed) != 2) {
        c = (struct counted){-1, -1};
    }
    return c;
}

int run_chain(struct handler *h, const char *type, const char *payload, struct counted *sum,
              size_t *runs)
{
    *sum = (struct counted){0, 0};
    *runs = 0;
    for (;;) {
        int verdict = handler_run(h, type, payload);
        ++*runs;
        if (verdict != JOBQ_DONE) {
            return verdict;
        }
        sum->checked += counted(h).checked;
        sum->changed += counted(h).changed;
        if (h->child_count == 0) {
            return verdict;
        }
        type = h->children[0].type;
        payload = h->children[0].payload;
    }
}

void must_recount_all(struct forum *f, const char *kind, long long checked, long long changed,
                      size_t runs)
{
    struct counted sum;
    size_t n = 0;
    int verdict = run_chain(f->handler, RECOUNT_ALL, fmt("{\"kind\":\"%s\"}", kind), &sum, &n);

    if (verdict != JOBQ_DONE || sum.checked != checked || sum.changed != changed ||
        (runs > 0 && n != runs)) {
        fail_test("recount_all %s: verdict %d (%s), checked %lld not %lld, changed %lld not %lld, "
                  "%zu runs not %zu",
                  kind, verdict, f->handler->text, sum.checked, checked, sum.changed, changed, n,
                  runs);
    }
}
