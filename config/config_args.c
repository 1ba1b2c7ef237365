/* SPDX-License-Identifier: MIT */
/*
 * config_args: the table of options, the command line, and what jobd prints about itself.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "config/config_impl.h"

#define NAME_SIZE 96

#define WEEK_MS 604800000
#define MONTH_MS 2592000000 /* 30 days: every limit fits in 32 bits */

static const struct conf_option queue_fields[] = {
    {.name = "name",
     .type = CONF_STRING,
     .applies = CONF_START,
     .help = "Its name: 1 to 64 of a-z 0-9 _ . : -"},
    {.name = "weight",
     .type = CONF_INT,
     .fallback = "1",
     .applies = CONF_LIVE,
     .min = 1,
     .max = 1000,
     .help = "Its share beside the other queues."},
    {.name = "partitions",
     .type = CONF_INT,
     .fallback = "1",
     .applies = CONF_START,
     .min = 1,
     .max = 256,
     .help = "Partitions it gets if it is new; those of a queue that is there stay."},
    {.name = NULL},
};

#define FIELD(n, t, lo, hi, h)                                                                     \
    {                                                                                              \
        .name = (n), .type = (t), .min = (lo), .max = (hi), .help = (h)                            \
    }

static const struct conf_option type_fields[] = {
    FIELD("name", CONF_STRING, 0, 0, "The type: 1 to 64 of a-z 0-9 _ . : -"),
    FIELD("max_attempts", CONF_INT, 1, 65535, "Instead of max_attempts."),
    FIELD("backoff", CONF_MS, 0, WEEK_MS, "Instead of backoff."),
    FIELD("backoff_cap", CONF_MS, 0, MONTH_MS, "Instead of backoff_cap."),
    FIELD("soft_limit", CONF_MS, 1, MONTH_MS, "Instead of soft_limit."),
    FIELD("hard_limit", CONF_MS, 0, MONTH_MS + HARD_ABOVE_SOFT_MS,
          "Instead of hard_limit. Not set, or 0, beside a soft_limit of its own: that and 10 s."),
    {.name = NULL},
};

#define ROW(n, t, d, a, ...)                                                                       \
    {.name = (n), .type = (t), .fallback = (d), .applies = (a), __VA_ARGS__},
#define TEXT(n, d, a, other, h)                                                                    \
    ROW(n, CONF_STRING, d, CONF_##a, .foreign_env = (other), .help = (h))
#define ADDRESS(n, d, a, other, h)                                                                 \
    ROW(n, CONF_STRING, d, CONF_##a, .foreign_env = (other), .is_address = true, .help = (h))
#define SECRET(n, a, other, h)                                                                     \
    ROW(n, CONF_SECRET, NULL, CONF_##a, .foreign_env = (other), .help = (h))
#define BOOL(n, d, a, h) ROW(n, CONF_BOOL, d, CONF_##a, .help = (h))
#define RANGE(t, n, d, a, lo, hi, h) ROW(n, t, d, a, .min = (lo), .max = (hi), .help = (h))
#define NUMBER(n, d, a, lo, hi, h) RANGE(CONF_INT, n, d, CONF_##a, lo, hi, h)
#define MS(n, d, a, lo, hi, h) RANGE(CONF_MS, n, d, CONF_##a, lo, hi, h)
#define BYTES(n, d, a, lo, hi, h) RANGE(CONF_BYTES, n, d, CONF_##a, lo, hi, h)
#define CHOICE(n, d, a, words, h) ROW(n, CONF_CHOICE, d, CONF_##a, .choices = (words), .help = (h))
#define STRINGS(n, a, h) ROW(n, CONF_STRINGS, NULL, CONF_##a, .help = (h))
#define GROUPS(n, a, f, h) ROW(n, CONF_GROUPS, NULL, CONF_##a, .fields = (f), .help = (h))

static const struct conf_option table[] = {
#include "config/config.def"
    {.name = NULL},
};

const struct conf_option *config_table(void)
{
    return table;
}

/* ---- argv ---- */

struct arg {
    char name[NAME_SIZE]; /* without dashes */
    const char *value;    /* NULL for those that have none */
};

static const struct {
    const char *name;
    enum config_command command;
} commands[] = {
    {"help", CONFIG_HELP},
    {"version", CONFIG_VERSION},
    {"check", CONFIG_TRY},
    {"print-sample", CONFIG_PRINT_SAMPLE},
    {"print-markdown", CONFIG_PRINT_MARKDOWN},
    {"print-man", CONFIG_PRINT_MAN},
    {"print-metrics", CONFIG_PRINT_METRICS},
};

/* NULL when it is none. */
static const enum config_command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i].command;
    return NULL;
}

static bool is_file_flag(const char *name)
{
    return strcmp(name, "config") == 0 || strcmp(name, "env-file") == 0;
}

/* "-c", "-cFILE", "-h", "--name", "--name=value" */
static int split(const char *text, struct arg *out, jobq_err *err)
{
    out->value = NULL;
    if (strcmp(text, "-h") == 0) {
        snprintf(out->name, sizeof(out->name), "help");
        return JOBQ_OK;
    }
    if (text[0] == '-' && text[1] == 'c') {
        snprintf(out->name, sizeof(out->name), "config");
        out->value = text[2] ? text + 2 : NULL;
        return JOBQ_OK;
    }
    size_t len = strcspn(text, "=");
    if (strncmp(text, "--", 2) != 0 || len < 3)
        return error_set(err, JOBQ_EINVAL, "unexpected argument %.60s; see --help", text);
    if (len - 2 >= sizeof(out->name))
        return error_set(err, JOBQ_EINVAL, "unknown option %.60s…; see --help", text);
    snprintf(out->name, sizeof(out->name), "%.*s", (int)(len - 2), text + 2);
    out->value = text[len] ? text + len + 1 : NULL;
    return JOBQ_OK;
}

/* The argument at *i, with its value; *i moves past both. */
static int next_arg(const struct config_sources *s, int *i, struct arg *out, jobq_err *err)
{
    int code = split(s->argv[(*i)++], out, err);
    if (code != JOBQ_OK)
        return code;
    if (find_command(out->name))
        return out->value ? error_set(err, JOBQ_EINVAL, "--%s takes no value", out->name) : JOBQ_OK;
    if (!is_file_flag(out->name) && conf_check_flag(table, out->name, err) != JOBQ_OK) {
        if (err)
            err->code = JOBQ_EINVAL; /* a wrong use of jobd, not a wrong configuration */
        return JOBQ_EINVAL;
    }
    if (!out->value && *i < s->argc)
        out->value = s->argv[(*i)++];
    return out->value ? JOBQ_OK : error_set(err, JOBQ_EINVAL, "--%s needs a value", out->name);
}

int config_read_args(struct config_sources *s, enum config_command *command, struct conf *conf,
                     jobq_err *err)
{
    struct arg arg;
    int code = JOBQ_OK;
    *command = CONFIG_RUN;
    for (int i = 1; code == JOBQ_OK && i < s->argc;) {
        code = next_arg(s, &i, &arg, err);
        if (code != JOBQ_OK)
            break;
        const enum config_command *c = find_command(arg.name);
        if (c)
            *command = *command == CONFIG_RUN ? *c : *command;
        else if (strcmp(arg.name, "config") == 0)
            s->file = arg.value;
        else if (strcmp(arg.name, "env-file") == 0)
            s->env_file = arg.value;
        else if (conf)
            code = conf_set_flag(conf, arg.name, arg.value, err);
    }
    return code;
}

/* ---- documents ---- */

static const char usage[] =
    "usage: jobd [-c FILE] [--env-file FILE] [--OPTION VALUE]…\n"
    "\n"
    "Runs jobs from Redis. Stays in the foreground, logs to stderr, drains on SIGTERM, reads its\n"
    "configuration again on SIGHUP.\n"
    "\n"
    "  -c FILE           configuration; else " WORKER_CONFIG_FILE ", if it is there\n"
    "  --env-file FILE   lines of NAME=value that count as environment\n"
    "  --check           read and check the configuration, show every value and its source, exit\n"
    "  --print-sample    write a commented configuration file\n"
    "  --print-markdown  write the options as a page\n"
    "  --print-man       write jobq.conf(5), for scdoc\n"
    "  --print-metrics   write the metrics as a page\n"
    "  --version, --help\n"
    "\n"
    "A value from a flag counts before the environment (JOBQ_REDIS for --redis), that before the\n"
    "environment file, that before the configuration file, which alone has lists.\n"
    "JOBQ_MAIL_PASSWORD_FILE and the like name a file that holds the value.\n"
    "\n";

static const char markdown[] =
    "# Options of jobd\n"
    "\n"
    "Written by `jobd --print-markdown` from `config/config.def`; do not edit.\n"
    "\n"
    "A value comes from, in this order: a flag (`--mail-url` for `mail.url`), the\n"
    "environment, the file of `--env-file`, the configuration file, the default. An\n"
    "option with a dot is a member of a group in the file: `mail = { url = \"…\"; };`.\n"
    "Lists (`queues`, `types`, `modules`) come from the file only. Durations are whole\n"
    "milliseconds or texts such as `\"500ms\"`, `\"30s\"`, `\"10m\"`, `\"1h\"`, `\"7d\"`; sizes "
    "are\n"
    "bytes or texts such as `\"256KiB\"`, `\"1MiB\"`. An empty text means not set.\n"
    "\n"
    "`…_FILE` after an environment name, `_file` after an option in the file and `-file`\n"
    "after a flag name a file that holds the value; a configuration file that everybody\n"
    "may read must not hold passwords itself. `@include \"other.conf\"` on a line of its\n"
    "own includes a file from beside the one it stands in.\n"
    "\n"
    "Where neither file nor environment sets ours, the forum's own variables are used:\n"
    "`POSTGRES_HOST`, `_PORT`, `_DB`, `_USER`, `_PASSWORD` for `postgres`; `REDIS_HOST`,\n"
    "`_PORT`, `_PASSWORD` for `redis`; `MISAGO_EMAIL_HOST`, `_PORT`, `_USER`,\n"
    "`_PASSWORD`, `_USE_TLS`, `_USE_SSL` for `mail.url`, `mail.user`, `mail.password`,\n"
    "`mail.tls`.\n"
    "\n"
    "SIGHUP reads everything again. What takes effect at start cannot change then: such a\n"
    "change is refused as a whole.\n";

static const char sample[] =
    "# Configuration of jobd, in the syntax of libconfig. Written by jobd --print-sample: every\n"
    "# option with its default, or with … where there is none. Remove the # before what you\n"
    "# change; docs/options.md says more.\n"
    "# Passwords: keep this file unreadable for others (chmod o-r), or name a file:\n"
    "# password_file = \"/path\".\n";

static const char man_head[] =
    "jobq.conf(5) \"jobq\" \"jobq\"\n"
    "\n"
    "; Written by jobd --print-man from config/config.def; do not edit.\n"
    "\n"
    "# NAME\n"
    "\n"
    "jobq.conf - configuration of jobd and jobctl\n"
    "\n"
    "# SYNOPSIS\n"
    "\n" WORKER_CONFIG_FILE "\n"
    "\n"
    "# DESCRIPTION\n"
    "\n"
    "A file in the syntax of libconfig: *name = value;* each, texts in double quotes, comments\n"
    "behind *#*. An option with a dot is a member of a group: *mail = { url = \"...\"; };*.\n"
    "*jobd --print-sample* writes one with every option and its default; *jobctl config check*\n"
    "says whether jobd would take it, *jobctl config show* where each value comes from.\n"
    "\n"
    "A value comes from, in this order: a flag (*--mail-url* for mail.url), the environment\n"
    "(JOBQ\\_MAIL\\_URL), the file of *--env-file*, this file, the default. Lists come from this\n"
    "file only. Durations are whole milliseconds or texts such as \"500ms\", \"30s\", \"10m\",\n"
    "\"1h\", \"7d\"; sizes are bytes or texts such as \"256KiB\", \"1MiB\". An empty text means\n"
    "not set.\n"
    "\n"
    "\\_FILE after the name of a variable, \\_file after that of an option and -file after that "
    "of\n"
    "a flag name a file that holds the value. A file that everybody may read must not hold\n"
    "passwords itself. *@include \"other.conf\"* on a line of its own includes a file from beside\n"
    "the one it stands in. SIGHUP reads everything again; what takes effect at start only cannot\n"
    "change then, and such a change is refused as a whole.\n"
    "\n"
    "# OPTIONS\n";

static const char man_tail[] =
    "\n"
    "# EXAMPLE\n"
    "\n"
    "```\n"
    "redis = \"redis://localhost:6379/0\";\n"
    "postgres = \"host=/run/postgresql dbname=forum user=jobq_worker\";\n"
    "queues = ( { name = \"default\"; weight = 2; }, { name = \"mail\"; } );\n"
    "modules = ( \"recount\", \"notify\", \"mail\" );\n"
    "mail = { url = \"smtp://localhost\"; password_file = \"/etc/jobq/mail.password\"; };\n"
    "```\n"
    "\n"
    "# SEE ALSO\n"
    "\n"
    "*jobd*(8), *jobctl*(1)\n";

void config_do_command(enum config_command command, void (*print_metrics)(FILE *out))
{
    switch (command) {
    case CONFIG_HELP:
        fputs(usage, stdout);
        conf_print(table, CONF_HELP, stdout);
        break;
    case CONFIG_VERSION:
        fprintf(stdout, "jobd %s\n", jobq_version());
        break;
    case CONFIG_PRINT_SAMPLE:
        fputs(sample, stdout);
        conf_print(table, CONF_SAMPLE, stdout);
        break;
    case CONFIG_PRINT_MARKDOWN:
        fputs(markdown, stdout);
        conf_print(table, CONF_MARKDOWN, stdout);
        break;
    case CONFIG_PRINT_MAN:
        fputs(man_head, stdout);
        conf_print(table, CONF_MAN, stdout);
        fputs(man_tail, stdout);
        break;
    case CONFIG_PRINT_METRICS:
        print_metrics(stdout);
        break;
    case CONFIG_RUN:
    case CONFIG_TRY:
        break;
    }
}

void config_print_values(struct conf *conf)
{
    for (const struct conf_option *o = table; o->name; o++) {
        fprintf(stdout, "%s = %s", o->name, conf_show(conf, o->name));
        fprintf(stdout, "  # %s\n", conf_source(conf, o->name));
    }
}
