/* SPDX-License-Identifier: MIT */
/*
 * config: from flags, environment and files to one struct worker_config, and again for a reload.
 */
#include "config/config.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/conninfo.h"
#include "base/error.h"
#include "base/mem.h"
#include "config/config_impl.h"

#define EXECUTORS_MAX 1024

/* ---- memory ---- */

int config_no_memory(jobq_err *err)
{
    return error_set(err, JOBQ_ENOMEM, "out of memory while reading the configuration");
}

void *config_alloc(struct worker_config *c, size_t size)
{
    struct config_blocks *block = mem_zalloc(1, sizeof(*block) + size);
    if (!block)
        return NULL;
    block->next = c->blocks;
    block->size = sizeof(*block) + size;
    c->blocks = block;
    return block->bytes;
}

char *config_text(struct worker_config *c, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = config_alloc(c, size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

void worker_config_free(struct worker_config *c)
{
    if (!c)
        return;
    url_done(&c->redis);
    while (c->blocks) {
        struct config_blocks *block = c->blocks;
        c->blocks = block->next;
        mem_wipe_free(block, block->size);
    }
    conf_free(c->conf);
    mem_free(c);
}

/* ---- sources ---- */

static int load_file(const struct config_sources *s, struct conf *conf, jobq_err *err)
{
    const char *path = s->file;
    if (!path && access(WORKER_CONFIG_FILE, F_OK) != 0 && errno == ENOENT)
        return JOBQ_OK;
    return conf_load_file(conf, path ? path : WORKER_CONFIG_FILE, err);
}

static int load_sources(struct config_sources *s, struct conf *conf, jobq_err *err)
{
    enum config_command ignored;
    int code = load_file(s, conf, err);
    if (code == JOBQ_OK && s->env_file)
        code = conf_load_env_file(conf, s->env_file, err);
    if (code == JOBQ_OK)
        code = conf_load_env(conf, s->envp, err);
    if (code == JOBQ_OK)
        code = config_read_args(s, &ignored, conf, err);
    if (code == JOBQ_OK)
        code = config_read_forum(s, conf, err);
    return code;
}

/* ---- values ---- */

static int count_processors(void)
{
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
                                                          : sysconf(_SC_NPROCESSORS_ONLN);
    return (int)MAX(1L, MIN(n, (long)EXECUTORS_MAX));
}

static void take_numbers(struct worker_config *c)
{
    const struct conf *conf = c->conf;
    c->lanes_strict = strcmp(conf_string(conf, "lane_order"), "strict") == 0;
    c->crash_budget = (int)conf_int(conf, "crash_budget");
    c->loss_budget = (int)conf_int(conf, "loss_budget");
    c->lease_ms = conf_int(conf, "lease");
    c->drain_grace_ms = conf_int(conf, "drain_grace");
    c->done_retention_ms = conf_int(conf, "done_retention");
    c->dead_max = conf_int(conf, "dead_max");
    c->dead_retention_ms = conf_int(conf, "dead_retention");
    c->max_payload_bytes = conf_int(conf, "max_payload");
    c->executors =
        conf_is_set(conf, "executors") ? (int)conf_int(conf, "executors") : count_processors();
    c->executor_max_jobs = conf_int(conf, "executor_max_jobs");
    c->executor_max_rss_bytes = conf_int(conf, "executor_max_rss");
    c->max_held = (int)conf_int(conf, "max_held");
    c->prefetch_us = conf_int(conf, "prefetch_time") * 1000;
    bool known = log_parse_level(conf_string(conf, "log_level"), &c->log_level);
    ASSERT(known);
    c->log_format = strcmp(conf_string(conf, "log_format"), "json") == 0 ? LOG_JSON : LOG_KEY_VALUE;
}

static int take_servers(struct worker_config *c, jobq_err *err)
{
    jobq_err why;
    c->postgres = conf_string(c->conf, "postgres");
    c->key_prefix = conf_string(c->conf, "key_prefix");
    if (c->postgres && conninfo_check(c->postgres, &why))
        return error_set(err, JOBQ_ECONFIG, "%s: postgres: %s", conf_source(c->conf, "postgres"),
                         why.msg);
    return worker_config_take_redis(c->conf, &c->redis, err);
}

/* What handlers may ask for: how to reach the forum and its mail server; and what the executor
 * itself must know. */
static bool is_for_handlers(const char *option)
{
    return strcmp(option, "postgres") == 0 || strcmp(option, "schema") == 0 ||
           strcmp(option, "max_payload") == 0 || strcmp(option, "done_retention") == 0 ||
           strncmp(option, "mail.", 5) == 0 || strncmp(option, "forum.", 6) == 0;
}

/* The value as text; numbers in bytes or ms. NULL without memory. */
static const char *host_text(struct worker_config *c, const struct conf_option *o)
{
    if (o->type == CONF_BOOL)
        return conf_bool(c->conf, o->name) ? "true" : "false";
    if (o->type != CONF_INT && o->type != CONF_MS && o->type != CONF_BYTES)
        return conf_string(c->conf, o->name);
    char *text = config_alloc(c, 24);
    if (text)
        snprintf(text, 24, "%lld", (long long)conf_int(c->conf, o->name));
    return text;
}

static int take_host_strings(struct worker_config *c, jobq_err *err)
{
    size_t rows = 0;
    const struct conf_option *table = config_table();
    while (table[rows].name)
        rows++;
    const char **strings = config_alloc(c, 2 * rows * sizeof(*strings));
    if (!strings)
        return config_no_memory(err);
    for (const struct conf_option *o = table; o->name; o++) {
        if (!is_for_handlers(o->name) || !conf_is_set(c->conf, o->name))
            continue;
        strings[c->host_count++] = o->name;
        strings[c->host_count] = host_text(c, o);
        if (!strings[c->host_count++])
            return config_no_memory(err);
    }
    c->host_strings = strings;
    return JOBQ_OK;
}

/* ---- all of it ---- */

static int fill(struct worker_config *c, jobq_err *err)
{
    int code = conf_new(config_table(), &c->conf, err);
    if (code == JOBQ_OK)
        code = load_sources(c->sources, c->conf, err);
    if (code == JOBQ_OK)
        code = take_servers(c, err);
    if (code == JOBQ_OK)
        code = take_host_strings(c, err);
    if (code == JOBQ_OK)
        code = config_take_names(c, err);
    if (code == JOBQ_OK)
        code = config_take_queues(c, err);
    if (code == JOBQ_OK)
        code = config_take_limits(c, err);
    if (code == JOBQ_OK)
        code = config_check_mail(c, err);
    if (code == JOBQ_OK)
        code = config_take_programs(c, err);
    if (code == JOBQ_OK)
        take_numbers(c);
    return code;
}

static int build(const struct config_sources *sources, struct worker_config **out, jobq_err *err)
{
    struct worker_config *c = mem_zalloc(1, sizeof(*c));
    if (!c)
        return config_no_memory(err);
    c->sources = config_alloc(c, sizeof(*c->sources));
    int code = c->sources ? JOBQ_OK : config_no_memory(err);
    if (code == JOBQ_OK) {
        *c->sources = *sources;
        code = fill(c, err);
    }
    if (code != JOBQ_OK) {
        worker_config_free(c);
        return code;
    }
    *out = c;
    return JOBQ_OK;
}

int worker_config_load(int argc, const char *const *argv, const char *const *envp,
                       void (*print_metrics)(FILE *out), struct worker_config **out, jobq_err *err)
{
    struct config_sources sources = {.argc = argc, .argv = argv, .envp = envp};
    enum config_command command = CONFIG_RUN;
    struct worker_config *c = NULL;
    int code = config_read_args(&sources, &command, NULL, err);
    if (code != JOBQ_OK)
        return code;
    if (command == CONFIG_RUN || command == CONFIG_TRY)
        code = build(&sources, &c, err);
    if (code != JOBQ_OK)
        return code;
    config_do_command(command, print_metrics);
    if (command == CONFIG_TRY) {
        config_print_values(c->conf);
        worker_config_free(c);
        c = NULL;
    }
    *out = c;
    return JOBQ_OK;
}

/* *out is made also when it fails; NULL: not even that. Some of the table: the rest is passed
 * over. */
static int read_sources(struct config_sources *s, const struct conf_option *table,
                        struct conf **out, jobq_err *err)
{
    enum config_command ignored;
    int code = config_read_args(s, &ignored, NULL, err);
    if (code == JOBQ_OK)
        code = conf_new(table, out, err);
    if (code == JOBQ_OK && table != config_table())
        conf_ignore_unknown(*out);
    return code == JOBQ_OK ? load_sources(s, *out, err) : code;
}

int worker_config_each(int argc, const char *const *argv, const char *const *envp,
                       worker_config_value_fn fn, void *ctx, jobq_err *err)
{
    struct config_sources sources = {.argc = argc, .argv = argv, .envp = envp};
    struct conf *conf = NULL;
    int code = read_sources(&sources, config_table(), &conf, err);
    for (const struct conf_option *o = config_table(); code == JOBQ_OK && o->name; o++) {
        bool secret = o->type == CONF_SECRET, set = conf_is_set(conf, o->name);
        struct worker_config_value v = {o->name, NULL, conf_source(conf, o->name), secret};
        if (set)
            v.value = secret ? "(set)" : conf_show(conf, o->name);
        fn(ctx, &v);
    }
    conf_free(conf);
    return code;
}

static const struct conf_option *find_row(const char *name)
{
    const struct conf_option *o = config_table();
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    ASSERT(o->name);
    return o;
}

int worker_config_pick(int argc, const char *const *argv, const char *const *envp,
                       const char *const *names, struct conf_option *rows, struct conf **out,
                       jobq_err *err)
{
    struct config_sources sources = {.argc = argc, .argv = argv, .envp = envp};
    struct conf *conf = NULL;
    size_t n = 0;
    for (; names[n]; n++)
        rows[n] = *find_row(names[n]);
    rows[n] = (struct conf_option){.name = NULL};
    int code = read_sources(&sources, rows, &conf, err);
    if (code == JOBQ_OK)
        *out = conf;
    else
        conf_free(conf);
    return code;
}

int worker_config_reload(const struct worker_config *current, struct worker_config **out,
                         jobq_err *err)
{
    struct worker_config *next = NULL;
    int code = build(current->sources, &next, err);
    if (code != JOBQ_OK)
        return code;
    code = conf_check_reload(current->conf, next->conf, err);
    if (code != JOBQ_OK) {
        worker_config_free(next);
        return code;
    }
    *out = next;
    return JOBQ_OK;
}

/* ---- questions ---- */

const struct worker_limits *worker_config_limits(const struct worker_config *c, const char *type,
                                                 size_t len)
{
    size_t low = 0;
    size_t high = c->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct worker_limits *l = &c->types[middle];
        int order = memcmp(type, l->type, MIN(len, l->type_len));
        if (order == 0 && len == l->type_len)
            return l;
        if (order < 0 || (order == 0 && len < l->type_len))
            high = middle;
        else
            low = middle + 1;
    }
    return &c->limits;
}

bool worker_config_tells_otherwise(const struct worker_config *before,
                                   const struct worker_config *now)
{
    if (before->host_count != now->host_count)
        return true;
    for (size_t i = 0; i < now->host_count; i++)
        if (strcmp(before->host_strings[i], now->host_strings[i]) != 0)
            return true;
    return false;
}

const char *worker_config_source(const struct worker_config *c, const char *option)
{
    return conf_source(c->conf, option);
}

int worker_config_exit_status(int code)
{
    if (code == JOBQ_ECONFIG)
        return 78;
    return code == JOBQ_EINVAL ? 2 : 70;
}
