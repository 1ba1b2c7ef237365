/* SPDX-License-Identifier: MIT */
/* consent: see consent.h. */
#include "admin/jobctl/consent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/session.h"
#include "base/error.h"

static volatile sig_atomic_t stop_signal;

static void keep_signal(int number)
{
    stop_signal = number;
}

void consent_watch(void)
{
    struct sigaction action = {.sa_handler = keep_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool consent_stopped(struct session *s)
{
    int number = stop_signal;
    if (number != 0)
        s->status = 128 + number;
    return number != 0;
}

int consent_needed(const struct args *a, bool *ask, jobq_err *err)
{
    *ask = !args_has(a, "yes");
    if (*ask && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)))
        return error_set(err, JOBQ_EINVAL,
                         "%s of many jobs needs --yes, or a terminal to ask; --dry-run counts them",
                         a->command->words);
    return JOBQ_OK;
}

int consent_ask(const char *question, jobq_err *err)
{
    char line[16] = "";
    fprintf(stderr, "%s? [y/N] ", question);
    fflush(stderr);
    ssize_t n = read(STDIN_FILENO, line, sizeof(line) - 1);
    bool yes = n > 0 && (line[0] == 'y' || line[0] == 'Y') &&
               (line[1] == '\n' || strncasecmp(line + 1, "es\n", 3) == 0);
    return yes ? JOBQ_OK : error_set(err, JOBQ_ESTATE, "nothing was changed");
}
