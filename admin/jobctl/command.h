/* SPDX-License-Identifier: MIT */
/*
 * command: the table of commands, and what is read from it: the command line, --help, "did you
 * mean".
 *
 * A new command is one row of the table in commands.c and one function in a cmd_*.c. Everything
 * here is constant; struct args borrows argv.
 */
#ifndef ADMIN_JOBCTL_COMMAND_H
#define ADMIN_JOBCTL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jobq/error.h>

#include "base/base.h"

struct session;
struct args;

/* What a value is: completion offers by it, documents tell by it. The parser itself checks only
 * VALUE_WORD. */
enum value_kind {
    VALUE_NONE, /* a switch */
    VALUE_TEXT, /* anything */
    VALUE_NUMBER,
    VALUE_DURATION, /* 500ms, 30s, 10m, 1h, 7d */
    VALUE_WHEN,     /* Unix ms, or RFC 3339 */
    VALUE_FILE,     /* a path; - too where its help says so */
    VALUE_PAYLOAD,  /* a JSON object, - or @FILE */
    VALUE_WORD,     /* one of choices */
    VALUE_QUEUE,    /* the name of a queue */
    VALUE_TYPE,     /* the name of a type of jobs */
    VALUE_JOB,      /* a job's id, or queue/partition/lane/entry */
    VALUE_WORKER,   /* an incarnation */
    VALUE_COMMAND,  /* words of the table */
};

struct command_flag {
    const char *name; /* without "--" */
    char letter;      /* the short form: 'c' for -c; 0: none */
    enum value_kind kind;
    const char *value;   /* what help calls the value; NULL: a switch */
    const char *choices; /* VALUE_WORD: space-separated; else NULL */
    const char *help;
};

struct command_operand {
    const char *name; /* what help calls it */
    enum value_kind kind;
    const char *choices; /* as of a flag */
    bool optional;
};

struct command {
    const char *words;                      /* "job show" */
    const struct command_operand *operands; /* ended by name NULL; may be NULL */
    const struct command_flag *flags;       /* ended by name NULL; may be NULL */
    const char *help;                       /* one line */
    const char *more;                       /* what else is to be known, or NULL */
    /* JOBQ_OK, or a code whose exit status jobctl gives unless session.status says another one. */
    int (*run)(struct session *s, const struct args *a, jobq_err *err);
    bool hidden; /* of no interest to people: neither help nor completion tells of it */
    bool alone;  /* needs neither Redis nor PostgreSQL: runs without settings */
};

/* All commands, and the flags that each of them takes besides its own; ended by words (name)
 * NULL. */
extern const struct command command_table[];
extern const struct command_flag command_globals[];

#define ARGS_MAX 64
/* A command line that was understood. */
struct args {
    const struct command *command; /* NULL: none was named */
    bool help;
    bool version;
    const char *help_words; /* with help and no command: the group asked about, or NULL */
    struct {
        const char *name;  /* of the table */
        const char *value; /* NULL: a switch */
    } flags[ARGS_MAX];
    size_t flag_count;
    const char *operands[ARGS_MAX];
    size_t operand_count;
};

/* JOBQ_EINVAL with what is wrong, and what was probably meant. */
MUST_CHECK int args_parse(int argc, const char *const *argv, struct args *out, jobq_err *err);
bool args_has(const struct args *a, const char *flag);
/* The last value given; NULL: not given. */
const char *args_value(const struct args *a, const char *flag);
/* NULL: not given. */
const char *args_operand(const struct args *a, size_t i);
/* The place of the value among the flag's choices; -1: not given. */
int args_choice(const struct args *a, const char *flag);

/* These read a flag's value into *out, which stays as it is when the flag was not given.
 * JOBQ_EINVAL. */
MUST_CHECK int args_int(const struct args *a, const char *flag, int64_t min, int64_t max,
                        int64_t *out, jobq_err *err);
MUST_CHECK int args_duration(const struct args *a, const char *flag, int64_t min, int64_t max,
                             int64_t *out, jobq_err *err);
/* Unix ms, or RFC 3339 as in 2026-01-02T03:04:05Z, 2026-01-02T03:04:05.5+01:00. */
MUST_CHECK int args_time(const struct args *a, const char *flag, int64_t *out, jobq_err *err);

/* "TYPE [PAYLOAD]" of a command, cut to the size. */
void command_operands(const struct command *c, char *out, size_t out_size);
/* Help for a command; for a group ("job") or all of them when command is NULL. */
void command_help(const struct args *a, FILE *out);

#endif
