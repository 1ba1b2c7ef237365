/* SPDX-License-Identifier: MIT */
/* payload: see payload.h. */
#include "worker/handlers/common/payload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/handlers/common/text.h"

static void set_fault(struct payload *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_fault(struct payload *p, const char *format, ...)
{
    va_list args;

    if (p->fault[0]) {
        return;
    }
    va_start(args, format);
    text_format_list(p->fault, sizeof(p->fault), format, args);
    va_end(args);
}

void payload_open(struct payload *p, const char *bytes, size_t len)
{
    json_error_t error;

    memset(p, 0, sizeof(*p));
    p->root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
    if (!p->root) {
        set_fault(p, "payload: %s at byte %d", error.text, error.position);
    } else if (!json_is_object(p->root)) {
        set_fault(p, "payload: must be a JSON object");
    }
}

void payload_done(struct payload *p)
{
    json_decref(p->root);
    p->root = NULL;
}

static json_t *take(struct payload *p, const char *field)
{
    if (p->fault[0]) {
        return NULL;
    }
    if (p->taken_count < PAYLOAD_FIELDS_MAX) {
        p->taken[p->taken_count++] = field;
    }
    return json_object_get(p->root, field);
}

static void refuse_word(struct payload *p, const char *field, const char *const *words)
{
    char list[128] = "";
    size_t at = 0;

    for (; *words && at < sizeof(list); words++) {
        int n = snprintf(list + at, sizeof(list) - at, "%s%s", at ? ", " : "", *words);
        at += n > 0 ? (size_t)n : 0;
    }
    set_fault(p, "%s: must be one of %s", field, list);
}

int payload_word(struct payload *p, const char *field, const char *const *words)
{
    const json_t *value = take(p, field);
    const char *text = json_string_value(value);

    for (int i = 0; text && words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    refuse_word(p, field, words);
    return -1;
}

int64_t payload_id(struct payload *p, const char *field)
{
    const json_t *value = take(p, field);

    if (!p->fault[0] && (!json_is_integer(value) || json_integer_value(value) < 1)) {
        set_fault(p, "%s: must be a whole number of at least 1", field);
    }
    return p->fault[0] ? -1 : json_integer_value(value);
}

int64_t payload_int(struct payload *p, const char *field, int64_t min, int64_t fallback)
{
    const json_t *value = take(p, field);

    if (p->fault[0]) {
        return -1;
    }
    if (!value) {
        return fallback;
    }
    if (!json_is_integer(value) || json_integer_value(value) < min) {
        set_fault(p, "%s: must be a whole number of at least %lld", field, (long long)min);
        return -1;
    }
    return json_integer_value(value);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static size_t sort_unique(int64_t *ids, size_t count)
{
    size_t kept = 0;

    qsort(ids, count, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || ids[i] != ids[i - 1]) {
            ids[kept++] = ids[i];
        }
    }
    return kept;
}

int64_t *payload_ids(struct payload *p, const char *field, size_t max, size_t *count)
{
    const json_t *list = take(p, field);
    size_t n = json_array_size(list);
    int64_t *ids = NULL;

    if (p->fault[0]) {
        return NULL;
    }
    if (!json_is_array(list)) {
        set_fault(p, "%s: must be an array of ids", field);
        return NULL;
    }
    if (n > max) {
        set_fault(p, "%s: holds %zu ids, at most %zu are taken by one job", field, n, max);
        return NULL;
    }
    ids = calloc(n + 1, sizeof(*ids));
    if (!ids) {
        set_fault(p, "%s: out of memory", field);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id) || json_integer_value(id) < 1) {
            set_fault(p, "%s[%zu]: must be a whole number of at least 1", field, i);
            free(ids);
            return NULL;
        }
        ids[i] = json_integer_value(id);
    }
    *count = sort_unique(ids, n);
    return ids;
}

bool payload_numbers(struct payload *p, const char *field, const char *const *names, double *out)
{
    const json_t *object = take(p, field);
    size_t count = 0;

    if (p->fault[0]) {
        return false;
    }
    if (!json_is_object(object)) {
        set_fault(p, "%s: must be an object", field);
        return false;
    }
    for (; names[count]; count++) {
        const json_t *value = json_object_get(object, names[count]);
        if (!json_is_number(value)) {
            set_fault(p, "%s.%s: must be a number", field, names[count]);
            return false;
        }
        out[count] = json_number_value(value);
    }
    if (json_object_size(object) != count) {
        set_fault(p, "%s: has a field that is none of its own", field);
        return false;
    }
    return true;
}

/* A string of min to max bytes without a NUL in it; NULL: it is none. */
static const char *text_of(const json_t *value, size_t min, size_t max)
{
    size_t len = json_string_length(value);
    const char *text = json_string_value(value);

    return text && len >= min && len <= max && strlen(text) == len ? text : NULL;
}

const char *payload_text(struct payload *p, const char *field, size_t max)
{
    const json_t *value = take(p, field);
    const char *text = text_of(value, 0, max);

    if (!p->fault[0] && value && !text) {
        set_fault(p, "%s: must be a text of at most %zu bytes", field, max);
    }
    return p->fault[0] ? NULL : text;
}

const char **payload_texts(struct payload *p, const char *field, size_t max, size_t text_max,
                           size_t *count)
{
    const json_t *list = take(p, field);
    size_t n = json_array_size(list);
    const char **texts;

    if (p->fault[0]) {
        return NULL;
    }
    if (n < 1 || n > max) {
        set_fault(p, "%s: must be an array of 1 to %zu texts", field, max);
        return NULL;
    }
    texts = calloc(n, sizeof(*texts));
    if (!texts) {
        set_fault(p, "%s: out of memory", field);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        texts[i] = text_of(json_array_get(list, i), 1, text_max);
        if (!texts[i]) {
            set_fault(p, "%s[%zu]: must be a text of 1 to %zu bytes", field, i, text_max);
            free(texts);
            return NULL;
        }
    }
    *count = n;
    return texts;
}

static bool was_taken(const struct payload *p, const char *field)
{
    for (size_t i = 0; i < p->taken_count; i++) {
        if (strcmp(p->taken[i], field) == 0) {
            return true;
        }
    }
    return false;
}

bool payload_finish(struct payload *p)
{
    const char *field;
    json_t *value;

    if (p->fault[0]) {
        return false;
    }
    json_object_foreach(p->root, field, value) {
        if (!was_taken(p, field)) {
            set_fault(p, "%s: this type has no such field", field);
            return false;
        }
    }
    return true;
}
