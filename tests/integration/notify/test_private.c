/* SPDX-License-Identifier: MIT */
/* notify.private_thread: who is told of having been added, who watches from then on. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/notify/stage.h"

static void prefer(struct stage *s, long long user, int by_followed, int by_others)
{
    pg_do(s->pg,
          "UPDATE misago_users_user SET notify_new_private_threads_by_followed = %d,"
          " watch_new_private_threads_by_followed = %d,"
          " notify_new_private_threads_by_other_users = %d,"
          " watch_new_private_threads_by_other_users = %d WHERE id = %lld",
          by_followed, by_followed, by_others, by_others, user);
}

static void follow(struct stage *s, long long user, long long whom)
{
    pg_do(s->pg,
          "INSERT INTO misago_users_user_follows (from_user_id, to_user_id)"
          " VALUES (%lld, %lld)",
          user, whom);
}

static void must_invite(struct stage *s, long long thread, const char *members, int notified,
                        int mails)
{
    char payload[160];
    char result[64];

    snprintf(payload, sizeof(payload), "{\"actor_id\":5,\"thread_id\":%lld,\"members\":%s}", thread,
             members);
    snprintf(result, sizeof(result), "{\"notified\":%d,\"mails\":%d}", notified, mails);
    stage_must(s, PRIVATE, payload, result);
    cr_assert_eq(s->handler->child_count, (size_t)mails);
    stage_must_count_right(s);
}

static long long first_post(struct stage *s, long long thread)
{
    return pg_int(s->pg, "SELECT first_post_id FROM misago_threads_thread WHERE id = %lld", thread);
}

/* "user:by mail" of the watches that count as not read, so that a reply is not told of again. */
static void must_watch(struct stage *s, long long thread, const char *expected)
{
    char *watches = pg_str(
        s->pg,
        "SELECT coalesce(string_agg(w.user_id || ':' || w.send_emails, ' ' ORDER BY w.user_id), '')"
        " FROM misago_notifications_watchedthread w JOIN misago_threads_thread t"
        " ON t.id = w.thread_id WHERE t.id = %lld AND w.%s = t.%s - interval '5 s'"
        " AND w.category_id = t.category_id AND length(w.secret) = 32",
        thread, s->words->read, s->words->started);

    cr_assert_str_eq(watches, expected);
    free(watches);
}

IN_BOTH(tells_members_as_they_have_chosen)
{
    long long thread = stage_private(s, 5);
    for (int user = 7; user <= 13; user++)
        stage_admit(s, thread, user);
    prefer(s, 7, 0, 2);
    prefer(s, 8, 2, 0);
    prefer(s, 9, 0, 2);
    follow(s, 9, 5);
    prefer(s, 10, 2, 0);
    follow(s, 10, 5);
    follow(s, 5, 8);
    pg_do(s->pg, "UPDATE misago_users_user SET is_active = false WHERE id = 12");
    pg_do(s->pg, "INSERT INTO misago_users_ban (check_type, banned_value, is_checked,"
                 " registration_only) SELECT 0, lower(username), true, false"
                 " FROM misago_users_user WHERE id = 13");

    must_invite(s, thread, "[7,8,9,10,11,12,13,14,999999]", 3, 2);
    stage_must_have_told(s, first_post(s, thread), "7 10 11");
    must_watch(s, thread, "7:true 10:true 11:false");
    stage_must_child(s->handler, 0, "mail.private_thread",
                     fmt("{\"thread_id\":%lld,\"user_id\":7,\"actor_id\":5}", thread),
                     fmt("mail.private_thread:%lld:7", thread));
    stage_must_child(s->handler, 1, "mail.private_thread",
                     fmt("{\"thread_id\":%lld,\"user_id\":10,\"actor_id\":5}", thread),
                     fmt("mail.private_thread:%lld:10", thread));
    cr_assert_eq(pg_int(s->pg,
                        "SELECT count(*) FROM misago_notifications_notification n"
                        " JOIN misago_threads_thread t ON t.id = n.thread_id"
                        " JOIN misago_users_user u ON u.id = 5 WHERE n.verb = '%s'"
                        " AND NOT n.is_read AND n.actor_id = 5 AND n.actor_name = u.username"
                        " AND n.category_id = t.category_id AND n.thread_title = t.title",
                        s->words->private_verb),
                 3);
}

IN_BOTH(tells_members_once_until_they_look)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);
    stage_admit(s, thread, 8);
    prefer(s, 7, 2, 2);
    prefer(s, 8, 2, 2);

    must_invite(s, thread, "[7,8]", 2, 2);
    must_invite(s, thread, "[7,8]", 0, 2);
    stage_must_have_told(s, first_post(s, thread), "7 8");
    must_watch(s, thread, "7:true 8:true");
    stage_read(s, thread, 8);
    must_invite(s, thread, "[7]", 0, 1);
    must_invite(s, thread, "[8]", 1, 1);
    stage_must_have_told(s, first_post(s, thread), "7 8 8");
}

IN_BOTH(renews_a_watch_that_is_there_and_leaves_its_choice)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);
    stage_admit(s, thread, 8);
    stage_watch(s, thread, 7, true);
    prefer(s, 8, 0, 0);
    stage_watch(s, thread, 8, true);

    must_invite(s, thread, "[7,8]", 1, 0);
    must_watch(s, thread, "7:true"); /* 8 does not want to watch: nothing is renewed */
    cr_assert_eq(pg_int(s->pg, "SELECT count(*) FROM misago_notifications_watchedthread"), 2);
}

IN_BOTH(tells_nothing_new_by_a_reply_before_they_look)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);
    must_invite(s, thread, "[7]", 1, 0);

    stage_must_notify(s, stage_reply(s, thread, 5), 0, 0);
    stage_read(s, thread, 7);
    stage_must_notify(s, stage_reply(s, thread, 5), 1, 0);
}

IN_BOTH(skips_who_may_not_use_private_threads)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);
    stage_admit(s, thread, 8);
    if (s->is_040) /* 6: never, which beats the yes of 3 */
        pg_do(s->pg, "UPDATE misago_users_user SET groups_ids = '{3,6}' WHERE id = 7");
    else
        pg_do(s->pg, "UPDATE misago_users_user SET rank_id = NULL WHERE id = 7");

    must_invite(s, thread, "[7,8]", 1, 0);
    stage_must_have_told(s, first_post(s, thread), "8");
    must_watch(s, thread, "8:false");
}

IN_BOTH(ends_well_when_there_is_nobody_left)
{
    long long thread = stage_private(s, 5);
    stage_admit(s, thread, 7);

    must_invite(s, thread, "[]", 0, 0);
    must_invite(s, thread, "[999999,9223372036854775807]", 0, 0);

    cr_assert_eq(stage_run(s, PRIVATE,
                           fmt("{\"actor_id\":999999,\"thread_id\":%lld,\"members\":[7]}", thread)),
                 JOBQ_DONE);
    cr_assert_str_eq(s->handler->text, "user 999999 is gone: nobody was told");
    stage_must_have_told(s, first_post(s, thread), "");

    const char *payload = "{\"actor_id\":5,\"thread_id\":999999,\"members\":[7]}";
    cr_assert_eq(stage_run(s, PRIVATE, payload), JOBQ_RETRY);
    cr_assert_str_eq(s->handler->text, "thread 999999 is not there");
    cr_assert_eq(s->handler->delay_ms, 5000);
    s->handler->attempt = 4;
    cr_assert_eq(stage_run(s, PRIVATE, payload), JOBQ_DONE);
    cr_assert_not_null(strstr(s->handler->log, "thread 999999 is not there"));
}
