/* SPDX-License-Identifier: MIT */
/*
 * conf_env: values from the environment, from a file of KEY=VALUE lines, and from flags.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/conf_impl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

/* A place where names are looked up. */
struct names {
    const char *const *entries; /* "NAME=value", NULL-ended */
    const size_t *lines;        /* of a file; NULL: the environment */
    const char *path;
    enum conf_level own;
    enum conf_level foreign;
};

static void say_where(const struct names *n, size_t i, const char *name, size_t len,
                      char out[static CONF_WHERE_MAX])
{
    char shown[96];
    if (n->lines)
        snprintf(out, CONF_WHERE_MAX, "%s:%zu: %.*s", conf_short_path(n->path, shown), n->lines[i],
                 (int)len, name);
    else
        snprintf(out, CONF_WHERE_MAX, "environment %.*s", (int)len, name);
}

/* The value of a name, NULL when it is absent or empty. As elsewhere the last line of a file
 * counts, and the first variable. */
static const char *look_up(const struct names *n, const char *name, size_t len, size_t *at)
{
    const char *found = NULL;
    for (size_t i = 0; n->entries[i] && (n->lines || !found); i++) {
        const char *e = n->entries[i];
        if (strncmp(e, name, len) == 0 && e[len] == '=') {
            found = e + len + 1;
            *at = i;
        }
    }
    return found && *found ? found : NULL;
}

/* Sets an option from NAME or NAME_FILE. *found tells whether one of them was there. */
static int apply_name(struct conf *c, const struct conf_option *o, const struct names *n,
                      const char *name, size_t len, enum conf_level level, bool *found,
                      jobq_err *err)
{
    char file_name[CONF_NAME_MAX * 2];
    char where[CONF_WHERE_MAX];
    struct conf_value v = {0};
    size_t at = 0;
    int code = JOBQ_OK;
    int file_len = snprintf(file_name, sizeof(file_name), "%.*s_FILE",
                            (int)MIN(len, (size_t)CONF_NAME_MAX + 8), name);
    const char *text = look_up(n, name, len, &at);
    const char *path = NULL;
    if (o->type == CONF_SECRET || o->type == CONF_STRING)
        path = look_up(n, file_name, (size_t)file_len, text ? &(size_t){0} : &at);
    *found = text || path;
    if (!*found)
        return JOBQ_OK;
    say_where(n, at, text ? name : file_name, text ? len : (size_t)file_len, where);
    if (text && path)
        return error_set(err, JOBQ_ECONFIG, "%s: %s is set too; only one of them may be", where,
                         file_name);
    if (text)
        code = conf_value_from_text(o, text, where, &v, err);
    else
        code = conf_value_from_secret_file(o, path, where, &v, err);
    if (code == JOBQ_OK)
        return conf_put(&c->values[o - c->table], &v, level, where, err);
    conf_value_done(&v);
    return code;
}

static int apply_option(struct conf *c, const struct conf_option *o, const struct names *n,
                        jobq_err *err)
{
    char own[CONF_NAME_MAX + 8];
    bool found = false;
    conf_env_name(o->name, own);
    int code = apply_name(c, o, n, own, strlen(own), n->own, &found, err);
    const char *name = o->foreign_env;
    while (code == JOBQ_OK && !found && name && *name) {
        size_t len = strcspn(name, " ");
        code = apply_name(c, o, n, name, len, n->foreign, &found, err);
        name += len + strspn(name + len, " ");
    }
    return code;
}

static int apply(struct conf *c, const struct names *n, jobq_err *err)
{
    int code = JOBQ_OK;
    for (size_t i = 0; code == JOBQ_OK && c->table[i].name; i++)
        code = apply_option(c, &c->table[i], n, err);
    return code;
}

int conf_load_env(struct conf *c, const char *const *envp, jobq_err *err)
{
    struct names n = {envp, NULL, NULL, CONF_FROM_ENV, CONF_FROM_FOREIGN_ENV};
    return apply(c, &n, err);
}

/* ---- the file ---- */

/* Ends the value that begins after a quote, in place; NULL: something is wrong with it. */
static char *unquote(char *value)
{
    char quote = *value;
    char *from = value + 1;
    char *to = value;
    for (; *from && *from != quote; from++) {
        if (quote == '"' && *from == '\\' && from[1] && strchr("\"\\$`", from[1]))
            from++;
        *to++ = *from;
    }
    if (*from != quote || from[1 + strspn(from + 1, " \t")])
        return NULL;
    *to = '\0';
    return value;
}

/* "NAME=value" in place of a line of it; NULL: not such a line. The closing white space is gone
 * already. */
static char *parse_line(char *line)
{
    if (strncmp(line, "export ", 7) == 0)
        line += 7 + strspn(line + 7, " \t");
    size_t len = 0;
    while (isalnum((unsigned char)line[len]) || line[len] == '_')
        len++;
    size_t space = strspn(line + len, " \t");
    if (len == 0 || isdigit((unsigned char)line[0]) || line[len + space] != '=')
        return NULL;
    char *value = line + len + space + 1;
    value += strspn(value, " \t");
    if (*value == '"' || *value == '\'')
        value = unquote(value);
    if (!value)
        return NULL;
    line[len] = '=';
    memmove(line + len + 1, value, strlen(value) + 1);
    return line;
}

static void trim_end(char *line)
{
    size_t n = strlen(line);
    while (n > 0 && isspace((unsigned char)line[n - 1]))
        line[--n] = '\0';
}

/* Cuts text into entries, with a line number each; both arrays have room for every line. */
static int parse_lines(char *text, const char *path, const char **entries, size_t *lines,
                       jobq_err *err)
{
    char shown[96];
    size_t n = 0;
    for (size_t number = 1; *text; number++) {
        char *line = text;
        text += strcspn(text, "\n");
        if (*text)
            *text++ = '\0';
        trim_end(line);
        line += strspn(line, " \t");
        if (!*line || *line == '#')
            continue;
        entries[n] = parse_line(line);
        if (!entries[n])
            return error_set(err, JOBQ_ECONFIG,
                             "%s:%zu: must be NAME=value, or NAME=\"value\", or a # comment",
                             conf_short_path(path, shown), number);
        lines[n++] = number;
    }
    entries[n] = NULL;
    return JOBQ_OK;
}

int conf_load_env_file(struct conf *c, const char *path, jobq_err *err)
{
    char *text = NULL;
    size_t len = 0;
    size_t count = 2;
    int code = conf_read_file(path, CONF_FILE_MAX, &text, &len, NULL, err);
    if (code != JOBQ_OK)
        return code;
    for (size_t i = 0; i < len; i++)
        count += text[i] == '\n';
    const char **entries = mem_zalloc(count, sizeof(*entries));
    size_t *lines = mem_zalloc(count, sizeof(*lines));
    if (!entries || !lines)
        code = conf_no_memory(err);
    if (code == JOBQ_OK)
        code = parse_lines(text, path, entries, lines, err);
    struct names n = {entries, lines, path, CONF_FROM_ENV_FILE, CONF_FROM_FOREIGN_ENV_FILE};
    if (code == JOBQ_OK)
        code = apply(c, &n, err);
    mem_free(entries);
    mem_free(lines);
    mem_wipe_free(text, len);
    return code;
}

/* ---- flags ---- */

static void say_flag(const char *name, char out[static CONF_WHERE_MAX])
{
    size_t len = strlen(name);
    size_t cut = text_cut(name, len, CONF_NAME_MAX);
    snprintf(out, CONF_WHERE_MAX, "flag --%.*s%s", (int)cut, name, cut < len ? "…" : "");
}

int conf_check_flag(const struct conf_option *table, const char *name, jobq_err *err)
{
    char where[CONF_WHERE_MAX];
    if (conf_find(table, name, strlen(name), true) || conf_find_file_form(table, name, true))
        return JOBQ_OK;
    say_flag(name, where);
    return conf_unknown(table, where, "option", name, conf_flag_name, err);
}

int conf_set_flag(struct conf *c, const char *name, const char *value, jobq_err *err)
{
    char where[CONF_WHERE_MAX];
    struct conf_value v = {0};
    int code = conf_check_flag(c->table, name, err);
    if (code != JOBQ_OK)
        return code;
    const struct conf_option *o = conf_find(c->table, name, strlen(name), true);
    say_flag(name, where);
    if (o) {
        code = conf_value_from_text(o, value, where, &v, err);
    } else {
        o = conf_find_file_form(c->table, name, true);
        code = conf_value_from_secret_file(o, value, where, &v, err);
    }
    if (code == JOBQ_OK)
        return conf_put(&c->values[o - c->table], &v, CONF_FROM_FLAG, where, err);
    conf_value_done(&v);
    return code;
}

int conf_set_foreign(struct conf *c, const char *name, const char *value, const char *source,
                     jobq_err *err)
{
    struct conf_value v = {0};
    const struct conf_option *o = conf_find(c->table, name, strlen(name), false);
    ASSERT(o);
    int code = conf_value_from_text(o, value, source, &v, err);
    if (code == JOBQ_OK)
        return conf_put(&c->values[o - c->table], &v, CONF_FROM_FOREIGN_ENV, source, err);
    conf_value_done(&v);
    return code;
}
