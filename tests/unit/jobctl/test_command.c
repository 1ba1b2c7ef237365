/* SPDX-License-Identifier: MIT */
/* command: the command line, and the table it is read against. */
#include <criterion/criterion.h>
#include <string.h>

#include "admin/jobctl/command.h"

static int parse(struct args *a, const char *const *words, jobq_err *err)
{
    int argc = 0;
    while (words[argc] != NULL)
        argc++;
    return args_parse(argc, words, a, err);
}
#define PARSE(a, ...) parse(a, (const char *const[]){"jobctl", __VA_ARGS__, NULL}, &err)

Test(command, takes_flags_before_between_and_after_words)
{
    struct args a;
    jobq_err err = {0};
    cr_assert(PARSE(&a, "--json", "-c", "f", "job", "enqueue", "--lane=high", "t", "--queue", "q",
                    "{}") == JOBQ_OK,
              "%s", err.msg);
    cr_assert_str_eq(a.command->words, "job enqueue");
    cr_assert(args_has(&a, "json"));
    cr_assert_str_eq(args_value(&a, "config"), "f");
    cr_assert_str_eq(args_value(&a, "lane"), "high");
    cr_assert_str_eq(args_value(&a, "queue"), "q");
    cr_assert(a.operand_count == 2 && strcmp(a.operands[1], "{}") == 0);
    cr_assert(args_value(&a, "delay") == NULL);
}

Test(command, takes_the_last_of_a_repeated_flag_and_anything_after_two_dashes)
{
    struct args a;
    jobq_err err = {0};
    cr_assert(PARSE(&a, "job", "enqueue", "--queue", "a", "--queue", "b", "--", "-t", "--json") ==
                  JOBQ_OK,
              "%s", err.msg);
    cr_assert_str_eq(args_value(&a, "queue"), "b");
    cr_assert(a.operand_count == 2 && strcmp(a.operands[0], "-t") == 0 && !args_has(&a, "json"));
}

Test(command, takes_a_dash_as_an_operand)
{
    struct args a;
    jobq_err err = {0};
    cr_assert(PARSE(&a, "job", "enqueue", "t", "-") == JOBQ_OK);
    cr_assert_str_eq(a.operands[1], "-");
}

Test(command, has_limits)
{
    struct args a;
    jobq_err err = {0};
    const char *words[2 * ARGS_MAX] = {"jobctl", "queue", "list"};
    for (size_t i = 3; i < 2 * ARGS_MAX - 1; i++)
        words[i] = "--json";
    cr_assert(parse(&a, words, &err) == JOBQ_EINVAL);
    for (size_t i = 3; i < 2 * ARGS_MAX - 1; i++)
        words[i] = "x";
    cr_assert(parse(&a, words, &err) == JOBQ_EINVAL);
}

static void check_value(const struct command *c, const char *name, enum value_kind kind,
                        const char *choices)
{
    cr_assert((kind == VALUE_WORD) == (choices != NULL), "%s of %s", name, c->words);
}

static void check_flags(const struct command *c, const struct command_flag *flags)
{
    for (const struct command_flag *f = flags; f != NULL && f->name != NULL; f++) {
        check_value(c, f->name, f->kind, f->choices);
        cr_assert(f->help != NULL && (f->kind == VALUE_NONE) == (f->value == NULL), "--%s of %s",
                  f->name, c->words);
        for (const struct command_flag *g = command_globals; g->name != NULL; g++) {
            cr_assert(f == g || strcmp(f->name, g->name) != 0, "--%s of %s hides one of all",
                      f->name, c->words);
            cr_assert(f == g || f->letter == 0 || f->letter != g->letter,
                      "-%c of %s hides one of all", f->letter, c->words);
        }
    }
}

Test(command, has_a_table_that_can_be_read)
{
    for (const struct command *c = command_table; c->words != NULL; c++) {
        bool optional = false;
        cr_assert(c->run != NULL && c->help != NULL);
        check_flags(c, c->flags);
        check_flags(c, command_globals);
        for (const struct command_operand *o = c->operands; o != NULL && o->name != NULL; o++) {
            check_value(c, o->name, o->kind, o->choices);
            cr_assert(o->kind != VALUE_NONE && (o->optional || !optional), "%s of %s", o->name,
                      c->words);
            optional = o->optional;
        }
    }
}

Test(command, takes_one_of_the_choices_and_tells_which_one)
{
    struct args a;
    jobq_err err = {0};
    cr_assert(PARSE(&a, "job", "enqueue", "t", "--lane", "low") == JOBQ_OK);
    cr_assert(args_choice(&a, "lane") == 2);
    cr_assert(PARSE(&a, "job", "enqueue", "t") == JOBQ_OK);
    cr_assert(args_choice(&a, "lane") == -1 && args_operand(&a, 1) == NULL);
    cr_assert(PARSE(&a, "job", "enqueue", "t", "--lane", "lo") == JOBQ_EINVAL);
    cr_assert_str_eq(err.msg, "--lane: not high, normal or low: lo");
}

Test(command, reads_times_with_their_zones)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1", 1},
        {"1970-01-01T00:00:01Z", 1000},
        {"2026-01-02T03:04:05Z", 1767323045000},
        {"2026-01-02T03:04:05.25z", 1767323045250},
        {"2026-01-02T03:04:05.123456Z", 1767323045123},
        {"2026-01-02T04:04:05+01:00", 1767323045000},
        {"2026-01-01T21:34:05-05:30", 1767323045000},
    };
    static const char *const bad[] = {"",
                                      "0",
                                      "-1",
                                      "now",
                                      "2026-01-02",
                                      "2026-01-02T03:04:05",
                                      "2026-01-02T03:04:05Zx",
                                      "2026-01-02T03:04:05+1:00x",
                                      "2026-01-02T03:04:05*01:00",
                                      "1960-01-02T03:04:05Z",
                                      "2026-13-02T03:04:05Z",
                                      "2026-01-02T03:04:05+24:00"};
    struct args a;
    jobq_err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms = -1;
        cr_assert(PARSE(&a, "job", "enqueue", "t", "--due", cases[i].text) == JOBQ_OK);
        cr_assert(args_time(&a, "due", &ms, &err) == JOBQ_OK && ms == cases[i].ms, "%s: %lld",
                  cases[i].text, (long long)ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms = -1;
        cr_assert(PARSE(&a, "job", "enqueue", "t", "--due", bad[i]) == JOBQ_OK);
        cr_assert(args_time(&a, "due", &ms, &err) == JOBQ_EINVAL && ms == -1, "%s", bad[i]);
    }
}
