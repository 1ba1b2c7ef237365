/* SPDX-License-Identifier: MIT */
/* filter: see filter.h. */
#include "admin/jobctl/filter.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jobctl/command.h"
#include "base/error.h"
#include "base/text.h"
#include "broker/inspect.h"
#include "broker/inspect_walk.h"

#define AGE_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)
#define NAME_SIZE 256

int filter_read(const struct args *a, struct filter *out, jobq_err *err)
{
    *out = (struct filter){.type = args_value(a, "type"),
                           .reason = args_value(a, "reason"),
                           .error = args_value(a, "error"),
                           .older_ms = -1,
                           .newer_ms = -1};
    int rc = args_duration(a, "older-than", 0, AGE_MAX_MS, &out->older_ms, err);
    if (rc == JOBQ_OK)
        rc = args_duration(a, "newer-than", 0, AGE_MAX_MS, &out->newer_ms, err);
    for (size_t i = 0; rc == JOBQ_OK && i < a->flag_count; i++) {
        if (strcmp(a->flags[i].name, "field") != 0)
            continue;
        const char *equals = strchr(a->flags[i].value, '=');
        if (equals == NULL || equals == a->flags[i].value)
            return error_set(err, JOBQ_EINVAL, "--field: not path=value, as in user.id=17: %.80s",
                             a->flags[i].value);
        if (out->field_count == FILTER_FIELDS)
            return error_set(err, JOBQ_EINVAL, "--field: more than %d of them", FILTER_FIELDS);
        out->fields[out->field_count++] = a->flags[i].value;
    }
    if (out->type != NULL && !text_is_name(out->type, strlen(out->type)))
        return error_set(err, JOBQ_EINVAL, "--type: not the name of a type: %.80s", out->type);
    out->any = out->type != NULL || out->reason != NULL || out->error != NULL ||
               out->older_ms >= 0 || out->newer_ms >= 0 || out->field_count > 0;
    return rc;
}

void filter_narrow(const struct filter *f, int64_t now_ms, struct inspect_walk *w)
{
    if (f->older_ms >= 0)
        w->last = (struct entry_id){(uint64_t)MAX(now_ms - f->older_ms, 0), UINT64_MAX};
    if (f->newer_ms >= 0)
        w->first = (struct entry_id){(uint64_t)MAX(now_ms - f->newer_ms, 0), 0};
    w->ended = w->ended || entry_id_compare(&w->first, &w->last) > 0;
}

/* ---- the payload ---- */

static const json_t *step(const json_t *at, const char *name)
{
    int64_t i = 0;
    if (json_is_array(at) && text_parse_int(name, &i) == JOBQ_OK && i >= 0)
        return json_array_get(at, (size_t)i);
    return json_object_get(at, name);
}

/* The member at "user.id=…"; a dot or an equals sign of a name stands behind a backslash. *value is
 * what follows the path. */
static const json_t *find_member(const json_t *root, const char *field, const char **value)
{
    char name[NAME_SIZE];
    const json_t *at = root;
    size_t n = 0;
    for (;; field++) {
        if (*field == '\\' && field[1] != '\0') {
            field++;
        } else if (*field == '.' || *field == '=' || *field == '\0') {
            name[n] = '\0';
            at = step(at, name);
            n = 0;
            if (*field != '.')
                break;
            continue;
        }
        if (n + 1 < sizeof(name))
            name[n++] = *field;
    }
    *value = *field == '=' ? field + 1 : "";
    return at;
}

/* A string is compared as it was typed, anything else as JSON. */
static bool is_value(const json_t *member, const char *value)
{
    if (member == NULL)
        return false;
    if (json_is_string(member) && json_string_length(member) == strlen(value) &&
        memcmp(json_string_value(member), value, strlen(value)) == 0)
        return true;
    json_t *typed = json_loads(value, JSON_DECODE_ANY, NULL);
    bool same = typed != NULL && json_equal(typed, member) == 1;
    if (!same && json_is_number(typed) && json_is_number(member) &&
        json_is_integer(typed) != json_is_integer(member))
        same = json_number_value(typed) == json_number_value(member);
    json_decref(typed);
    return same;
}

static json_t *parse_payload(const struct inspect_job *job)
{
    if (job->payload == NULL)
        return NULL;
    json_t *root = json_loadb(job->payload, job->payload_len, JSON_ALLOW_NUL, NULL);
    if (root == NULL) /* whole numbers beyond 64 bits */
        root = json_loadb(job->payload, job->payload_len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                          NULL);
    return root;
}

static bool matches_fields(struct filter *f, const struct inspect_job *job)
{
    bool all = true;
    if (f->field_count == 0)
        return true;
    json_t *root = parse_payload(job);
    f->unreadable += root == NULL;
    for (size_t i = 0; root != NULL && all && i < f->field_count; i++) {
        const char *value = NULL;
        const json_t *member = find_member(root, f->fields[i], &value);
        all = is_value(member, value);
    }
    all = all && root != NULL;
    json_decref(root);
    return all;
}

static bool is_word(const char *bytes, size_t len, const char *word)
{
    return bytes != NULL && strlen(word) == len && memcmp(bytes, word, len) == 0;
}

bool filter_matches(struct filter *f, const struct inspect_job *job)
{
    if (f->type != NULL && !is_word(job->header.type, job->header.type_len, f->type))
        return false;
    if (f->reason != NULL && !is_word(job->reason, job->reason_len, f->reason))
        return false;
    if (f->error != NULL && (job->error == NULL || memmem(job->error, job->error_len, f->error,
                                                          strlen(f->error)) == NULL))
        return false;
    return matches_fields(f, job);
}
