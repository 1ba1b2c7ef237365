/* SPDX-License-Identifier: MIT */
/*
 * reply: see reply.h. An error is known by its first word and, where that is only "ERR", by the
 * words after it.
 */
#include "broker/reply.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/error.h"

struct rule {
    const char *word;  /* the first word, whole */
    const char *after; /* what must follow it and a space; NULL: anything */
    enum reply_class is;
    jobq_cause cause;
};

/* The first rule that fits. */
static const struct rule rules[] = {
    {"NOSCRIPT", NULL, REPLY_NOSCRIPT, JOBQ_CAUSE_SERVER},
    {"NOGROUP", NULL, REPLY_LOST_DATA, JOBQ_CAUSE_SERVER},
    {"UNBLOCKED", "the stream key no longer exists", REPLY_LOST_DATA, JOBQ_CAUSE_SERVER},
    {"UNBLOCKED", "force unblock", REPLY_DEMOTED, JOBQ_CAUSE_READ_ONLY},
    {"READONLY", NULL, REPLY_DEMOTED, JOBQ_CAUSE_READ_ONLY},
    {"MASTERDOWN", NULL, REPLY_DEMOTED, JOBQ_CAUSE_READ_ONLY},
    {"LOADING", NULL, REPLY_LOADING, JOBQ_CAUSE_LOADING},
    {"NOREPLICAS", NULL, REPLY_NOT_WRITABLE, JOBQ_CAUSE_NO_REPLICAS},
    {"MISCONF", NULL, REPLY_NOT_WRITABLE, JOBQ_CAUSE_CANNOT_PERSIST},
    {"OOM", NULL, REPLY_OOM, JOBQ_CAUSE_OUT_OF_MEMORY},
    {"BUSY", NULL, REPLY_BUSY, JOBQ_CAUSE_BUSY},
    {"NOAUTH", NULL, REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    {"WRONGPASS", NULL, REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    {"NOPERM", NULL, REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    {"DENIED", NULL, REPLY_AUTH, JOBQ_CAUSE_PERMISSION}, /* protected mode */
    {"ERR", "AUTH <password> called without any password", REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    {"ERR", "invalid password", REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    /* 7.0's NOPERM in a script */
    {"ERR", "The user executing the script", REPLY_AUTH, JOBQ_CAUSE_PERMISSION},
    {"ERR", "ACL failure in script", REPLY_AUTH, JOBQ_CAUSE_PERMISSION}, /* from 7.2 on */
    {"MOVED", NULL, REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    {"ASK", NULL, REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    {"TRYAGAIN", NULL, REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    {"CLUSTERDOWN", NULL, REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    {"CROSSSLOT", NULL, REPLY_CLUSTER, JOBQ_CAUSE_SERVER},
    {"ERR", "max number of clients reached", REPLY_TOO_MANY, JOBQ_CAUSE_SERVER},
};

static const struct rule anything_else = {"", NULL, REPLY_OTHER, JOBQ_CAUSE_SERVER};

static bool begins_with(const char *text, size_t len, const char *prefix)
{
    size_t n = strlen(prefix);
    return len >= n && memcmp(text, prefix, n) == 0;
}

static const struct rule *find_rule(const char *text, size_t len)
{
    /* Redis 7.0 writes some errors of unblocked clients with a second '-'. */
    if (len > 0 && text[0] == '-') {
        text++;
        len--;
    }
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        size_t n = strlen(r->word);
        if (!begins_with(text, len, r->word) || (len > n && text[n] != ' '))
            continue;
        if (r->after == NULL || (len > n && begins_with(text + n + 1, len - n - 1, r->after)))
            return r;
    }
    return &anything_else;
}

enum reply_class reply_classify(const char *text, size_t len)
{
    return find_rule(text, len)->is;
}

enum reply_class reply_class_of(const struct redisReply *r)
{
    if (r == NULL || r->type != REDIS_REPLY_ERROR)
        return REPLY_FINE;
    return reply_classify(r->str, (size_t)r->len);
}

jobq_cause reply_cause(const char *text, size_t len)
{
    return find_rule(text, len)->cause;
}

const char *reply_class_name(enum reply_class c)
{
    switch (c) {
    case REPLY_FINE:
        return "fine";
    case REPLY_NOSCRIPT:
        return "no_script";
    case REPLY_LOST_DATA:
        return "lost_data";
    case REPLY_DEMOTED:
        return "read_only";
    case REPLY_LOADING:
        return "loading";
    case REPLY_NOT_WRITABLE:
        return "not_writable";
    case REPLY_OOM:
        return "oom";
    case REPLY_BUSY:
        return "busy";
    case REPLY_AUTH:
        return "auth";
    case REPLY_CLUSTER:
        return "cluster";
    case REPLY_TOO_MANY:
        return "too_many_clients";
    case REPLY_OTHER:
        return "other";
    }
    return "other";
}

void reply_free(struct redisReply *r)
{
    if (r != NULL)
        freeReplyObject(r);
}

bool reply_is_error(const struct redisReply *r)
{
    return r && r->type == REDIS_REPLY_ERROR;
}

bool reply_is_nil(const struct redisReply *r)
{
    return r && r->type == REDIS_REPLY_NIL;
}

static const struct redisReply *element_at(const struct redisReply *r, size_t i)
{
    if (r == NULL || r->type != REDIS_REPLY_ARRAY || i >= (size_t)r->elements)
        return NULL;
    return r->element[i];
}

bool reply_bytes(const struct redisReply *r, size_t i, const char **bytes, size_t *len)
{
    const struct redisReply *e = element_at(r, i);

    if (e == NULL || (e->type != REDIS_REPLY_STRING && e->type != REDIS_REPLY_STATUS))
        return false;
    *bytes = e->str;
    *len = (size_t)e->len;
    return true;
}

static bool parse_int64(const char *text, size_t len, int64_t *out)
{
    bool negative = len > 0 && text[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1u : 0u);
    uint64_t value = 0;

    if (i == len)
        return false;
    for (; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool reply_int(const struct redisReply *r, size_t i, int64_t *out)
{
    const struct redisReply *e = element_at(r, i);
    const char *bytes;
    size_t len;

    if (e != NULL && e->type == REDIS_REPLY_INTEGER) {
        *out = e->integer;
        return true;
    }
    return reply_bytes(r, i, &bytes, &len) && parse_int64(bytes, len, out);
}

bool reply_is_word(const struct redisReply *r, size_t i, const char *word)
{
    const char *bytes;
    size_t len;

    return reply_bytes(r, i, &bytes, &len) && len == strlen(word) && memcmp(bytes, word, len) == 0;
}

bool reply_is_array(const struct redisReply *r)
{
    return r && r->type == REDIS_REPLY_ARRAY;
}

size_t reply_count(const struct redisReply *r)
{
    return reply_is_array(r) ? r->elements : 0;
}

const char *reply_text(const struct redisReply *r)
{
    bool has_text = r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS ||
                          r->type == REDIS_REPLY_ERROR);
    return has_text && r->str ? r->str : "";
}

int reply_refuse_shape(const char *what, jobq_err *err)
{
    return error_set(err, JOBQ_EPROTO, "%s: a reply of another shape", what);
}

int reply_expect_array(const struct redisReply *r, const char *what, jobq_err *err)
{
    if (r && r->type == REDIS_REPLY_ERROR)
        return error_set(err, JOBQ_EREDIS, "%s: %.*s", what, (int)MIN(r->len, 200u), r->str);
    if (!r || r->type != REDIS_REPLY_ARRAY)
        return reply_refuse_shape(what, err);
    return JOBQ_OK;
}
