/* SPDX-License-Identifier: MIT */
/* cmd_completion: jobctl completion: the script that a shell reads. */
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/completion.h"
#include "admin/jobctl/session.h"
#include "base/buf.h"
#include "base/error.h"

#define SCRIPT_MAX ((size_t)1024 * 1024)

int cmd_completion(struct session *s, const struct args *a, jobq_err *err)
{
    struct buf b;
    const char *shell = a->operands[0];
    int rc = JOBQ_OK;
    buf_init(&b, SCRIPT_MAX);
    if (strcmp(shell, "bash") == 0)
        completion_bash(&b);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(&b);
    else
        completion_fish(&b);
    if (b.failed)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the script");
    else if (fwrite(b.data, 1, b.len, s->out.file) != b.len || fflush(s->out.file) != 0)
        rc = error_set(err, JOBQ_EREJECTED, "cannot write the script: %m");
    buf_done(&b);
    return rc;
}
