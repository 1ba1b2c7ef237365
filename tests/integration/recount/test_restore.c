/* SPDX-License-Identifier: MIT */
/* Every counter of both versions comes back as it was, and nothing else is written. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

static void recount_everything(struct forum *f, long long threads, long long categories,
                               long long users)
{
    must_recount_all(f, "threads", 600, threads, 2);
    must_recount_all(f, "categories", CATEGORIES, categories, 1);
    must_recount_all(f, "users", 450, users, 3);
}

static void restore(const char *version)
{
    struct forum *f = forum_start(version);

    forum_must_be_right(f);
    forum_keep(f);
    forum_load(f, "corrupt.sql");
    cr_assert_eq(forum_changed_rows(f), 600 + CATEGORIES + 450,
                 "corrupt.sql left rows as they were");

    recount_everything(f, 600, CATEGORIES, 450);
    forum_must_be_right(f);
    cr_assert_eq(forum_changed_rows(f), 0, "rows are not as they were before");

    char *before = forum_row_versions(f);
    recount_everything(f, 0, 0, 0);
    char *after = forum_row_versions(f);
    cr_assert_str_eq(before, after, "a rerun wrote rows");
    free(before);
    free(after);
    forum_stop(f);
}

Test(recount, restores_every_counter_of_0_39)
{
    restore(V039);
}

Test(recount, restores_every_counter_of_0_40)
{
    restore(V040);
}

Test(recount, writes_only_rows_that_differ)
{
    struct forum *f = forum_start(V039);

    forum_keep(f);
    pg_do(f->pg,
          "UPDATE misago_threads_thread SET replies = replies + 5 WHERE id IN (7, 300, 599)");
    pg_do(f->pg, "UPDATE misago_users_user SET followers = followers + 1 WHERE id = 450");
    pg_do(f->pg, "CREATE TEMP TABLE was AS SELECT id, ctid AS place FROM misago_threads_thread");
    must_recount_all(f, "threads", 600, 3, 2);
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread t JOIN was w USING (id)"
                               " WHERE t.ctid <> w.place"),
                 3);
    must_recount_all(f, "users", 450, 1, 3);
    cr_assert_eq(forum_changed_rows(f), 0);
    forum_stop(f);
}

Test(recount, counts_the_ids_it_is_given_and_no_others)
{
    struct forum *f = forum_start(V039);

    pg_do(f->pg, "UPDATE misago_threads_thread SET replies = replies + 1 WHERE id IN (5, 6, 7)");
    pg_do(f->pg, "UPDATE misago_categories_category SET posts = posts + 1 WHERE id IN (4, 5)");
    pg_do(f->pg, "UPDATE misago_users_user SET posts = posts + 1 WHERE id IN (10, 11)");

    cr_assert_eq(handler_run(f->handler, RECOUNT, "{\"kind\":\"threads\",\"ids\":[7,5,5,9]}"),
                 JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":3,\"changed\":2}");
    cr_assert_str_empty(f->handler->log);
    cr_assert_eq(f->handler->child_count, 0);
    cr_assert_eq(handler_run(f->handler, RECOUNT, "{\"ids\":[4,3],\"kind\":\"categories\"}"),
                 JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":2,\"changed\":1}");
    cr_assert_eq(handler_run(f->handler, RECOUNT, "{\"kind\":\"users\",\"ids\":[11]}"), JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":1,\"changed\":1}");

    pg_do(f->pg, "UPDATE misago_threads_thread SET replies = replies - 1 WHERE id = 6");
    pg_do(f->pg, "UPDATE misago_categories_category SET posts = posts - 1 WHERE id = 5");
    pg_do(f->pg, "UPDATE misago_users_user SET posts = posts - 1 WHERE id = 10");
    forum_must_be_right(f);
    forum_stop(f);
}

Test(recount, says_how_many_ids_do_not_exist)
{
    struct forum *f = forum_start(V039);

    cr_assert_eq(
        handler_run(f->handler, RECOUNT, "{\"kind\":\"users\",\"ids\":[1,451,9000000000000]}"),
        JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":1,\"changed\":0}");
    cr_assert_str_eq(f->handler->log, "2 2 of 3 users do not exist\n");
    cr_assert_eq(handler_run(f->handler, RECOUNT, "{\"kind\":\"categories\",\"ids\":[]}"),
                 JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":0,\"changed\":0}");
    cr_assert_str_empty(f->handler->log);
    forum_stop(f);
}

Test(recount, goes_on_chunk_by_chunk_through_children)
{
    struct forum *f = forum_start(V039);
    struct handler *h = f->handler;

    cr_assert_eq(handler_run(h, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_DONE);
    cr_assert_eq(counted(h).checked, 500);
    cr_assert_eq(h->child_count, 1);
    cr_assert_str_eq(h->children[0].type, RECOUNT_ALL);
    cr_assert_str_eq(h->children[0].payload, "{\"kind\":\"threads\",\"after_id\":500}");
    cr_assert_eq(h->children[0].max_attempts, 7, "a child has its parent's attempts");

    /* gaps: by key, not by number */
    cr_assert_eq(handler_run(h, RECOUNT_ALL, "{\"kind\":\"users\",\"after_id\":200}"), JOBQ_DONE);
    cr_assert_eq(counted(h).checked, 200);
    cr_assert_str_eq(h->children[0].payload, "{\"kind\":\"users\",\"after_id\":400}");
    cr_assert_eq(handler_run(h, RECOUNT_ALL, h->children[0].payload), JOBQ_DONE);
    cr_assert_eq(counted(h).checked, 50);
    cr_assert_eq(h->child_count, 0);

    /* a chunk that is full to the last row: its child finds nothing and ends */
    cr_assert_eq(handler_run(h, RECOUNT_ALL, "{\"kind\":\"threads\",\"after_id\":100}"), JOBQ_DONE);
    cr_assert_eq(counted(h).checked, 500);
    cr_assert_str_eq(h->children[0].payload, "{\"kind\":\"threads\",\"after_id\":600}");
    cr_assert_eq(handler_run(h, RECOUNT_ALL, h->children[0].payload), JOBQ_DONE);
    cr_assert_str_eq(h->result, "{\"checked\":0,\"changed\":0}");
    cr_assert_eq(h->child_count, 0);
    forum_stop(f);
}

Test(recount, leaves_threads_without_posts_alone_and_says_so)
{
    struct forum *f = forum_start(V039);

    pg_do(f->pg, "UPDATE misago_threads_thread SET first_post_id = NULL, last_post_id = NULL,"
                 " replies = 99 WHERE id IN (40, 41)");
    pg_do(f->pg, "DELETE FROM misago_notifications_notification WHERE thread_id IN (40, 41)");
    pg_do(f->pg, "DELETE FROM misago_threads_post WHERE thread_id IN (40, 41)");
    cr_assert_eq(handler_run(f->handler, RECOUNT, "{\"kind\":\"threads\",\"ids\":[39,40,41]}"),
                 JOBQ_DONE);
    cr_assert_str_eq(f->handler->result, "{\"checked\":3,\"changed\":0}");
    cr_assert_str_eq(f->handler->log,
                     "2 2 threads have no posts and were left alone, the first is 40\n");
    cr_assert_eq(
        pg_int(f->pg, "SELECT sum(replies) FROM misago_threads_thread WHERE id IN (40, 41)"), 198);
    forum_stop(f);
}

Test(recount, counts_a_visible_thread_without_approved_posts_exactly_in_0_40)
{
    struct forum *f = forum_start(V040);

    /* replies is 0 for one approved post and for none: a sum of replies could not tell */
    pg_do(f->pg, "UPDATE misago_threads_post SET is_unapproved = true WHERE thread_id = 40");
    pg_do(
        f->pg,
        "UPDATE misago_threads_thread SET is_hidden = false, is_unapproved = false WHERE id = 40");
    handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}");
    handler_run(f->handler, RECOUNT, "{\"kind\":\"threads\",\"ids\":[40]}");
    long long sum = pg_int(f->pg, "SELECT sum(t.replies + 1) FROM misago_threads_thread t"
                                  " WHERE NOT is_hidden AND NOT is_unapproved AND category_id ="
                                  " (SELECT category_id FROM misago_threads_thread WHERE id = 40)");
    handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"categories\"}");
    handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"users\"}");
    cr_assert_eq(pg_int(f->pg, "SELECT posts FROM misago_categories_category WHERE id ="
                               " (SELECT category_id FROM misago_threads_thread WHERE id = 40)"),
                 sum - 1);
    for (const char **payload = (const char *[]){ "{\"kind\":\"users\",\"after_id\":200}",
                                                  "{\"kind\":\"users\",\"after_id\":400}", NULL };
         *payload; payload++) {
        handler_run(f->handler, RECOUNT_ALL, *payload);
    }
    forum_must_be_right(f);
    forum_stop(f);
}
