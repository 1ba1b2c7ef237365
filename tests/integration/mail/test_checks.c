/* SPDX-License-Identifier: MIT */
/*
 * What is looked at again when a mail is about to leave: each reason not to send it, in both
 * versions of the forum, as the role of the database that has the least rights.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mail/desk.h"

TestSuite(mail_checks);

struct reason {
    const char *change;
    const char *back;
    const char *words;
};

#define USER "UPDATE misago_users_user SET "
#define NOTE "UPDATE misago_notifications_notification SET "
#define WATCH "UPDATE misago_notifications_watchedthread SET "
#define THREAD "UPDATE misago_threads_thread SET "
#define POST "UPDATE misago_threads_post SET "
#define THE_POST " WHERE id = (SELECT post FROM desk)"
#define THE_THREAD " WHERE id = (SELECT thread FROM desk)"
#define THE_PRIVATE " WHERE id = (SELECT private_thread FROM desk)"

static const struct reason of_reply[] = {
    {USER "is_active = false WHERE id = 2", USER "is_active = true WHERE id = 2", "not active"},
    {WATCH "send_emails = false WHERE id = 2", WATCH "send_emails = true WHERE id = 2",
     "wants no mails"},
    {WATCH "id = 99999 WHERE id = 2", WATCH "id = 2 WHERE id = 99999", "not watch"},
    {POST "is_hidden = true" THE_POST, POST "is_hidden = false" THE_POST, "post is hidden"},
    {THREAD "is_hidden = true" THE_THREAD, THREAD "is_hidden = false" THE_THREAD, "is hidden"},
    {POST "is_unapproved = true" THE_POST, POST "is_unapproved = false" THE_POST, "approval"},
    {THREAD "is_unapproved = true" THE_THREAD, THREAD "is_unapproved = false" THE_THREAD,
     "approval"},
    {WATCH "thread_id = (SELECT private_thread FROM desk) WHERE id = 2",
     WATCH "thread_id = (SELECT thread FROM desk) WHERE id = 2", "another thread"},
    {NOTE "is_read = true WHERE id = 2", NOTE "is_read = false WHERE id = 2", "was read"},
    {NOTE "verb = 'OTHER' WHERE id = 2",
     NOTE "verb = (SELECT verb FROM misago_notifications_notification WHERE id = 3) WHERE id = 2",
     "notification is gone"},
};

static const struct reason of_private[] = {
    {USER "is_active = false WHERE id = 2", USER "is_active = true WHERE id = 2", "not active"},
    {THREAD "is_hidden = true" THE_PRIVATE, THREAD "is_hidden = false" THE_PRIVATE, "is hidden"},
    {NOTE "is_read = true WHERE id = 1002", NOTE "is_read = false WHERE id = 1002", "was read"},
    {NOTE "verb = 'OTHER' WHERE id = 1002",
     NOTE
     "verb = (SELECT verb FROM misago_notifications_notification WHERE id = 1003) WHERE id = 1002",
     "notification is gone"},
    {USER "notify_new_private_threads_by_other_users = 1 WHERE id = 2",
     USER "notify_new_private_threads_by_other_users = 2 WHERE id = 2",
     "wants no mails about new private"},
    {USER "notify_new_private_threads_by_other_users = 0 WHERE id = 2",
     USER "notify_new_private_threads_by_other_users = 2 WHERE id = 2",
     "wants no mails about new private"},
    /* whom one follows counts by the other preference */
    {USER "notify_new_private_threads_by_followed = 1 WHERE id = 2;"
          "INSERT INTO misago_users_user_follows (from_user_id, to_user_id)"
          " SELECT 2, actor FROM desk",
     "DELETE FROM misago_users_user_follows WHERE from_user_id = 2", "wants no mails"},
};

static void expect_skips(struct desk *d, const char *type, const char *payload,
                         const struct reason *reasons, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pg_do(d->pg, "%s", reasons[i].change);
        int verdict = handler_run(d->mail, type, payload);
        cr_expect(verdict == JOBQ_DONE && strncmp(d->mail->text, "skipped: ", 9) == 0 &&
                      strstr(d->mail->text, reasons[i].words) != NULL,
                  "%s: verdict %d, \"%s\" instead of \"%s\"", reasons[i].change, verdict,
                  d->mail->text, reasons[i].words);
        pg_do(d->pg, "%s", reasons[i].back);
    }
}

static void check(const char *version, const char *members, const char *moderator_is_4)
{
    struct desk *d = desk_new(version, NULL);

    desk_open(d, NULL);
    pg_do(d->pg, "%s", moderator_is_4);
    expect_skips(d, REPLY, desk_reply(d, 2), of_reply, sizeof(of_reply) / sizeof(of_reply[0]));
    expect_skips(d, PRIVATE, desk_private(d, 2), of_private,
                 sizeof(of_private) / sizeof(of_private[0]));
    cr_assert_eq(handler_run(d->mail, REPLY, "{\"post_id\": 999999, \"watched_id\": 2}"),
                 JOBQ_DONE);
    cr_expect_str_eq(d->mail->text, "skipped: the post is gone");
    cr_assert_eq(
        handler_run(d->mail, PRIVATE, "{\"thread_id\": 999999, \"user_id\": 2, \"actor_id\": 3}"),
        JOBQ_DONE);
    cr_expect_str_eq(d->mail->text, "skipped: the thread is gone");
    cr_assert_eq(
        handler_run(d->mail, PRIVATE, "{\"thread_id\": 1, \"user_id\": 999999, \"actor_id\": 3}"),
        JOBQ_DONE);
    cr_expect_str_eq(d->mail->text, "skipped: the user is gone");
    pg_do(d->pg, "DELETE FROM %s WHERE user_id = 2", members);
    cr_assert_eq(handler_run(d->mail, PRIVATE, desk_private(d, 2)), JOBQ_DONE);
    cr_expect(strstr(d->mail->text, "no member") != NULL, "%s", d->mail->text);
    /* a reply in a private thread that one has left */
    pg_do(d->pg, WATCH "thread_id = (SELECT private_thread FROM desk) WHERE id = 2");
    pg_do(d->pg, NOTE "post_id = (SELECT private_post FROM desk) WHERE id = 2");
    const char *reply = fmt("{\"post_id\": %lld, \"watched_id\": 2}", d->private_post);
    cr_assert_eq(handler_run(d->mail, REPLY, reply), JOBQ_DONE);
    cr_expect(strstr(d->mail->text, "no member") != NULL, "%s", d->mail->text);
    cr_assert_eq(smtp_mails(d->smtp), 0, "nothing of all that was sent");
    cr_assert_eq(smtp_events(d->smtp, "connect"), 0);

    /* who moderates there gets it */
    pg_do(d->pg, POST "is_unapproved = true" THE_POST);
    desk_expect(d, 4, JOBQ_DONE, "");
    desk_expect(d, 5, JOBQ_DONE, "skipped: the post waits for approval");
    cr_assert_eq(smtp_mails(d->smtp), 1);
    pg_do(d->pg, POST "is_unapproved = false" THE_POST);
    desk_expect(d, 5, JOBQ_DONE, "");
    cr_assert_eq(smtp_mails(d->smtp), 2);
    cr_assert_eq(desk_recorded(d), 2);
    desk_free(d);
}

Test(mail_checks, each_reason_not_to_send_in_039)
{
    check("0.39", "misago_threads_threadparticipant",
          "DELETE FROM misago_users_user_roles; UPDATE misago_users_user SET rank_id = NULL;"
          "INSERT INTO misago_users_user_roles (user_id, role_id)"
          " SELECT 4, l.role_id FROM misago_categories_rolecategoryacl l"
          " JOIN misago_categories_categoryrole k ON k.id = l.category_role_id"
          " JOIN misago_threads_thread t ON t.category_id = l.category_id"
          " WHERE t.id = (SELECT thread FROM desk) AND k.permissions #>"
          " '{misago.threads.permissions.threads,can_approve_content}' NOT IN ('0', 'false')"
          " LIMIT 1");
}

Test(mail_checks, each_reason_not_to_send_in_040)
{
    check("0.40", "misago_privatethreads_privatethreadmember",
          "DELETE FROM misago_permissions_moderator;"
          "UPDATE misago_users_user SET groups_ids = '{3}', group_id = 3;"
          "INSERT INTO misago_permissions_moderator (user_id, is_global, categories,"
          " private_threads) SELECT 4, false, ARRAY[t.category_id], false"
          " FROM misago_threads_thread t WHERE t.id = (SELECT thread FROM desk)");
}

/* ---- a watch that is gone ---- */

/* Threads are merged, and each user is left one watch, while mails wait for their server. */
static void merge(const char *version)
{
    struct desk *d = desk_new(version, NULL);
    const char *job = fmt("{\"post_id\": %lld, \"watched_id\": 2, \"user_id\": 2}", d->post);

    desk_open(d, NULL);
    pg_do(d->pg, WATCH "id = 99998, thread_id = (SELECT private_thread FROM desk)"
                       " WHERE id = 2");
    cr_expect_eq(handler_run(d->mail, REPLY, job), JOBQ_DONE);
    cr_expect(strstr(d->mail->text, "skipped: the user does not watch"), "%s", d->mail->text);
    pg_do(d->pg, WATCH "thread_id = (SELECT thread FROM desk), send_emails = false"
                       " WHERE id = 99998");
    cr_expect_eq(handler_run(d->mail, REPLY, job), JOBQ_DONE);
    cr_expect(strstr(d->mail->text, "skipped: the user wants no mails"), "%s", d->mail->text);
    pg_do(d->pg, WATCH "send_emails = true WHERE id = 99998");
    cr_expect_eq(handler_run(d->mail, REPLY, job), JOBQ_DONE);
    cr_expect_str_empty(d->mail->text);
    cr_expect_eq(smtp_mails(d->smtp), 1);
    cr_expect_eq(handler_run(d->mail, REPLY, job), JOBQ_DONE);
    cr_expect(strstr(d->mail->text, "accepted before"), "%s", d->mail->text);
    desk_free(d);
}

Test(mail_checks, a_merge_of_threads_loses_no_mail_039)
{
    merge("0.39");
}

Test(mail_checks, a_merge_of_threads_loses_no_mail_040)
{
    merge("0.40");
}

Test(mail_checks, an_address_with_a_blank_is_dead_and_names_its_user)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open(d, NULL);
    pg_do(d->pg, USER "email = '\"a b\"@example.org' WHERE id = 2");
    desk_expect(d, 2, JOBQ_DEAD, "the address of user 2: a blank");
    cr_expect_eq(smtp_events(d->smtp, "connect"), 0);
    desk_free(d);
}

/* ---- payloads ---- */

Test(mail_checks, a_wrong_payload_is_dead_and_names_its_field)
{
    static const struct {
        const char *type, *payload, *words;
    } rows[] = {
        {REPLY, "{}", "post_id"},
        {REPLY, "{\"post_id\": 1}", "watched_id"},
        {REPLY, "{\"post_id\": 0, \"watched_id\": 1}", "post_id"},
        {REPLY, "{\"post_id\": \"1\", \"watched_id\": 1}", "post_id"},
        {REPLY, "{\"post_id\": 1, \"watched_id\": 1.5}", "watched_id"},
        {REPLY, "{\"post_id\": 1, \"watched_id\": 1, \"user_id\": 0}", "user_id"},
        {REPLY, "{\"post_id\": 1, \"watched_id\": 1, \"actor_id\": 2}", "actor_id"},
        {REPLY, "[]", "object"},
        {REPLY, "{", ""},
        {PRIVATE, "{\"thread_id\": 1, \"user_id\": 2}", "actor_id"},
        {PRIVATE, "{\"thread_id\": -1, \"user_id\": 2, \"actor_id\": 3}", "thread_id"},
        {PRIVATE, "{\"thread_id\": 1, \"user_id\": null, \"actor_id\": 3}", "user_id"},
    };
    const char *const settings[] = {"mail.url", "smtp://127.0.0.1:1", "mail.from", "a@example.org",
                                    NULL};
    struct handler *h = handler_open("mail", NULL, settings);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int verdict = handler_run(h, rows[i].type, rows[i].payload);
        cr_expect(verdict == JOBQ_DEAD && strstr(h->text, rows[i].words) != NULL,
                  "%s: verdict %d, \"%s\"", rows[i].payload, verdict, h->text);
    }
    /* good ones need the database */
    cr_expect_eq(handler_run(h, REPLY, "{\"post_id\": 1, \"watched_id\": 1}"), JOBQ_SNOOZE);
    handler_close(h);
}

/* ---- settings ---- */

Test(mail_checks, wrong_settings_keep_the_module_from_starting)
{
    static const struct {
        const char *settings[9];
        const char *words;
    } rows[] = {
        {{"mail.from", "a@b.example"}, "mail.url: not set"},
        {{"mail.url", "smtp://h"}, "mail.from: not set"},
        {{"mail.url", "http://h", "mail.from", "a@b.example"}, "mail.url: must be smtp://"},
        {{"mail.url", "smtp://u:hunter2@h", "mail.from", "a@b.example"}, "mail.user"},
        {{"mail.url", "nonsense", "mail.from", "a@b.example"}, "mail.url"},
        {{"mail.url", "smtp://h", "mail.from", "nobody"}, "mail.from"},
        {{"mail.url", "smtp://h", "mail.from", "A <a@b.example>\r\nBcc: x@y.example"}, "mail.from"},
        {{"mail.url", "smtp://h", "mail.from", "a@b.example", "mail.user", "u"}, "mail.password"},
        {{"mail.url", "smtp://h", "mail.from", "a@b.example", "mail.rate", "10"}, "mail.rate"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *why = NULL;
        struct handler *h = handler_try("mail", NULL, rows[i].settings, &why);
        cr_expect(h == NULL, "row %zu starts", i);
        cr_expect(why != NULL && strstr(why, rows[i].words) != NULL, "row %zu: %s", i, why);
        cr_expect(why == NULL || strstr(why, "hunter2") == NULL, "%s", why);
        free(why);
    }
    const char *const stripped[] = {
        "mail.url",      "smtp://h", "mail.from", "a@b.example", "mail.user", "u",
        "mail.password", "p",        "mail.tls",  "try",         NULL};
    char *why = NULL;
    cr_assert_null(handler_try("mail", NULL, stripped, &why));
    cr_expect(strstr(why, "mail.tls") != NULL, "%s", why);
    free(why);
}
