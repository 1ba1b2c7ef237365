/* SPDX-License-Identifier: MIT */
/*
 * One notification, one mail: runs again, two runs at once, records that cannot be written; and
 * nobody's name, title or address becomes a header or a recipient.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mail/desk.h"
#include "tests/support/background.h"

TestSuite(mail_once);

Test(mail_once, a_second_job_for_a_notification_sends_nothing)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open(d, NULL);
    desk_expect(d, 2, JOBQ_DONE, "");
    desk_expect(d, 2, JOBQ_DONE, "skipped: it was accepted before");
    desk_open(d, NULL); /* another executor */
    desk_expect(d, 2, JOBQ_DONE, "skipped: it was accepted before");
    cr_assert_eq(handler_run(d->mail, PRIVATE, desk_private(d, 2)), JOBQ_DONE);
    cr_assert_eq(handler_run(d->mail, PRIVATE, desk_private(d, 2)), JOBQ_DONE);
    cr_expect_str_eq(d->mail->text, "skipped: it was accepted before");
    cr_assert_eq(smtp_mails(d->smtp), 2);
    /* a new notification of the same post is another mail */
    pg_do(d->pg, "UPDATE misago_notifications_notification SET id = 5000 WHERE id = 2");
    desk_expect(d, 2, JOBQ_DONE, "");
    cr_assert_eq(smtp_mails(d->smtp), 3);
    desk_free(d);
}

/* The other run is another executor, with another job: the user watches the thread twice. */
Test(mail_once, two_runs_at_once_exclude_each_other)
{
    struct desk *d = desk_new("0.40", NULL);
    struct background first;

    desk_open(d, NULL);
    struct handler *other = d->mail;
    d->mail = NULL;
    desk_open(d, NULL);
    pg_do(d->pg, "INSERT INTO misago_notifications_watchedthread SELECT"
                 " (jsonb_populate_record(w, '{\"id\": 9000}')).*"
                 " FROM misago_notifications_watchedthread w WHERE id = 2");
    smtp_rules(d->smtp, "end * 1 wait\n");
    background_start(&first, other, REPLY, desk_reply(d, 2));
    cr_assert(smtp_wait_event(d->smtp, " end ", 1, patience_ms(30000)));
    int verdict = handler_run(d->mail, REPLY, desk_reply(d, 9000));
    cr_expect_eq(verdict, JOBQ_SNOOZE);
    cr_expect_str_eq(d->mail->text, "another run is sending this mail");
    cr_expect(d->mail->delay_ms >= 1000);
    smtp_rules(d->smtp, "");
    cr_expect_eq(background_join(&first), JOBQ_DONE, "%s", other->text);
    cr_expect_eq(handler_run(d->mail, REPLY, desk_reply(d, 9000)), JOBQ_DONE);
    cr_expect_str_eq(d->mail->text, "skipped: it was accepted before");
    cr_expect_eq(smtp_mails(d->smtp), 1);
    handler_close(other);
    desk_free(d);
}

/* It is on its way: a second one would be worse than a missing record. */
Test(mail_once, what_was_accepted_is_done_also_when_that_cannot_be_recorded)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open(d, NULL);
    pg_do(d->pg, "REVOKE INSERT ON jobq.mail_sent FROM jobq_worker");
    desk_expect(d, 2, JOBQ_DONE, "");
    cr_expect(strstr(d->mail->log, "could not be recorded: PostgreSQL: permission denied") != NULL,
              "%s", d->mail->log);
    cr_expect_eq(smtp_mails(d->smtp), 1);
    pg_do(d->pg, "GRANT INSERT ON jobq.mail_sent TO jobq_worker");
    desk_expect(d, 2, JOBQ_DONE, "");
    char *first = desk_header(d, 1, "Message-ID");
    char *second = desk_header(d, 2, "Message-ID");
    cr_expect_str_eq(first, second);
    free(first);
    free(second);
    /* without the table nothing is sent at all */
    pg_do(d->pg, "DROP TABLE jobq.mail_sent");
    desk_expect(d, 3, JOBQ_SNOOZE, "mail_sent");
    cr_expect(strstr(d->mail->log, "jobctl init makes") != NULL, "%s", d->mail->log);
    cr_expect_eq(smtp_mails(d->smtp), 2);
    desk_free(d);
}

Test(mail_once, old_records_are_forgotten)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open_with(d, "done_retention", "86400000");
    pg_do(d->pg, "INSERT INTO jobq.mail_sent SELECT 'old' || n, now() - interval '25 hours'"
                 " FROM generate_series(1, 150) n;"
                 "INSERT INTO jobq.mail_sent VALUES ('young', now() - interval '23 hours')");
    desk_expect(d, 2, JOBQ_DONE, "");
    cr_expect_eq(desk_recorded(d), 2);
    desk_free(d);
}

/* ---- what users write ---- */

/* Exactly these headers, each once, seen by a parser that is not ours. */
static void expect_headers(struct desk *d, size_t mail)
{
    static const char *const names[] = {"Date",
                                        "From",
                                        "To",
                                        "Subject",
                                        "Message-ID",
                                        "In-Reply-To",
                                        "References",
                                        "Auto-Submitted",
                                        "List-Unsubscribe",
                                        "List-Unsubscribe-Post",
                                        "MIME-Version",
                                        "Content-Type"};
    char *text = smtp_mail_json(d->smtp, mail);
    json_t *facts = json_loads(text, 0, NULL);
    size_t n = json_array_size(json_object_get(facts, "headers"));

    cr_expect_eq(n, sizeof(names) / sizeof(names[0]), "%s", text);
    cr_expect_eq(json_array_size(json_object_get(facts, "defects")), 0, "%s", text);
    cr_expect_eq(json_array_size(json_object_get(facts, "to")), 1, "%s", text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *value = desk_header(d, mail, names[i]);
        cr_expect(value != NULL, "no %s: %s", names[i], text);
        free(value);
    }
    json_decref(facts);
    free(text);
}

Test(mail_once, names_and_titles_stay_what_they_are)
{
    static const char *const texts[] = {
        "E'x\\r\\nBcc: evil@example.org'",
        "E'x\\nBcc: evil@example.org\\n\\nbody'",
        "E'\\r\\n.\\r\\nMAIL FROM:<evil@example.org>\\r\\n'",
        "E'x\\r\\n\\tContent-Type: text/evil'",
        "'=?utf-8?q?=0d=0aBcc:_evil@example.org?='",
        "E'\\u2028Bcc: evil@example.org\\u0085'",
        "'\"; <evil@example.org>, \"'",
        "repeat('żółw ', 50)",
        "''",
        "'.'",
    };
    struct desk *d = desk_new("0.39", NULL);
    size_t n = sizeof(texts) / sizeof(texts[0]);

    desk_open(d, NULL);
    for (size_t i = 0; i < n; i++) {
        pg_do(d->pg, "UPDATE misago_threads_thread SET title = left(%s, 250)", texts[i]);
        pg_do(d->pg, "UPDATE misago_users_user SET username = left(%s, 30)", texts[i]);
        pg_do(d->pg,
              "UPDATE misago_conf_setting SET dry_value = %s WHERE setting IN"
              " ('forum_name', 'email_footer')",
              texts[i]);
        desk_expect(d, 2 + (int)i, JOBQ_DONE, "");
        cr_assert_eq(smtp_mails(d->smtp), i + 1);
        expect_headers(d, i + 1);
        char *subject = desk_header(d, i + 1, "Subject");
        cr_expect(strstr(subject, "\nBcc") == NULL && strlen(subject) > 0);
        free(subject);
    }
    cr_expect_eq(smtp_events(d->smtp, " rcpt "), n, "one recipient a mail");
    cr_expect_eq(smtp_events(d->smtp, " mail FROM:<forum@example.org>"), n);
    cr_expect_eq(smtp_events(d->smtp, "TO:<evil"), 0);
    desk_free(d);
}

Test(mail_once, an_address_that_is_none_is_dead_before_any_server_sees_it)
{
    static const char *const addresses[] = {
        "'nobody'",
        "''",
        "'a b@example.org'",
        "'a@example.org, b@example.org'",
        "'a@b@example.org'",
        "'a@example.org>'",
        "E'a@example.org>\\r\\nRCPT TO:<evil@example.org'",
        "E'a@example.org\\r\\nBcc: evil@example.org'",
        "E'a@example.org\\n'",
        "'@route:a@example.org'",
        "'(c)a@example.org'",
        "repeat('a', 200) || '@example.org'",
    };
    struct desk *d = desk_new("0.39", NULL);
    size_t n = sizeof(addresses) / sizeof(addresses[0]);

    desk_open(d, NULL);
    for (size_t i = 0; i < n; i++) {
        pg_do(d->pg, "UPDATE misago_users_user SET email = %s WHERE id = 2", addresses[i]);
        int verdict = desk_send(d, 2);
        cr_expect(verdict == JOBQ_DEAD && strstr(d->mail->text, "the address of user 2") != NULL,
                  "%s: verdict %d (%s)", addresses[i], verdict, d->mail->text);
    }
    cr_expect_eq(smtp_events(d->smtp, "connect"), 0);
    desk_free(d);
}

Test(mail_once, the_forums_address_is_its_own_or_the_configured_one)
{
    struct desk *d = desk_new("0.40", NULL);

    pg_do(d->pg, "UPDATE misago_conf_setting SET dry_value = '' WHERE setting = 'forum_address'");
    desk_open(d, NULL);
    desk_expect(d, 2, JOBQ_SNOOZE, "forum_address is empty");
    cr_expect(strstr(d->mail->log, "3 no mail can be sent") != NULL, "%s", d->mail->log);
    desk_open_with(d, "forum.address", "https://elsewhere.example.org/forum");
    desk_expect(d, 2, JOBQ_DONE, "");
    char *link = desk_header(d, 1, "List-Unsubscribe");
    cr_expect(strstr(link, "<https://elsewhere.example.org/forum/notifications/disable-email/2/") !=
                  NULL,
              "%s", link);
    free(link);
    pg_do(d->pg, "UPDATE misago_conf_setting SET dry_value = 'ftp://x' WHERE setting ="
                 " 'forum_address'");
    desk_expect(d, 3, JOBQ_SNOOZE, "http://");
    desk_free(d);
}
