/* SPDX-License-Identifier: MIT */
/* Which tables are taken for a forum's, and what is said of others. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

static void must_refuse(struct forum *f, const char *text)
{
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_DEAD);
    cr_assert_not_null(strstr(f->handler->text, text), "said: %s", f->handler->text);
    cr_assert_str_empty(f->handler->result);
}

Test(recount, refuses_a_database_that_is_no_forum)
{
    struct forum *f = forum_start_empty();

    must_refuse(f, "no table misago_threads_thread in database test (search_path ");
    pg_do(f->pg, "CREATE TABLE misago_threads_thread (id int)");
    must_refuse(f, "unknown forum schema in database test: misago_threads_thread has none of");
    pg_do(f->pg, "ALTER TABLE misago_threads_thread ADD last_post_on int, ADD last_posted_at int");
    must_refuse(f,
                "misago_threads_thread has both of last_post_on (0.39) and last_posted_at (0.40)");
    forum_stop(f);
}

Test(recount, refuses_a_forum_with_a_column_missing)
{
    struct forum *f = forum_start(V040);

    pg_do(f->pg,
          "ALTER TABLE misago_categories_category RENAME unapproved_posts TO awaiting_posts");
    must_refuse(f,
                "it looks like 0.40, but misago_categories_category.unapproved_posts is missing");
    pg_do(f->pg,
          "ALTER TABLE misago_categories_category RENAME awaiting_posts TO unapproved_posts");
    pg_do(f->pg, "DROP TABLE misago_polls_poll");
    must_refuse(f, "it looks like 0.40, but misago_polls_poll.thread_id is missing");
    forum_stop(f);
}

Test(recount, looks_again_after_the_forum_was_upgraded)
{
    struct forum *f = forum_start(V039);

    must_recount_all(f, "threads", 600, 0, 2);
    forum_load(f, "upgrade-0.40.sql");
    pg_load(f->pg, source_path("contrib/postgres/grants/recount-0.40.sql"));
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_RETRY);
    cr_assert_not_null(strstr(f->handler->text, "(42703)"), "said: %s", f->handler->text);
    pg_do(f->pg, "UPDATE misago_threads_thread SET replies = replies + 1 WHERE id = 12");
    must_recount_all(f, "threads", 600, 1, 2);
    must_recount_all(f, "categories", CATEGORIES, 0, 1);
    must_recount_all(f, "users", 450, 0, 3);
    forum_must_be_right(f);
    forum_stop(f);
}

Test(recount, snoozes_without_a_database_and_when_it_went_away)
{
    struct handler *alone = recount_alone();

    cr_assert_eq(handler_run(alone, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_SNOOZE);
    cr_assert_str_eq(alone->text, "no connection to PostgreSQL");
    handler_close(alone);

    struct forum *f = forum_start_empty();
    postgres_kill(f->pg);
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_SNOOZE);
    cr_assert_eq(strncmp(f->handler->text, "PostgreSQL: ", 12), 0, "said: %s", f->handler->text);
    forum_stop(f);
}

Test(recount, snoozes_on_a_database_that_is_read_only)
{
    struct forum *f = forum_start(V039);

    session_do(f->handler->conn, "SET default_transaction_read_only = on");
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_SNOOZE);
    cr_assert_not_null(strstr(f->handler->text, "(25006)"), "said: %s", f->handler->text);
    forum_stop(f);
}

Test(recount, retries_on_what_it_may_not_touch)
{
    struct forum *f = forum_start(V039);

    pg_do(f->pg, "CREATE ROLE stranger; GRANT SELECT ON ALL TABLES IN SCHEMA public TO stranger;"
                 " GRANT USAGE ON SCHEMA public TO stranger; GRANT stranger TO jobq_worker");
    session_do(f->handler->conn, "SET ROLE stranger");
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_RETRY);
    cr_assert_not_null(strstr(f->handler->text, "permission denied"), "said: %s", f->handler->text);
    forum_stop(f);
}
