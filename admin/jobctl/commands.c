/* SPDX-License-Identifier: MIT */
/* commands: the table of all commands and flags; see command.h. */
#include "admin/jobctl/commands.h"

#include "admin/jobctl/command.h"

const struct command_flag command_globals[] = {
    {"config", "FILE", "jobd's configuration file (default /etc/jobq/jobd.conf, if it is there)"},
    {"env-file", "FILE", "NAME=value lines that count as environment"},
    {"redis", "URL", "redis://[user:password@]host:port/db or unix:///path ($JOBQ_REDIS)"},
    {"postgres", "CONNINFO", "libpq connection string or URI ($JOBQ_POSTGRES)"},
    {"schema", "NAME", "schema of jobq's own tables in PostgreSQL (jobq)"},
    {"key-prefix", "WORD", "first part of every Redis key (jobq)"},
    {"timeout", "TIME", "give up after so long (10s)"},
    {"json", NULL, "print JSON"},
    {"no-color", NULL, "no colours ($NO_COLOR)"},
    {"help", NULL, "help for a command"},
    {"version", NULL, "print the version"},
    {NULL, NULL, NULL},
};

static const struct command_flag queue_flags[] = {
    {"queue", "QUEUE", "only this queue"},
    {NULL, NULL, NULL},
};

static const struct command_flag enqueue_flags[] = {
    {"queue", "QUEUE", "the queue (default)"},
    {"lane", "LANE", "high, normal or low (normal)"},
    {"delay", "TIME", "start not before so long from now, by Redis's clock: 30s, 10m, 1h, 7d"},
    {"due", "WHEN", "start not before: Unix ms, or 2026-01-02T03:04:05Z"},
    {"expires", "TIME", "not started so long after now: never started"},
    {"max-attempts", "N", "failures before it is a dead letter"},
    {"soft-limit", "TIME", "running time after which it is asked to stop"},
    {"hard-limit", "TIME", "running time after which it is killed"},
    {"unique", "KEY", "while a job holds this key, others are duplicates"},
    {"id", "ID", "its id: to repeat an enqueue whose answer was lost"},
    {NULL, NULL, NULL},
};

static const struct command_flag show_flags[] = {
    {"queue", "QUEUE", "search only this queue"},
    {"scan", "N", "look at so many entries at most (100000)"},
    {NULL, NULL, NULL},
};

static const struct command_flag dead_flags[] = {
    {"queue", "QUEUE", "only this queue"},
    {"limit", "N", "so many at most, newest first (20)"},
    {NULL, NULL, NULL},
};

const struct command command_table[] = {
    {"queue list", "", 0, 0, queue_flags,
     "Queues, and how many jobs wait, run, are delayed, parked or dead",
     "OLDEST is the age of the job that waits longest. A number with ~ is an upper bound: Redis "
     "cannot tell any more.",
     cmd_queue_list},
    {"job enqueue", "TYPE [PAYLOAD]", 1, 2, enqueue_flags, "Store one job, and print its id",
     "PAYLOAD is a JSON object ({} if there is none), - for standard input, or @FILE.\n"
     "Exit status 75: not known whether it was stored; repeat with --id and the id printed.",
     cmd_job_enqueue},
    {"job show", "ID", 1, 1, show_flags, "Where a job is, and everything known about it",
     "ID is a job's id, or queue/partition/lane/entry as lists print it, which is found at once. "
     "An id is searched\n"
     "lane by lane around its own time, then wider. A job that succeeded is nowhere.",
     cmd_job_show},
    {"dead list", "", 0, 0, dead_flags, "Dead letters, newest first", NULL, cmd_dead_list},
    {"worker list", "", 0, 0, queue_flags, "Workers: whether they live, and what they hold",
     "alive: registered, and its connection is there. silent: registered, but its connection is "
     "not. fenced: declared\n"
     "dead, its jobs are being recovered. gone: only a name left behind, removed soon.",
     cmd_worker_list},
    {"init", "", 0, 0, NULL, "Create what jobq needs in PostgreSQL; harmless if it is there", NULL,
     cmd_init},
    {"doctor", "", 0, 0, NULL, "Check Redis and PostgreSQL, and say how to mend what is wrong",
     NULL, cmd_doctor},
    {.words = NULL},
};
