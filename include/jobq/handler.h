/* SPDX-License-Identifier: MIT */
/**
 * @file handler.h
 * The binary interface between jobq and a handler module. It includes no other header of jobq, and
 * a module links nothing of jobq: it exports one constant, jobq_module_v1, and is opened by the
 * executor with dlopen().
 *
 * A handler runs in an executor process, one job at a time, on one thread. It may crash or hang:
 * only its executor is lost. It must be safe to run again: jobs are delivered at least once. A type
 * flagged JOBQ_HANDLER_TRANSACTIONAL gets exactly one effect in PostgreSQL, because its writes, the
 * record that the job is done and the jobs it enqueues are committed together.
 */
#ifndef JOBQ_HANDLER_H
#define JOBQ_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pg_conn; /* libpq's PGconn */

/** What run() returns. */
enum jobq_verdict {
    JOBQ_DONE = 0,   /**< the work is done; acknowledge */
    JOBQ_RETRY = 1,  /**< failed; run again later; counts as an attempt */
    JOBQ_SNOOZE = 2, /**< not now; run again later; counts as nothing */
    JOBQ_DEAD = 3,   /**< will never work; keep as a dead letter */
};

/** Severity of jobq_host.log(). */
enum jobq_log_level {
    JOBQ_LOG_DEBUG = 0,
    JOBQ_LOG_INFO = 1,
    JOBQ_LOG_WARN = 2,
    JOBQ_LOG_ERROR = 3,
};

/** Flags of a type. */
enum jobq_handler_flag {
    /** Wants a PostgreSQL connection: jobq_host.pg() gives it, idle outside a transaction. */
    JOBQ_HANDLER_PG = 1u << 0,
    /** Runs inside the runtime's transaction (implies PG): one effect, whatever dies. The handler
     * must not end the transaction; it may use savepoints. Its changes are committed if and only if
     * it returns JOBQ_DONE. */
    JOBQ_HANDLER_TRANSACTIONAL = 1u << 1,
    /** Opens its own transaction on jobq_host.pg() (implies PG) and calls jobq_host.complete()
     * inside it, before its own COMMIT, to take the right to the effect. */
    JOBQ_HANDLER_MANUAL = 1u << 2,
    /** Opens descriptors in run() that live on, such as a kept connection. Without it, whatever a
     * job leaves open is closed after it; what start() opened is always kept. */
    JOBQ_HANDLER_KEEPS_FDS = 1u << 3,
};

/** Longest text of a verdict or a log line that is kept, in bytes; longer ones are cut at a
 * character. */
#define JOBQ_HANDLER_TEXT_MAX 1024

/**
 * One delivery of a job. Everything is valid until run() returns and owned by the executor.
 * Fields are only ever added at the end; size tells what is there.
 */
typedef struct jobq_job_view {
    size_t size;
    const char *id;       /**< 36 characters, NUL-terminated; the same in every delivery of the
                               job */
    const char *type;
    const char *queue;
    const char *payload;  /**< the bytes as enqueued, followed by a NUL that is not counted */
    size_t payload_len;   /**< bytes */
    uint32_t attempt;     /**< 1 in the first run; failures counted so far, plus one */
    uint32_t max_attempts;
    int64_t soft_ms;      /**< CLOCK_MONOTONIC ms at which the soft limit is reached */
    int64_t hard_ms;      /**< CLOCK_MONOTONIC ms at which the process group is killed */
    int64_t enqueued_ms;  /**< Unix ms, by Redis's clock */
} jobq_job_view;

/** A job that a handler enqueues. Zero or NULL means not set. */
typedef struct jobq_child {
    size_t size;              /**< sizeof(jobq_child) */
    const char *type;
    const char *queue;        /**< NULL: the parent's */
    const char *payload;      /**< JSON object, NUL-terminated, or payload_len bytes */
    size_t payload_len;
    int lane;                 /**< 0 normal, 1 high, 2 low */
    int64_t delay_ms;
    int64_t expires_after_ms;
    uint32_t max_attempts;
    uint32_t soft_limit_ms;
    uint32_t hard_limit_ms;
    const char *unique_key;
} jobq_child;

/**
 * What the runtime offers to a running handler. Only on the thread that called run(), only until it
 * returns. Functions are only ever added at the end; size tells what is there.
 */
typedef struct jobq_host {
    size_t size;
    void *ctx; /**< pass it back as the first argument of every function */

    /** Writes one log line that carries the job's id, type, queue and attempt. text is copied, cut
     * at 1 KiB. */
    void (*log)(void *ctx, int level, const char *text);

    /** Non-zero once the soft limit is reached or jobd drains: finish or return JOBQ_SNOOZE or
     * JOBQ_RETRY soon. */
    int (*should_stop)(void *ctx);

    /** Tells how far the job is, 0 to 100. Kept in the log. */
    void (*progress)(void *ctx, int percent);

    /** Keeps a JSON value as the job's result. json is copied; at most 64 KiB. 0, or -1 if it was
     * refused. */
    int (*set_result)(void *ctx, const char *json, size_t len);

    /**
     * Enqueues a job. It is sent if and only if this run ends in JOBQ_DONE, and this job is
     * acknowledged only after it is stored; for a transactional type it is committed together with
     * the effect. The child is copied. 0, or -1 with the reason as the verdict's default text when
     * it is invalid.
     */
    int (*enqueue)(void *ctx, const jobq_child *child);

    /** libpq's PGconn for types that want one, or NULL (the runtime logs why). The executor owns
     * it. */
    struct pg_conn *(*pg)(void *ctx);

    /**
     * For JOBQ_HANDLER_MANUAL, inside the handler's own transaction: takes the right to the effect.
     * 0: go on and COMMIT. 1: the job was done before; ROLLBACK and return JOBQ_DONE. -1: the
     * statement failed.
     */
    int (*complete)(void *ctx);

    /** Sets the text of the verdict (the reason of a retry, snooze or death). Copied, cut at 1
     * KiB. */
    void (*set_text)(void *ctx, const char *text);

    /** Sets the delay in ms of a JOBQ_RETRY (instead of the backoff) or a JOBQ_SNOOZE (default 5
     * s). */
    void (*set_delay)(void *ctx, int64_t delay_ms);

    /** A value of the configuration for this module, such as "mail.url"; NULL when not set. */
    const char *(*config)(void *ctx, const char *key);
} jobq_host;

/** Does one job. state is what start() made. Returns an enum jobq_verdict. */
typedef int (*jobq_run_fn)(const jobq_job_view *job, const jobq_host *host, void *state);

typedef struct jobq_handler {
    const char *type; /**< 1 to 64 of [a-z0-9_.:-]; NULL ends the table */
    jobq_run_fn run;
    unsigned flags;   /**< enum jobq_handler_flag */
} jobq_handler;

/** What a module exports under the name jobq_module_v1. */
typedef struct jobq_module {
    size_t size;                  /**< sizeof(jobq_module) */
    const char *name;
    const jobq_handler *handlers; /**< ended by an entry whose type is NULL */
    /** Once per executor, before the first job; NULL is fine. 0, or -1: the executor does not
     * start, and the text given to host->log tells why. Only log and config may be called. */
    int (*start)(const jobq_host *host, void **state);
    /** Once per executor, at its orderly end; NULL is fine. */
    void (*stop)(void *state);
} jobq_module;

/** The symbol a module defines: const jobq_module jobq_module_v1 = { sizeof(jobq_module), … }; */
#if defined(__GNUC__)
extern __attribute__((visibility("default"))) const jobq_module jobq_module_v1;
#else
extern const jobq_module jobq_module_v1;
#endif

#ifdef __cplusplus
}
#endif

#endif
