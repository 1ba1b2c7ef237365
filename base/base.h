/* SPDX-License-Identifier: MIT */
/*
 * base: the handful of macros everything else uses.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_at, first_at) __attribute__((format(printf, text_at, first_at)))
#define UNUSED __attribute__((unused))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* A broken invariant is a bug: says where and aborts, in release builds too. Never for input or the
 * network. */
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            base_assert_failed(__FILE__, __LINE__, #condition);                                    \
    } while (0)

_Noreturn void base_assert_failed(const char *file, int line, const char *condition);

/*
 * A named place at which a test build dies on request: JOBQ_CRASH_AT=name[:nth] kills this process
 * with SIGKILL the nth time (default 1) it passes. Compiled into dev and asan builds only
 * (JOBQ_CRASH_POINTS).
 */
#ifdef JOBQ_CRASH_POINTS
void base_crash_point(const char *name);
#define CRASH_POINT(name) base_crash_point(name)
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
