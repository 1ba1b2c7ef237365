/* SPDX-License-Identifier: MIT */
/*
 * config_forum: what the variables of a forum's deployment say, put into the form of our own
 * options: a conninfo string, a Redis URL, a mail server. Only where ours are not set, so that
 * nothing of another server is mixed in.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "config/config_impl.h"

#define TEXT_LIMIT ((size_t)64 * 1024)

#define VARIABLE(option, n, t, env)                                                                \
    {                                                                                              \
        (option),                                                                                  \
        {                                                                                          \
            .name = "deployment." n, .type = (t), .foreign_env = (env)                             \
        }                                                                                          \
    }
#define PORT(option, n, env)                                                                       \
    {                                                                                              \
        (option),                                                                                  \
        {                                                                                          \
            .name = "deployment." n, .type = CONF_INT, .min = 1, .max = 65535,                     \
            .foreign_env = (env)                                                                   \
        }                                                                                          \
    }

/* Each with the option that it is for: who does not read that one does not read it either. Their
 * names with us are JOBQ_DEPLOYMENT_…; nobody needs those. */
static const struct {
    const char *option;
    struct conf_option row;
} variables[] = {
    VARIABLE("postgres", "postgres_host", CONF_STRING, "POSTGRES_HOST"),
    PORT("postgres", "postgres_port", "POSTGRES_PORT"),
    VARIABLE("postgres", "postgres_db", CONF_STRING, "POSTGRES_DB"),
    VARIABLE("postgres", "postgres_user", CONF_STRING, "POSTGRES_USER"),
    VARIABLE("postgres", "postgres_password", CONF_SECRET, "POSTGRES_PASSWORD"),
    VARIABLE("redis", "redis_host", CONF_STRING, "REDIS_HOST"),
    PORT("redis", "redis_port", "REDIS_PORT"),
    VARIABLE("redis", "redis_password", CONF_SECRET, "REDIS_PASSWORD"),
    VARIABLE("mail.url", "mail_host", CONF_STRING, "MISAGO_EMAIL_HOST"),
    PORT("mail.url", "mail_port", "MISAGO_EMAIL_PORT"),
    VARIABLE("mail.url", "mail_ssl", CONF_BOOL, "MISAGO_EMAIL_USE_SSL"),
    VARIABLE("mail.tls", "mail_tls", CONF_BOOL, "MISAGO_EMAIL_USE_TLS"),
    VARIABLE("mail.user", "mail_user", CONF_STRING, "MISAGO_EMAIL_USER"),
    VARIABLE("mail.password", "mail_password", CONF_SECRET, "MISAGO_EMAIL_PASSWORD"),
};

/* Sets option to what b holds, and wipes b. from is the option of ours whose variable is named as
 * the source. */
static int set_composed(struct conf *conf, const char *option, struct buf *b,
                        const struct conf *forum, const char *from, jobq_err *err)
{
    int code = JOBQ_OK;
    if (b->failed || !b->data)
        code = config_no_memory(err);
    else
        code = conf_set_foreign(conf, option, b->data, conf_source(forum, from), err);
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_done(b);
    return code;
}

static int set_as_is(struct conf *conf, const char *option, const struct conf *forum,
                     const char *from, jobq_err *err)
{
    const char *text = conf_knows(conf, option) ? conf_string(forum, from) : NULL;
    return text ? conf_set_foreign(conf, option, text, conf_source(forum, from), err) : JOBQ_OK;
}

/* ---- PostgreSQL ---- */

/* " key='value'" as libpq reads it */
static void add_pair(struct buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    buf_appendf(b, "%s%s='", b->len ? " " : "", key);
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_append_char(b, '\\');
        buf_append_char(b, *value);
    }
    buf_append_char(b, '\'');
}

static int compose_postgres(struct conf *conf, const struct conf *forum, jobq_err *err)
{
    struct buf b;
    const char *host = conf_string(forum, "deployment.postgres_host");
    if (!host)
        return JOBQ_OK;
    buf_init(&b, TEXT_LIMIT);
    add_pair(&b, "host", host);
    if (conf_is_set(forum, "deployment.postgres_port"))
        buf_appendf(&b, " port=%" PRId64, conf_int(forum, "deployment.postgres_port"));
    add_pair(&b, "dbname", conf_string(forum, "deployment.postgres_db"));
    add_pair(&b, "user", conf_string(forum, "deployment.postgres_user"));
    add_pair(&b, "password", conf_string(forum, "deployment.postgres_password"));
    return set_composed(conf, "postgres", &b, forum, "deployment.postgres_host", err);
}

/* ---- Redis ---- */

/* Letters, digits, and what names and addresses have besides; a colon only in an IPv6 address. */
static int check_host(const struct conf *forum, const char *option, jobq_err *err)
{
    const char *host = conf_string(forum, option);
    for (const char *p = host; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-:", *p))
            return error_set(err, JOBQ_ECONFIG, "%s: must be a host name or an address",
                             conf_source(forum, option));
    return JOBQ_OK;
}

static void add_host(struct buf *b, const char *host)
{
    buf_appendf(b, strchr(host, ':') ? "[%s]" : "%s", host);
}

static void add_encoded(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || strchr("._-~", *text))
            buf_append_char(b, *text);
        else
            buf_appendf(b, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

static int compose_redis(struct conf *conf, const struct conf *forum, jobq_err *err)
{
    struct buf b;
    const char *host = conf_string(forum, "deployment.redis_host");
    const char *password = conf_string(forum, "deployment.redis_password");
    if (!host)
        return JOBQ_OK;
    int code = check_host(forum, "deployment.redis_host", err);
    if (code != JOBQ_OK)
        return code;
    buf_init(&b, TEXT_LIMIT);
    buf_append_str(&b, "redis://");
    if (password) {
        buf_append_char(&b, ':');
        add_encoded(&b, password);
        buf_append_char(&b, '@');
    }
    add_host(&b, host);
    int64_t port = conf_int(forum, "deployment.redis_port");
    buf_appendf(&b, ":%" PRId64 "/0", port ? port : 6379);
    return set_composed(conf, "redis", &b, forum, "deployment.redis_host", err);
}

/* ---- mail ---- */

static int compose_mail(struct conf *conf, const struct conf *forum, jobq_err *err)
{
    struct buf b;
    static const char from[] = "deployment.mail_host";
    const char *host = conf_string(forum, from);
    if (!host)
        return JOBQ_OK;
    int code = check_host(forum, from, err);
    if (code != JOBQ_OK)
        return code;
    bool ssl = conf_bool(forum, "deployment.mail_ssl");
    int64_t port = conf_int(forum, "deployment.mail_port");
    buf_init(&b, TEXT_LIMIT);
    buf_append_str(&b, ssl ? "smtps://" : "smtp://");
    add_host(&b, host);
    buf_appendf(&b, ":%" PRId64, port ? port : ssl ? 465 : 25);
    code = set_composed(conf, "mail.url", &b, forum, from, err);
    if (code == JOBQ_OK && conf_knows(conf, "mail.tls"))
        code = conf_set_foreign(conf, "mail.tls",
                                conf_bool(forum, "deployment.mail_tls") ? "require" : "none",
                                conf_source(forum, from), err);
    if (code == JOBQ_OK)
        code = set_as_is(conf, "mail.user", forum, "deployment.mail_user", err);
    if (code == JOBQ_OK)
        code = set_as_is(conf, "mail.password", forum, "deployment.mail_password", err);
    return code;
}

/* Whether it is for us to say: not when it was given, nor when it was given as "", which says:
 * none. */
static bool is_open(const struct conf *conf, const char *option)
{
    return conf_knows(conf, option) && strcmp(conf_source(conf, option), "default") == 0;
}

int config_read_forum(const struct config_sources *s, struct conf *conf, jobq_err *err)
{
    struct conf_option table[ARRAY_LEN(variables) + 1] = {{.name = NULL}};
    struct conf *forum = NULL;
    size_t rows = 0;
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        if (conf_knows(conf, variables[i].option))
            table[rows++] = variables[i].row;
    int code = conf_new(table, &forum, err);
    if (code == JOBQ_OK && s->env_file)
        code = conf_load_env_file(forum, s->env_file, err);
    if (code == JOBQ_OK)
        code = conf_load_env(forum, s->envp, err);
    if (code == JOBQ_OK && is_open(conf, "redis"))
        code = compose_redis(conf, forum, err);
    if (code == JOBQ_OK && is_open(conf, "postgres"))
        code = compose_postgres(conf, forum, err);
    if (code == JOBQ_OK && is_open(conf, "mail.url"))
        code = compose_mail(conf, forum, err);
    conf_free(forum);
    return code;
}
