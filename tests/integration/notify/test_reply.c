/* SPDX-License-Identifier: MIT */
/* notify.reply: what it writes, for whom, and that it does so once. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/notify/stage.h"

IN_BOTH(tells_each_watcher_once)
{
    long long by_mail = stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, false);
    long long also_by_mail = stage_watch(s, 1, 9, true);
    stage_watch(s, 1, 5, true); /* the poster */
    stage_watch(s, 2, 10, true);
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 3, 2);
    stage_must_have_told(s, post, "7 8 9");
    stage_must_child(s->handler, 0, "mail.reply",
                     fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":7}", post, by_mail),
                     fmt("mail.reply:%lld:7", post));
    stage_must_child(
        s->handler, 1, "mail.reply",
        fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":9}", post, also_by_mail),
        fmt("mail.reply:%lld:9", post));
    cr_assert_str_empty(s->handler->children[0].queue);
    cr_assert_eq(pg_int(s->pg,
                        "SELECT count(*) FROM misago_notifications_notification n"
                        " JOIN misago_threads_post p ON p.id = n.post_id"
                        " JOIN misago_threads_thread t ON t.id = p.thread_id"
                        " JOIN misago_users_user u ON u.id = 5"
                        " WHERE n.verb = '%s' AND NOT n.is_read AND n.actor_id = 5"
                        " AND n.actor_name = u.username AND n.category_id = p.category_id"
                        " AND n.thread_id = t.id AND n.thread_title = t.title"
                        " AND n.created_at BETWEEN now() - interval '1 hour' AND now()",
                        s->words->reply_verb),
                 3);
}

IN_BOTH(tells_nobody_twice_and_names_the_unread_again)
{
    long long watch = stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, true);
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 2, 2);
    stage_must_notify(s, post, 0, 2);
    stage_read(s, 1, 8);
    stage_must_notify(s, post, 0, 1);
    stage_must_child(s->handler, 0, "mail.reply",
                     fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":7}", post, watch),
                     fmt("mail.reply:%lld:7", post));
    stage_must_have_told(s, post, "7 8");
}

IN_BOTH(tells_the_others_once_the_post_is_approved)
{
    long long moderator = 7;
    long long by_mail;

    if (s->is_040)
        pg_do(s->pg, "UPDATE misago_users_user SET groups_ids = '{2,3}' WHERE id = 7");
    else
        pg_do(s->pg, "UPDATE misago_users_user SET rank_id = 1 WHERE id = 7");
    stage_watch(s, 1, moderator, true);
    by_mail = stage_watch(s, 1, 8, true);
    stage_watch(s, 1, 9, false);
    long long post = stage_reply(s, 1, 5);
    pg_do(s->pg, "UPDATE misago_threads_post SET is_unapproved = true WHERE id = %lld", post);
    stage_must_notify(s, post, 1, 1);
    stage_must_have_told(s, post, "7");

    stage_read(s, 1, moderator);
    pg_do(s->pg, "UPDATE misago_threads_post SET is_unapproved = false WHERE id = %lld", post);
    stage_must_notify(s, post, 2, 1);
    stage_must_have_told(s, post, "7 8 9");
    stage_must_child(s->handler, 0, "mail.reply",
                     fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":8}", post, by_mail),
                     fmt("mail.reply:%lld:8", post));
}

IN_BOTH(sends_mail_if_any_of_several_watches_asks_for_it)
{
    stage_watch(s, 1, 7, false);
    long long unread = stage_watch(s, 1, 7, true);
    pg_do(s->pg,
          "UPDATE misago_notifications_watchedthread SET %s = now() - interval '20 years'"
          " WHERE id = %lld",
          s->words->read, unread);
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 1, 1);
    stage_must_child(s->handler, 0, "mail.reply",
                     fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":7}", post, unread),
                     fmt("mail.reply:%lld:7", post));
}

IN_BOTH(tells_of_one_reply_until_the_thread_is_read)
{
    stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, false);
    long long first = stage_reply(s, 1, 5);
    stage_must_notify(s, first, 2, 1);

    long long second = stage_reply(s, 1, 6);
    stage_must_notify(s, second, 0, 0);

    stage_read(s, 1, 7);
    long long third = stage_reply(s, 1, 6);
    stage_must_notify(s, third, 1, 1);
    stage_must_have_told(s, third, "7");
}

IN_BOTH(does_not_take_own_posts_for_unread_ones)
{
    stage_watch(s, 1, 7, false);
    stage_watch(s, 1, 8, false);
    stage_reply(s, 1, 7);
    stage_reply(s, 1, 7);
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 1, 0);
    stage_must_have_told(s, post, "7");
}

IN_BOTH(tells_of_posts_by_guests)
{
    stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, true);
    long long post = stage_reply(s, 1, 0);

    stage_must_notify(s, post, 2, 2);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_notification"
                               " WHERE actor_id IS NULL AND actor_name = 'Passer By'"),
                 2);
    stage_read(s, 1, 7);
    stage_must_notify(s, stage_reply(s, 1, 0), 1, 1);
}

IN_BOTH(tells_of_posts_whose_author_was_deleted)
{
    stage_watch(s, 1, 7, true);
    long long post = stage_reply(s, 1, 5);
    pg_do(s->pg,
          "UPDATE misago_threads_post SET poster_id = NULL, poster_name = 'Gone'"
          " WHERE id = %lld",
          post);

    stage_must_notify(s, post, 1, 1);
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_notification"
                               " WHERE actor_id IS NULL AND actor_name = 'Gone'"),
                 1);
}

IN_BOTH(sends_one_mail_to_who_watches_twice)
{
    stage_watch(s, 1, 7, false);
    long long by_mail = stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 7, true);
    stage_watch(s, 1, 8, false);
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 2, 1);
    stage_must_child(s->handler, 0, "mail.reply",
                     fmt("{\"post_id\":%lld,\"watched_id\":%lld,\"user_id\":7}", post, by_mail),
                     fmt("mail.reply:%lld:7", post));
    stage_must_have_told(s, post, "7 8");
}

IN_BOTH(enqueues_mails_where_the_configuration_says)
{
    static const char *const config[] = {"mail.from", "x", "mail.queue", "post-office", NULL};
    stage_watch(s, 1, 7, true);

    handler_close(s->handler);
    s->handler = stage_handler(s->pg, config);
    stage_must_notify(s, stage_reply(s, 1, 5), 1, 1);
    cr_assert_str_eq(s->handler->children[0].queue, "post-office");
}

IN_BOTH(skips_who_is_banned_or_inactive)
{
    for (int user = 7; user <= 13; user++)
        stage_watch(s, 1, user, true);
    pg_do(s->pg,
          "UPDATE misago_users_user SET is_active = false WHERE id = 7;"
          " UPDATE misago_users_user SET username = 'Bo%%b_x', email = 'Y@Example.ORG'"
          " WHERE id = 8;"
          " UPDATE misago_users_user SET username = 'Bobbbx' WHERE id = 9;"
          " UPDATE misago_users_user SET email = 'z@spam.example' WHERE id = 10;"
          " INSERT INTO misago_users_ban (check_type, banned_value, is_checked,"
          "  registration_only, expires_on) VALUES (0, 'bo%%b_*', true, false, NULL),"
          "  (1, '*@SPAM.example', true, false, now() + interval '1 hour'),"
          "  (0, (SELECT lower(username) FROM misago_users_user WHERE id = 11), true, true, NULL),"
          "  (0, (SELECT lower(username) FROM misago_users_user WHERE id = 12), true, false,"
          "   now() - interval '1 s')");
    /* What the forum remembers counts, and is not written down by us. */
    pg_do(s->pg, "INSERT INTO misago_users_bancache (user_id, ban_id, cache_version)"
                 " SELECT 13, (SELECT min(id) FROM misago_users_ban), version"
                 " FROM misago_cache_cacheversion WHERE cache = 'bans'");
    long long post = stage_reply(s, 1, 5);

    stage_must_notify(s, post, 3, 3);
    stage_must_have_told(s, post, "9 11 12");
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_users_bancache"), 1);
}

IN_BOTH(skips_who_may_not_read_the_post)
{
    stage_watch(s, 1, 7, true);
    long long post = stage_reply(s, 1, 5);
    pg_do(s->pg, "UPDATE misago_threads_post SET is_unapproved = true WHERE id = %lld", post);

    stage_must_notify(s, post, 0, 0);
    pg_do(s->pg,
          "UPDATE misago_threads_post SET is_unapproved = false WHERE id = %lld;"
          " UPDATE misago_threads_thread SET is_hidden = true WHERE id = 1",
          post);
    stage_must_notify(s, post, 0, 0);
    pg_do(s->pg, "UPDATE misago_threads_thread SET is_hidden = false WHERE id = 1");
    stage_must_notify(s, post, 1, 1);
}

IN_BOTH(tells_only_members_of_a_reply_in_a_private_thread)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);
    stage_watch(s, thread, 5, true);
    stage_watch(s, thread, 7, true);
    stage_watch(s, thread, 8, true);

    stage_must_notify(s, stage_reply(s, thread, 5), 1, 1);
    long long post = stage_reply(s, thread, 7);
    stage_must_notify(s, post, 1, 1);
    stage_must_have_told(s, post, "5");
}

IN_BOTH(waits_a_little_for_a_post_and_then_gives_up_well)
{
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        s->handler->attempt = attempt;
        cr_assert_eq(stage_notify(s, 999999), JOBQ_RETRY);
        cr_assert_str_eq(s->handler->text, "post 999999 is not there");
        cr_assert_eq(s->handler->delay_ms, 5000);
        cr_assert_str_empty(s->handler->log);
    }
    s->handler->attempt = 4;
    cr_assert_eq(stage_notify(s, 999999), JOBQ_DONE);
    cr_assert_str_eq(s->handler->text, "post 999999 is not there");
    cr_assert_not_null(strstr(s->handler->log, "post 999999 is not there"));

    /* The last attempt is no failure either. */
    s->handler->attempt = s->handler->max_attempts = 1;
    cr_assert_eq(stage_notify(s, 999999), JOBQ_DONE);
    /* Ids beyond the forum's are just not there. */
    cr_assert_eq(stage_notify(s, 9223372036854775807LL), JOBQ_DONE);
}

IN_BOTH(does_nothing_where_nobody_watches)
{
    stage_must_notify(s, stage_reply(s, 1, 5), 0, 0);
}
