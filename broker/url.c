/* SPDX-License-Identifier: MIT */
/*
 * url: see url.h. No message quotes any part of the text: whatever looks like a host may be half a
 * password.
 */
#include "broker/url.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define PORT_DEFAULT 6379
#define URL_MAX 4096
#define HOST_MAX 255
#define SECRET_MAX 1024

/* A stretch of the text. */
struct span {
    const char *at;
    size_t len;
};

static const char *const forms =
    "use redis://[user:password@]host[:port][/db] or unix:///path[?db=N]";

/* Undoes %XX into a new string. what names the part in messages. */
static int decode(struct span s, const char *what, char **out, jobq_err *err)
{
    char *text = mem_alloc(s.len + 1);
    size_t n = 0;
    int code = JOBQ_OK;

    if (text == NULL)
        return error_set(err, JOBQ_ENOMEM, "no memory for a Redis URL");
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] != '%') {
            text[n++] = s.at[i];
            continue;
        }
        int high = i + 2 < s.len ? text_hex_value(s.at[i + 1]) : -1;
        int low = i + 2 < s.len ? text_hex_value(s.at[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            code = error_set(
                err, JOBQ_EINVAL,
                "Redis URL: %s: '%%' must be followed by two hexadecimal digits, not 00", what);
            break;
        }
        text[n++] = (char)(high * 16 + low);
        i += 2;
    }
    text[n] = '\0';
    if (code == JOBQ_OK)
        *out = text;
    else
        mem_wipe_free(text, s.len + 1);
    return code;
}

/* Decimal digits only. */
static bool parse_number(struct span s, int max, int *out)
{
    int value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        int digit = s.at[i] - '0';
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool is_host(struct span s, bool bracketed)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const char *also = bracketed ? ":%" : ""; /* [fe80::1%25eth0] */

    if (s.len == 0 || s.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] == '\0' || (strchr(plain, s.at[i]) == NULL && strchr(also, s.at[i]) == NULL))
            return false;
    return true;
}

static int parse_port(struct span s, struct redis_url *out, jobq_err *err)
{
    if (!parse_number(s, 65535, &out->port) || out->port == 0)
        return error_set(err, JOBQ_EINVAL, "Redis URL: the port must be a number from 1 to 65535");
    return JOBQ_OK;
}

static int parse_db(struct span s, struct redis_url *out, jobq_err *err)
{
    if (!parse_number(s, INT_MAX, &out->db))
        return error_set(err, JOBQ_EINVAL, "Redis URL: the database must be a number, as in /0");
    return JOBQ_OK;
}

/* Takes "user:password" or ":password". */
static int parse_credentials(struct span s, struct redis_url *out, jobq_err *err)
{
    const char *colon = memchr(s.at, ':', s.len);
    int code;

    if (colon == NULL)
        return error_set(err, JOBQ_EINVAL,
                         "Redis URL: a user needs a password: user:password@host");
    struct span user = {s.at, (size_t)(colon - s.at)};
    struct span password = {colon + 1, s.len - user.len - 1};
    if (user.len > SECRET_MAX || password.len > SECRET_MAX)
        return error_set(err, JOBQ_EINVAL, "Redis URL: user or password is longer than %d bytes",
                         SECRET_MAX);
    if (password.len == 0)
        return error_set(err, JOBQ_EINVAL, "Redis URL: the password is empty");
    code = decode(password, "password", &out->password, err);
    if (code == JOBQ_OK && user.len > 0)
        code = decode(user, "user", &out->user, err);
    return code;
}

/* Takes "host", "host:port", "[v6]" or "[v6]:port". */
static int parse_host(struct span s, struct redis_url *out, jobq_err *err)
{
    bool bracketed = s.len > 0 && s.at[0] == '[';
    struct span host = s;
    struct span rest = {s.at + s.len, 0};

    if (bracketed) {
        const char *end = memchr(s.at, ']', s.len);
        if (end == NULL)
            return error_set(err, JOBQ_EINVAL, "Redis URL: '[' without ']' in the host");
        host = (struct span){s.at + 1, (size_t)(end - s.at) - 1};
        rest = (struct span){end + 1, s.len - host.len - 2};
    } else {
        const char *colon = memchr(s.at, ':', s.len);
        if (colon != NULL) {
            host.len = (size_t)(colon - s.at);
            rest = (struct span){colon, s.len - host.len};
        }
    }
    if (!is_host(host, bracketed))
        return error_set(
            err, JOBQ_EINVAL,
            "Redis URL: the host is missing or has a character that cannot stand in one "
            "(write IPv6 as [::1]; percent-encode / ? # in a password)");
    int code = decode(host, "host", &out->host, err);
    if (code == JOBQ_OK && !is_host((struct span){out->host, strlen(out->host)}, bracketed))
        code =
            error_set(err, JOBQ_EINVAL, "Redis URL: in a host only '%%' itself is percent-encoded");
    if (code != JOBQ_OK || rest.len == 0)
        return code;
    if (rest.at[0] != ':')
        return error_set(err, JOBQ_EINVAL, "Redis URL: only a port may follow ']'");
    return parse_port((struct span){rest.at + 1, rest.len - 1}, out, err);
}

/* Splits s at the last '@' into credentials and the rest, which is left in *s. */
static int take_credentials(struct span *s, struct redis_url *out, jobq_err *err)
{
    const char *at = memrchr(s->at, '@', s->len);

    if (at == NULL)
        return JOBQ_OK;
    struct span credentials = {s->at, (size_t)(at - s->at)};
    *s = (struct span){at + 1, s->len - credentials.len - 1};
    return parse_credentials(credentials, out, err);
}

static int parse_tcp(const char *text, struct redis_url *out, jobq_err *err)
{
    struct span authority = {text, strcspn(text, "/?#")};
    const char *tail = text + authority.len;
    int code;

    out->port = PORT_DEFAULT;
    if (strpbrk(tail, "?#") != NULL)
        return error_set(
            err, JOBQ_EINVAL,
            "Redis URL: '?' and '#' mean nothing after redis:// (percent-encode them in "
            "a password)");
    code = take_credentials(&authority, out, err);
    if (code == JOBQ_OK)
        code = parse_host(authority, out, err);
    if (code == JOBQ_OK && tail[0] == '/' && tail[1] != '\0')
        code = parse_db((struct span){tail + 1, strlen(tail + 1)}, out, err);
    return code;
}

static int parse_unix(const char *text, struct redis_url *out, jobq_err *err)
{
    struct span before = {text, strcspn(text, "/?#")};
    const char *path_at = text + before.len;
    struct span path = {path_at, strcspn(path_at, "?#")};
    const char *query = path_at + path.len;
    int code;

    code = take_credentials(&before, out, err);
    if (code != JOBQ_OK)
        return code;
    if (before.len > 0 || path.len < 2)
        return error_set(err, JOBQ_EINVAL,
                         "Redis URL: a unix socket needs an absolute path: unix:///run/redis.sock");
    code = decode(path, "path", &out->path, err);
    if (code != JOBQ_OK)
        return code;
    if (strlen(out->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return error_set(err, JOBQ_EINVAL,
                         "Redis URL: the path of a unix socket is at most %zu bytes",
                         sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    if (query[0] == '\0')
        return JOBQ_OK;
    if (strncmp(query, "?db=", 4) != 0)
        return error_set(err, JOBQ_EINVAL, "Redis URL: only ?db=N may follow the path");
    return parse_db((struct span){query + 4, strlen(query + 4)}, out, err);
}

/* What messages show: no user, no password, no control characters. */
static void show(struct redis_url *u)
{
    char path[sizeof(u->shown) - 16];

    if (u->path != NULL) {
        text_sanitize(u->path, strlen(u->path), path, sizeof(path));
        for (char *c = path; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
        snprintf(u->shown, sizeof(u->shown), "%s/%d", path, u->db);
        return;
    }
    bool v6 = strchr(u->host, ':') != NULL;
    snprintf(u->shown, sizeof(u->shown), "%s%.*s%s:%d/%d", v6 ? "[" : "",
             (int)sizeof(u->shown) - 24, u->host, v6 ? "]" : "", u->port, u->db);
}

/* Schemes that exist and that this build does not serve. */
static int refuse_scheme(const char *text, jobq_err *err)
{
    static const struct {
        const char *scheme;
        const char *why;
    } known[] = {
        {"rediss://",
         "TLS is not supported by this version; use redis:// through stunnel, or unix://"},
        {"redis+sentinel://",
         "Sentinel is not supported by this version; name the master's host, or "
         "a proxy, with redis://"},
        {"redis+cluster://", "Redis Cluster is not supported by this version; use redis:// with a "
                             "server that is not in cluster mode"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strncasecmp(text, known[i].scheme, strlen(known[i].scheme)) == 0)
            return error_set(err, JOBQ_EINVAL, "Redis URL: %s: %s", known[i].scheme, known[i].why);
    return error_set(err, JOBQ_EINVAL, "Redis URL: %s", forms);
}

int url_parse(const char *text, struct redis_url *out, jobq_err *err)
{
    struct redis_url u = {0};
    int code;

    if (strnlen(text, URL_MAX + 1) > URL_MAX)
        return error_set(err, JOBQ_EINVAL, "Redis URL: longer than %d bytes", URL_MAX);
    if (strncasecmp(text, "redis://", 8) == 0)
        code = parse_tcp(text + 8, &u, err);
    else if (strncasecmp(text, "unix://", 7) == 0)
        code = parse_unix(text + 7, &u, err);
    else
        return refuse_scheme(text, err);
    if (code != JOBQ_OK) {
        url_done(&u);
        return code;
    }
    show(&u);
    *out = u;
    return JOBQ_OK;
}

/* NULL stays NULL; false: no memory. */
static bool copy_text(const char *from, char **to)
{
    *to = from != NULL ? mem_strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

int url_copy(const struct redis_url *from, struct redis_url *out, jobq_err *err)
{
    struct redis_url u = *from;
    bool fine = copy_text(from->host, &u.host);

    fine = copy_text(from->path, &u.path) && fine;
    fine = copy_text(from->user, &u.user) && fine;
    fine = copy_text(from->password, &u.password) && fine;
    if (!fine) {
        url_done(&u);
        return error_set(err, JOBQ_ENOMEM, "no memory for a Redis URL");
    }
    *out = u;
    return JOBQ_OK;
}

void url_done(struct redis_url *u)
{
    mem_free(u->host);
    mem_free(u->path);
    mem_free(u->user);
    if (u->password != NULL)
        mem_wipe_free(u->password, strlen(u->password));
    memset(u, 0, sizeof(*u));
}
