/* SPDX-License-Identifier: MIT */
/**
 * @file job.h
 * The vocabulary: what a job is, how it is described when it is enqueued, and what enqueue answers.
 */
#ifndef JOBQ_JOB_H
#define JOBQ_JOB_H

#include <stddef.h>
#include <stdint.h>

#include <jobq/api.h>
#include <jobq/error.h>

/** Longest type or queue name, in bytes, of the alphabet [a-z0-9_.:-]. */
#define JOBQ_NAME_MAX 64
/** Longest unique key, in bytes. */
#define JOBQ_UNIQUE_KEY_MAX 255
/** Default limit of a payload, in bytes; see jobq_client_options.max_payload_bytes. */
#define JOBQ_PAYLOAD_DEFAULT_MAX ((size_t)256 * 1024)
/** Nothing raises the limit of a payload beyond this many bytes. */
#define JOBQ_PAYLOAD_HARD_MAX ((size_t)16 * 1024 * 1024)
/** Bytes of a job id as text, with the closing NUL. */
#define JOBQ_ID_TEXT_SIZE 37

/** A job's identity for life: a UUID version 7 (RFC 9562), made by whoever enqueues it. */
typedef struct jobq_id {
    uint8_t bytes[16];
} jobq_id;

/** The priority of a job within its queue. */
typedef enum jobq_lane {
    JOBQ_LANE_NORMAL = 0,
    JOBQ_LANE_HIGH = 1,
    JOBQ_LANE_LOW = 2,
} jobq_lane;

/**
 * A job to be enqueued. Start from JOBQ_JOB_INIT and set what you need; the library reads it during
 * the call only and keeps no pointer. Zero or NULL means "not set" in every field but type and
 * payload.
 */
typedef struct jobq_job {
    size_t size;              /**< sizeof(jobq_job); set by JOBQ_JOB_INIT, lets the struct grow */
    jobq_id id;               /**< all zero: the library makes one; else repeat of, or chosen by,
                                   the caller */
    const char *type;         /**< names the handler, 1 to 64 of [a-z0-9_.:-] */
    const char *queue;        /**< NULL: "default" */
    const char *payload;      /**< a JSON object in UTF-8; NULL: "{}" */
    size_t payload_len;       /**< bytes of payload; 0 with a payload: it is NUL-terminated */
    jobq_lane lane;           /**< priority; JOBQ_LANE_NORMAL is 0 */
    int64_t delay_ms;         /**< start not before so many ms from now, by Redis's clock */
    int64_t due_ms;           /**< start not before this Unix time in ms; excludes delay_ms */
    int64_t expires_after_ms; /**< not started so many ms after enqueue: it expires unrun */
    uint32_t max_attempts;    /**< failures before it is dead, at most 65535; 0: jobd's own */
    uint32_t soft_limit_ms;   /**< running time in ms after which the handler is asked to stop */
    uint32_t hard_limit_ms;   /**< running time in ms after which it is killed */
    const char *unique_key;   /**< 1 to 255 bytes, UTF-8; while held, others are DUPLICATE */
} jobq_job;

/** Where a job starts from: nothing set. */
#define JOBQ_JOB_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(jobq_job)                                                                   \
    }

/** What became of one job of an enqueue. */
typedef enum jobq_status {
    JOBQ_STATUS_OK = 0,        /**< stored */
    JOBQ_STATUS_DUPLICATE = 1, /**< this id, or another job with this key, was stored before */
    JOBQ_STATUS_REJECTED = 2,  /**< certainly not stored; cause says why */
    JOBQ_STATUS_UNKNOWN = 3,   /**< no answer until the deadline; repeat with the same id */
} jobq_status;

/** The answer to one enqueued job. Written by the library, owned by the caller. */
typedef struct jobq_answer {
    jobq_status status; /**< what became of the job */
    jobq_cause cause;   /**< JOBQ_CAUSE_NONE unless REJECTED (or UNKNOWN with a known reason) */
    jobq_id id;         /**< the job's id, also when it was made by the library */
    jobq_id holder;     /**< DUPLICATE: the job that is stored; equals id when it was this one */
    char text[192];     /**< REJECTED, UNKNOWN: what, where, how to mend; else empty */
} jobq_answer;

JOBQ_BEGIN

/**
 * Makes a new id: UUIDv7, strictly increasing within a thread of a process, distinct across threads
 * and forks.
 *
 * Safe from any thread, before and after fork.
 *
 * @param[out] out the caller's; written on success only.
 * @param[out] err the caller's; may be NULL.
 * @return JOBQ_OK; JOBQ_EINVAL: out is NULL; JOBQ_EINTERNAL: the kernel gives no random bytes.
 */
JOBQ_API JOBQ_MUST_CHECK int jobq_id_new(jobq_id *out, jobq_err *err);

/**
 * Writes an id as 36 characters of lower-case hexadecimal with hyphens, and a NUL. Cannot fail.
 *
 * Safe from any thread, before and after fork.
 *
 * @param id borrowed for the call; not NULL.
 * @param[out] out the caller's, JOBQ_ID_TEXT_SIZE bytes; not NULL.
 */
JOBQ_API void jobq_id_format(const jobq_id *id, char out[JOBQ_ID_TEXT_SIZE]);

/**
 * Reads the form that jobq_id_format() writes; upper case is accepted.
 *
 * Safe from any thread, before and after fork.
 *
 * @param text borrowed for the call, NUL-terminated; NULL is refused like any other wrong form.
 * @param[out] out the caller's; written on success only.
 * @param[out] err the caller's; may be NULL.
 * @return JOBQ_OK; JOBQ_EINVAL: text is not an id, or out is NULL.
 */
JOBQ_API JOBQ_MUST_CHECK int jobq_id_parse(const char *text, jobq_id *out, jobq_err *err);

/**
 * The word of a status: "ok", "duplicate", "rejected", "unknown".
 *
 * Safe from any thread, before and after fork.
 *
 * @param status what jobq_answer.status says.
 * @return a constant string, never NULL, never to be freed; "unknown" for a number outside the
 *         list.
 */
JOBQ_API const char *jobq_status_name(jobq_status status);

JOBQ_END

#endif
