/* SPDX-License-Identifier: MIT */
/*
 * json_scalar: the validator once more, as it is built where there is no SSE2.
 */
#define JSON_WITHOUT_SSE2 1
#define json_check_object json_scalar_check_object
#define json_check_value json_scalar_check_value
#include "base/json.c"
