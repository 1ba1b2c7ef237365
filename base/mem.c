/* SPDX-License-Identifier: MIT */
/*
 * mem: malloc with a switch that lets a test refuse the n-th allocation.
 *
 * Until the first mem_fail_at() an allocation pays one predictable branch for it and nothing is
 * counted.
 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool watching;
static atomic_long counted;
static atomic_long fail_nth; /* 0: off */
static atomic_int fail_sticky;

static bool refuse_watched(void)
{
    long n = atomic_fetch_add(&counted, 1) + 1;
    long nth = atomic_load(&fail_nth);
    if (nth == 0)
        return false;
    return n == nth || (n > nth && atomic_load(&fail_sticky));
}

static inline bool refuse(void)
{
    if (__builtin_expect(!atomic_load_explicit(&watching, memory_order_relaxed), 1))
        return false;
    return refuse_watched();
}

void *mem_alloc(size_t size)
{
    if (refuse())
        return NULL;
    return malloc(size ? size : 1);
}

void *mem_zalloc(size_t count, size_t size)
{
    if (refuse())
        return NULL;
    /* calloc looks too, but a sanitizer's takes an overflow for a bug. */
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return calloc(1, total ? total : 1);
}

void *mem_realloc(void *block, size_t size)
{
    if (refuse())
        return NULL;
    return realloc(block, size ? size : 1);
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_strndup(const char *bytes, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = mem_alloc(len + 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *block)
{
    free(block);
}

void mem_wipe_free(void *block, size_t size)
{
    if (!block)
        return;
    explicit_bzero(block, size);
    free(block);
}

void mem_fail_at(long nth, int sticky)
{
    atomic_store(&fail_nth, nth);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&counted, 0);
    atomic_store(&watching, true);
}

long mem_count(void)
{
    return atomic_load(&counted);
}
