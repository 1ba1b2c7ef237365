/* SPDX-License-Identifier: MIT */
/*
 * list: names, as many as come.
 *
 * Remembers that memory ran out, so that many additions need one check at the end. Lives on the
 * handler's stack during one run; ends with list_done().
 */
#ifndef WORKER_HANDLERS_AVATAR_LIST_H
#define WORKER_HANDLERS_AVATAR_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    char **names; /* owned */
    size_t count;
    size_t room;
    bool failed; /* memory ran out: something is missing */
};

void list_add(struct list *l, const char *name); /* copies it */
bool list_has(const struct list *l, const char *name);
void list_sort(struct list *l); /* by bytes */
void list_done(struct list *l);

/* As PostgreSQL's array text; caller frees with free(). NULL when out of memory. */
char *list_array(const struct list *l);

#endif
