/* SPDX-License-Identifier: MIT */
/* commands: the table of all commands and flags; see command.h. */
#include "admin/jobctl/commands.h"

#include "admin/jobctl/command.h"
#include "admin/jobctl/event_line.h"
#include "admin/jobctl/top_frame.h"

#define SWITCH(the_name, the_letter, the_help)                                                     \
    {                                                                                              \
        .name = (the_name), .letter = (the_letter), .kind = VALUE_NONE, .help = (the_help)         \
    }
#define FLAG(the_name, the_letter, the_kind, the_value, the_help)                                  \
    {                                                                                              \
        .name = (the_name), .letter = (the_letter), .kind = VALUE_##the_kind,                      \
        .value = (the_value), .help = (the_help)                                                   \
    }
#define CHOICE(the_name, the_value, the_choices, the_help)                                         \
    {                                                                                              \
        .name = (the_name), .kind = VALUE_WORD, .value = (the_value), .choices = (the_choices),    \
        .help = (the_help)                                                                         \
    }
#define OPERANDS(...) ((const struct command_operand[]){__VA_ARGS__, {.name = NULL}})
#define NEEDED(the_name, the_kind)                                                                 \
    {                                                                                              \
        .name = (the_name), .kind = VALUE_##the_kind                                               \
    }
#define NEEDED_CHOICE(the_name, the_choices)                                                       \
    {                                                                                              \
        .name = (the_name), .kind = VALUE_WORD, .choices = (the_choices)                           \
    }
#define OPTIONAL(the_name, the_kind)                                                               \
    {                                                                                              \
        .name = (the_name), .kind = VALUE_##the_kind, .optional = true                             \
    }

const struct command_flag command_globals[] = {
    FLAG("config", 'c', FILE, "FILE",
         "jobd's configuration file (default /etc/jobq/jobd.conf, if it is there)"),
    FLAG("env-file", 0, FILE, "FILE", "NAME=value lines that count as environment"),
    FLAG("redis", 0, TEXT, "URL",
         "redis://[user:password@]host:port/db or unix:///path ($JOBQ_REDIS)"),
    FLAG("postgres", 0, TEXT, "CONNINFO", "libpq connection string or URI ($JOBQ_POSTGRES)"),
    FLAG("schema", 0, TEXT, "NAME", "schema of jobq's own tables in PostgreSQL (jobq)"),
    FLAG("key-prefix", 0, TEXT, "WORD", "first part of every Redis key (jobq)"),
    FLAG("timeout", 0, DURATION, "TIME", "give up after so long (10s)"),
    SWITCH("json", 0, "print JSON"),
    SWITCH("no-color", 0, "no colours ($NO_COLOR)"),
    SWITCH("help", 'h', "help for a command"),
    SWITCH("version", 0, "print the version"),
    {.name = NULL},
};

static const struct command_flag queue_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "only this queue"),
    {.name = NULL},
};

#define NOTE_FLAG FLAG("note", 0, TEXT, "TEXT", "why, for the record that audit list shows")

static const struct command_flag purge_flags[] = {
    CHOICE("lane", "LANE", "recovered high normal low later parked",
           "only what waits here: a lane, later (delayed) or parked"),
    SWITCH("dry-run", 0, "only count them, and show the first ones"),
    SWITCH("yes", 0, "do not ask"),
    NOTE_FLAG,
    {.name = NULL},
};

#define PAGE_FLAGS                                                                                 \
    FLAG("queue", 0, QUEUE, "QUEUE", "only of this queue"),                                        \
        FLAG("type", 0, TYPE, "TYPE", "only jobs of this type"),                                   \
        FLAG("limit", 0, NUMBER, "N", "so many at most (20)"),                                     \
        FLAG("after", 0, TEXT, "CURSOR", "go on where the list before ended, as it says"),         \
        FLAG("scan", 0, NUMBER, "N", "look at so many entries at most (100000)")

static const struct command_flag job_list_flags[] = {
    CHOICE("state", "STATE", "queued ready claimed running delayed dead parked",
           "only those in this state; ready is queued, running is claimed"),
    CHOICE("lane", "LANE", "recovered high normal low",
           "only those queued or claimed in this lane"),
    PAGE_FLAGS,
    {.name = NULL},
};

static const struct command_flag parked_flags[] = {
    PAGE_FLAGS,
    {.name = NULL},
};

static const struct command_flag enqueue_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "the queue (default)"),
    CHOICE("lane", "LANE", "high normal low", "high, normal or low (normal)"),
    FLAG("delay", 0, DURATION, "TIME",
         "start not before so long from now, by Redis's clock: 30s, 10m, 1h, 7d"),
    FLAG("due", 0, WHEN, "WHEN", "start not before: Unix ms, or 2026-01-02T03:04:05Z"),
    FLAG("expires", 0, DURATION, "TIME", "not started so long after now: never started"),
    FLAG("max-attempts", 0, NUMBER, "N", "failures before it is a dead letter"),
    FLAG("soft-limit", 0, DURATION, "TIME", "running time after which it is asked to stop"),
    FLAG("hard-limit", 0, DURATION, "TIME", "running time after which it is killed"),
    FLAG("unique", 0, TEXT, "KEY", "while a job holds this key, others are duplicates"),
    FLAG("id", 0, TEXT, "ID", "its id: to repeat an enqueue whose answer was lost"),
    {.name = NULL},
};

static const struct command_flag show_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "search only this queue"),
    FLAG("scan", 0, NUMBER, "N", "look at so many entries at most (100000)"),
    {.name = NULL},
};

#define FILTER_FLAGS                                                                               \
    FLAG("type", 0, TYPE, "TYPE", "only jobs of this type"),                                       \
        CHOICE("reason", "REASON", "permanent exhausted expired corrupt",                          \
               "only those that died of this"),                                                    \
        FLAG("error", 0, TEXT, "TEXT", "only those whose error contains this"),                    \
        FLAG("older-than", 0, DURATION, "TIME", "only those that died so long ago or longer: 1h"), \
        FLAG("newer-than", 0, DURATION, "TIME", "only those that died since"),                     \
        FLAG(                                                                                      \
            "field", 0, TEXT, "PATH=VALUE",                                                        \
            "only those with this in their payload, as user.id=17 or tags.0=new; may be repeated")
#define BULK_FLAGS                                                                                 \
    FLAG("queue", 0, QUEUE, "QUEUE", "only of this queue"), FILTER_FLAGS,                          \
        SWITCH("all", 0, "all of them"),                                                           \
        FLAG("limit", 0, NUMBER, "N", "so many at most, oldest first"),                            \
        SWITCH("dry-run", 0, "only count them, and show the first ones"),                          \
        SWITCH("yes", 0, "do not ask"), NOTE_FLAG

static const struct command_flag dead_list_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "only this queue"),
    FILTER_FLAGS,
    FLAG("limit", 0, NUMBER, "N", "so many at most, newest first (20)"),
    FLAG("after", 0, TEXT, "PLACE", "go on behind this one, as the list before says"),
    {.name = NULL},
};

static const struct command_flag dead_retry_flags[] = {
    BULK_FLAGS,
    FLAG("payload", 0, PAYLOAD, "PAYLOAD", "of one job: with this payload instead of its own"),
    FLAG("edit", 0, FILE, "FILE", "the same, from a file (- for standard input)"),
    {.name = NULL},
};

static const struct command_flag dead_discard_flags[] = {
    BULK_FLAGS,
    {.name = NULL},
};

static const struct command_flag audit_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "only of this queue"),
    FLAG("limit", 0, NUMBER, "N", "so many at most, newest first (20)"),
    FLAG("after", 0, TEXT, "CURSOR", "go on where the list before ended, as it says"),
    {.name = NULL},
};

static const struct command_flag config_flags[] = {
    SWITCH("changed", 0, "only what is not as it is by default"),
    {.name = NULL},
};

static const struct command_flag top_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "only this queue and its workers"),
    FLAG("interval", 0, DURATION, "TIME", "how often to look (2s)"),
    CHOICE("sort", "ORDER", TOP_ORDERS, "what comes first (waiting)"),
    SWITCH("reverse", 0, "the other way round"),
    SWITCH("once", 0, "print one picture, and end"),
    {.name = NULL},
};

static const struct command_flag tail_flags[] = {
    FLAG("queue", 0, QUEUE, "QUEUE", "only of this queue"),
    FLAG("type", 0, TYPE, "TYPE", "only of jobs of this type; may be repeated"),
    CHOICE("event", "EVENT", EVENT_WORDS, "only these events; may be repeated"),
    FLAG("worker", 0, WORKER, "WORKER",
         "only what this worker says, or those whose names begin so; may be repeated"),
    FLAG("limit", 0, NUMBER, "N", "end after so many"),
    {.name = NULL},
};

const struct command command_table[] = {
    {"queue list", NULL, queue_flags,
     "Queues, and how many jobs wait, run, are delayed, parked or dead",
     "OLDEST is the age of the job that waits longest. A number with ~ is an upper bound: Redis "
     "cannot tell any more.",
     .run = cmd_queue_list},
    {"queue show", OPERANDS(NEEDED("QUEUE", QUEUE)), NULL,
     "One queue: its lanes, its partitions, and the books of its dead letters",
     "A number with ~ is an upper bound: Redis cannot tell any more. Dead letters ever are those "
     "written since the queue "
     "began:\n"
     "each of them is there, was retried, was discarded, or was dropped by jobd (dead_max, "
     "dead_retention), so none is unaccounted for unless somebody deleted them past jobctl.",
     .run = cmd_queue_show},
    {"queue purge", OPERANDS(NEEDED("QUEUE", QUEUE)), purge_flags,
     "Delete the jobs that wait in a queue, for good",
     "Those in its lanes that no worker has claimed, the delayed ones and the parked ones, as far "
     "as "
     "they are there when\n"
     "it begins; their unique keys become free. What runs goes on, dead letters stay (see dead "
     "discard). Stopped in the\n"
     "middle, it has deleted some; run it again for the rest.",
     .run = cmd_queue_purge},
    {"job enqueue", OPERANDS(NEEDED("TYPE", TYPE), OPTIONAL("PAYLOAD", PAYLOAD)), enqueue_flags,
     "Store one job, and print its id",
     "PAYLOAD is a JSON object ({} if there is none), - for standard input, or @FILE.\n"
     "Exit status 75: not known whether it was stored; repeat with --id and the id printed.",
     .run = cmd_job_enqueue},
    {"job list", NULL, job_list_flags, "Jobs, lane by lane, oldest first",
     "claimed: handed to a worker, which runs it or is about to. A page ends with the cursor of "
     "the "
     "next one. Jobs move\n"
     "while the list is read: one that does may be listed twice or not at all.",
     .run = cmd_job_list},
    {"job show", OPERANDS(NEEDED("ID", JOB)), show_flags,
     "Where a job is, and everything known about it",
     "ID is a job's id, or queue/partition/lane/entry as lists print it, which is found at once. "
     "An id is searched\n"
     "lane by lane around its own time, then wider. A job that succeeded is nowhere.",
     .run = cmd_job_show},
    {"dead list", NULL, dead_list_flags, "Dead letters, newest first", NULL, .run = cmd_dead_list},
    {"dead show", OPERANDS(NEEDED("ID", JOB)), show_flags,
     "One dead letter: its payload, its counts, its last error",
     "ID is a job's id, or the place that dead list prints, which is found at once.",
     .run = cmd_dead_show},
    {"dead retry", OPERANDS(OPTIONAL("ID", JOB)), dead_retry_flags,
     "Put dead letters back into their lanes, to run again",
     "Either one, by its id or place; or all that pass every filter given; or --all. A job keeps "
     "its "
     "id; its counts\n"
     "start at 0 and its expiry anew. Each is put back whole or not at all, and once, however many "
     "ask for it; stopped\n"
     "in the middle, run it again: it takes those that are left. A job whose unique key is held by "
     "another one stays.\n"
     "Those that die while it runs are not taken. Exit status 1: some stay.",
     .run = cmd_dead_retry},
    {"dead discard", OPERANDS(OPTIONAL("ID", JOB)), dead_discard_flags,
     "Delete dead letters for good",
     "Either one, by its id or place; or all that pass every filter given; or --all.",
     .run = cmd_dead_discard},
    {"parked list", NULL, parked_flags,
     "Jobs that no worker here can run: of an unknown type, or of a newer format",
     "They wait until a worker comes that knows them, and go back to their queue by themselves.",
     .run = cmd_parked_list},
    {"audit list", NULL, audit_flags,
     "What operators did: who, when, by which command, to how many jobs",
     "One record for each act and partition: of queue purge, dead retry and dead discard, as far "
     "as they changed anything. "
     "It is\n"
     "written in the step that changes the jobs, so it is true whatever stopped the act. WHEN is "
     "the time of its last step. "
     "About\n"
     "10000 are kept of each partition.",
     .run = cmd_audit_list},
    {"worker list", NULL, queue_flags, "Workers: whether they live, and what they hold",
     "alive: registered, and its connection is there. silent: registered, but its connection is "
     "not. fenced: declared\n"
     "dead, its jobs are being recovered. gone: only a name left behind, removed soon. WORK is "
     "what\n"
     "it says itself: ready, not ready (worker show tells why) or draining; rates are of the last "
     "minute, MEMORY is\n"
     "that of jobd and its executors. A narrow terminal gets fewer columns.",
     .run = cmd_worker_list},
    {"worker show", OPERANDS(NEEDED("WORKER", WORKER)), NULL,
     "One worker: its executors, its running jobs, rates and memory",
     "WORKER is a name as worker list prints it, or its beginning if no other worker begins so.",
     .run = cmd_worker_show},
    {"config show", NULL, config_flags, "Every option of jobd: its value, and where it comes from",
     "As a jobd would see them that had the same file, environment and flags. Secrets are shown as "
     "(set), never in clear.",
     .run = cmd_config_show, .alone = true},
    {"config check", OPERANDS(NEEDED("FILE", FILE)), NULL,
     "Whether jobd would take a configuration file; exit status 78: no",
     "Says what jobd would say, the environment included.", .run = cmd_config_check, .alone = true},
    {"init", NULL, NULL, "Create what jobq needs in PostgreSQL; harmless if it is there", NULL,
     .run = cmd_init},
    {"doctor", NULL, NULL, "Check Redis and PostgreSQL, and say how to mend what is wrong", NULL,
     .run = cmd_doctor},
    {"top", NULL, top_flags, "A live view of queues, workers and running jobs",
     "Keys: q quits, h tells the others. P50, P95: half, or 95 of 100, of the runs (or of the "
     "waits "
     "before them) of the\n"
     "last minutes took no longer. --once --json: the numbers of one look.",
     .run = cmd_top},
    {"tail", NULL, tail_flags, "What happens to jobs, as it happens, until Ctrl-C",
     "Shown from up to a second after the start; what happened before is not kept anywhere. Times "
     "are UTC. A flag that\n"
     "may be repeated shows what passes any of its values. skipped: so many were left out, as "
     "more happened than is told.\n"
     "--json: one object a line. A Redis that is gone is waited for. Exit status 130 after "
     "Ctrl-C.",
     .run = cmd_tail},
    {"completion", OPERANDS(NEEDED_CHOICE("SHELL", "bash zsh fish")), NULL,
     "Print the script by which a shell completes jobctl",
     "bash: eval \"$(jobctl completion bash)\"; zsh: the same, after compinit; fish: jobctl "
     "completion fish | source.",
     .run = cmd_completion, .alone = true},
    {"print-man", NULL, NULL, "Write jobctl(1), for scdoc", NULL, .run = cmd_print_man,
     .hidden = true, .alone = true},
    {.words = NULL},
};
