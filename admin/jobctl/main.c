/* SPDX-License-Identifier: MIT */
/* jobctl: looks at jobq and acts on it from outside. Which command does what stands in
 * commands.c. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jobq/api.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/session.h"
#include "admin/jobctl/term.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secrecy.h"

#define TIMEOUT_DEFAULT_MS 10000
#define TIMEOUT_MAX_MS (3600 * INT64_C(1000))

static int run(const struct args *a, struct session *s, jobq_err *err)
{
    const char *no_color = getenv("NO_COLOR");
    s->timeout_ms = TIMEOUT_DEFAULT_MS;
    int rc = args_duration(a, "timeout", 1, TIMEOUT_MAX_MS, &s->timeout_ms, err);
    if (rc != JOBQ_OK)
        return rc;
    s->deadline_ms = clock_mono_ms() + s->timeout_ms;
    s->out.file = stdout;
    s->out.json = args_has(a, "json");
    s->out.colour = !args_has(a, "no-color") && (no_color == NULL || *no_color == '\0') &&
                    isatty(STDOUT_FILENO);
    if (isatty(STDOUT_FILENO)) {
        unsigned lines;
        term_size(STDOUT_FILENO, &s->out.columns, &lines);
    }
    if (!a->command->alone)
        rc = settings_load(a, (const char *const *)environ, &s->settings, err);
    return rc == JOBQ_OK ? a->command->run(s, a, err) : rc;
}

static int finish_stdout(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "jobctl: cannot write: %m\n");
        return 73;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct args a;
    struct session s = {0};
    jobq_err err = {0};

    child_take_std_fds();
    secrecy_begin();
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters; everything else stays plain */
    int rc = args_parse(argc, (const char *const *)argv, &a, &err);
    if (rc == JOBQ_OK && a.version) {
        printf("jobctl %s\n", JOBQ_VERSION);
        return finish_stdout(0);
    }
    if (rc == JOBQ_OK && a.help) {
        command_help(&a, stdout);
        return finish_stdout(0);
    }
    if (rc == JOBQ_OK)
        rc = run(&a, &s, &err);
    if (rc != JOBQ_OK && err.msg[0] != '\0')
        fprintf(stderr, "jobctl: %s\n", err.msg);
    int status = rc != JOBQ_OK && s.status != 0 ? s.status : jobq_exit_status(rc);
    session_done(&s);
    return status;
}
