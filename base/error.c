/* SPDX-License-Identifier: MIT */
/*
 * error: the tables behind the codes and causes, and writing into a jobq_err. Pure but for the
 * caller's jobq_err.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jobq/job.h>

#include "base/text.h"

struct error_row {
    const char *name;
    const char *text;
    bool retryable;
    int exit_status;
};

/* Indexed by -code. */
static const struct error_row errors[] = {
    {"OK", "ok", false, 0},
#define ERROR_ROW(name, number, text, retryable, status)                                           \
    [-(number)] = {#name, text, retryable, status},
    JOBQ_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

static const struct error_row causes[] = {
#define CAUSE_ROW(name, word, retryable, status) {word, NULL, retryable, status},
    JOBQ_CAUSES(CAUSE_ROW)
#undef CAUSE_ROW
};

static const struct error_row *find_error(int code)
{
    if (code > 0 || code <= -(int)ARRAY_LEN(errors))
        return NULL;
    const struct error_row *row = &errors[-code];
    return row->name ? row : NULL;
}

static const struct error_row *find_cause(jobq_cause cause)
{
    size_t i = (size_t)cause;
    return i < ARRAY_LEN(causes) ? &causes[i] : NULL;
}

const char *jobq_version(void)
{
    return JOBQ_VERSION;
}

const char *jobq_strerror(int code)
{
    const struct error_row *row = find_error(code);
    return row ? row->text : "unknown error";
}

const char *jobq_error_name(int code)
{
    const struct error_row *row = find_error(code);
    return row ? row->name : "unknown";
}

bool jobq_is_retryable(int code)
{
    const struct error_row *row = find_error(code);
    return row && row->retryable;
}

int jobq_exit_status(int code)
{
    const struct error_row *row = find_error(code);
    return row ? row->exit_status : 70;
}

const char *jobq_cause_name(jobq_cause cause)
{
    const struct error_row *row = find_cause(cause);
    return row ? row->name : "unknown";
}

bool jobq_cause_is_retryable(jobq_cause cause)
{
    const struct error_row *row = find_cause(cause);
    return row && row->retryable;
}

int jobq_cause_exit_status(jobq_cause cause)
{
    const struct error_row *row = find_cause(cause);
    return row ? row->exit_status : 70;
}

const char *jobq_status_name(jobq_status status)
{
    switch (status) {
    case JOBQ_STATUS_OK:
        return "ok";
    case JOBQ_STATUS_DUPLICATE:
        return "duplicate";
    case JOBQ_STATUS_REJECTED:
        return "rejected";
    case JOBQ_STATUS_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}

/* Keeps msg one line, and whole characters when it was cut. formatted is what snprintf returned. */
static void clean_text(char msg[static 256], int formatted)
{
    if (formatted < 0)
        msg[0] = '\0';
    size_t len = strlen(msg);
    if (formatted >= 256) {
        /* Step back over the character that may have lost its tail. */
        size_t start = len;
        while (start > 0 && len - start < 3 && ((unsigned char)msg[start - 1] & 0xC0) == 0x80)
            start--;
        if (start > 0 && (unsigned char)msg[start - 1] >= 0xC0)
            start--;
        if (!text_is_utf8(msg + start, len - start, &(size_t){0}))
            msg[start] = '\0';
    }
    for (char *p = msg; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7F)
            *p = '?';
    }
}

int error_set(jobq_err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    /* Formatted aside: an argument may be err's own text. */
    char msg[sizeof(err->msg)];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(msg, sizeof(msg), format, args);
    va_end(args);
    clean_text(msg, n);
    err->code = code;
    memcpy(err->msg, msg, strlen(msg) + 1);
    return code;
}

int error_prefix(jobq_err *err, const char *format, ...)
{
    if (!err)
        return JOBQ_EINTERNAL;
    char prefix[sizeof(err->msg)];
    char msg[sizeof(err->msg)];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(prefix, sizeof(prefix), format, args);
    va_end(args);
    if (n < 0)
        prefix[0] = '\0';
    size_t len = strnlen(err->msg, sizeof(err->msg));
    n = snprintf(msg, sizeof(msg), "%s: %.*s", prefix, (int)len, err->msg);
    clean_text(msg, n);
    memcpy(err->msg, msg, strlen(msg) + 1);
    return err->code;
}
