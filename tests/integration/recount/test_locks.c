/* SPDX-License-Identifier: MIT */
/* The forum writes while the recount runs: counters stay right, and neither waits long for the
 * other. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/integration/recount/forum.h"

/* What the forum does when user 5 replies to a thread, up to before its COMMIT. */
static void reply(PGconn *forum)
{
    session_do(forum, "BEGIN");
    session_do(
        forum,
        "INSERT INTO misago_threads_post (poster_name, original, posted_on, updated_on,"
        " has_reports, has_open_reports, is_unapproved, is_hidden, is_event, category_id,"
        " poster_id, thread_id)"
        " SELECT u.username, 'Sanded it again.', now(), now(), false, false, false, false, false,"
        " t.category_id, u.id, t.id FROM misago_threads_thread t, misago_users_user u"
        " WHERE t.id = 91 AND u.id = 5");
    session_do(
        forum,
        "UPDATE misago_threads_thread t SET replies = replies + 1, last_post_id = p.id,"
        " last_post_on = p.posted_on, last_post_is_event = false, last_poster_id = u.id,"
        " last_poster_name = u.username, last_poster_slug = u.slug"
        " FROM misago_threads_post p, misago_users_user u"
        " WHERE t.id = 91 AND u.id = 5 AND p.id = (SELECT max(id) FROM misago_threads_post)");
    session_do(
        forum,
        "UPDATE misago_categories_category c SET posts = posts + 1, last_thread_id = t.id,"
        " last_thread_title = t.title, last_thread_slug = t.slug, last_post_on = t.last_post_on,"
        " last_poster_id = t.last_poster_id, last_poster_name = t.last_poster_name,"
        " last_poster_slug = t.last_poster_slug"
        " FROM misago_threads_thread t WHERE t.id = 91 AND c.id = t.category_id");
    session_do(forum, "UPDATE misago_users_user SET posts = posts + 1 WHERE id = 5");
}

/* A forum in which thread 91 can be replied to and is counted. */
static struct forum *start(void)
{
    struct forum *f = forum_start(V039);

    cr_assert_eq(pg_int(f->pg, "SELECT count(*) FROM misago_threads_thread WHERE id = 91"
                               " AND NOT is_hidden AND NOT is_unapproved AND category_id > 2"),
                 1, "the fixture changed: choose another thread");
    return f;
}

static void run_during_reply(struct forum *f, const char *type, const char *payload,
                             long long checked, long long changed)
{
    PGconn *forum = session_open(f->pg);

    reply(forum);
    int verdict = background_beside(forum, f->handler, f->pg, type, payload);
    if (verdict == JOBQ_SNOOZE) /* a machine too slow for its lock_timeout */
        verdict = handler_run(f->handler, type, payload);
    cr_assert_eq(verdict, JOBQ_DONE, "%s", f->handler->text);
    cr_assert_eq(counted(f->handler).checked, checked);
    cr_assert_eq(counted(f->handler).changed, changed);
    forum_must_be_right(f);
    PQfinish(forum);
}

Test(recount, counts_the_reply_it_waited_for_in_a_thread)
{
    struct forum *f = start();

    run_during_reply(f, RECOUNT, "{\"kind\":\"threads\",\"ids\":[91]}", 1, 0);
    forum_stop(f);
}

Test(recount, counts_the_reply_it_waited_for_in_a_chunk_of_threads)
{
    struct forum *f = start();

    run_during_reply(f, RECOUNT_ALL, "{\"kind\":\"threads\"}", 500, 0);
    forum_stop(f);
}

Test(recount, counts_the_reply_it_waited_for_in_a_chunk_of_users)
{
    struct forum *f = start();

    run_during_reply(f, RECOUNT_ALL, "{\"kind\":\"users\"}", 200, 0);
    forum_stop(f);
}

Test(recount, counts_the_reply_it_waited_for_in_a_category)
{
    struct forum *f = start();

    /* only a category that is wrong is locked at all */
    pg_do(f->pg, "UPDATE misago_categories_category SET threads = threads + 7 WHERE id ="
                 " (SELECT category_id FROM misago_threads_thread WHERE id = 91)");
    long long category =
        pg_int(f->pg, "SELECT category_id FROM misago_threads_thread WHERE id = 91");
    run_during_reply(f, RECOUNT, fmt("{\"kind\":\"categories\",\"ids\":[%lld]}", category), 1, 1);
    forum_stop(f);
}

Test(recount, counts_the_reply_it_waited_for_of_a_user)
{
    struct forum *f = start();

    run_during_reply(f, RECOUNT, "{\"kind\":\"users\",\"ids\":[5]}", 1, 0);
    forum_stop(f);
}

Test(recount, does_not_wait_for_categories_that_are_right)
{
    struct forum *f = start();
    PGconn *forum = session_open(f->pg);

    session_do(forum, "BEGIN");
    session_do(forum, "UPDATE misago_categories_category SET name = name || '!'");
    must_recount_all(f, "categories", CATEGORIES, 0, 1);
    session_do(forum, "ROLLBACK");
    PQfinish(forum);
    forum_stop(f);
}

Test(recount, does_not_keep_the_forum_from_adding_posts)
{
    struct forum *f = start();
    PGconn *forum = session_open(f->pg);

    /* the forum holds the lock that an INSERT of a post takes on its thread, category and author
       */
    session_do(forum, "BEGIN");
    session_do(forum, "SELECT FROM misago_threads_thread FOR KEY SHARE");
    session_do(forum, "SELECT FROM misago_users_user FOR KEY SHARE");
    must_recount_all(f, "threads", 600, 0, 2);
    must_recount_all(f, "users", 450, 0, 3);
    session_do(forum, "ROLLBACK");
    PQfinish(forum);
    forum_stop(f);
}

Test(recount, snoozes_when_a_row_stays_locked)
{
    struct forum *f = start();
    PGconn *forum = session_open(f->pg);

    pg_do(f->pg, "UPDATE misago_threads_thread SET replies = replies + 1 WHERE id IN (10, 91)");
    session_do(forum, "BEGIN");
    session_do(forum, "UPDATE misago_threads_thread SET title = title WHERE id = 91");
    cr_assert_eq(handler_run(f->handler, RECOUNT_ALL, "{\"kind\":\"threads\"}"), JOBQ_SNOOZE);
    cr_assert_not_null(strstr(f->handler->text, "(55P03)"), "said: %s", f->handler->text);
    cr_assert_str_empty(f->handler->result);
    cr_assert_eq(f->handler->child_count, 0);
    session_do(forum, "COMMIT");
    must_recount_all(f, "threads", 600, 2, 2);
    forum_must_be_right(f);
    PQfinish(forum);
    forum_stop(f);
}

Test(recount, leaves_the_settings_of_the_connection_as_they_were)
{
    struct forum *f = start();
    const char *sql = "SELECT current_setting('lock_timeout') || current_setting('jit')";
    PGresult *before = PQexec(f->handler->conn, sql);

    f->handler->keep_session = true; /* or what the run left behind would be discarded */
    must_recount_all(f, "threads", 600, 0, 2);
    PGresult *after = PQexec(f->handler->conn, sql);
    cr_assert_str_eq(PQgetvalue(before, 0, 0), PQgetvalue(after, 0, 0));
    PQclear(before);
    PQclear(after);
    forum_stop(f);
}

Test(recount, tries_again_within_the_run_after_a_deadlock)
{
    struct forum *f = start();
    const struct deadlock threads = {.type = RECOUNT,
                                     .payload = "{\"kind\":\"threads\",\"ids\":[1,2,3]}",
                                     .update = "misago_threads_thread SET title = title",
                                     .first = 1};

    pg_do(f->pg, "UPDATE misago_threads_thread SET replies = replies + 1 WHERE id <= 3");
    int verdict = background_deadlock(f->handler, f->pg, &threads);
    cr_assert_eq(verdict, JOBQ_DONE, "%s", f->handler->text);
    cr_assert_eq(counted(f->handler).changed, 3);
    forum_must_be_right(f);
    forum_stop(f);
}
