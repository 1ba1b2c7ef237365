/* SPDX-License-Identifier: MIT */
/*
 * conf_print: values and tables for people. What it writes are documents of the product: keep them
 * stable.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/conf_impl.h"
#include "base/text.h"

#define TEXT_MAX 64

/* ---- one value ---- */

static void format_size(int64_t bytes, char out[static TEXT_MAX])
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (unit + 1 < ARRAY_LEN(units) && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, TEXT_MAX, "%" PRId64 "%s", bytes, units[unit]);
}

static void format_number(const struct conf_option *o, int64_t number, char out[static TEXT_MAX])
{
    if (o->type == CONF_MS)
        text_format_duration(number, out, TEXT_MAX);
    else if (o->type == CONF_BYTES)
        format_size(number, out);
    else
        snprintf(out, TEXT_MAX, "%" PRId64, number);
}

/* "one of weighted, strict" */
static void describe_choices(const char *choices, char out[static CONF_ALLOWED_MAX])
{
    size_t n = (size_t)snprintf(out, CONF_ALLOWED_MAX, "one of ");
    while (*choices && n < CONF_ALLOWED_MAX) {
        size_t len = strcspn(choices, " ");
        size_t next = len + strspn(choices + len, " ");
        n += (size_t)snprintf(out + n, CONF_ALLOWED_MAX - n, "\"%.*s\"%s", (int)len, choices,
                              choices[next] ? ", " : "");
        choices += next;
    }
}

static void describe_range(const struct conf_option *o, const char *what, const char *such,
                           char out[static CONF_ALLOWED_MAX])
{
    char min[TEXT_MAX];
    char max[TEXT_MAX];
    format_number(o, o->min, min);
    format_number(o, o->max, max);
    if (o->max == 0)
        snprintf(out, CONF_ALLOWED_MAX, "%s of at least %s%s", what, min, such);
    else
        snprintf(out, CONF_ALLOWED_MAX, "%s from %s to %s%s", what, min, max, such);
}

void conf_describe(const struct conf_option *o, char out[static CONF_ALLOWED_MAX])
{
    const char *fixed = "";
    switch (o->type) {
    case CONF_INT:
        describe_range(o, "a whole number", "", out);
        return;
    case CONF_MS:
        describe_range(o, "a duration",
                       o->max && o->max < 30000 ? ", such as \"500ms\"" : ", such as \"30s\"", out);
        return;
    case CONF_BYTES:
        describe_range(o, "a size", ", such as \"256KiB\"", out);
        return;
    case CONF_CHOICE:
        describe_choices(o->choices, out);
        return;
    case CONF_STRING:
    case CONF_SECRET:
        fixed = "a string in quotes";
        break;
    case CONF_BOOL:
        fixed = "true or false";
        break;
    case CONF_STRINGS:
        fixed = "a list of strings, ( \"…\", \"…\" )";
        break;
    case CONF_GROUPS:
        fixed = "a list of groups, ( { … }, { … } )";
        break;
    }
    snprintf(out, CONF_ALLOWED_MAX, "%s", fixed);
}

/* ---- conf_show ---- */

static void show_value(const struct conf_option *o, const struct conf_value *v, struct buf *b);

static void show_groups(const struct conf_value *v, struct buf *b)
{
    for (size_t i = 0; i < v->count; i++) {
        const struct conf_group *g = &v->groups[i];
        buf_append_str(b, i ? ", {" : "{");
        for (size_t f = 0; g->fields[f].name; f++) {
            if (!g->values[f].is_set)
                continue;
            buf_appendf(b, " %s = ", g->fields[f].name);
            show_value(&g->fields[f], &g->values[f], b);
            buf_append_char(b, ';');
        }
        buf_append_str(b, " }");
    }
}

static void show_value(const struct conf_option *o, const struct conf_value *v, struct buf *b)
{
    char number[TEXT_MAX];
    if (!v->is_set) {
        buf_append_str(b, "(not set)");
        return;
    }
    switch (o->type) {
    case CONF_SECRET:
        buf_append_str(b, "***");
        break;
    case CONF_STRING:
    case CONF_CHOICE:
        if (o->is_address && !strpbrk(v->text, ":="))
            buf_append_str(b, "***");
        else
            conf_mask(v->text, b);
        break;
    case CONF_BOOL:
        buf_append_str(b, v->number ? "true" : "false");
        break;
    case CONF_INT:
    case CONF_MS:
    case CONF_BYTES:
        format_number(o, v->number, number);
        buf_append_str(b, number);
        break;
    case CONF_STRINGS:
        for (size_t i = 0; i < v->count; i++) {
            buf_append_str(b, i ? ", " : "");
            text_append_json(b, v->strings[i], strlen(v->strings[i]));
        }
        break;
    case CONF_GROUPS:
        show_groups(v, b);
        break;
    }
}

const char *conf_show(struct conf *c, const char *name)
{
    const struct conf_option *o = conf_find(c->table, name, strlen(name), false);
    ASSERT(o);
    buf_clear(&c->shown);
    show_value(o, &c->values[o - c->table], &c->shown);
    if (c->shown.failed)
        return "(out of memory)";
    return c->shown.data ? c->shown.data : "";
}

/* ---- documents ---- */

/* The value that stands for "not set" in a sample, by type. */
static const char *placeholder(const struct conf_option *o)
{
    switch (o->type) {
    case CONF_INT:
        return "1";
    case CONF_BOOL:
        return "false";
    case CONF_MS:
        return "\"10s\"";
    case CONF_BYTES:
        return "\"1MiB\"";
    default:
        return "\"…\"";
    }
}

static bool is_quoted(const struct conf_option *o)
{
    return o->type != CONF_INT && o->type != CONF_BOOL;
}

static bool is_list(const struct conf_option *o)
{
    return o->type == CONF_STRINGS || o->type == CONF_GROUPS;
}

static void print_default(const struct conf_option *o, FILE *out)
{
    if (!o->fallback)
        fputs(placeholder(o), out);
    else
        fprintf(out, is_quoted(o) ? "\"%s\"" : "%s", o->fallback);
}

/* What is allowed, as a sentence; nothing for plain strings. */
static void print_allowed(const struct conf_option *o, const char *before, const char *after,
                          FILE *out)
{
    char allowed[CONF_ALLOWED_MAX];
    if (o->type == CONF_STRING || o->type == CONF_SECRET || is_list(o))
        return;
    conf_describe(o, allowed);
    allowed[0] = (char)toupper((unsigned char)allowed[0]);
    fprintf(out, "%s%s.%s", before, allowed, after);
}

static void print_help(const struct conf_option *table, FILE *out)
{
    char flag[CONF_NAME_MAX + 8];
    for (const struct conf_option *o = table; o->name; o++) {
        if (is_list(o))
            continue;
        conf_flag_name(o->name, flag);
        fprintf(out, "  %s VALUE\n      %s\n", flag, o->help);
        print_allowed(o, "      ", "\n", out);
        if (o->fallback)
            fprintf(out, "      Default: %s.\n", o->fallback);
    }
}

static void print_sample_list(const struct conf_option *o, FILE *out)
{
    fprintf(out, "#%s = (", o->name);
    if (o->type == CONF_STRINGS) {
        fputs(" \"…\" );\n", out);
        return;
    }
    fputs(" {\n", out);
    for (const struct conf_option *f = o->fields; f->name; f++) {
        fprintf(out, "#    %s = ", f->name);
        print_default(f, out);
        fprintf(out, "; // %s\n", f->help);
    }
    fputs("#} );\n", out);
}

static size_t group_length(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot ? (size_t)(dot - name) : 0;
}

static bool same_group(const char *a, const char *b)
{
    size_t n = group_length(a);
    return n > 0 && n == group_length(b) && memcmp(a, b, n) == 0;
}

static void print_sample_option(const struct conf_option *o, size_t group, FILE *out)
{
    const char *before = group ? "    # " : "# ";
    fprintf(out, "%s%s\n", before, o->help);
    print_allowed(o, before, "\n", out);
    fprintf(out, "%s%s\n", before,
            o->applies == CONF_LIVE ? "Takes effect at reload." : "Takes effect at start.");
    if (is_list(o)) {
        print_sample_list(o, out);
        return;
    }
    fprintf(out, group ? "#    %s = " : "#%s = ", o->name + (group ? group + 1 : 0));
    print_default(o, out);
    fputs(";\n", out);
}

static void print_sample(const struct conf_option *table, FILE *out)
{
    for (const struct conf_option *o = table; o->name; o++) {
        size_t group = group_length(o->name);
        fputc('\n', out);
        if (group && (o == table || !same_group(o->name, o[-1].name)))
            fprintf(out, "#%.*s = {\n", (int)group, o->name);
        print_sample_option(o, group, out);
        if (group && (!o[1].name || !same_group(o->name, o[1].name)))
            fputs("#};\n", out);
    }
}

static void print_markdown_rows(const struct conf_option *table, bool fields, FILE *out)
{
    fputs(fields ? "\n| field | value | default | takes effect | meaning |\n|---|---|---|---|---|\n"
                 : "\n| option | value | default | takes effect | environment | meaning |\n"
                   "|---|---|---|---|---|---|\n",
          out);
    for (const struct conf_option *o = table; o->name; o++) {
        char env[CONF_NAME_MAX + 8];
        char allowed[CONF_ALLOWED_MAX];
        conf_env_name(o->name, env);
        conf_describe(o, allowed);
        fprintf(out, "| `%s` | %s | ", o->name, allowed);
        fprintf(out, o->fallback ? "`%s`" : "%s", o->fallback ? o->fallback : "");
        fprintf(out, " | %s | ", o->applies == CONF_LIVE ? "at reload" : "at start");
        if (!fields && !is_list(o))
            fprintf(out, "`%s`", env);
        if (!fields && o->foreign_env)
            fprintf(out, ", else `%s`", o->foreign_env);
        fprintf(out, "%s%s |\n", fields ? "" : " | ", o->help);
    }
}

static void print_markdown(const struct conf_option *table, FILE *out)
{
    print_markdown_rows(table, false, out);
    for (const struct conf_option *o = table; o->name; o++) {
        if (o->type != CONF_GROUPS)
            continue;
        fprintf(out, "\n## Fields of `%s`\n", o->name);
        print_markdown_rows(o->fields, true, out);
    }
}

/* Text in which scdoc sees no format. */
static void print_man_text(const char *text, FILE *out)
{
    for (const char *at = text; *at; at++) {
        if (strchr("\\*_", *at) || (at == text && strchr("#-.|[]:", *at)))
            fputc('\\', out);
        fputc(*at, out);
    }
}

static void print_man_option(const struct conf_option *o, bool field, FILE *out)
{
    char env[CONF_NAME_MAX + 8];
    const char *indent = field ? "\t" : "";
    fprintf(out, "\n%s*", indent);
    print_man_text(o->name, out);
    fprintf(out, "*\n%s\t", indent);
    print_man_text(o->help, out);
    print_allowed(o, " ", "", out);
    if (o->fallback) {
        fputs(" Default: ", out);
        print_man_text(o->fallback, out);
        fputc('.', out);
    }
    fputs(o->applies == CONF_LIVE ? " Takes effect at reload." : " Takes effect at start.", out);
    if (!field && !is_list(o)) {
        conf_env_name(o->name, env);
        fputs(" Environment: ", out);
        print_man_text(env, out);
        fputc('.', out);
    }
    fputc('\n', out);
}

static void print_man(const struct conf_option *table, FILE *out)
{
    for (const struct conf_option *o = table; o->name; o++) {
        print_man_option(o, false, out);
        for (const struct conf_option *f = o->fields; f && f->name; f++)
            print_man_option(f, true, out);
    }
}

void conf_print(const struct conf_option *table, enum conf_document what, FILE *out)
{
    switch (what) {
    case CONF_HELP:
        print_help(table, out);
        break;
    case CONF_SAMPLE:
        print_sample(table, out);
        break;
    case CONF_MARKDOWN:
        print_markdown(table, out);
        break;
    case CONF_MAN:
        print_man(table, out);
        break;
    }
}
