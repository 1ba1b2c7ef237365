/* SPDX-License-Identifier: MIT */
/*
 * conf_mask: shows URLs (Redis, PostgreSQL, SMTP) and libpq conninfo strings without their
 * passwords. When in doubt it hides too much. Pure.
 */
#include <string.h>

#include "base/conf_impl.h"
#include "base/conninfo.h"

#define MASK "***"

static bool contains_word(const char *bytes, size_t len, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= len; i++)
        if (strncasecmp(bytes + i, word, n) == 0)
            return true;
    return false;
}

/* password, sslpassword; not passfile, which is a path. A percent sign may spell anything. */
static bool is_secret_key(const char *key, size_t len)
{
    return contains_word(key, len, "password") || contains_word(key, len, "secret") ||
           contains_word(key, len, "token") || memchr(key, '%', len);
}

static void append_mask(struct buf *out)
{
    if (out)
        buf_append_str(out, MASK);
}

static void append(struct buf *out, const char *from, const char *to)
{
    if (out && to > from)
        buf_append(out, from, (size_t)(to - from));
}

/* "?a=b&password=c", from the question mark on */
static bool mask_query(const char *p, struct buf *out)
{
    bool any = false;
    while (*p) {
        size_t key = 1 + strcspn(p + 1, "=&");
        const char *end = p + key + strcspn(p + key, "&");
        if (p[key] == '=' && end > p + key + 1 && is_secret_key(p, key)) {
            append(out, p, p + key + 1);
            append_mask(out);
            any = true;
        } else {
            append(out, p, end);
        }
        p = end;
    }
    return any;
}

/* text is "scheme://…"; rest stands after the slashes. */
static bool mask_url(const char *text, const char *rest, struct buf *out)
{
    const char *at = strrchr(rest, '@');
    const char *query = strchr(rest, '?');
    if (at && query && query < at) {
        /* A question mark inside the password, or an @ inside the query: nobody can tell. */
        append(out, text, rest);
        append_mask(out);
        return true;
    }
    bool any = false;
    const char *colon = at ? memchr(rest, ':', (size_t)(at - rest)) : NULL;
    if (colon && colon + 1 < at) {
        append(out, text, colon + 1);
        append_mask(out);
        text = at;
        any = true;
    }
    append(out, text, query ? query : text + strlen(text));
    return query ? mask_query(query, out) || any : any;
}

/* key = value key = 'value' …; *regular is false when it is something else. */
static bool mask_conninfo(const char *text, struct buf *out, bool *regular)
{
    bool any = false;
    const char *done = text;
    const char *p = text;
    struct conninfo_pair pair;
    while (conninfo_next(&p, &pair)) {
        if (!is_secret_key(pair.key, pair.key_len) || pair.value_len == 0 ||
            strncmp(pair.value, "''", 2) == 0)
            continue;
        append(out, done, pair.value);
        append_mask(out);
        done = pair.value + pair.value_len;
        any = true;
    }
    *regular = *p == '\0';
    append(out, done, done + strlen(done));
    return any;
}

static bool mask_into(const char *text, struct buf *out)
{
    bool regular = false;
    const char *scheme = strstr(text, "://");
    const char *equals = strchr(text, '=');
    if (scheme && (!equals || scheme < equals))
        return mask_url(text, scheme + 3, out);
    if (!equals) {
        append(out, text, text + strlen(text));
        return false;
    }
    size_t before = out ? out->len : 0;
    bool any = mask_conninfo(text, out, &regular);
    if (regular || !contains_word(text, strlen(text), "password"))
        return any;
    if (out && out->len > before)
        out->len = before; /* not a conninfo string, yet it speaks of passwords */
    append_mask(out);
    return true;
}

bool conf_mask(const char *text, struct buf *out)
{
    return mask_into(text, out);
}

bool conf_has_password(const char *text)
{
    return mask_into(text, NULL);
}
