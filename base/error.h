/* SPDX-License-Identifier: MIT */
/*
 * error: write and extend the caller's jobq_err. Texts: lower case, no full stop, one line, no
 * secret.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <jobq/error.h>

#include "base/base.h"

/* Sets code and text (control characters become '?'); err may be NULL. Returns code, so: return
 * error_set(…). */
int error_set(jobq_err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts "text: " before what is there. Returns err's code (JOBQ_EINTERNAL when err is NULL). */
int error_prefix(jobq_err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
