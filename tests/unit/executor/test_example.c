/* SPDX-License-Identifier: MIT */
/* The example of docs/, compiled as a stranger would, with nothing but <jobq/handler.h>, and run.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tests/unit/executor/harness.h"

Test(example, compiles_alone_and_runs)
{
    const char *so = fmt("%s/hello.so", tmp_dir());
    const char *argv[] = {"cc",
                          "-std=c11",
                          "-Wall",
                          "-Wextra",
                          "-Wpedantic",
                          "-Werror",
                          "-shared",
                          "-fPIC",
                          "-I",
                          source_path("include"),
                          "-o",
                          so,
                          source_path("docs/examples/hello_module.c"),
                          NULL};
    const char *modules[] = {so, NULL};
    const struct said *s;
    struct rig *r;
    char *out;

    cr_assert_eq(run_command(&out, NULL, argv), 0, "%s", out);
    free(out);
    r = rig_start(NULL, modules, NULL);
    cr_assert(r->ready, "%s", r->failed);
    s = rig_run(r, "hello.greet", "{\"greet\":\"anna\"}");
    rig_expect(s, FRAME_V_DONE, NULL);
    cr_assert(strstr(s->log, "hello! (attempt 1 of job "), "%s", s->log);
    rig_expect(rig_run(r, "hello.greet", NULL), FRAME_V_DEAD, "no one to greet");
    cr_assert_eq(rig_drain(r), 0);
    rig_free(r);
}
