/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "broker/script.h"
#include "tests/support/support.h"

Test(scripts, are_known_to_redis_by_the_name_we_give_them)
{
    struct redis *redis = redis_start(NULL);

    for (int i = 0; i < SCRIPT_COUNT; i++) {
        const struct script_text *t = &script_table[i];
        char *sha = redis_str(redis, "SCRIPT LOAD %b", t->body, t->len);
        cr_assert_str_eq(sha, t->sha, "%s", t->word);
        free(sha);
    }
    redis_stop(redis);
}
