/* SPDX-License-Identifier: MIT */
/* fixture: see fixture.h. */
#include "tests/support/fixture.h"

#include <stdlib.h>

#include "tests/support/support.h"

void fixture_load(struct postgres *pg, const struct fixture *f)
{
    const char *argv[16] = {source_path("contrib/forum/fixture/load.sh"),
                            pg->conninfo,
                            "--version",
                            f->version,
                            "--threads",
                            fmt("%d", f->threads),
                            "--posts",
                            fmt("%d", f->posts),
                            "--users",
                            fmt("%d", f->users)};
    size_t n = 10;
    char *out = NULL;

    if (f->seed != 0) {
        argv[n++] = "--seed";
        argv[n++] = fmt("%llu", f->seed);
    }
    if (f->media != NULL) {
        argv[n++] = "--media";
        argv[n++] = f->media;
    }
    int status = run_command(&out, NULL, argv);
    if (status != 0)
        fail_test("load.sh: exit %d: %s", status, out);
    free(out);
}

void fixture_stay_public(struct postgres *pg)
{
    pg_do(pg, "ALTER ROLE jobq SET search_path = public; SET search_path = public");
}

void fixture_grant(struct postgres *pg, const char *module, const char *version)
{
    fixture_stay_public(pg);
    pg_load(pg, source_path("contrib/postgres/roles.sql"));
    if (version != NULL)
        pg_load(pg, source_path(fmt("contrib/postgres/grants/%s-%s.sql", module, version)));
}
