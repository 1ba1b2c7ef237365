/* SPDX-License-Identifier: MIT */
/* The corners of the forum's definitions, one by one; the fixture's judge agrees with each. */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

/* Counts everything; the order matters. */
static void recount_everything(struct forum *f)
{
    static const char *const kinds[] = { "threads", "categories", "users" };

    for (size_t i = 0; i < 3; i++) {
        struct counted sum;
        size_t runs;
        int verdict =
            run_chain(f->handler, RECOUNT_ALL, fmt("{\"kind\":\"%s\"}", kinds[i]), &sum, &runs);
        cr_assert_eq(verdict, JOBQ_DONE, "%s", f->handler->text);
    }
    forum_must_be_right(f);
}

Test(recount, in_0_39_a_thread_without_approved_posts_has_no_events_and_ends_where_it_began)
{
    struct forum *f = forum_start(V039);

    pg_do(f->pg, "UPDATE misago_threads_post SET is_unapproved = true WHERE thread_id = 91");
    pg_do(f->pg, "UPDATE misago_threads_post SET is_event = true WHERE id ="
                 " (SELECT max(id) FROM misago_threads_post WHERE thread_id = 91)");
    recount_everything(f);
    cr_assert_eq(
        pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE id = 91 AND NOT has_events"
                      " AND replies = 0 AND is_unapproved AND last_post_id = first_post_id"),
        1);
    forum_stop(f);
}

Test(recount, in_0_39_an_event_may_be_the_last_post_but_is_no_reply)
{
    struct forum *f = forum_start(V039);
    long long replies = pg_int(f->pg, "SELECT replies FROM misago_threads_thread WHERE id = 91");

    pg_do(
        f->pg,
        "INSERT INTO misago_threads_post (poster_name, original, posted_on, updated_on, "
        "has_reports,"
        " has_open_reports, is_unapproved, is_hidden, is_event, category_id, poster_id, thread_id)"
        " SELECT 'Ada', '', now(), now(), false, false, false, true, true, category_id, 5, id"
        " FROM misago_threads_thread WHERE id = 91");
    recount_everything(f);
    cr_assert_eq(pg_int(f->pg,
                        "SELECT count(*) FROM misago_threads_thread WHERE id = 91 AND has_events"
                        " AND last_post_is_event AND has_hidden_posts AND replies = %lld"
                        " AND last_post_id = (SELECT max(id) FROM misago_threads_post)",
                        replies),
                 1);
    forum_stop(f);
}

Test(recount, in_0_39_open_reports_count_only_beside_reports)
{
    struct forum *f = forum_start(V039);

    pg_do(f->pg, "UPDATE misago_threads_post SET has_reports = false, has_open_reports = true "
                 "WHERE thread_id = 91");
    recount_everything(f);
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE id = 91"
                               " AND NOT has_reported_posts AND NOT has_open_reports"),
                 1);
    forum_stop(f);
}

Test(recount, in_0_39_of_threads_posted_to_at_once_the_stored_one_stays_the_last)
{
    struct forum *f = forum_start(V039);

    /* all of one category at the same moment, the category showing none of the ends */
    pg_do(f->pg, "UPDATE misago_threads_post SET posted_on = '2030-01-01' WHERE category_id = 4");
    recount_everything(f);
    pg_do(f->pg, "UPDATE misago_categories_category c SET last_thread_id = t.id, last_thread_title "
                 "= t.title,"
                 " last_thread_slug = t.slug, last_poster_id = t.last_poster_id,"
                 " last_poster_name = t.last_poster_name, last_poster_slug = t.last_poster_slug"
                 " FROM misago_threads_thread t WHERE c.id = 4 AND t.id = (SELECT id FROM "
                 "misago_threads_thread"
                 "  WHERE category_id = 4 AND NOT is_hidden AND NOT is_unapproved ORDER BY id "
                 "OFFSET 5 LIMIT 1)");
    must_recount_all(f, "categories", CATEGORIES, 0, 1);
    forum_must_be_right(f);
    forum_stop(f);
}

Test(recount, in_0_40_the_last_post_of_a_thread_with_one_approved_post_is_the_first)
{
    struct forum *f = forum_start(V040);

    pg_do(f->pg,
          "UPDATE misago_threads_post SET is_unapproved = id <>"
          " (SELECT max(id) FROM misago_threads_post WHERE thread_id = 91) WHERE thread_id = 91");
    recount_everything(f);
    cr_assert_eq(pg_int(f->pg,
                        "SELECT count(*) FROM misago_threads_thread t WHERE id = 91 AND replies = 0"
                        " AND last_post_id = first_post_id AND NOT is_unapproved"
                        " AND last_post_id <> (SELECT max(id) FROM misago_threads_post p"
                        "  WHERE p.thread_id = t.id AND NOT is_unapproved)"),
                 1);
    forum_stop(f);
}

Test(recount, in_0_40_reports_are_always_cleared)
{
    struct forum *f = forum_start(V040);

    pg_do(f->pg, "UPDATE misago_threads_post SET has_reports = true, has_open_reports = true WHERE "
                 "thread_id = 91");
    pg_do(f->pg, "UPDATE misago_threads_thread SET has_reported_posts = true, has_open_reports = "
                 "true WHERE id = 91");
    recount_everything(f);
    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE "
                               "has_reported_posts OR has_open_reports"),
                 0);
    forum_stop(f);
}

Test(recount, in_0_40_a_visible_thread_without_posts_is_never_the_last_of_others)
{
    struct forum *f = forum_start(V040);

    pg_do(f->pg, "UPDATE misago_threads_thread SET first_post_id = NULL, last_post_id = NULL, "
                 "solution_id = NULL WHERE id = 91");
    pg_do(f->pg, "DELETE FROM misago_notifications_notification WHERE thread_id = 91");
    pg_do(f->pg, "DELETE FROM misago_threads_post WHERE thread_id = 91");
    long long category =
        pg_int(f->pg, "SELECT category_id FROM misago_threads_thread WHERE id = 91");
    handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"categories\"}");
    cr_assert_gt(pg_int(f->pg,
                        "SELECT count(*) FROM misago_categories_category WHERE id = %lld"
                        " AND last_thread_id <> 91",
                        category),
                 0);
    forum_stop(f);
}

/* What is outside the tree below the root category counts for no user, however trees are
   numbered. */
static void count_only_below_root(const char *version)
{
    struct forum *f = forum_start(version);

    pg_do(f->pg, "UPDATE misago_categories_category SET lft = 8, rght = 9 WHERE special_role = "
                 "'private_threads'");
    must_recount_all(f, "users", 450, 0, 3);

    long long starter = pg_int(f->pg, "SELECT starter_id FROM misago_threads_thread WHERE id = 91");
    cr_assert_gt(starter, 0, "the fixture changed: choose another thread");
    long long threads =
        pg_int(f->pg, "SELECT threads FROM misago_users_user WHERE id = %lld", starter);
    pg_do(f->pg, "UPDATE misago_threads_thread SET category_id = 2 WHERE id = 91");
    pg_do(f->pg, "UPDATE misago_threads_post SET category_id = 2 WHERE thread_id = 91");
    recount_everything(f);
    cr_assert_eq(pg_int(f->pg, "SELECT threads FROM misago_users_user WHERE id = %lld", starter),
                 threads - 1);
    cr_assert_eq(pg_int(f->pg, "SELECT threads FROM misago_categories_category WHERE id = 2"), 1);
    forum_stop(f);
}

Test(recount, in_0_39_counts_for_users_only_what_is_below_the_root_category)
{
    count_only_below_root(V039);
}

Test(recount, in_0_40_counts_for_users_only_what_is_below_the_root_category)
{
    count_only_below_root(V040);
}
