/* SPDX-License-Identifier: MIT */
#include "base/conninfo.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"

#define HEX "0123456789abcdefABCDEF"

static const char no_port[] = "the port is no number; in a URI, @ : / ? # % of a password are "
                              "written as %40 %3A %2F %3F %23 %25";

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* Numbers, one for each host. */
static bool is_ports(const char *text, size_t len)
{
    return strspn(text, "0123456789,") >= len;
}

/* Moves p over the value that is there; false: its quote is not closed. */
static bool skip_value(const char **p)
{
    const char *at = *p;
    bool quoted = *at == '\'';
    for (at += quoted; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (quoted ? *at == '\'' : isspace((unsigned char)*at) != 0)
            break;
    }
    bool closed = !quoted || *at;
    *p = at + (quoted && closed);
    return closed;
}

bool conninfo_next(const char **text, struct conninfo_pair *out)
{
    struct conninfo_pair pair;
    const char *p = *text = skip_space(*text);
    pair.key = p;
    while (*p && *p != '=' && !isspace((unsigned char)*p))
        p++;
    pair.key_len = (size_t)(p - pair.key);
    p = skip_space(p);
    if (*p != '=' || pair.key_len == 0)
        return false;
    pair.value = p = skip_space(p + 1);
    pair.is_closed = skip_value(&p);
    pair.value_len = (size_t)(p - pair.value);
    *text = skip_space(p);
    *out = pair;
    return true;
}

static const char *judge_pairs(const char *p)
{
    struct conninfo_pair pair;
    while (conninfo_next(&p, &pair)) {
        size_t quote = *pair.value == '\'';
        if (!pair.is_closed)
            return "a single quote is not closed";
        if (pair.key_len == 4 && strncmp(pair.key, "port", 4) == 0 &&
            !is_ports(pair.value + quote, pair.value_len - 2 * quote))
            return "the port is no number";
    }
    return *p ? "a key is without its value; a value with spaces stands in single quotes" : NULL;
}

/* "host:port,[::1]:port", up to end. */
static bool are_hosts(const char *p, const char *end)
{
    while (p < end) {
        if (*p == '[') {
            p = memchr(p, ']', (size_t)(end - p));
            if (!p)
                return false;
            p++;
        } else {
            p += strcspn(p, ":,/?");
        }
        if (p < end && *p == ':') {
            size_t len = strcspn(p + 1, ",/?");
            if (!is_ports(p + 1, len))
                return false;
            p += 1 + len;
        }
        if (p < end && *p != ',')
            return false;
        p++;
    }
    return true;
}

static bool are_parameters(const char *query)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        const char *equals = memchr(query, '=', len);
        if (!equals || memchr(equals + 1, '=', len - (size_t)(equals + 1 - query)))
            return false;
        query += len + (query[len] == '&');
    }
    return true;
}

/* Read as libpq reads it: user and password reach to the first @, if that comes before any /. */
static const char *judge_uri(const char *p)
{
    for (const char *at = strchr(p, '%'); at; at = strchr(at + 1, '%'))
        if (strspn(at + 1, HEX) < 2)
            return "% is not followed by two hexadecimal digits; itself it is written as %25";
    const char *hosts = p + strcspn(p, "@/");
    hosts = *hosts == '@' ? hosts + 1 : p;
    const char *query = hosts + strcspn(hosts, "?");
    if (memchr(hosts, '@', (size_t)(query - hosts)))
        return "an @ too many; in a user or a password, @ : / ? # % are written as %40 %3A %2F "
               "%3F %23 %25";
    const char *end = hosts + strcspn(hosts, "/?");
    if (!are_hosts(hosts, end))
        return no_port;
    if (*query && !are_parameters(query + 1))
        return "what follows the question mark is no list of key=value with & between";
    return NULL;
}

int conninfo_check(const char *text, jobq_err *err)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    const char *why = NULL;
    bool uri = false;
    for (size_t i = 0; i < ARRAY_LEN(schemes) && !uri; i++) {
        uri = strncmp(text, schemes[i], strlen(schemes[i])) == 0;
        if (uri)
            why = judge_uri(text + strlen(schemes[i]));
    }
    if (!uri)
        why = judge_pairs(text);
    if (!why)
        return JOBQ_OK;
    return error_set(err, JOBQ_ECONFIG,
                     "is not a libpq connection string (\"host=… dbname=…\" or postgresql://…): %s",
                     why);
}
