/* SPDX-License-Identifier: MIT */
/* A payload that is wrong ends in the dead letters, and its text names the field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

static const struct {
    const char *type;
    const char *payload;
    const char *text; /* what the verdict's text begins with */
} bad[] = {
    { RECOUNT, "", "payload: " },
    { RECOUNT, "{\"kind\":", "payload: " },
    { RECOUNT, "[1]", "payload: must be a JSON object" },
    { RECOUNT, "{\"kind\":\"users\",\"kind\":\"threads\",\"ids\":[]}", "payload: " },
    { RECOUNT, "{}", "kind: must be one of threads, categories, users" },
    { RECOUNT, "{\"kind\":null,\"ids\":[]}", "kind: " },
    { RECOUNT, "{\"kind\":7,\"ids\":[]}", "kind: " },
    { RECOUNT, "{\"kind\":\"posts\",\"ids\":[1]}", "kind: " },
    { RECOUNT, "{\"kind\":\"Threads\",\"ids\":[1]}", "kind: " },
    { RECOUNT, "{\"kind\":\"threads\"}", "ids: must be an array" },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":3}", "ids: must be an array" },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":{\"a\":1}}", "ids: must be an array" },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[1,\"2\"]}", "ids[1]: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[1.5]}", "ids[0]: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[1,2,0]}", "ids[2]: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[-4]}", "ids[0]: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[99999999999999999999]}", "payload: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[[1]]}", "ids[0]: " },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[1],\"force\":true}",
      "force: this type has no such field" },
    { RECOUNT, "{\"kind\":\"threads\",\"ids\":[1],\"after_id\":1}", "after_id: " },
    { RECOUNT_ALL, "{}", "kind: " },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"after_id\":\"5\"}",
      "after_id: must be a whole number" },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"after_id\":null}", "after_id: " },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"after_id\":-1}", "after_id: " },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"after_id\":1.0}", "after_id: " },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"afterid\":5}", "afterid: this type has no such field" },
    { RECOUNT_ALL, "{\"kind\":\"threads\",\"ids\":[1]}", "ids: this type has no such field" },
};

Test(recount, refuses_bad_payloads_and_names_the_field)
{
    struct handler *h = recount_alone();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(handler_run(h, bad[i].type, bad[i].payload), JOBQ_DEAD, "%s", bad[i].payload);
        cr_assert_eq(strncmp(h->text, bad[i].text, strlen(bad[i].text)), 0, "%s gave: %s",
                     bad[i].payload, h->text);
        cr_assert_str_empty(h->result);
        cr_assert_eq(h->child_count, 0);
    }
    handler_close(h);
}

Test(recount, takes_a_thousand_ids_and_not_one_more)
{
    struct handler *h = recount_alone();
    char payload[16384] = "{\"kind\":\"threads\",\"ids\":[1";
    size_t at = strlen(payload);

    for (int i = 2; i <= 1000; i++) {
        at += (size_t)snprintf(payload + at, sizeof(payload) - at, ",%d", i);
    }
    snprintf(payload + at, sizeof(payload) - at, "]}");
    cr_assert_eq(handler_run(h, RECOUNT, payload), JOBQ_SNOOZE, "good, but there is no database");
    snprintf(payload + at, sizeof(payload) - at, ",5]}");
    cr_assert_eq(handler_run(h, RECOUNT, payload), JOBQ_DEAD);
    cr_assert_str_eq(h->text, "ids: holds 1001 ids, at most 1000 are taken by one job");
    handler_close(h);
}

Test(recount, cuts_a_long_field_name_between_characters)
{
    struct handler *h = recount_alone();
    char payload[1024] = "{\"kind\":\"threads\",\"";
    size_t at = strlen(payload);

    for (int i = 0; i < 200; i++) {
        at += (size_t)snprintf(payload + at, sizeof(payload) - at, "é");
    }
    snprintf(payload + at, sizeof(payload) - at, "\":1}");
    cr_assert_eq(handler_run(h, RECOUNT_ALL, payload), JOBQ_DEAD);
    size_t len = strlen(h->text);
    cr_assert_eq(len % 2, 0, "half an é is left");
    cr_assert_str_eq(h->text + len - 2, "é");
    handler_close(h);
}
