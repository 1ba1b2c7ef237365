/* SPDX-License-Identifier: MIT */
/*
 * map: byte-string keys to pointers, open addressing. Copies keys, borrows values. Hash is seeded
 * per process.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>

#include "base/base.h"

struct map;

/* NULL when out of memory. Caller frees with map_free(). */
MUST_CHECK struct map *map_new(void);
void map_free(struct map *m); /* not the values; NULL is fine */
/* value is not NULL. JOBQ_OK or JOBQ_ENOMEM (unchanged). Replaces the value of a key that is
 * there. */
MUST_CHECK int map_put(struct map *m, const void *key, size_t len, void *value);
void *map_get(const struct map *m, const void *key, size_t len); /* NULL when absent */
void *map_remove(struct map *m, const void *key, size_t len);    /* the value, or NULL */
size_t map_size(const struct map *m);
/* Start with *cursor = 0; NULL at the end. The map must not change meanwhile, except by removing
 * the entry given. */
void *map_next(const struct map *m, size_t *cursor, const void **key, size_t *len);

#endif
