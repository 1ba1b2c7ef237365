/* SPDX-License-Identifier: MIT */
/*
 * fuzz_json: our validator beside jansson. What ours accepts jansson accepts, but for the range of
 * numbers; what jansson accepts ours accepts, but for depth and for a NUL byte after a number,
 * which jansson overlooks. A byte-order mark both refuse.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const char *text, size_t size, bool object)
{
    json_error_t why;
    jobq_err err = {0};
    int code = object ? json_check_object(text, size, &err) : json_check_value(text, size, &err);
    json_t *tree = json_loadb(text, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, &why);
    bool theirs = tree != NULL && (!object || json_is_object(tree));
    bool overflow = tree == NULL && json_error_code(&why) == json_error_numeric_overflow;
    json_decref(tree);
    bool may_refuse =
        strstr(err.msg, "nested too deep") != NULL || memchr(text, '\0', size) != NULL;
    if (code == JOBQ_OK ? !theirs && !overflow : theirs && !may_refuse)
        abort();
    if (code != JOBQ_OK && (code != JOBQ_EINVAL || strstr(err.msg, " at byte ") == NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    compare((const char *)data, size, true);
    compare((const char *)data, size, false);
    return 0;
}
