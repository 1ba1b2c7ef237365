/* SPDX-License-Identifier: MIT */
/*
 * conf_get: reading a set of values, and comparing two for a reload. A name or type that the table
 * does not have is a bug.
 */
#include <string.h>

#include "base/conf_impl.h"
#include "base/error.h"

static const struct conf_value *get(const struct conf_option *table,
                                    const struct conf_value *values, const char *name,
                                    unsigned types)
{
    const struct conf_option *o = conf_find(table, name, strlen(name), false);
    ASSERT(o && (1u << o->type & types));
    return &values[o - table];
}

#define TEXTS (1u << CONF_STRING | 1u << CONF_SECRET | 1u << CONF_CHOICE)
#define NUMBERS (1u << CONF_INT | 1u << CONF_MS | 1u << CONF_BYTES)
#define ANY (~0u)

bool conf_knows(const struct conf *c, const char *name)
{
    return conf_find(c->table, name, strlen(name), false) != NULL;
}

const char *conf_string(const struct conf *c, const char *name)
{
    return get(c->table, c->values, name, TEXTS)->text;
}

int64_t conf_int(const struct conf *c, const char *name)
{
    return get(c->table, c->values, name, NUMBERS)->number;
}

bool conf_bool(const struct conf *c, const char *name)
{
    return get(c->table, c->values, name, 1u << CONF_BOOL)->number != 0;
}

bool conf_is_set(const struct conf *c, const char *name)
{
    return get(c->table, c->values, name, ANY)->is_set;
}

size_t conf_strings(const struct conf *c, const char *name, const char *const **out)
{
    const struct conf_value *v = get(c->table, c->values, name, 1u << CONF_STRINGS);
    *out = (const char *const *)v->strings;
    return v->count;
}

size_t conf_groups(const struct conf *c, const char *name)
{
    return get(c->table, c->values, name, 1u << CONF_GROUPS)->count;
}

const struct conf_group *conf_group_at(const struct conf *c, const char *name, size_t i)
{
    const struct conf_value *v = get(c->table, c->values, name, 1u << CONF_GROUPS);
    ASSERT(i < v->count);
    return &v->groups[i];
}

const char *conf_group_string(const struct conf_group *g, const char *field)
{
    return get(g->fields, g->values, field, TEXTS)->text;
}

int64_t conf_group_int(const struct conf_group *g, const char *field)
{
    return get(g->fields, g->values, field, NUMBERS)->number;
}

bool conf_group_is_set(const struct conf_group *g, const char *field)
{
    return get(g->fields, g->values, field, ANY)->is_set;
}

const char *conf_group_source(const struct conf_group *g)
{
    return g->source;
}

const char *conf_source(const struct conf *c, const char *name)
{
    const struct conf_value *v = get(c->table, c->values, name, ANY);
    return v->source ? v->source : "default";
}

/* ---- reload ---- */

static bool texts_differ(const char *a, const char *b)
{
    return !a != !b || (a && strcmp(a, b) != 0);
}

static bool needs_restart(const struct conf_option *o, const struct conf_value *a,
                          const struct conf_value *b);

/* In a list that needs a restart, fields that apply live may differ, the groups and their other
 * fields may not. */
static bool groups_need_restart(const struct conf_value *a, const struct conf_value *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct conf_option *fields = a->groups[i].fields;
        for (size_t f = 0; fields[f].name; f++)
            if (needs_restart(&fields[f], &a->groups[i].values[f], &b->groups[i].values[f]))
                return true;
    }
    return false;
}

static bool needs_restart(const struct conf_option *o, const struct conf_value *a,
                          const struct conf_value *b)
{
    if (o->applies == CONF_LIVE)
        return false;
    if (a->is_set != b->is_set || a->number != b->number || a->count != b->count ||
        texts_differ(a->text, b->text))
        return true;
    for (size_t i = 0; a->strings && i < a->count; i++)
        if (texts_differ(a->strings[i], b->strings[i]))
            return true;
    return a->groups && groups_need_restart(a, b);
}

int conf_check_reload(const struct conf *current, const struct conf *next, jobq_err *err)
{
    struct buf names;
    ASSERT(current->table == next->table);
    buf_init(&names, 160);
    bool any = false;
    for (size_t i = 0; current->table[i].name; i++) {
        const struct conf_option *o = &current->table[i];
        if (!needs_restart(o, &current->values[i], &next->values[i]))
            continue;
        buf_appendf(&names, "%s%s (%s)", any ? ", " : "", o->name, conf_source(next, o->name));
        any = true;
    }
    if (any)
        error_set(err, JOBQ_ECONFIG, "a change needs a restart, nothing was applied: %s%s",
                  names.data ? names.data : "", names.failed ? ", …" : "");
    buf_done(&names);
    return any ? JOBQ_ECONFIG : JOBQ_OK;
}
