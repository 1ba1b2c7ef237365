/* SPDX-License-Identifier: MIT */
/* cmd_man: jobctl print-man: the manual page jobctl(1) from the table of commands, for scdoc. */
#include <stdio.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/commands.h"
#include "admin/jobctl/session.h"
#include "base/buf.h"
#include "base/error.h"

#define PAGE_MAX ((size_t)1024 * 1024)

static const char head[] =
    "jobctl(1) \"jobq\" \"jobq\"\n"
    "\n"
    "; Written by jobctl print-man from admin/jobctl/commands.c; do not edit.\n"
    "\n"
    "# NAME\n"
    "\n"
    "jobctl - look at jobq and act on it\n"
    "\n"
    "# SYNOPSIS\n"
    "\n"
    "*jobctl* [_FLAGS_] _COMMAND_ [_OPERANDS_]\n"
    "\n"
    "# DESCRIPTION\n"
    "\n"
    "Shows the queues, jobs, dead letters and workers of jobq, and acts on them. It finds Redis "
    "and\n"
    "PostgreSQL as jobd does: by flags, the environment, the file of *--env-file* and the\n"
    "configuration file, see *jobq.conf*(5). Looking changes nothing.\n"
    "\n"
    "Flags may stand anywhere. *--flag=value* is *--flag value*; behind *--* everything is an\n"
    "operand. *jobctl help* _COMMAND_ tells of one command.\n"
    "\n"
    "# COMMANDS\n";

static const char tail[] =
    "\n"
    "# EXIT STATUS\n"
    "\n"
    "*0*\n"
    "\tDone.\n"
    "\n"
    "*1*\n"
    "\tThe answer is no: not found, a fault, some jobs refused.\n"
    "\n"
    "*2*\n"
    "\tA wrong use of jobctl.\n"
    "\n"
    "*69*\n"
    "\tRedis or PostgreSQL cannot be reached.\n"
    "\n"
    "*73*\n"
    "\tCannot write: Redis refuses, or the output is gone.\n"
    "\n"
    "*75*\n"
    "\tTimed out, or it is not known whether a job was stored.\n"
    "\n"
    "*77*\n"
    "\tRefused by password or permission.\n"
    "\n"
    "*78*\n"
    "\tThe configuration is wrong.\n"
    "\n"
    "*130*, *143*\n"
    "\tEnded by Ctrl-C, or by SIGTERM.\n"
    "\n"
    "# ENVIRONMENT\n"
    "\n"
    "JOBQ\\_REDIS, JOBQ\\_POSTGRES and the other variables of *jobq.conf*(5); *NO\\_COLOR*: no\n"
    "colours.\n"
    "\n"
    "# FILES\n"
    "\n"
    "/etc/jobq/jobd.conf\n"
    "\tRead when there is no *--config*; may be absent.\n"
    "\n"
    "# SEE ALSO\n"
    "\n"
    "*jobd*(8), *jobq.conf*(5), *libjobq*(3), *jobq-handler*(7)\n";

/* Text in which scdoc sees no format; a newline is a space. */
static void put_text(struct buf *b, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("\\*_", *at) != NULL || (at == text && strchr("#-.|[]:", *at) != NULL))
            buf_append_char(b, '\\');
        buf_append_char(b, *at == '\n' ? ' ' : *at);
    }
}

static void put_flags(struct buf *b, const struct command_flag *flags, const char *indent)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        buf_appendf(b, "\n%s", indent);
        if (flags->letter != 0)
            buf_appendf(b, "*-%c*, ", flags->letter);
        buf_appendf(b, "*--%s*", flags->name);
        if (flags->value != NULL) {
            buf_append_str(b, " _");
            put_text(b, flags->value);
            buf_append_char(b, '_');
        }
        buf_appendf(b, "\n%s\t", indent);
        put_text(b, flags->help);
        if (flags->choices != NULL) {
            buf_append_str(b, ". One of: ");
            put_text(b, flags->choices);
        }
        buf_append_str(b, ".\n");
    }
}

static void put_command(struct buf *b, const struct command *c)
{
    buf_appendf(b, "\n*%s*", c->words);
    for (const struct command_operand *o = c->operands; o != NULL && o->name != NULL; o++)
        buf_appendf(b, o->optional ? " [_%s_]" : " _%s_", o->name);
    buf_append_str(b, "\n\t");
    put_text(b, c->help);
    buf_append_str(b, ".\n");
    if (c->more != NULL) {
        buf_append_str(b, "\n\t");
        put_text(b, c->more);
        buf_append_char(b, '\n');
    }
    put_flags(b, c->flags, "\t");
}

int cmd_print_man(struct session *s, const struct args *a, jobq_err *err)
{
    struct buf b;
    int rc = JOBQ_OK;
    (void)a;
    buf_init(&b, PAGE_MAX);
    buf_append_str(&b, head);
    for (const struct command *c = command_table; c->words != NULL; c++) {
        if (!c->hidden)
            put_command(&b, c);
    }
    buf_append_str(&b, "\n# FLAGS OF EVERY COMMAND\n");
    put_flags(&b, command_globals, "");
    buf_append_str(&b, tail);
    if (b.failed)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the page");
    else if (fwrite(b.data, 1, b.len, s->out.file) != b.len || fflush(s->out.file) != 0)
        rc = error_set(err, JOBQ_EREJECTED, "cannot write the page: %m");
    buf_done(&b);
    return rc;
}
