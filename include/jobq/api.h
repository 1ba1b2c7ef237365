/* SPDX-License-Identifier: MIT */
/**
 * @file api.h
 * Version and visibility of libjobq. Every other public header includes this one.
 */
#ifndef JOBQ_API_H
#define JOBQ_API_H

#define JOBQ_VERSION_MAJOR 0
#define JOBQ_VERSION_MINOR 1
#define JOBQ_VERSION_PATCH 0
#define JOBQ_VERSION "0.1.0"

#if defined(__GNUC__)
#define JOBQ_API __attribute__((visibility("default")))
#define JOBQ_MUST_CHECK __attribute__((warn_unused_result))
#else
#define JOBQ_API
#define JOBQ_MUST_CHECK
#endif

#ifdef __cplusplus
#define JOBQ_BEGIN extern "C" {
#define JOBQ_END }
#else
#define JOBQ_BEGIN
#define JOBQ_END
#endif

JOBQ_BEGIN

/**
 * The version of the library that is running, which may differ from the JOBQ_VERSION compiled in.
 *
 * Safe from any thread, before and after fork.
 *
 * @return "major.minor.patch", a constant string, never NULL, never to be freed.
 */
JOBQ_API const char *jobq_version(void);

JOBQ_END

#endif
