/* SPDX-License-Identifier: MIT */
/* Payloads and databases that no attempt mends: dead, with a text that tells what is wrong. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/integration/notify/stage.h"

static void refuses(struct stage *s, const char *type, const char *payload, const char *text)
{
    cr_assert_eq(stage_run(s, type, payload), JOBQ_DEAD, "%s took %s", type, payload);
    cr_assert_not_null(strstr(s->handler->text, text), "%s %s said: %s", type, payload,
                       s->handler->text);
    cr_assert_eq(s->handler->child_count, 0);
}

Test(notify, names_the_field_that_is_wrong)
{
    struct stage *s = stage_start(V040, 40);

    refuses(s, REPLY, "", "payload: ");
    refuses(s, REPLY, "[1]", "payload: must be a JSON object");
    refuses(s, REPLY, "{}", "post_id: must be a whole number of at least 1");
    refuses(s, REPLY, "{\"post_id\":\"1\"}", "post_id: must be a whole number of at least 1");
    refuses(s, REPLY, "{\"post_id\":0}", "post_id: must be a whole number of at least 1");
    refuses(s, REPLY, "{\"post_id\":-1}", "post_id: must be a whole number of at least 1");
    refuses(s, REPLY, "{\"post_id\":1.5}", "post_id: must be a whole number of at least 1");
    refuses(s, REPLY, "{\"post_id\":99999999999999999999}", "payload: ");
    refuses(s, REPLY, "{\"post_id\":1,\"post_id\":2}", "payload: ");
    refuses(s, REPLY, "{\"post_id\":1,\"postid\":1}", "postid: this type has no such field");
    refuses(s, DEDUPE, "{\"thread\":1}", "thread_id: must be a whole number of at least 1");
    refuses(s, PRIVATE, "{\"thread_id\":1,\"members\":[]}", "actor_id: ");
    refuses(s, PRIVATE, "{\"actor_id\":1,\"members\":[]}", "thread_id: ");
    refuses(s, PRIVATE, "{\"actor_id\":1,\"thread_id\":1}", "members: must be an array of ids");
    refuses(s, PRIVATE, "{\"actor_id\":1,\"thread_id\":1,\"members\":[1,null]}",
            "members[1]: must be a whole number of at least 1");
    stage_stop(s);
}

Test(notify, refuses_more_members_than_a_thread_may_have)
{
    struct stage *s = stage_start(V040, 40);
    char payload[8192] = "{\"actor_id\":5,\"thread_id\":1,\"members\":[1";

    for (int i = 2; i <= 1001; i++)
        strcat(payload, fmt(",%d", i));
    strcat(payload, "]}");
    refuses(s, PRIVATE, payload, "members: holds 1001 ids, at most 1000 are taken by one job");
    stage_stop(s);
}

IN_BOTH(refuses_tables_it_does_not_know_until_they_are_mended)
{
    stage_watch(s, 1, 7, true);
    long long post = stage_reply(s, 1, 5);

    pg_do(s->pg, "ALTER TABLE misago_users_ban RENAME registration_only TO registration");
    cr_assert_eq(stage_notify(s, post), JOBQ_DEAD);
    cr_assert_not_null(strstr(s->handler->text, "misago_users_ban.registration_only is missing"),
                       "said: %s", s->handler->text);
    pg_do(s->pg, "ALTER TABLE misago_users_ban RENAME registration TO registration_only");
    stage_must_notify(s, post, 1, 1);

    /* Changed under its feet: tried again, and looked at again by then. */
    post = stage_reply(s, 2, 5);
    pg_do(s->pg, "ALTER TABLE misago_users_ban RENAME registration_only TO registration");
    cr_assert_eq(stage_notify(s, post), JOBQ_RETRY);
    cr_assert_eq(stage_notify(s, post), JOBQ_DEAD);
}

Test(notify, refuses_a_database_that_is_no_forum)
{
    struct stage *s = stage_start(V039, 40);

    pg_do(s->pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    refuses(s, REPLY, "{\"post_id\":1}", "not the forum's database");
    refuses(s, PRIVATE, "{\"actor_id\":1,\"thread_id\":1,\"members\":[]}",
            "not the forum's database");
    refuses(s, DEDUPE, "{\"thread_id\":1}", "not the forum's database");
    stage_stop(s);
}

Test(notify, waits_for_a_connection_it_does_not_get)
{
    struct handler *h = handler_open("notify", NULL, NULL);

    cr_assert_eq(handler_run(h, REPLY, "{\"post_id\":1}"), JOBQ_SNOOZE);
    cr_assert_str_eq(h->text, "no connection to PostgreSQL");
    handler_close(h);
}
