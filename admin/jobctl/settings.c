/* SPDX-License-Identifier: MIT */
/* settings: see settings.h. */
#include "admin/jobctl/settings.h"

#include <string.h>

#include "admin/jobctl/command.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/url.h"
#include "config/config.h"

/* Of jobd's options. */
static const char *const options[] = {"redis", "postgres", "schema", "key_prefix",
                                      /* For doctor: what is on this host. */
                                      "modules", "state_dir", "mail.url", "mail.templates",
                                      "forum.media_root", NULL};

struct settings {
    struct conf *conf;
    struct conf_option rows[ARRAY_LEN(options)];
    struct redis_url redis;
};

int settings_argv(const struct args *a, const char *file,
                  const char *argv[static SETTINGS_ARGV_MAX])
{
    static const struct {
        const char *ours, *jobds;
    } flags[] = {
        {"config", "--config"},     {"env-file", "--env-file"}, {"redis", "--redis"},
        {"postgres", "--postgres"}, {"schema", "--schema"},     {"key-prefix", "--key-prefix"},
    };
    int argc = 0;
    argv[argc++] = "jobd";
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const char *value = args_value(a, flags[i].ours);
        if (i == 0 && file != NULL)
            value = file;
        if (value == NULL)
            continue;
        argv[argc++] = flags[i].jobds;
        argv[argc++] = value;
    }
    argv[argc] = NULL;
    return argc;
}

int settings_load(const struct args *a, const char *const *envp, struct settings **out,
                  jobq_err *err)
{
    const char *argv[SETTINGS_ARGV_MAX];
    int argc = settings_argv(a, NULL, argv);
    struct settings *s = mem_zalloc(1, sizeof(*s));
    if (s == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the settings");
    int rc = worker_config_pick(argc, argv, envp, options, s->rows, &s->conf, err);
    if (rc == JOBQ_OK)
        rc = worker_config_take_redis(s->conf, &s->redis, err);
    if (rc == JOBQ_OK && settings_schema(s) == NULL)
        rc = error_set(err, JOBQ_ECONFIG, "%s: schema: must not be empty",
                       conf_source(s->conf, "schema"));
    if (rc == JOBQ_OK)
        *out = s;
    else
        settings_free(s);
    return rc;
}

void settings_free(struct settings *s)
{
    if (s == NULL)
        return;
    url_done(&s->redis);
    conf_free(s->conf);
    mem_free(s);
}

const struct redis_url *settings_redis(const struct settings *s)
{
    return &s->redis;
}

const char *settings_postgres(const struct settings *s)
{
    return conf_string(s->conf, "postgres");
}

const char *settings_key_prefix(const struct settings *s)
{
    return conf_string(s->conf, "key_prefix");
}

const char *settings_schema(const struct settings *s)
{
    return conf_string(s->conf, "schema");
}

bool settings_has_module(const struct settings *s, const char *name)
{
    const char *const *names;
    size_t n = conf_strings(s->conf, "modules", &names);
    for (size_t i = 0; i < n; i++) {
        const char *slash = strrchr(names[i], '/');
        const char *base = slash != NULL ? slash + 1 : names[i];
        size_t len = strcspn(base, ".");
        if (strlen(name) == len && strncmp(base, name, len) == 0)
            return true;
    }
    return false;
}

bool settings_has_modules(const struct settings *s)
{
    const char *const *names;
    return conf_strings(s->conf, "modules", &names) > 0;
}

const char *settings_text(const struct settings *s, const char *name)
{
    return conf_string(s->conf, name);
}
