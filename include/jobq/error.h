/* SPDX-License-Identifier: MIT */
/**
 * @file error.h
 * The one list of error codes, of causes of a refusal, and the text that goes with a failure.
 *
 * A function that can fail returns JOBQ_OK (0) or one of the negative codes below and writes a text
 * into the caller's jobq_err. Nothing is global, nothing is allocated on a failure path.
 */
#ifndef JOBQ_ERROR_H
#define JOBQ_ERROR_H

#include <stdbool.h>

#include <jobq/api.h>

/**
 * X(name, number, text, worth retrying, exit status of jobctl)
 */
#define JOBQ_ERRORS(X)                                                                             \
    X(EINVAL, -1, "invalid argument", false, 2)                                                    \
    X(ENOMEM, -2, "out of memory", true, 1)                                                        \
    X(ETOOBIG, -3, "too big", false, 2)                                                            \
    X(ECONN, -4, "cannot reach the server", true, 69)                                              \
    X(ETIMEDOUT, -5, "timed out", true, 75)                                                        \
    X(EAUTH, -6, "refused by password or permission", false, 77)                                   \
    X(EPROTO, -7, "unexpected bytes from the other side", true, 69)                                \
    X(EREDIS, -8, "Redis answered an error", true, 69)                                             \
    X(ESCRIPT, -9, "a script failed in Redis", true, 69)                                           \
    X(EMOVED, -10, "the key lives on another node", true, 69)                                      \
    X(EREJECTED, -11, "the job was not stored", false, 73)                                         \
    X(EUNKNOWN, -12, "it is not known whether the job was stored", true, 75)                       \
    X(ENOTFOUND, -13, "not found", false, 1)                                                       \
    X(EFENCED, -14, "this incarnation was declared dead", false, 1)                                \
    X(ESTATE, -15, "not possible in this state", false, 1)                                         \
    X(EINTERNAL, -16, "internal error", false, 70)                                                 \
    X(ECONFIG, -17, "invalid configuration", false, 78)

enum {
    JOBQ_OK = 0,
#define JOBQ_ERROR_ENUM(name, number, text, retryable, status) JOBQ_##name = (number),
    JOBQ_ERRORS(JOBQ_ERROR_ENUM)
#undef JOBQ_ERROR_ENUM
};

/**
 * Why a job was certainly not stored. X(name, word, worth retrying, exit status of jobctl)
 */
#define JOBQ_CAUSES(X)                                                                             \
    X(NONE, "none", false, 0)                                                                      \
    X(TOO_LARGE, "too_large", false, 2)                                                            \
    X(BAD_PAYLOAD, "bad_payload", false, 2)                                                        \
    X(BAD_NAME, "bad_name", false, 2)                                                              \
    X(BAD_OPTION, "bad_option", false, 2)                                                          \
    X(UNREACHABLE, "unreachable", true, 69)                                                        \
    X(TIMED_OUT, "timed_out", true, 75)                                                            \
    X(PERMISSION, "permission", false, 77)                                                         \
    X(READ_ONLY, "read_only", true, 73)                                                            \
    X(OUT_OF_MEMORY, "out_of_memory", true, 73)                                                    \
    X(CANNOT_PERSIST, "cannot_persist", true, 73)                                                  \
    X(NO_REPLICAS, "no_replicas", true, 73)                                                        \
    X(LOADING, "loading", true, 69)                                                                \
    X(BUSY, "busy", true, 69)                                                                      \
    X(SERVER, "server", true, 69)

typedef enum jobq_cause {
#define JOBQ_CAUSE_ENUM(name, word, retryable, status) JOBQ_CAUSE_##name,
    JOBQ_CAUSES(JOBQ_CAUSE_ENUM)
#undef JOBQ_CAUSE_ENUM
} jobq_cause;

/**
 * Where a failing function leaves its text. The caller owns it; a NULL pointer to it is always
 * allowed. Untouched on success. msg is NUL-terminated, one line, without a secret.
 */
typedef struct jobq_err {
    int code;      /**< the code that the function returned */
    char msg[256]; /**< what, where and, where there is one, the way to mend it */
} jobq_err;

JOBQ_BEGIN

/**
 * The fixed text of a code, for example "timed out".
 *
 * Safe from any thread, before and after fork.
 *
 * @param code JOBQ_OK or a JOBQ_E… number.
 * @return a constant string, never NULL, never to be freed; "unknown error" for any other number.
 */
JOBQ_API const char *jobq_strerror(int code);

/**
 * The name of a code, for example "ETIMEDOUT".
 *
 * Safe from any thread, before and after fork.
 *
 * @param code JOBQ_OK or a JOBQ_E… number.
 * @return a constant string, never NULL, never to be freed; "unknown" for any other number.
 */
JOBQ_API const char *jobq_error_name(int code);

/**
 * Whether the same call may succeed later without any change by the caller.
 *
 * Safe from any thread, before and after fork.
 *
 * @param code JOBQ_OK or a JOBQ_E… number.
 * @return true if worth retrying; false otherwise, for JOBQ_OK and for unknown numbers.
 */
JOBQ_API bool jobq_is_retryable(int code);

/**
 * The exit status a command-line program should give for a code (sysexits where one fits).
 *
 * Safe from any thread, before and after fork.
 *
 * @param code JOBQ_OK or a JOBQ_E… number.
 * @return 0 for JOBQ_OK, 1 to 78 for a code, 70 for any other number.
 */
JOBQ_API int jobq_exit_status(int code);

/**
 * The word for a cause, for example "out_of_memory".
 *
 * Safe from any thread, before and after fork.
 *
 * @param cause what jobq_answer.cause says.
 * @return a constant string, never NULL, never to be freed; "unknown" for a number outside the
 *         list.
 */
JOBQ_API const char *jobq_cause_name(jobq_cause cause);

/**
 * Whether a job refused for this cause may be taken later unchanged.
 *
 * Safe from any thread, before and after fork.
 *
 * @param cause what jobq_answer.cause says.
 * @return true if worth retrying; false otherwise, for JOBQ_CAUSE_NONE and for unknown numbers.
 */
JOBQ_API bool jobq_cause_is_retryable(jobq_cause cause);

/**
 * The exit status a command-line program should give for a job refused for this cause.
 *
 * Safe from any thread, before and after fork.
 *
 * @param cause what jobq_answer.cause says.
 * @return 0 for JOBQ_CAUSE_NONE, 2 to 77 for a cause, 70 for any other number.
 */
JOBQ_API int jobq_cause_exit_status(jobq_cause cause);

JOBQ_END

#endif
