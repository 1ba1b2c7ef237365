/* SPDX-License-Identifier: MIT */
/* list: see list.h. */
#include "worker/handlers/avatar/list.h"

#include <stdlib.h>
#include <string.h>

void list_add(struct list *l, const char *name)
{
    if (l->count == l->room) {
        size_t room = l->room ? l->room * 2 : 16;
        char **names = realloc(l->names, room * sizeof(*names));
        if (!names) {
            l->failed = true;
            return;
        }
        l->names = names;
        l->room = room;
    }
    l->names[l->count] = strdup(name);
    if (!l->names[l->count]) {
        l->failed = true;
        return;
    }
    l->count++;
}

bool list_has(const struct list *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (strcmp(l->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void list_sort(struct list *l)
{
    if (l->count > 0) {
        qsort(l->names, l->count, sizeof(*l->names), compare);
    }
}

void list_done(struct list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->names[i]);
    }
    free(l->names);
    *l = (struct list){0};
}

char *list_array(const struct list *l)
{
    size_t size = 3;
    char *out;
    char *at;

    for (size_t i = 0; i < l->count; i++) {
        size += 2 * strlen(l->names[i]) + 3;
    }
    out = malloc(size);
    if (!out) {
        return NULL;
    }
    at = out;
    *at++ = '{';
    for (size_t i = 0; i < l->count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        *at++ = '"';
        for (const char *c = l->names[i]; *c; c++) {
            if (*c == '"' || *c == '\\') {
                *at++ = '\\';
            }
            *at++ = *c;
        }
        *at++ = '"';
    }
    *at++ = '}';
    *at = '\0';
    return out;
}
