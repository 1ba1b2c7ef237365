/* SPDX-License-Identifier: MIT */
/*
 * conf_value: the set of values behind struct conf: checked when they come in, handed out as they
 * are, compared for a reload. Owns every string; texts are wiped when they go, since any may hold a
 * password.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/conf_impl.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define CANDIDATES_MAX 128

int conf_no_memory(jobq_err *err)
{
    return error_set(err, JOBQ_ENOMEM, "out of memory while reading the configuration");
}

/* ---- names ---- */

static size_t table_size(const struct conf_option *table)
{
    size_t n = 0;
    while (table[n].name)
        n++;
    return n;
}

static char fold(char c, bool loose)
{
    return loose && (c == '-' || c == '.') ? '_' : c;
}

static bool names_equal(const char *name, const char *given, size_t len, bool loose)
{
    size_t i = 0;
    while (i < len && name[i] && fold(name[i], loose) == fold(given[i], loose))
        i++;
    return i == len && !name[i];
}

const struct conf_option *conf_find(const struct conf_option *table, const char *name, size_t len,
                                    bool loose)
{
    for (; table->name; table++)
        if (names_equal(table->name, name, len, loose))
            return table;
    return NULL;
}

const struct conf_option *conf_find_file_form(const struct conf_option *table, const char *name,
                                              bool loose)
{
    static const char ending[] = "_file";
    size_t len = strlen(name);
    size_t end = sizeof(ending) - 1;
    if (len <= end || !names_equal(ending, name + len - end, end, loose))
        return NULL;
    const struct conf_option *o = conf_find(table, name, len - end, loose);
    return o && (o->type == CONF_SECRET || o->type == CONF_STRING) ? o : NULL;
}

void conf_env_name(const char *name, char out[static CONF_NAME_MAX + 8])
{
    size_t n = strlen("JOBQ_");
    memcpy(out, "JOBQ_", n);
    for (; *name; name++)
        out[n++] = isalnum((unsigned char)*name) ? (char)toupper((unsigned char)*name) : '_';
    out[n] = '\0';
}

void conf_flag_name(const char *name, char out[static CONF_NAME_MAX + 8])
{
    size_t n = 2;
    memcpy(out, "--", n);
    for (; *name; name++)
        out[n++] = isalnum((unsigned char)*name) ? *name : '-';
    out[n] = '\0';
}

int conf_unknown(const struct conf_option *table, const char *where, const char *what,
                 const char *name,
                 void (*spell)(const char *name, char out[static CONF_NAME_MAX + 8]), jobq_err *err)
{
    const char *names[CANDIDATES_MAX];
    size_t n = 0;
    char spelled[CONF_NAME_MAX + 8];
    for (; table[n].name && n < CANDIDATES_MAX; n++)
        names[n] = table[n].name;
    const char *nearest = text_nearest(name, names, n);
    if (!nearest)
        return error_set(err, JOBQ_ECONFIG, "%s: unknown %s", where, what);
    if (spell)
        spell(nearest, spelled);
    return error_set(err, JOBQ_ECONFIG, "%s: unknown %s; did you mean %s?", where, what,
                     spell ? spelled : nearest);
}

/* ---- one value ---- */

static void wipe_text(char *text)
{
    if (text)
        mem_wipe_free(text, strlen(text));
}

void conf_value_done(struct conf_value *v)
{
    wipe_text(v->text);
    mem_free(v->source);
    for (size_t i = 0; i < v->count; i++) {
        if (v->strings)
            mem_free(v->strings[i]);
        if (v->groups) {
            conf_values_free(v->groups[i].fields, v->groups[i].values);
            mem_free(v->groups[i].source);
        }
    }
    mem_free(v->strings);
    mem_free(v->groups);
    *v = (struct conf_value){0};
}

int conf_refuse(const struct conf_option *o, const char *where, const char *given, jobq_err *err)
{
    char allowed[CONF_ALLOWED_MAX];
    conf_describe(o, allowed);
    if (!given || o->type == CONF_SECRET || o->type == CONF_STRING)
        return error_set(err, JOBQ_ECONFIG, "%s: must be %s", where, allowed);
    size_t len = strlen(given);
    size_t cut = text_cut(given, len, 24);
    return error_set(err, JOBQ_ECONFIG, "%s: must be %s, not \"%.*s%s\"", where, allowed, (int)cut,
                     given, cut < len ? "…" : "");
}

int conf_value_from_number(const struct conf_option *o, int64_t number, const char *where,
                           struct conf_value *v, jobq_err *err)
{
    if (number < o->min || (o->max != 0 && number > o->max)) {
        char given[24];
        snprintf(given, sizeof(given), "%" PRId64, number);
        return conf_refuse(o, where, given, err);
    }
    v->number = number;
    v->is_set = true;
    return JOBQ_OK;
}

static int bool_from_text(const struct conf_option *o, const char *text, const char *where,
                          struct conf_value *v, jobq_err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off",
                                        "on",    "n",    "y",  "0",   "1"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            v->number = i % 2;
            v->is_set = true;
            return JOBQ_OK;
        }
    }
    return conf_refuse(o, where, text, err);
}

static bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);
    while (*choices) {
        size_t n = strcspn(choices, " ");
        if (n == len && memcmp(choices, word, n) == 0)
            return true;
        choices += n + strspn(choices + n, " ");
    }
    return false;
}

static int string_from_text(const struct conf_option *o, const char *text, const char *where,
                            struct conf_value *v, jobq_err *err)
{
    if (o->type == CONF_CHOICE && !is_choice(o->choices, text))
        return conf_refuse(o, where, text, err);
    for (const char *p = text; o->type == CONF_STRING && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return error_set(err, JOBQ_ECONFIG, "%s: must be without control characters", where);
    v->text = mem_strdup(text);
    if (!v->text)
        return conf_no_memory(err);
    v->is_set = true;
    return JOBQ_OK;
}

int conf_value_from_text(const struct conf_option *o, const char *text, const char *where,
                         struct conf_value *v, jobq_err *err)
{
    int code = JOBQ_OK;
    int64_t number = 0;
    if (!*text && (o->type == CONF_STRING || o->type == CONF_SECRET))
        return JOBQ_OK;
    switch (o->type) {
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_CHOICE:
        return string_from_text(o, text, where, v, err);
    case CONF_BOOL:
        return bool_from_text(o, text, where, v, err);
    case CONF_INT:
        code = text_parse_int(text, &number);
        break;
    case CONF_MS:
        code = text_parse_duration(text, &number);
        break;
    case CONF_BYTES:
        code = text_parse_size(text, &number);
        break;
    case CONF_STRINGS:
    case CONF_GROUPS:
        return error_set(err, JOBQ_ECONFIG,
                         "%s: a list can be given in the configuration file only", where);
    }
    if (code != JOBQ_OK)
        return conf_refuse(o, where, text, err);
    return conf_value_from_number(o, number, where, v, err) == JOBQ_OK
               ? JOBQ_OK
               : conf_refuse(o, where, text, err);
}

int conf_value_from_secret_file(const struct conf_option *o, const char *path, const char *where,
                                struct conf_value *v, jobq_err *err)
{
    char *text = NULL;
    size_t len = 0;
    if (*path != '/')
        return error_set(err, JOBQ_ECONFIG, "%s: must be the absolute path of a file", where);
    int code = conf_read_file(path, CONF_SECRET_FILE_MAX, &text, &len, NULL, err);
    if (code != JOBQ_OK) {
        error_prefix(err, "%s", where);
        return code;
    }
    text[strcspn(text, "\r\n")] = '\0';
    code = conf_value_from_text(o, text, where, v, err);
    mem_wipe_free(text, len);
    return code;
}

int conf_put(struct conf_value *slot, struct conf_value *v, enum conf_level level,
             const char *source, jobq_err *err)
{
    if (level < slot->level) {
        conf_value_done(v);
        return JOBQ_OK;
    }
    v->source = mem_strdup(source);
    if (!v->source) {
        conf_value_done(v);
        return conf_no_memory(err);
    }
    v->level = level;
    conf_value_done(slot);
    *slot = *v;
    *v = (struct conf_value){0};
    return JOBQ_OK;
}

/* ---- sets ---- */

void conf_values_free(const struct conf_option *table, struct conf_value *values)
{
    for (size_t i = 0; values && table[i].name; i++)
        conf_value_done(&values[i]);
    mem_free(values);
}

int conf_values_new(const struct conf_option *table, struct conf_value **out, jobq_err *err)
{
    struct conf_value *values = mem_zalloc(table_size(table), sizeof(*values));
    int code = values ? JOBQ_OK : conf_no_memory(err);
    for (size_t i = 0; code == JOBQ_OK && table[i].name; i++) {
        ASSERT(strlen(table[i].name) <= CONF_NAME_MAX);
        ASSERT(conf_find(table, table[i].name, strlen(table[i].name), true) == &table[i]);
        if (table[i].fallback)
            code = conf_value_from_text(&table[i], table[i].fallback, "default", &values[i], err);
        ASSERT(code != JOBQ_ECONFIG);
    }
    if (code != JOBQ_OK) {
        conf_values_free(table, values);
        return code;
    }
    *out = values;
    return JOBQ_OK;
}

int conf_new(const struct conf_option *table, struct conf **out, jobq_err *err)
{
    struct conf *c = mem_zalloc(1, sizeof(*c));
    if (!c)
        return conf_no_memory(err);
    c->table = table;
    buf_init(&c->shown, CONF_FILE_MAX);
    int code = conf_values_new(table, &c->values, err);
    if (code != JOBQ_OK) {
        mem_free(c);
        return code;
    }
    *out = c;
    return JOBQ_OK;
}

void conf_ignore_unknown(struct conf *c)
{
    c->ignore_unknown = true;
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    conf_values_free(c->table, c->values);
    buf_done(&c->shown);
    mem_free(c);
}
