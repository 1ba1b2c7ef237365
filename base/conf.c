/* SPDX-License-Identifier: MIT */
/*
 * conf: reads the configuration file into a set of values; the only file that knows libconfig (1.5
 * and 1.7).
 *
 * libconfig ignores what nobody asks for, so every setting of the file is walked and compared with
 * the table.
 */
#include <inttypes.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/conf_impl.h"
#include "base/error.h"
#include "base/mem.h"

/* libconfig 1.5 forgets the string it was reading when it meets a syntax error; that leak is not
 * ours. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HAS_ASAN)
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}
#endif

/* What a walk needs to know; table and values are those of the set or of one group of a list. */
struct reader {
    const struct conf_text *text;
    const struct conf_option *table;
    struct conf_value *values;
    const char *group; /* "" or "mail.": what the table puts before the names found here */
    const char *list;  /* "" or "queues.": what messages put before that */
    bool ignore_unknown;
};

static int read_members(const struct reader *r, const config_setting_t *group, jobq_err *err);

/* ---- places ---- */

/* "FILE:LINE" and "FILE:LINE: key" */
static void locate(const struct reader *r, const config_setting_t *s, const char *key,
                   char source[static CONF_WHERE_MAX], char where[static CONF_WHERE_MAX])
{
    char shown[96];
    const char *path = NULL;
    size_t line = 0;
    mode_t mode = 0;
    conf_text_locate(r->text, (size_t)config_setting_source_line(s), &path, &line, &mode);
    snprintf(source, CONF_WHERE_MAX, "%s:%zu", conf_short_path(path, shown), line);
    snprintf(where, CONF_WHERE_MAX, "%s: %s%s", source, r->list, key);
}

/* A value that holds a password must not stand in a file that everybody may read. */
static int check_exposure(const struct reader *r, const config_setting_t *s,
                          const struct conf_option *o, const struct conf_value *v,
                          const char *where, jobq_err *err)
{
    const char *path = NULL;
    char shown[96];
    size_t line = 0;
    mode_t mode = 0;
    bool secret = v->text && (o->type == CONF_SECRET ||
                              (o->type == CONF_STRING && conf_has_password(v->text)));
    conf_text_locate(r->text, (size_t)config_setting_source_line(s), &path, &line, &mode);
    if (!secret || !(mode & S_IROTH))
        return JOBQ_OK;
    return error_set(err, JOBQ_ECONFIG,
                     "%s: holds a password, and everybody may read the file (mode %04o); "
                     "run: chmod o-r %s",
                     where, (unsigned)mode & 07777u, conf_short_path(path, shown));
}

/* ---- values ---- */

static bool is_whole(const config_setting_t *s)
{
    int type = config_setting_type(s);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static int read_scalar(const struct conf_option *o, const config_setting_t *s, const char *where,
                       struct conf_value *v, jobq_err *err)
{
    bool is_text = config_setting_type(s) == CONFIG_TYPE_STRING;
    switch (o->type) {
    case CONF_STRING:
    case CONF_SECRET:
    case CONF_CHOICE:
        if (is_text)
            return conf_value_from_text(o, config_setting_get_string(s), where, v, err);
        break;
    case CONF_MS:
    case CONF_BYTES:
        if (is_text)
            return conf_value_from_text(o, config_setting_get_string(s), where, v, err);
        /* fall through */
    case CONF_INT:
        if (is_whole(s))
            return conf_value_from_number(o, config_setting_get_int64(s), where, v, err);
        break;
    case CONF_BOOL:
        if (config_setting_type(s) == CONFIG_TYPE_BOOL) {
            v->number = config_setting_get_bool(s) != 0;
            v->is_set = true;
            return JOBQ_OK;
        }
        break;
    case CONF_STRINGS:
    case CONF_GROUPS:
        break;
    }
    char allowed[CONF_ALLOWED_MAX];
    conf_describe(o, allowed);
    return error_set(err, JOBQ_ECONFIG, "%s: must be %s%s", where, allowed,
                     is_text ? ", without quotes" : "");
}

static int read_strings(const struct conf_option *o, const config_setting_t *s, const char *where,
                        struct conf_value *v, jobq_err *err)
{
    int n = config_setting_length(s);
    if (!config_setting_is_list(s) && !config_setting_is_array(s))
        return conf_refuse(o, where, NULL, err);
    v->is_set = true;
    v->strings = mem_zalloc((size_t)n + 1, sizeof(*v->strings));
    if (!v->strings)
        return conf_no_memory(err);
    for (int i = 0; i < n; i++) {
        const char *text = config_setting_get_string_elem(s, i);
        if (!text)
            return conf_refuse(o, where, NULL, err);
        v->strings[v->count] = mem_strdup(text);
        if (!v->strings[v->count])
            return conf_no_memory(err);
        v->count++;
    }
    return JOBQ_OK;
}

static int read_group(const struct reader *r, const struct conf_option *o,
                      const config_setting_t *s, struct conf_group *g, jobq_err *err)
{
    char source[CONF_WHERE_MAX];
    char where[CONF_WHERE_MAX];
    locate(r, s, o->name, source, where);
    char list[CONF_NAME_MAX + 2];
    snprintf(list, sizeof(list), "%s.", o->name);
    g->fields = o->fields;
    g->source = mem_strdup(source);
    if (!g->source)
        return conf_no_memory(err);
    int code = conf_values_new(o->fields, &g->values, err);
    struct reader inner = {r->text, o->fields, g->values, "", list, r->ignore_unknown};
    if (code == JOBQ_OK)
        code = read_members(&inner, s, err);
    return code;
}

static int read_groups(const struct reader *r, const struct conf_option *o,
                       const config_setting_t *s, const char *where, struct conf_value *v,
                       jobq_err *err)
{
    int n = config_setting_length(s);
    int code = JOBQ_OK;
    if (!config_setting_is_list(s))
        return conf_refuse(o, where, NULL, err);
    v->is_set = true;
    v->groups = mem_zalloc((size_t)n + 1, sizeof(*v->groups));
    if (!v->groups)
        return conf_no_memory(err);
    for (int i = 0; code == JOBQ_OK && i < n; i++) {
        const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        if (!config_setting_is_group(e))
            return conf_refuse(o, where, NULL, err);
        v->count++; /* also when it fails: what was made is freed with v */
        code = read_group(r, o, e, &v->groups[i], err);
    }
    return code;
}

static int read_option(const struct reader *r, const struct conf_option *o,
                       const config_setting_t *s, bool from_file, jobq_err *err)
{
    char source[CONF_WHERE_MAX];
    char where[CONF_WHERE_MAX];
    char key[CONF_NAME_MAX + 8];
    struct conf_value v = {0};
    int code = JOBQ_OK;
    snprintf(key, sizeof(key), "%s%s", o->name, from_file ? "_file" : "");
    locate(r, s, key, source, where);
    struct conf_value *slot = &r->values[o - r->table];
    if (slot->level == CONF_FROM_FILE)
        return error_set(err, JOBQ_ECONFIG, "%s: was already given at %s", where, slot->source);
    if (from_file && config_setting_type(s) != CONFIG_TYPE_STRING)
        code = error_set(err, JOBQ_ECONFIG, "%s: must be the absolute path of a file", where);
    else if (from_file)
        code = conf_value_from_secret_file(o, config_setting_get_string(s), where, &v, err);
    else if (o->type == CONF_STRINGS)
        code = read_strings(o, s, where, &v, err);
    else if (o->type == CONF_GROUPS)
        code = read_groups(r, o, s, where, &v, err);
    else
        code = read_scalar(o, s, where, &v, err);
    if (code == JOBQ_OK && !from_file)
        code = check_exposure(r, s, o, &v, where, err);
    if (code == JOBQ_OK)
        return conf_put(slot, &v, CONF_FROM_FILE, source, err);
    conf_value_done(&v);
    return code;
}

/* ---- the walk ---- */

/* Whether the table has members of the group "mail.". */
static bool has_group(const struct conf_option *table, const char *group)
{
    for (; table->name; table++)
        if (strncmp(table->name, group, strlen(group)) == 0)
            return true;
    return false;
}

static int read_setting(const struct reader *r, const config_setting_t *s, jobq_err *err)
{
    char key[CONF_NAME_MAX + 8];
    char group[sizeof(key) + 1];
    char source[CONF_WHERE_MAX];
    char where[CONF_WHERE_MAX];
    const char *name = config_setting_name(s);
    int len = snprintf(key, sizeof(key), "%s%.*s", r->group, CONF_NAME_MAX, name);
    bool fits = (size_t)len < sizeof(key) && strlen(name) <= CONF_NAME_MAX;
    const struct conf_option *o = fits ? conf_find(r->table, key, strlen(key), false) : NULL;
    const struct conf_option *file_form =
        fits && !o ? conf_find_file_form(r->table, key, false) : NULL;
    if (o || file_form)
        return read_option(r, o ? o : file_form, s, !o, err);
    locate(r, s, key, source, where);
    snprintf(group, sizeof(group), "%s.", key);
    bool known = fits && has_group(r->table, group);
    if (!known && r->ignore_unknown)
        return JOBQ_OK;
    if (!known)
        return conf_unknown(r->table, where, "option", key, NULL, err);
    if (!config_setting_is_group(s))
        return error_set(err, JOBQ_ECONFIG, "%s: must be a group, %s = { … };", where, key);
    struct reader inner = {r->text, r->table, r->values, group, r->list, r->ignore_unknown};
    return read_members(&inner, s, err);
}

static int read_members(const struct reader *r, const config_setting_t *group, jobq_err *err)
{
    int code = JOBQ_OK;
    int n = config_setting_length(group);
    for (int i = 0; code == JOBQ_OK && i < n; i++)
        code = read_setting(r, config_setting_get_elem(group, (unsigned)i), err);
    return code;
}

/* libconfig frees its strings as they are. */
static void wipe_strings(const config_setting_t *s, int depth)
{
    int n = depth > 0 && config_setting_is_aggregate(s) ? config_setting_length(s) : 0;
    if (config_setting_type(s) == CONFIG_TYPE_STRING && s->value.sval)
        explicit_bzero(s->value.sval, strlen(s->value.sval));
    for (int i = 0; i < n; i++)
        wipe_strings(config_setting_get_elem(s, (unsigned)i), depth - 1);
}

static int parse(config_t *parsed, const struct conf_text *text, jobq_err *err)
{
    if (config_read_string(parsed, text->text.data) == CONFIG_TRUE)
        return JOBQ_OK;
    const char *path = NULL;
    char shown[96];
    size_t line = 0;
    mode_t mode = 0;
    const char *what = config_error_text(parsed);
    conf_text_locate(text, (size_t)config_error_line(parsed), &path, &line, &mode);
    return error_set(err, JOBQ_ECONFIG, "%s:%zu: %s", conf_short_path(path, shown), line,
                     what ? what : "not understood");
}

int conf_load_file(struct conf *c, const char *path, jobq_err *err)
{
    struct conf_text text;
    config_t parsed;
    config_init(&parsed);
    int code = conf_text_read(&text, path, err);
    if (code == JOBQ_OK)
        code = parse(&parsed, &text, err);
    struct reader r = {&text, c->table, c->values, "", "", c->ignore_unknown};
    if (code == JOBQ_OK)
        code = read_members(&r, config_root_setting(&parsed), err);
    wipe_strings(config_root_setting(&parsed), 8);
    config_destroy(&parsed);
    conf_text_done(&text);
    return code;
}
