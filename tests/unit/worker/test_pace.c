/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "worker/pace.h"

#define BACK_WITHIN_MS 5000

Test(pace, fits_how_each_error_is_read)
{
    static const struct {
        const char *text;
        int64_t least, most;
    } wanted[] = {
        {"LOADING Redis is loading the dataset in memory", 500, 1000},
        {"NOREPLICAS Not enough good replicas to write.", 1000, 2000},
        {"MISCONF Redis is configured to save RDB snapshots", 1000, 2000},
        {"BUSY Redis is busy running a script.", 500, 2000},
        {"NOPERM this user has no permissions to run the 'xreadgroup' command", 2000, 5000},
        {"NOAUTH Authentication required.", 2000, 5000},
        {"WRONGPASS invalid username-password pair or user is disabled.", 2000, 5000},
        {"CLUSTERDOWN The cluster is down", 500, 2000},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", 500, 2000},
        {"ERR max number of clients reached", 500, 2000},
        {"OOM command not allowed when used memory > 'maxmemory'.", 100, 1000},
        {"NOSCRIPT No matching script.", 1, 500},
        {"NOGROUP No such key", 1, 500},
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        int64_t ms = pace_of_class(reply_classify(wanted[i].text, strlen(wanted[i].text)));
        cr_assert_geq(ms, wanted[i].least, "%s", wanted[i].text);
        cr_assert_leq(ms, wanted[i].most, "%s", wanted[i].text);
        cr_assert_lt(ms, BACK_WITHIN_MS, "not back in time after: %s", wanted[i].text);
    }
    cr_assert_leq(pace_of(NULL), 500, "a broken connection is no refusal");
}
