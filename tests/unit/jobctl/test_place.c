/* SPDX-License-Identifier: MIT */
/* inspect: queue/partition/lane/entry, as it is printed and read. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/inspect.h"

Test(inspect, reads_the_places_it_prints)
{
    static const char *const places[] = {
        "default/0/normal/1795412973659-0",
        "a.b:c_d-e/255/high/0-1",
        "q/1/recovered/18446744073709551615-18446744073709551615",
        "q/2/low/5-5",
        "q/3/dead/1-2",
        "q/4/parked/1-2",
        "q/5/later/01a206f3-d7fd-7c54-842d-66aa3b4f5791",
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct inspect_place p;
        char text[INSPECT_PLACE_SIZE];
        cr_assert(inspect_place_parse(places[i], &p, NULL) == JOBQ_OK, "%s", places[i]);
        inspect_place_format(&p, text);
        cr_assert_str_eq(text, places[i]);
    }
}

Test(inspect, refuses_what_is_no_place)
{
    static const char *const bad[] = {
        "",
        "/",
        "///",
        "q",
        "q/0",
        "q/0/high",
        "q/0/high/",
        "q/0/high/x",
        "q/0/high/1-1/x",
        "Q/0/high/1-1",
        "/0/high/1-1",
        "q//high/1-1",
        "q/-1/high/1-1",
        "q/256/high/1-1",
        "q/0/middle/1-1",
        "q/0//1-1",
        "q/x/high/1-1",
        "q/0/later/1-1",
        "q/0/high/01a206f3-d7fd-7c54-842d-66aa3b4f5791",
    };
    char longest[400];
    struct inspect_place p;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert(inspect_place_parse(bad[i], &p, NULL) == JOBQ_EINVAL, "%s", bad[i]);
    memset(longest, 'q', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    cr_assert(inspect_place_parse(longest, &p, NULL) == JOBQ_EINVAL);
}

Test(inspect, has_a_word_for_every_place_and_state)
{
    for (int where = 0; where < INSPECT_WHERE_COUNT; where++)
        cr_assert(strlen(inspect_where_name(where)) > 2);
    for (int state = INSPECT_QUEUED; state <= INSPECT_IS_PARKED; state++)
        cr_assert(strlen(inspect_state_name((enum inspect_state)state)) > 3);
}
