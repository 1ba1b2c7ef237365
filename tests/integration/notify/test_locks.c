/* SPDX-License-Identifier: MIT */
/* Others write at the same time: the forum, and a second run of the job. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/notify/stage.h"

static const char *payload_of(long long post)
{
    return fmt("{\"post_id\":%lld}", post);
}

IN_BOTH(two_runs_at_once_tell_everybody_once)
{
    struct background first, second;
    struct handler *other = stage_handler(s->pg, NULL);
    PGconn *forum = session_open(s->pg);
    for (int user = 7; user <= 11; user++)
        stage_watch(s, 1, user, true);
    long long post = stage_reply(s, 1, 5);

    /* The first one waits for a user's row, the second one for the first. */
    session_do(forum, "BEGIN; UPDATE misago_users_user SET posts = posts WHERE id = 9");
    background_start(&first, s->handler, REPLY, payload_of(post));
    background_wait_blocked(&first, s->pg);
    background_start(&second, other, REPLY, payload_of(post));
    background_wait_blocked(&second, s->pg);
    session_do(forum, "COMMIT");
    int verdicts[2] = {background_join(&first), background_join(&second)};

    /* On a machine too slow for their lock_timeout they end in SNOOZE, and run again. */
    for (int i = 0; i < 2; i++)
        cr_assert(verdicts[i] == JOBQ_DONE || verdicts[i] == JOBQ_SNOOZE, "%d", verdicts[i]);
    cr_assert_eq(handler_run(other, REPLY, payload_of(post)), JOBQ_DONE, "%s", other->text);
    cr_assert_eq(other->child_count, 5);
    stage_must_have_told(s, post, "7 8 9 10 11");
    stage_must_count_right(s);
    handler_close(other);
    PQfinish(forum);
}

IN_BOTH(counts_rightly_beside_a_user_who_reads)
{
    PGconn *forum = session_open(s->pg);
    stage_watch(s, 1, 7, true);
    stage_must_notify(s, stage_reply(s, 1, 5), 1, 1);
    stage_watch(s, 2, 7, true);
    pg_do(s->pg, "UPDATE misago_threads_thread SET category_id = 4, is_hidden = false,"
                 " is_unapproved = false WHERE id = 2");
    long long post = stage_reply(s, 2, 5);
    int verdict = JOBQ_SNOOZE;

    for (int i = 0; verdict == JOBQ_SNOOZE && i < 10; i++) {
        session_do(forum, "BEGIN");
        session_do(forum, "UPDATE misago_notifications_notification SET is_read = true"
                          " WHERE user_id = 7 AND thread_id = 1");
        session_do(forum, "UPDATE misago_users_user SET unread_notifications = 0 WHERE id = 7");
        verdict = background_beside(forum, s->handler, s->pg, REPLY, payload_of(post));
    }
    cr_assert_eq(verdict, JOBQ_DONE, "%s", s->handler->text);
    stage_must_have_told(s, post, "7");
    stage_must_count_right(s);
    PQfinish(forum);
}

IN_BOTH(writes_nothing_while_a_row_stays_locked)
{
    PGconn *forum = session_open(s->pg);
    stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, true);
    long long post = stage_reply(s, 1, 5);

    session_do(forum, "BEGIN; UPDATE misago_users_user SET posts = posts WHERE id = 8");
    cr_assert_eq(stage_notify(s, post), JOBQ_SNOOZE);
    cr_assert_not_null(strstr(s->handler->text, "(55P03)"), "said: %s", s->handler->text);
    cr_assert_eq(s->handler->child_count, 0);
    stage_must_have_told(s, post, "");
    session_do(forum, "COMMIT");
    stage_must_notify(s, post, 2, 2);
    PQfinish(forum);
}

IN_BOTH(does_not_wait_for_a_reply_that_is_being_posted)
{
    PGconn *forum = session_open(s->pg);
    stage_watch(s, 1, 7, true);
    long long post = stage_reply(s, 1, 5);

    /* The rows that a reply of user 6 writes, and the locks of what it refers to. */
    session_do(forum, "BEGIN");
    session_do(forum, "UPDATE misago_threads_thread SET replies = replies + 1 WHERE id = 1");
    session_do(forum, "UPDATE misago_categories_category SET posts = posts + 1 WHERE id = 4");
    session_do(forum, "UPDATE misago_users_user SET posts = posts + 1 WHERE id = 6");
    session_do(forum, "SELECT FROM misago_users_user FOR KEY SHARE");
    stage_must_notify(s, post, 1, 1);
    session_do(forum, "ROLLBACK");
    PQfinish(forum);
}

/* Once more where the machine was too slow. */
static int notify_beside(PGconn *forum, struct stage *s, long long post)
{
    int verdict = background_beside(forum, s->handler, s->pg, REPLY, payload_of(post));

    return verdict == JOBQ_SNOOZE ? stage_notify(s, post) : verdict;
}

IN_BOTH(ends_well_when_the_post_is_deleted_meanwhile)
{
    PGconn *forum = session_open(s->pg);
    stage_watch(s, 1, 7, true);
    long long post = stage_reply(s, 1, 5);

    s->handler->attempt = 4;
    session_do(forum, "BEGIN; DELETE FROM misago_threads_post WHERE id = %lld", post);
    int verdict = notify_beside(forum, s, post);
    cr_assert_eq(verdict, JOBQ_DONE, "%s", s->handler->text);
    cr_assert_str_eq(s->handler->text, fmt("post %lld is not there", post));
    cr_assert_eq(s->handler->child_count, 0);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_notification"), 0);
    stage_must_count_right(s);
    PQfinish(forum);
}

IN_BOTH(tells_the_others_when_a_user_is_deleted_meanwhile)
{
    PGconn *forum = session_open(s->pg);
    for (int user = 30; user <= 32; user++)
        stage_watch(s, 1, user, true);
    /* Somebody who has left no trace elsewhere, so that the forum can delete them by one row. */
    long long user =
        pg_int(s->pg, "WITH u AS (SELECT * FROM misago_users_user WHERE id = 31), n AS (SELECT "
                      "(jsonb_populate_record("
                      "NULL::misago_users_user, to_jsonb(u) || '{\"id\": 5000, \"slug\": \"x5000\","
                      " \"username\": \"X5000\", \"email\": \"x5000@example.net\","
                      " \"email_hash\": \"5000\"}')).* FROM u)"
                      " INSERT INTO misago_users_user SELECT * FROM n RETURNING id");
    if (!s->is_040)
        pg_do(s->pg, "INSERT INTO misago_users_user_roles (user_id, role_id) VALUES (%lld, 1)",
              user);
    stage_watch(s, 1, user, true);
    long long post = stage_reply(s, 1, 5);

    session_do(forum, "BEGIN");
    if (!s->is_040)
        session_do(forum, "DELETE FROM misago_users_user_roles WHERE user_id = %lld", user);
    session_do(forum, "DELETE FROM misago_notifications_watchedthread WHERE user_id = %lld", user);
    session_do(forum, "DELETE FROM misago_users_user WHERE id = %lld", user);
    int verdict = notify_beside(forum, s, post);
    cr_assert_eq(verdict, JOBQ_DONE, "%s", s->handler->text);
    cr_assert_str_eq(s->handler->result, "{\"notified\":3,\"mails\":3}");
    stage_must_have_told(s, post, "30 31 32");
    stage_must_count_right(s);
    PQfinish(forum);
}

Test(notify, tries_again_within_the_run_after_a_deadlock)
{
    struct stage *s = stage_start(V040, 40);
    for (int user = 7; user <= 9; user++)
        stage_watch(s, 1, user, true);
    long long post = stage_reply(s, 1, 5);
    char payload[64];
    const struct deadlock users = {.type = REPLY,
                                   .payload = payload,
                                   .update = "misago_users_user SET posts = posts",
                                   .first = 7};

    snprintf(payload, sizeof(payload), "%s", payload_of(post));
    int verdict = background_deadlock(s->handler, s->pg, &users);
    cr_assert_eq(verdict, JOBQ_DONE, "%s", s->handler->text);
    cr_assert_str_eq(s->handler->result, "{\"notified\":3,\"mails\":3}");
    stage_must_have_told(s, post, "7 8 9");
    stage_must_count_right(s);
    stage_stop(s);
}
