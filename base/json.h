/* SPDX-License-Identifier: MIT */
/*
 * json: a tree-less validator (RFC 8259) for payloads. Pure; no recursion, bounded depth.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>

#include <jobq/error.h>

#include "base/base.h"

#define JSON_MAX_DEPTH 64

/*
 * Accepts one JSON object in UTF-8 without a byte-order mark, white space around it, depth <=
 * JSON_MAX_DEPTH, no lone surrogate escapes, no NUL in a key, numbers as in the RFC. JOBQ_OK, or
 * JOBQ_EINVAL with "what at byte N" in err. What it accepts, jansson accepts too (with
 * JSON_ALLOW_NUL), except numbers out of range (integers of 64 bits, reals of double).
 */
MUST_CHECK int json_check_object(const char *bytes, size_t len, jobq_err *err);
/* The same for any JSON value. */
MUST_CHECK int json_check_value(const char *bytes, size_t len, jobq_err *err);

#endif
