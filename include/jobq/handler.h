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
    size_t size;           /**< sizeof(jobq_job_view) of the executor */
    const char *id;        /**< 36 characters, NUL-terminated; the same in every delivery */
    const char *type;      /**< the type that chose this handler, NUL-terminated */
    const char *queue;     /**< the queue it was enqueued into, NUL-terminated */
    const char *payload;   /**< the bytes as enqueued, followed by a NUL that is not counted */
    size_t payload_len;    /**< bytes */
    uint32_t attempt;      /**< 1 in the first run; failures counted so far, plus one */
    uint32_t max_attempts; /**< the attempt with this number is the last one */
    int64_t soft_ms;       /**< CLOCK_MONOTONIC ms at which the soft limit is reached */
    int64_t hard_ms;       /**< CLOCK_MONOTONIC ms at which the process group is killed */
    int64_t enqueued_ms;   /**< Unix ms, by Redis's clock */
} jobq_job_view;

/** A job that a handler enqueues. Zero or NULL means not set. */
typedef struct jobq_child {
    size_t size;              /**< sizeof(jobq_child) */
    const char *type;         /**< names its handler, 1 to 64 of [a-z0-9_.:-] */
    const char *queue;        /**< NULL: the parent's */
    const char *payload;      /**< a JSON object in UTF-8; NULL: "{}" */
    size_t payload_len;       /**< bytes of payload; 0 with a payload: it is NUL-terminated */
    int lane;                 /**< 0 normal, 1 high, 2 low */
    int64_t delay_ms;         /**< start not before so many ms after it is sent */
    int64_t expires_after_ms; /**< not started so many ms after it is sent: never started */
    uint32_t max_attempts;  /**< failures before it is dead, 1 to 65535; 0: the worker's setting */
    uint32_t soft_limit_ms; /**< running time after which its handler is asked to stop */
    uint32_t hard_limit_ms; /**< running time after which it is killed */
    const char *unique_key; /**< 1 to 255 bytes of UTF-8; while a job holds it, it is not stored */
} jobq_child;

/**
 * What the runtime offers to a running handler. Only on the thread that called run(), only until it
 * returns; not in a child that the handler forks. Functions are only ever added at the end; size
 * tells what is there.
 */
typedef struct jobq_host {
    size_t size; /**< sizeof(jobq_host) of the executor */
    void *ctx;   /**< pass it back as the first argument of every function */

    /**
     * Writes one log line that carries the job's id, type, queue and attempt.
     *
     * @param level an enum jobq_log_level.
     * @param text borrowed for the call, NUL-terminated, cut at JOBQ_HANDLER_TEXT_MAX; NULL: no
     *        line.
     */
    void (*log)(void *ctx, int level, const char *text);

    /**
     * Whether to finish, or to return JOBQ_SNOOZE or JOBQ_RETRY, soon. Cheap enough for every turn
     * of a loop.
     *
     * @return 1 once the soft limit is reached or jobd drains; 0 before.
     */
    int (*should_stop)(void *ctx);

    /**
     * Tells how far the job is; seen in the log.
     *
     * @param percent 0 to 100; what is outside is moved to the nearer end.
     */
    void (*progress)(void *ctx, int percent);

    /**
     * Keeps a JSON value as the job's result, in place of an earlier one; seen in the log.
     *
     * @param json borrowed for the call; need not be NUL-terminated.
     * @param len bytes, at most 65536.
     * @return 0; -1: not JSON, too long, or no memory; an earlier result stays.
     */
    int (*set_result)(void *ctx, const char *json, size_t len);

    /**
     * Enqueues a job. It is sent if and only if this run ends in JOBQ_DONE, and this job is
     * acknowledged only after it is stored; for a transactional type it is committed together with
     * the effect. A run that is repeated enqueues its jobs under the same ids, in order.
     *
     * @param child borrowed for the call, as are the strings in it.
     * @return 0; -1: invalid, or too many in this run; the reason becomes the verdict's text.
     */
    int (*enqueue)(void *ctx, const jobq_child *child);

    /**
     * The connection to PostgreSQL, for types flagged with any of the PG flags.
     *
     * @return libpq's PGconn, the executor's: valid until run() returns, never to be closed; NULL:
     *         there is none, and the runtime has logged why.
     */
    struct pg_conn *(*pg)(void *ctx);

    /**
     * For JOBQ_HANDLER_MANUAL, inside the handler's own transaction: takes the right to the effect.
     *
     * @return 0: go on and COMMIT; 1: the job was done before: ROLLBACK and return JOBQ_DONE;
     *         -1: the statement failed, or the type is not flagged so: ROLLBACK; the reason becomes
     *         the verdict's text.
     */
    int (*complete)(void *ctx);

    /**
     * Sets the text of the verdict: the reason of a retry, snooze or death.
     *
     * @param text borrowed for the call, NUL-terminated, cut at JOBQ_HANDLER_TEXT_MAX; NULL: none.
     */
    void (*set_text)(void *ctx, const char *text);

    /**
     * Sets the delay of a JOBQ_RETRY (instead of the backoff) or a JOBQ_SNOOZE (default 5 s).
     *
     * @param delay_ms ms from the end of the run; negative: 0.
     */
    void (*set_delay)(void *ctx, int64_t delay_ms);

    /**
     * A value of the configuration for this module.
     *
     * @param key borrowed for the call, such as "mail.url".
     * @return NUL-terminated, the executor's, valid as long as it runs; NULL when not set.
     */
    const char *(*config)(void *ctx, const char *key);

    /**
     * A 64-bit word that all executors of this jobd share, for what they must keep together: a
     * limit, a counter. 0 when jobd starts; survives executors; any of them may be changing it at
     * this moment or die while doing so, so only single atomic operations are safe. There are 64.
     *
     * @param name borrowed for the call; begin it with the module's name, such as "mail.rate".
     * @return the word, valid as long as the executor runs; NULL: all are taken, or there are none.
     */
    uint64_t *(*cell)(void *ctx, const char *name);
} jobq_host;

/**
 * Does one job, on the executor's only thread.
 *
 * @param job the executor's, valid until run() returns.
 * @param host the executor's, valid until run() returns.
 * @param state what start() made, or NULL.
 * @return an enum jobq_verdict; any other number counts as JOBQ_RETRY.
 */
typedef int (*jobq_run_fn)(const jobq_job_view *job, const jobq_host *host, void *state);

/** Which function does a type's work. */
typedef struct jobq_handler {
    const char *type; /**< 1 to 64 of [a-z0-9_.:-]; NULL ends the table */
    jobq_run_fn run;  /**< not NULL */
    unsigned flags;   /**< enum jobq_handler_flag */
} jobq_handler;

/** What a module exports under the name jobq_module_v1. */
typedef struct jobq_module {
    size_t size;                  /**< sizeof(jobq_module) */
    const char *name;             /**< shown in messages; not empty */
    const jobq_handler *handlers; /**< ended by an entry whose type is NULL */

    /**
     * Once per executor, before the first job; NULL is fine.
     *
     * @param host only log(), config() and cell() may be called; not valid after start().
     * @param[out] state handed to run() and stop(); the module's own.
     * @return 0; anything else: the executor does not start, and the text of the last error given
     *         to host->log() tells why.
     */
    int (*start)(const jobq_host *host, void **state);

    /**
     * Once per executor, at its orderly end; NULL is fine. Not after a crash or a kill.
     *
     * @param state what start() made, for the module to free.
     */
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
