/* SPDX-License-Identifier: MIT */
/*
 * mem: the only allocator. Everything else calls these, so that a test can refuse the n-th
 * allocation. Safe from any thread.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/base.h"

/* NULL when out of memory. Caller frees with mem_free(). size 0 gives a unique pointer. */
MUST_CHECK void *mem_alloc(size_t size);
/* As mem_alloc, zeroed; NULL also when count * size overflows. */
MUST_CHECK void *mem_zalloc(size_t count, size_t size);
/* The old block stays valid when NULL is returned. */
MUST_CHECK void *mem_realloc(void *block, size_t size);
MUST_CHECK char *mem_strdup(const char *text);
/* Copies len bytes and adds a NUL. */
MUST_CHECK char *mem_strndup(const char *bytes, size_t len);
/* NULL is fine. */
void mem_free(void *block);
/* Overwrites, then frees: for secrets. */
void mem_wipe_free(void *block, size_t size);

/* Tests only: the n-th allocation from now (1 = the next) fails, and all later ones if sticky. 0
 * switches it off. */
void mem_fail_at(long nth, int sticky);
/* Tests only: allocations since the last mem_fail_at(). */
long mem_count(void);

#endif
