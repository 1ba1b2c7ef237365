/* SPDX-License-Identifier: MIT */
/**
 * @file client.h
 * Enqueue jobs from an application.
 *
 * Threads: one client may be used by one thread at a time; open one per thread, or lock around it.
 * Different clients are independent. Fork: a client opened before fork() may be used in the child,
 * where it opens its own connection at the first call and leaves the parent's untouched. The
 * library never logs, never exits, never installs a signal handler, and writes to sockets without
 * raising SIGPIPE. A host given by name is looked up in a short-lived thread of the library's own,
 * with every signal blocked, so that a slow resolver cannot hold a call beyond its deadline; an
 * address or a unix socket starts no thread.
 */
#ifndef JOBQ_CLIENT_H
#define JOBQ_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/job.h>

/** A connection to the queue. Opaque; see jobq_client_open(). */
typedef struct jobq_client jobq_client;

/** How to open a client. Start from JOBQ_CLIENT_OPTIONS_INIT. Zero or NULL means the default. */
typedef struct jobq_client_options {
    /** sizeof(jobq_client_options), set by the INIT macro. */
    size_t size;
    /** "redis://[user:password@]host:port/db" or "unix:///path?db=0"; NULL: $JOBQ_REDIS, else
        redis://localhost:6379/0. */
    const char *redis;
    /** Longest time a call may take, in ms: 1 to 60000; default 2000. */
    int64_t deadline_ms;
    /** Largest payload, in bytes: default JOBQ_PAYLOAD_DEFAULT_MAX, at most
        JOBQ_PAYLOAD_HARD_MAX. */
    size_t max_payload_bytes;
    /** First part of every Redis key, 1 to 64 of [a-z0-9_.:-]; default "jobq". */
    const char *key_prefix;
    /** Shown by CLIENT LIST, 1 to 64 printable characters without a space; default
        "jobq-client". */
    const char *name;
} jobq_client_options;

/** Where options start from: every default. */
#define JOBQ_CLIENT_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .size = sizeof(jobq_client_options)                                                        \
    }

JOBQ_BEGIN

/**
 * Makes a client. Does not connect: the first enqueue does, so an application starts while Redis is
 * down.
 *
 * Safe from any thread; reads the environment (JOBQ_REDIS) when options name no URL.
 *
 * @param options borrowed for the call, as are the strings in it; NULL: all defaults.
 * @param[out] out not NULL; written on success only; the caller closes it with
 *        jobq_client_close().
 * @param[out] err the caller's; may be NULL.
 * @return JOBQ_OK; JOBQ_EINVAL: an option is out of range, the URL is malformed or of a form this
 *         build cannot serve; JOBQ_ENOMEM.
 */
JOBQ_API JOBQ_MUST_CHECK int jobq_client_open(const jobq_client_options *options, jobq_client **out,
                                              jobq_err *err);

/**
 * Closes the connection and frees the client. Never blocks; what is stored stays stored.
 *
 * No other thread may be in a call with this client. In a child after fork() it frees the child's
 * copy and closes its descriptors only: the parent's connection lives on.
 *
 * @param client taken; NULL is fine.
 */
JOBQ_API void jobq_client_close(jobq_client *client);

/**
 * Stores one job. Returns within the client's deadline, whatever Redis does; reconnects and repeats
 * with the same id as long as the deadline allows. A plain job costs one XADD; delay, due time and
 * unique key cost a script.
 *
 * After JOBQ_EUNKNOWN the job may or may not be stored: call again with the same id (out->id),
 * which never makes a second effect in PostgreSQL. A plain job may then be delivered twice under
 * one id.
 *
 * One thread at a time per client. After fork() the child connects anew at its first call.
 *
 * @param client not NULL; used by this thread only during the call.
 * @param job borrowed for the call, as are the strings in it; not NULL.
 * @param[out] out the caller's, always written; may be NULL.
 * @param[out] err the caller's; may be NULL.
 * @return JOBQ_OK: stored, or already was (out->status says OK or DUPLICATE); JOBQ_EREJECTED:
 *         certainly not stored, out->cause says why; JOBQ_EUNKNOWN: no answer until the deadline.
 */
JOBQ_API JOBQ_MUST_CHECK int jobq_enqueue(jobq_client *client, const jobq_job *job,
                                          jobq_answer *out, jobq_err *err);

/**
 * Stores many jobs in one pipeline; each gets its own answer. Jobs are independent: one that is
 * refused does not stop the others. The deadline is that of the whole call.
 *
 * One thread at a time per client. After fork() the child connects anew at its first call.
 *
 * @param client not NULL; used by this thread only during the call.
 * @param jobs n jobs of one size, borrowed for the call, as are the strings in them; NULL only if n
 *        is 0.
 * @param n number of jobs; 0 is fine.
 * @param[out] out n answers, the caller's, all written; NULL only if n is 0.
 * @param[out] err the caller's; may be NULL; the text of the first job that was not stored.
 * @return JOBQ_OK: every answer is OK or DUPLICATE; JOBQ_EUNKNOWN: at least one is UNKNOWN; else
 *         JOBQ_EREJECTED: at least one is REJECTED; JOBQ_EINVAL: out is NULL, nothing was sent.
 */
JOBQ_API JOBQ_MUST_CHECK int jobq_enqueue_many(jobq_client *client, const jobq_job *jobs, size_t n,
                                               jobq_answer *out, jobq_err *err);

JOBQ_END

#endif
