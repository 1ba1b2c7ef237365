/* SPDX-License-Identifier: MIT */
/* command: reading the command line against the table; see command.h. Help is in help.c. */
#include "admin/jobctl/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"

#define NAMES_MAX 128

/* ---- names ---- */

/* Length of the first word of "job show". */
static size_t first_word(const char *words)
{
    return strcspn(words, " ");
}

static bool is_group(const char *word)
{
    for (const struct command *c = command_table; c->words != NULL; c++) {
        size_t len = first_word(c->words);
        if (c->words[len] == ' ' && strlen(word) == len && memcmp(c->words, word, len) == 0)
            return true;
    }
    return false;
}

/* The command of one word, or of a group and a verb. */
static const struct command *find_command(const char *group, const char *word)
{
    for (const struct command *c = command_table; c->words != NULL; c++) {
        size_t len = group != NULL ? strlen(group) : 0;
        if (group == NULL && strcmp(c->words, word) == 0)
            return c;
        if (group != NULL && strncmp(c->words, group, len) == 0 && c->words[len] == ' ' &&
            strcmp(c->words + len + 1, word) == 0)
            return c;
    }
    return NULL;
}

static int refuse(jobq_err *err, const char *what, const char *given, const char *const *names,
                  size_t n, const char *dashes)
{
    char shown[80];
    const char *nearest = text_nearest(given, names, n);
    text_sanitize(given, strlen(given), shown, sizeof(shown));
    if (nearest != NULL)
        return error_set(err, JOBQ_EINVAL, "unknown %s %s%s; did you mean %s%s?", what, dashes,
                         shown, dashes, nearest);
    return error_set(err, JOBQ_EINVAL, "unknown %s %s%s; see jobctl help", what, dashes, shown);
}

static int refuse_word(const char *group, const char *word, jobq_err *err)
{
    char copies[NAMES_MAX][32];
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (const struct command *c = command_table; c->words != NULL && n < NAMES_MAX; c++) {
        size_t len = first_word(c->words);
        if (group != NULL && (strlen(group) != len || memcmp(c->words, group, len) != 0))
            continue;
        if (group != NULL)
            snprintf(copies[n], sizeof(copies[n]), "%s", c->words + len + 1);
        else
            snprintf(copies[n], sizeof(copies[n]), "%.*s", (int)len, c->words);
        names[n] = copies[n];
        n++;
    }
    char what[48] = "command";
    if (group != NULL)
        snprintf(what, sizeof(what), "command %s", group);
    return refuse(err, what, word, names, n, "");
}

static const struct command_flag *find_in(const struct command_flag *flags, const char *name,
                                          size_t len)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        if (strlen(flags->name) == len && memcmp(flags->name, name, len) == 0)
            return flags;
    }
    return NULL;
}

static const struct command_flag *find_flag(const struct command *c, const char *name, size_t len)
{
    const struct command_flag *f = c != NULL ? find_in(c->flags, name, len) : NULL;
    return f != NULL ? f : find_in(command_globals, name, len);
}

static int refuse_flag(const struct command *c, const char *name, size_t len, jobq_err *err)
{
    char given[64];
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (const struct command_flag *f = c != NULL ? c->flags : NULL; f != NULL && f->name != NULL;
         f++)
        names[n++] = f->name;
    for (const struct command_flag *f = command_globals; f->name != NULL && n < NAMES_MAX; f++)
        names[n++] = f->name;
    text_sanitize(name, len, given, sizeof(given));
    return refuse(err, "flag", given, names, n, "--");
}

/* ---- the line ---- */

struct reader {
    int argc;
    const char *const *argv;
    int at;
    const char *group; /* the first word of two, once read */
    bool only_operands;
    struct args *out;
};

static int keep_flag(struct args *a, const char *name, const char *value, jobq_err *err)
{
    if (a->flag_count == ARGS_MAX)
        return error_set(err, JOBQ_EINVAL, "more than %d flags", ARGS_MAX);
    a->flags[a->flag_count].name = name;
    a->flags[a->flag_count++].value = value;
    return JOBQ_OK;
}

/* "high, normal or low" */
static void list_choices(const char *choices, char *out, size_t out_size)
{
    size_t n = 0;
    out[0] = '\0';
    for (const char *at = choices; *at != '\0' && n < out_size;) {
        size_t len = strcspn(at, " ");
        const char *rest = at[len] == ' ' ? at + len + 1 : at + len;
        const char *between = at == choices ? "" : *rest != '\0' ? ", " : " or ";
        n += (size_t)snprintf(out + n, out_size - n, "%s%.*s", between, (int)len, at);
        at = rest;
    }
}

static int find_choice(const char *choices, const char *word)
{
    int i = 0;
    for (const char *at = choices; *at != '\0'; i++) {
        size_t len = strcspn(at, " ");
        if (strlen(word) == len && memcmp(at, word, len) == 0)
            return i;
        at += len + (at[len] == ' ');
    }
    return -1;
}

static int check_choice(const char *dashes, const char *name, const char *choices,
                        const char *given, jobq_err *err)
{
    char list[240], shown[32];
    if (find_choice(choices, given) >= 0)
        return JOBQ_OK;
    list_choices(choices, list, sizeof(list));
    text_sanitize(given, strlen(given), shown, sizeof(shown));
    return error_set(err, JOBQ_EINVAL, "%s%s: not %s: %s", dashes, name, list, shown);
}

static int take_value(struct reader *r, const struct command_flag *f, const char *given,
                      jobq_err *err)
{
    if (f->value == NULL && given != NULL)
        return error_set(err, JOBQ_EINVAL, "--%s takes no value", f->name);
    if (f->value != NULL && given == NULL) {
        if (r->at >= r->argc)
            return error_set(err, JOBQ_EINVAL, "--%s needs a value: %s", f->name, f->value);
        given = r->argv[r->at++];
    }
    if (f->kind == VALUE_WORD) {
        int rc = check_choice("--", f->name, f->choices, given, err);
        if (rc != JOBQ_OK)
            return rc;
    }
    return keep_flag(r->out, f->name, given, err);
}

static const struct command_flag *find_letter(const struct command *c, char letter)
{
    const struct command_flag *lists[] = {c != NULL ? c->flags : NULL, command_globals};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        for (const struct command_flag *f = lists[i]; f != NULL && f->name != NULL; f++) {
            if (f->letter != 0 && f->letter == letter)
                return f;
        }
    }
    return NULL;
}

static int read_flag(struct reader *r, const char *word, jobq_err *err)
{
    const char *name = word + 2, *value = NULL;
    const struct command_flag *f = NULL;
    if (word[1] != '-') {
        char shown[24];
        f = word[2] == '\0' ? find_letter(r->out->command, word[1]) : NULL;
        text_sanitize(word, strlen(word), shown, sizeof(shown));
        if (f == NULL)
            return error_set(err, JOBQ_EINVAL, "unknown flag %s; see jobctl help", shown);
    } else {
        size_t len = strcspn(name, "=");
        f = find_flag(r->out->command, name, len);
        value = name[len] == '=' ? name + len + 1 : NULL;
        if (f == NULL)
            return refuse_flag(r->out->command, name, len, err);
    }
    int rc = take_value(r, f, value, err);
    r->out->help = r->out->help || strcmp(f->name, "help") == 0;
    r->out->version = r->out->version || strcmp(f->name, "version") == 0;
    return rc;
}

static int read_word(struct reader *r, const char *word, jobq_err *err)
{
    struct args *a = r->out;
    if (a->command != NULL) {
        if (a->operand_count == ARGS_MAX)
            return error_set(err, JOBQ_EINVAL, "more than %d operands", ARGS_MAX);
        a->operands[a->operand_count++] = word;
        return JOBQ_OK;
    }
    if (r->group == NULL && !a->help && strcmp(word, "help") == 0) {
        a->help = true;
        return JOBQ_OK;
    }
    if (r->group == NULL && is_group(word)) {
        r->group = word;
        return JOBQ_OK;
    }
    a->command = find_command(r->group, word);
    return a->command != NULL ? JOBQ_OK : refuse_word(r->group, word, err);
}

static int check_operands(const struct args *a, jobq_err *err)
{
    const struct command *c = a->command;
    size_t n = 0;
    for (const struct command_operand *o = c->operands; o != NULL && o->name != NULL; o++, n++) {
        if (n >= a->operand_count && !o->optional)
            return error_set(err, JOBQ_EINVAL, "%s needs %s; see jobctl help %s", c->words, o->name,
                             c->words);
        if (n < a->operand_count && o->kind == VALUE_WORD) {
            int rc = check_choice("", o->name, o->choices, a->operands[n], err);
            if (rc != JOBQ_OK)
                return rc;
        }
    }
    if (a->operand_count > n)
        return error_set(err, JOBQ_EINVAL, "%s: too many operands; see jobctl help %s", c->words,
                         c->words);
    return JOBQ_OK;
}

int args_parse(int argc, const char *const *argv, struct args *out, jobq_err *err)
{
    struct reader r = {.argc = argc, .argv = argv, .at = 1, .out = out};
    memset(out, 0, sizeof(*out));
    while (r.at < argc) {
        const char *word = argv[r.at++];
        int rc = JOBQ_OK;
        if (!r.only_operands && strcmp(word, "--") == 0)
            r.only_operands = true;
        else if (!r.only_operands && word[0] == '-' && word[1] != '\0')
            rc = read_flag(&r, word, err);
        else
            rc = read_word(&r, word, err);
        if (rc != JOBQ_OK)
            return rc;
    }
    out->help_words = r.group;
    if (out->help || out->version)
        return JOBQ_OK;
    if (out->command == NULL && r.group != NULL)
        return error_set(err, JOBQ_EINVAL, "which %s command? see jobctl help %s", r.group,
                         r.group);
    if (out->command == NULL)
        return error_set(err, JOBQ_EINVAL, "which command? see jobctl help");
    return check_operands(out, err);
}

/* ---- values ---- */

const char *args_value(const struct args *a, const char *flag)
{
    const char *value = NULL;
    for (size_t i = 0; i < a->flag_count; i++) {
        if (strcmp(a->flags[i].name, flag) == 0)
            value = a->flags[i].value;
    }
    return value;
}

const char *args_operand(const struct args *a, size_t i)
{
    return i < a->operand_count ? a->operands[i] : NULL;
}

int args_choice(const struct args *a, const char *flag)
{
    const char *value = args_value(a, flag);
    const struct command_flag *f = find_flag(a->command, flag, strlen(flag));
    return value != NULL && f != NULL && f->choices != NULL ? find_choice(f->choices, value) : -1;
}

bool args_has(const struct args *a, const char *flag)
{
    for (size_t i = 0; i < a->flag_count; i++) {
        if (strcmp(a->flags[i].name, flag) == 0)
            return true;
    }
    return false;
}

int args_int(const struct args *a, const char *flag, int64_t min, int64_t max, int64_t *out,
             jobq_err *err)
{
    int64_t n = 0;
    const char *value = args_value(a, flag);
    if (value == NULL)
        return JOBQ_OK;
    if (text_parse_int(value, &n) != JOBQ_OK || n < min || n > max)
        return error_set(err, JOBQ_EINVAL,
                         "--%s: not a whole number from %" PRId64 " to %" PRId64 ": %.40s", flag,
                         min, max, value);
    *out = n;
    return JOBQ_OK;
}

int args_duration(const struct args *a, const char *flag, int64_t min, int64_t max, int64_t *out,
                  jobq_err *err)
{
    int64_t ms = 0;
    char low[32], high[32];
    const char *value = args_value(a, flag);
    if (value == NULL)
        return JOBQ_OK;
    if (text_parse_duration(value, &ms) == JOBQ_OK && ms >= min && ms <= max) {
        *out = ms;
        return JOBQ_OK;
    }
    text_format_duration(min, low, sizeof(low));
    text_format_duration(max, high, sizeof(high));
    return error_set(err, JOBQ_EINVAL,
                     "--%s: not a duration (500ms, 30s, 10m, 1h, 7d) from %s to %s: %.40s", flag,
                     low, high, value);
}

/* The part behind the seconds: ".5", then "Z" or "+01:00". false: neither. */
static bool read_fraction_and_zone(const char *rest, int64_t *ms)
{
    int64_t scale = 100;
    int hours = 0, minutes = 0, used = 0;
    char sign = 0;
    if (*rest == '.') {
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            *ms += (*rest - '0') * scale;
    }
    if (strcmp(rest, "Z") == 0 || strcmp(rest, "z") == 0)
        return true;
    if (sscanf(rest, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || rest[used] != '\0' ||
        (sign != '+' && sign != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    int64_t offset = (hours * 60 + minutes) * INT64_C(60000);
    *ms += sign == '+' ? -offset : offset;
    return true;
}

int args_time(const struct args *a, const char *flag, int64_t *out, jobq_err *err)
{
    struct tm tm = {0};
    int64_t ms = 0;
    const char *value = args_value(a, flag);
    if (value == NULL)
        return JOBQ_OK;
    if (text_parse_int(value, &ms) == JOBQ_OK && ms > 0) {
        *out = ms;
        return JOBQ_OK;
    }
    ms = 0;
    const char *rest = strptime(value, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL || !read_fraction_and_zone(rest, &ms))
        return error_set(err, JOBQ_EINVAL,
                         "--%s: not Unix milliseconds nor a time like 2026-01-02T03:04:05Z: %.40s",
                         flag, value);
    ms += (int64_t)timegm(&tm) * 1000;
    if (ms <= 0)
        return error_set(err, JOBQ_EINVAL, "--%s: before 1970: %.40s", flag, value);
    *out = ms;
    return JOBQ_OK;
}
