/* SPDX-License-Identifier: MIT */
/*
 * config_check: takes values out of the set, checking what a table of types and ranges cannot say:
 * names, doubles, limits that contradict each other, files that are not there.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "broker/keys.h"
#include "config/config_impl.h"

/* Where modules and the executor were installed, below the directory above jobd's own; the build
 * says it. */
#ifndef JOBQ_LIBDIR
#define JOBQ_LIBDIR "lib"
#endif
#ifndef JOBQ_LIBEXECDIR
#define JOBQ_LIBEXECDIR "libexec"
#endif

#define ALPHABET "1 to 64 of a-z 0-9 _ . : -"

static int refuse(const struct conf *conf, const char *option, const char *what, jobq_err *err)
{
    return error_set(err, JOBQ_ECONFIG, "%s: %s: %s", conf_source(conf, option), option, what);
}

/* ---- Redis ---- */

/* A prefix is part of every key, so what would end the hash tag early or break a listing is
 * refused. */
static int check_prefix(const struct conf *conf, jobq_err *err)
{
    struct shard_keys keys;
    jobq_err why;
    const char *prefix = conf_string(conf, "key_prefix");
    if (!prefix)
        return refuse(conf, "key_prefix", "must not be empty", err);
    int code = keys_init(&keys, prefix, "default", 0, &why);
    if (code == JOBQ_OK)
        keys_done(&keys);
    if (code == JOBQ_EINVAL)
        return refuse(conf, "key_prefix", why.msg, err);
    return code == JOBQ_OK ? JOBQ_OK : config_no_memory(err);
}

int worker_config_take_redis(const struct conf *conf, struct redis_url *redis, jobq_err *err)
{
    jobq_err why;
    const char *url = conf_string(conf, "redis");
    if (!url)
        return refuse(conf, "redis", "must not be empty", err);
    int code = check_prefix(conf, err);
    if (code != JOBQ_OK)
        return code;
    code = url_parse(url, redis, &why);
    if (code == JOBQ_EINVAL)
        return refuse(conf, "redis", why.msg, err);
    return code == JOBQ_OK ? JOBQ_OK : config_no_memory(err);
}

/* ---- names ---- */

/* 1 to max letters, digits and those of others, not beginning with a character of not_first. */
static bool is_word(const char *text, size_t max, const char *others, const char *not_first)
{
    size_t n = 0;
    for (; text[n]; n++)
        if (!isalnum((unsigned char)text[n]) && !strchr(others, text[n]))
            return false;
    return n > 0 && n <= max && !strchr(not_first, text[0]);
}

static int take_http(struct worker_config *c, jobq_err *err)
{
    jobq_err why;
    const char *text = conf_string(c->conf, "http");
    if (http_parse(text ? text : "off", &c->http, &why) != JOBQ_OK)
        return refuse(c->conf, "http", why.msg, err);
    return JOBQ_OK;
}

int config_take_names(struct worker_config *c, jobq_err *err)
{
    c->schema = conf_string(c->conf, "schema");
    c->instance = conf_string(c->conf, "instance");
    const char *state_dir = conf_string(c->conf, "state_dir");
    const char *mail_queue = conf_string(c->conf, "mail.queue");
    if (!c->schema || !is_word(c->schema, 63, "_", "0123456789"))
        return refuse(c->conf, "schema", "must be a name of letters, digits and _", err);
    if (!c->instance || !is_word(c->instance, 64, "_.-", ".-"))
        return refuse(c->conf, "instance", "must be 1 to 64 of letters, digits, _ . -", err);
    if (mail_queue && !text_is_name(mail_queue, strlen(mail_queue)))
        return refuse(c->conf, "mail.queue", "must be " ALPHABET, err);
    if (!state_dir)
        return refuse(c->conf, "state_dir", "must not be empty", err);
    char *dir = config_text(c, state_dir);
    if (!dir)
        return config_no_memory(err);
    /* The service manager separates several by colons. */
    if (strstr(conf_source(c->conf, "state_dir"), "STATE_DIRECTORY"))
        dir[strcspn(dir, ":")] = '\0';
    c->state_dir = dir;
    return take_http(c, err);
}

/* The name of the i-th group of a list, checked. */
static int take_name(const struct worker_config *c, const char *list, size_t i, const char **out,
                     jobq_err *err)
{
    const struct conf_group *g = conf_group_at(c->conf, list, i);
    const char *name = conf_group_string(g, "name");
    if (!name)
        return error_set(err, JOBQ_ECONFIG, "%s: %s: a name is missing", conf_group_source(g),
                         list);
    if (!text_is_name(name, strlen(name)))
        return error_set(err, JOBQ_ECONFIG, "%s: %s: name \"%.64s\" must be " ALPHABET,
                         conf_group_source(g), list, name);
    for (size_t k = 0; k < i; k++) {
        const struct conf_group *other = conf_group_at(c->conf, list, k);
        if (strcmp(conf_group_string(other, "name"), name) == 0)
            return error_set(err, JOBQ_ECONFIG, "%s: %s: \"%s\" was already given at %s",
                             conf_group_source(g), list, name, conf_group_source(other));
    }
    *out = name;
    return JOBQ_OK;
}

int config_take_queues(struct worker_config *c, jobq_err *err)
{
    size_t n = conf_groups(c->conf, "queues");
    struct worker_queue *queues = config_alloc(c, MAX(n, (size_t)1) * sizeof(*queues));
    if (!queues)
        return config_no_memory(err);
    queues[0] = (struct worker_queue){"default", 1, 1};
    for (size_t i = 0; i < n; i++) {
        const struct conf_group *g = conf_group_at(c->conf, "queues", i);
        int code = take_name(c, "queues", i, &queues[i].name, err);
        if (code != JOBQ_OK)
            return code;
        queues[i].weight = (int)conf_group_int(g, "weight");
        queues[i].partitions = (int)conf_group_int(g, "partitions");
    }
    c->queues = queues;
    c->queue_count = MAX(n, (size_t)1);
    return JOBQ_OK;
}

/* ---- limits ---- */

/* hard: 0 is not set. cap_given: else a longer backoff raises the cap. */
static int settle_limits(struct worker_limits *l, bool cap_given, const char *where, jobq_err *err)
{
    if (l->hard_limit_ms == 0)
        l->hard_limit_ms = l->soft_limit_ms + HARD_ABOVE_SOFT_MS;
    if (l->hard_limit_ms <= l->soft_limit_ms)
        return error_set(err, JOBQ_ECONFIG,
                         "%s: hard_limit must be above soft_limit (%lld ms, %lld ms)", where,
                         (long long)l->hard_limit_ms, (long long)l->soft_limit_ms);
    if (l->backoff_cap_ms < l->backoff_ms && cap_given)
        return error_set(err, JOBQ_ECONFIG,
                         "%s: backoff_cap must not be below backoff (%lld ms, %lld ms)", where,
                         (long long)l->backoff_cap_ms, (long long)l->backoff_ms);
    l->backoff_cap_ms = MAX(l->backoff_cap_ms, l->backoff_ms);
    return JOBQ_OK;
}

static int take_default_limits(struct worker_config *c, jobq_err *err)
{
    const struct conf *conf = c->conf;
    bool cap_given = strcmp(conf_source(conf, "backoff_cap"), "default") != 0;
    bool hard_given = conf_int(conf, "hard_limit") != 0;
    c->limits = (struct worker_limits){
        .soft_limit_ms = conf_int(conf, "soft_limit"),
        .hard_limit_ms = conf_int(conf, "hard_limit"),
        .backoff_ms = conf_int(conf, "backoff"),
        .backoff_cap_ms = conf_int(conf, "backoff_cap"),
        .max_attempts = (int)conf_int(conf, "max_attempts"),
    };
    return settle_limits(&c->limits, cap_given,
                         conf_source(conf, hard_given ? "hard_limit" : "backoff_cap"), err);
}

static int64_t field_or(const struct conf_group *g, const char *field, int64_t otherwise)
{
    return conf_group_is_set(g, field) ? conf_group_int(g, field) : otherwise;
}

static int take_type(const struct worker_config *c, size_t i, struct worker_limits *out,
                     jobq_err *err)
{
    char where[256];
    const struct conf_group *g = conf_group_at(c->conf, "types", i);
    const struct worker_limits *d = &c->limits;
    struct worker_limits l = {0};
    int code = take_name(c, "types", i, &l.type, err);
    if (code != JOBQ_OK)
        return code;
    bool own_soft = conf_group_is_set(g, "soft_limit");
    l.type_len = strlen(l.type);
    l.soft_limit_ms = field_or(g, "soft_limit", d->soft_limit_ms);
    l.hard_limit_ms = field_or(g, "hard_limit", own_soft ? 0 : d->hard_limit_ms);
    l.backoff_ms = field_or(g, "backoff", d->backoff_ms);
    l.backoff_cap_ms = field_or(g, "backoff_cap", d->backoff_cap_ms);
    l.max_attempts = (int)field_or(g, "max_attempts", d->max_attempts);
    snprintf(where, sizeof(where), "%s: types: \"%s\"", conf_group_source(g), l.type);
    code = settle_limits(&l, conf_group_is_set(g, "backoff_cap"), where, err);
    if (code == JOBQ_OK)
        *out = l;
    return code;
}

static int compare_types(const void *a, const void *b)
{
    return strcmp(((const struct worker_limits *)a)->type, ((const struct worker_limits *)b)->type);
}

int config_take_limits(struct worker_config *c, jobq_err *err)
{
    size_t n = conf_groups(c->conf, "types");
    struct worker_limits *types = config_alloc(c, (n + 1) * sizeof(*types));
    if (!types)
        return config_no_memory(err);
    int code = take_default_limits(c, err);
    for (size_t i = 0; code == JOBQ_OK && i < n; i++)
        code = take_type(c, i, &types[i], err);
    if (code != JOBQ_OK)
        return code;
    qsort(types, n, sizeof(*types), compare_types);
    c->types = types;
    c->type_count = n;
    return JOBQ_OK;
}

/* ---- mail ---- */

/* "10/s", "300/m", "2000/h", "500/d": read by the module mail, refused here before it starts. */
static bool is_rate(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    int64_t count;
    char number[8];
    if (digits == 0 || digits > 7 || text[digits] != '/')
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    return text_parse_int(number, &count) == JOBQ_OK && count >= 1 && count <= 1000000 &&
           text[digits + 1] != '\0' && strchr("smhd", text[digits + 1]) && !text[digits + 2];
}

int config_check_mail(const struct worker_config *c, jobq_err *err)
{
    const char *rate = conf_string(c->conf, "mail.rate");
    if (rate && !is_rate(rate))
        return refuse(c->conf, "mail.rate",
                      "must be such as \"10/s\", \"300/m\", \"2000/h\" or \"500/d\"", err);
    return JOBQ_OK;
}

/* ---- programs ---- */

/* The directory of this program; "" when nobody knows. */
static void find_own_directory(char out[static PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
}

/* "DIR/../below/rest", or below itself when it is absolute. */
static char *beside(struct worker_config *c, const char *dir, const char *below, const char *rest)
{
    bool absolute = *below == '/';
    size_t size = strlen(dir) + strlen(below) + strlen(rest) + sizeof("/../");
    char *path = config_alloc(c, size);
    if (path)
        snprintf(path, size, "%s%s%s%s", absolute ? "" : dir, absolute ? "" : "/../", below, rest);
    return path;
}

/* In a tree that is only built the executor is beside jobd, and the modules are in lib/jobq. */
static int find_programs(struct worker_config *c, jobq_err *err)
{
    char dir[PATH_MAX];
    c->executor_path = conf_string(c->conf, "executor_path");
    c->module_dir = conf_string(c->conf, "module_dir");
    find_own_directory(dir);
    const char *built = beside(c, dir, "bin", "/jobq-executor");
    if (!built)
        return config_no_memory(err);
    bool is_built = access(built, X_OK) == 0 && strstr(dir, "/bin");
    if (!c->executor_path)
        c->executor_path =
            is_built ? built : beside(c, dir, JOBQ_LIBEXECDIR, "/jobq/jobq-executor");
    if (!c->module_dir)
        c->module_dir = beside(c, dir, is_built ? "lib" : JOBQ_LIBDIR, "/jobq");
    return c->executor_path && c->module_dir ? JOBQ_OK : config_no_memory(err);
}

static int check_file(const struct worker_config *c, const char *option, const char *path, int mode,
                      jobq_err *err)
{
    struct stat st;
    const char *why = NULL;
    if (*path != '/')
        why = "not an absolute path";
    else if (stat(path, &st) != 0 || access(path, mode) != 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a file";
    if (!why)
        return JOBQ_OK;
    size_t len = strlen(path);
    return error_set(err, JOBQ_ECONFIG, "%s: %s: %s%s: %s", conf_source(c->conf, option), option,
                     len > 100 ? "…" : "", len > 100 ? path + len - 100 : path, why);
}

/* "recount" is a file of module_dir. */
static int take_module(struct worker_config *c, const char *name, const char **out, jobq_err *err)
{
    if (!strchr(name, '/')) {
        size_t size = strlen(c->module_dir) + strlen(name) + sizeof("/.so");
        char *path = is_word(name, 64, "_-", "") ? config_alloc(c, size) : NULL;
        if (!is_word(name, 64, "_-", ""))
            return refuse(c->conf, "modules",
                          "must be names of letters, digits, _ and -, or absolute paths", err);
        if (!path)
            return config_no_memory(err);
        snprintf(path, size, "%s/%s.so", c->module_dir, name);
        name = path;
    }
    *out = name;
    return check_file(c, "modules", name, R_OK, err);
}

int config_take_programs(struct worker_config *c, jobq_err *err)
{
    const char *const *names = NULL;
    size_t n = conf_strings(c->conf, "modules", &names);
    const char **paths = config_alloc(c, (n + 1) * sizeof(*paths));
    int code = paths ? find_programs(c, err) : config_no_memory(err);
    if (code == JOBQ_OK)
        code = check_file(c, "executor_path", c->executor_path, X_OK, err);
    for (size_t i = 0; code == JOBQ_OK && i < n; i++) {
        code = take_module(c, names[i], &paths[i], err);
        for (size_t k = 0; code == JOBQ_OK && k < i; k++)
            if (strcmp(paths[k], paths[i]) == 0)
                code = error_set(err, JOBQ_ECONFIG, "%s: modules: \"%.80s\" is there twice",
                                 conf_source(c->conf, "modules"), names[i]);
    }
    c->modules = paths;
    c->module_count = n;
    return code;
}
