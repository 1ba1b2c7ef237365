/* SPDX-License-Identifier: MIT */
/* jobctl config show and config check: what jobd would see, and say. No server. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "tests/integration/jobctl/run.h"
#include "tests/support/support.h"

#define CANARY "canary-7f3a"

static char file[300];

static void start(void)
{
    snprintf(file, sizeof(file), "%s/jobd.conf", tmp_dir());
    unsetenv("JOBQ_REDIS");
}

TestSuite(jobctl_config, .init = start);

static void write_config(const char *text)
{
    write_file(file, text);
    cr_assert_eq(chmod(file, 0600), 0);
}

Test(jobctl_config, show_tells_each_value_and_its_source)
{
    write_config("executors = 3;\nlease = \"3s\";\nmodules = ( );\n"
                 "queues = ( { name = \"mail\"; weight = 2; } );\n"
                 "mail = { url = \"smtp://localhost\"; password = \"" CANARY "\"; };\n");
    setenv("JOBQ_LEASE", "4s", 1);
    setenv("JOBQ_POSTGRES", "postgresql://u:" CANARY "@h/db", 1);
    struct run r = JOBCTL("config", "show", "--changed", "--json", "-c", file, "--redis",
                          "redis://u:" CANARY "@localhost:7/1");
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, CANARY) == NULL, "%s", r.out);
    for (char *at; (at = strstr(r.out, file)) != NULL;) {
        memset(at, ' ', strlen(file)); /* another one each time */
        memcpy(at, "FILE", 4);
        memmove(at + 4, at + strlen(file), strlen(at + strlen(file)) + 1);
    }
    json_decref(r.json);
    r.json = json_loads(r.out, 0, NULL);
    expect_golden(&r, "config_show");
    run_free(&r);
    r = JOBCTL("config", "show", "-c", file);
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, CANARY) == NULL, "%s", r.out);
    cr_assert(strstr(r.out, "(set)") != NULL && strstr(r.out, "environment JOBQ_LEASE") != NULL);
    cr_assert(strstr(r.out, "\ndrain_grace ") != NULL && strstr(r.out, "OPTION ") == r.out);
    run_free(&r);
}

/* The text that both say of a wrong file, and the status. */
Test(jobctl_config, check_says_what_jobd_would_say)
{
    static const char *const wrong[] = {
        "executors = 0;\n",
        "exekutors = 2;\n",
        "lease = \"5 parsecs\";\n",
        "queues = ( { name = \"No\"; } );\n",
        "types = ( { name = \"a\"; soft_limit = \"10s\"; hard_limit = \"5s\"; } );\n",
        "http = \"nowhere\";\n",
        "executors = ;\n",
        "modules = ( \"/none.so\" );\n",
    };
    write_config("executors = 2;\n");
    struct run r = JOBCTL("config", "check", file);
    expect(&r, 0, NULL);
    cr_assert(strstr(r.out, "status  ok\n") != NULL, "%s", r.out);
    run_free(&r);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        write_config(wrong[i]);
        char *jobds = NULL;
        int status = run_command(
            &jobds, NULL, (const char *const[]){bin_path("jobd"), "--check", "-c", file, NULL});
        cr_assert_eq(status, 78, "%s", jobds);
        r = JOBCTL("config", "check", file);
        expect(&r, 78, strchr(jobds, ':'));
        run_free(&r);
        r = JOBCTL("config", "check", file, "--json");
        expect(&r, 78, strchr(jobds, ':'));
        cr_assert_str_eq(text_at(&r, "check.status"), "fault");
        cr_assert(strstr(jobds, text_at(&r, "check.fault")) != NULL, "%s", r.out);
        run_free(&r);
        free(jobds);
    }
}

Test(jobctl_config, a_password_that_everybody_may_read_is_refused_without_telling_it)
{
    write_config("mail = { password = \"" CANARY "\"; };\n");
    cr_assert_eq(chmod(file, 0644), 0);
    struct run r = JOBCTL("config", "check", file);
    expect(&r, 78, "mail.password");
    cr_assert(strstr(r.err, CANARY) == NULL, "%s", r.err);
    run_free(&r);
    r = JOBCTL("config", "show", "-c", file);
    expect(&r, 78, "mail.password");
    run_free(&r);
    r = JOBCTL("config", "check", "/none/jobd.conf");
    expect(&r, 78, "/none/jobd.conf");
    run_free(&r);
}
