/* SPDX-License-Identifier: MIT */
/* settings: see settings.h. */
#include "admin/jobctl/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/jobctl/command.h"
#include "admin/jobctl/pg.h"
#include "base/conf.h"
#include "base/error.h"
#include "base/mem.h"
#include "broker/keys.h"
#include "broker/url.h"

/* What jobd's table has under the same names, and the deployment of a forum, whose variables count
 * where ours are not set. */
static const struct conf_option table[] = {
    {.name = "redis", .type = CONF_STRING},
    {.name = "postgres", .type = CONF_STRING},
    {.name = "schema", .type = CONF_STRING, .fallback = "jobq"},
    {.name = "key_prefix", .type = CONF_STRING, .fallback = KEYS_PREFIX_DEFAULT},
    /* For doctor: what is on this host. */
    {.name = "modules", .type = CONF_STRINGS},
    {.name = "state_dir",
     .type = CONF_STRING,
     .fallback = "/var/lib/jobq",
     .foreign_env = "STATE_DIRECTORY"},
    {.name = "mail.url", .type = CONF_STRING},
    {.name = "mail.templates", .type = CONF_STRING, .fallback = "/etc/jobq/templates"},
    {.name = "forum.media_root", .type = CONF_STRING},
    {.name = "deployment.mail_host", .type = CONF_STRING, .foreign_env = "MISAGO_EMAIL_HOST"},
    {.name = "deployment.mail_port", .type = CONF_STRING, .foreign_env = "MISAGO_EMAIL_PORT"},
    {.name = "deployment.redis_host", .type = CONF_STRING, .foreign_env = "REDIS_HOST"},
    {.name = "deployment.redis_port",
     .type = CONF_INT,
     .fallback = "6379",
     .min = 1,
     .max = 65535,
     .foreign_env = "REDIS_PORT"},
    {.name = "deployment.redis_password", .type = CONF_SECRET, .foreign_env = "REDIS_PASSWORD"},
    {.name = "deployment.postgres_host", .type = CONF_STRING, .foreign_env = "POSTGRES_HOST"},
    {.name = "deployment.postgres_port",
     .type = CONF_INT,
     .fallback = "5432",
     .min = 1,
     .max = 65535,
     .foreign_env = "POSTGRES_PORT"},
    {.name = "deployment.postgres_db", .type = CONF_STRING, .foreign_env = "POSTGRES_DB"},
    {.name = "deployment.postgres_user", .type = CONF_STRING, .foreign_env = "POSTGRES_USER"},
    {.name = "deployment.postgres_password",
     .type = CONF_SECRET,
     .foreign_env = "POSTGRES_PASSWORD"},
    {.name = NULL},
};

struct settings {
    struct conf *conf;
    struct redis_url redis;
    struct pg_target postgres;
    char port[8];
};

/* The file named, or the usual one if it is there. */
static int load_file(struct conf *c, const struct args *a, jobq_err *err)
{
    const char *path = args_value(a, "config");
    if (path != NULL)
        return conf_load_file(c, path, err);
    if (access(SETTINGS_FILE, F_OK) != 0)
        return JOBQ_OK;
    return conf_load_file(c, SETTINGS_FILE, err);
}

static int load_flags(struct conf *c, const struct args *a, jobq_err *err)
{
    static const char *const names[] = {"redis", "postgres", "schema", "key-prefix"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = args_value(a, names[i]);
        int rc = value != NULL ? conf_set_flag(c, names[i], value, err) : JOBQ_OK;
        if (rc != JOBQ_OK)
            return rc;
    }
    return JOBQ_OK;
}

static int load_all(struct conf *c, const struct args *a, const char *const *envp, jobq_err *err)
{
    conf_ignore_unknown(c);
    int rc = load_file(c, a, err);
    if (rc == JOBQ_OK && args_has(a, "env-file"))
        rc = conf_load_env_file(c, args_value(a, "env-file"), err);
    if (rc == JOBQ_OK)
        rc = conf_load_env(c, envp, err);
    if (rc == JOBQ_OK)
        rc = load_flags(c, a, err);
    return rc;
}

static int parse_url(struct settings *s, const char *url, const char *source, jobq_err *err)
{
    jobq_err why = {0};
    int rc = url_parse(url, &s->redis, &why);
    return rc == JOBQ_OK
               ? rc
               : error_set(err, rc == JOBQ_EINVAL ? JOBQ_ECONFIG : rc, "%s: %s", source, why.msg);
}

/* The URL if there is one, else the host and port of the forum's own settings, else this
 * machine. */
static int resolve_redis(struct settings *s, jobq_err *err)
{
    char url[512];
    const char *host = conf_string(s->conf, "deployment.redis_host");
    const char *password = conf_string(s->conf, "deployment.redis_password");
    const char *source = conf_is_set(s->conf, "redis")
                             ? conf_source(s->conf, "redis")
                             : conf_source(s->conf, "deployment.redis_host");
    if (conf_is_set(s->conf, "redis"))
        return parse_url(s, conf_string(s->conf, "redis"), source, err);
    bool v6 = host != NULL && strchr(host, ':') != NULL;
    int len = snprintf(url, sizeof(url), "redis://%s%s%s:%lld/0", v6 ? "[" : "",
                       host != NULL ? host : "localhost", v6 ? "]" : "",
                       (long long)conf_int(s->conf, "deployment.redis_port"));
    if ((size_t)len >= sizeof(url))
        return error_set(err, JOBQ_ECONFIG, "%s: a host name of more than 400 bytes", source);
    int rc = parse_url(s, url, source, err);
    if (rc == JOBQ_OK && password != NULL && (s->redis.password = mem_strdup(password)) == NULL)
        rc = error_set(err, JOBQ_ENOMEM, "no memory for the settings");
    return rc;
}

static void resolve_postgres(struct settings *s)
{
    const struct conf *c = s->conf;
    snprintf(s->port, sizeof(s->port), "%lld", (long long)conf_int(c, "deployment.postgres_port"));
    if (conf_is_set(c, "postgres")) {
        s->postgres.conninfo = conf_string(c, "postgres");
        return;
    }
    if (!conf_is_set(c, "deployment.postgres_host"))
        return;
    s->postgres = (struct pg_target){
        .host = conf_string(c, "deployment.postgres_host"),
        .port = s->port,
        .dbname = conf_string(c, "deployment.postgres_db"),
        .user = conf_string(c, "deployment.postgres_user"),
        .password = conf_string(c, "deployment.postgres_password"),
    };
}

/* A prefix is part of every key, so what would end the hash tag early or break a listing is
 * refused. */
static int check_prefix(const struct settings *s, jobq_err *err)
{
    struct shard_keys k;
    jobq_err why = {0};
    int rc = keys_init(&k, conf_string(s->conf, "key_prefix"), "default", 0, &why);
    if (rc == JOBQ_OK) {
        keys_done(&k);
        return JOBQ_OK;
    }
    return error_set(err, rc == JOBQ_EINVAL ? JOBQ_ECONFIG : rc, "%s: key_prefix: %s",
                     conf_source(s->conf, "key_prefix"), why.msg);
}

int settings_load(const struct args *a, const char *const *envp, struct settings **out,
                  jobq_err *err)
{
    struct settings *s = mem_zalloc(1, sizeof(*s));
    if (s == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for the settings");
    int rc = conf_new(table, &s->conf, err);
    if (rc == JOBQ_OK)
        rc = load_all(s->conf, a, envp, err);
    if (rc == JOBQ_OK)
        rc = check_prefix(s, err);
    if (rc == JOBQ_OK)
        rc = resolve_redis(s, err);
    if (rc != JOBQ_OK) {
        settings_free(s);
        return rc;
    }
    resolve_postgres(s);
    *out = s;
    return JOBQ_OK;
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

bool settings_has_postgres(const struct settings *s)
{
    return s->postgres.conninfo != NULL || s->postgres.host != NULL;
}

const struct pg_target *settings_postgres(const struct settings *s)
{
    return &s->postgres;
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
