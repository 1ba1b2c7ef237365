/* SPDX-License-Identifier: MIT */
/* One connection for many mails, its end, its TLS; and the limits on what is sent. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mail/desk.h"

TestSuite(mail_connection);

static void send_all(struct desk *d, int first, int last)
{
    for (int reader = first; reader <= last; reader++)
        desk_expect(d, reader, JOBQ_DONE, "");
}

Test(mail_connection, is_kept_for_many_mails_and_replaced_after_a_hundred)
{
    struct desk *d = desk_new("0.39", &(struct smtp_server_options){.auth = "forum:secret"});
    const char *const settings[] = {"mail.user", "forum", "mail.password", "secret", NULL};

    desk_open(d, settings);
    send_all(d, 2, READERS);
    cr_expect_eq(smtp_events(d->smtp, " connect"), 1);
    cr_expect_eq(smtp_events(d->smtp, " login yes"), 1);
    cr_expect_eq(smtp_events(d->smtp, " quit"), 0);
    for (int reader = 2; reader <= READERS; reader++)
        cr_assert_eq(handler_run(d->mail, PRIVATE, desk_private(d, reader)), JOBQ_DONE);
    cr_expect_eq(smtp_mails(d->smtp), 2 * (READERS - 1));
    cr_expect_eq(smtp_events(d->smtp, " connect"), 2);
    cr_expect_eq(smtp_events(d->smtp, " quit"), 1);
    handler_close(d->mail);
    d->mail = NULL;
    cr_expect(smtp_wait_event(d->smtp, " quit", 2, patience_ms(20000)), "it takes leave");
    desk_free(d);
}

/* Whatever becomes of an idle connection, the next mail goes. */
Test(mail_connection, that_died_meanwhile_is_replaced_silently)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open(d, NULL);
    send_all(d, 2, 3);
    smtp_kill(d->smtp);
    smtp_restart(d->smtp);
    send_all(d, 4, 5);
    cr_expect_eq(smtp_events(d->smtp, " connect"), 2);
    smtp_rules(d->smtp, "mail * 1 421 4.4.2 idle for too long\n");
    desk_expect(d, 6, JOBQ_DONE, "");
    cr_expect_eq(smtp_events(d->smtp, " connect"), 3);
    smtp_rules(d->smtp, "mail * 1 close\n");
    desk_expect(d, 7, JOBQ_DONE, "");
    smtp_rules(d->smtp, "mail * 1 reset\n");
    desk_expect(d, 8, JOBQ_DONE, "");
    cr_expect_eq(smtp_events(d->smtp, " connect"), 5);
    /* not for ever: the second one is a verdict */
    smtp_rules(d->smtp, "mail * 2 421 closing\n");
    desk_expect(d, 9, JOBQ_SNOOZE, "421");
    cr_expect_eq(smtp_mails(d->smtp), 7);
    desk_free(d);
}

/* A late answer to one mail is never taken for the answer to the next one. */
Test(mail_connection, of_an_answer_that_came_too_late_is_not_used_again)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open(d, NULL);
    desk_expect(d, 2, JOBQ_DONE, "");
    smtp_rules(d->smtp, "end reader-3@ 1 accept-hang\nrcpt reader-4@ * 550 5.1.1 nobody\n");
    d->mail->soft_ms = patience_ms(4000); /* this one's time alone is short */
    desk_expect(d, 3, JOBQ_RETRY, "may have been accepted");
    d->mail->soft_ms = 60000;
    desk_expect(d, 4, JOBQ_DEAD, "550 5.1.1 nobody");
    desk_expect(d, 5, JOBQ_DONE, "");
    cr_expect_eq(smtp_mails(d->smtp), 3);
    cr_expect_eq(smtp_events(d->smtp, "rcpt TO:<reader-4@"), 1);
    desk_free(d);
}

/* ---- TLS and login ---- */

static void expect_tls(struct desk *d, size_t mail, bool tls)
{
    char *text = smtp_mail_json(d->smtp, mail);
    json_t *facts = json_loads(text, 0, NULL);

    cr_expect_eq(json_is_true(json_object_get(facts, "tls")), tls, "%s", text);
    json_decref(facts);
    free(text);
}

Test(mail_connection, is_trusted_only_by_its_certificate)
{
    struct desk *d = desk_new("0.39", &(struct smtp_server_options){.require_tls = true});
    char elsewhere[64];
    snprintf(elsewhere, sizeof(elsewhere), "smtp://127.0.0.2:%d", d->smtp->port);
    const char *const smtps[] = {"mail.url", d->smtp->tls_url, NULL};
    const char *const other[] = {"mail.ca", smtp_other_ca(), NULL};
    const char *const both[] = {"mail.url", d->smtp->tls_url, "mail.ca", smtp_other_ca(), NULL};
    const char *const name[] = {"mail.url", elsewhere, NULL};
    const char *const missing[] = {"mail.ca", "/nonexistent/ca.pem", NULL};

    desk_open(d, NULL);
    desk_expect(d, 2, JOBQ_DONE, "");
    desk_open(d, smtps);
    desk_expect(d, 3, JOBQ_DONE, "");
    expect_tls(d, 1, true);
    expect_tls(d, 2, true);
    desk_open(d, other);
    desk_expect(d, 4, JOBQ_SNOOZE, "no trusted TLS connection");
    cr_expect(strstr(d->mail->log, "3 no mail can be sent") != NULL, "%s", d->mail->log);
    desk_open(d, both);
    desk_expect(d, 4, JOBQ_SNOOZE, "no trusted TLS connection");
    desk_open(d, missing);
    desk_expect(d, 4, JOBQ_SNOOZE, "no trusted TLS connection");
    desk_open(d, name); /* nobody listens there: connection refused */
    desk_expect(d, 4, JOBQ_SNOOZE, "cannot be reached");
    desk_open_with(d, "mail.tls", "none");
    desk_expect(d, 4, JOBQ_SNOOZE, "530"); /* the server insists */
    desk_open_with(d, "mail.url", "smtp://no-such-host.invalid");
    desk_expect(d, 4, JOBQ_SNOOZE, "name is not known");
    cr_expect_eq(smtp_mails(d->smtp), 2);
    cr_expect_eq(smtp_events(d->smtp, "reader-4"), 0);
    desk_free(d);
}

Test(mail_connection, to_a_plain_server_is_used_only_when_that_is_allowed)
{
    struct desk *d =
        desk_new("0.39", &(struct smtp_server_options){.plain = true, .auth = "forum:secret"});
    const char *const require[] = {"mail.user", "forum", "mail.password", "secret", "mail.tls",
                                   "require",   NULL};
    const char *const none[] = {"mail.user", "forum", "mail.password", "secret", "mail.tls",
                                "none",      NULL};

    desk_open(d, require);
    desk_expect(d, 2, JOBQ_SNOOZE, "no trusted TLS connection");
    cr_expect_eq(smtp_events(d->smtp, " auth"), 0, "no password in the clear");
    cr_expect_eq(smtp_events(d->smtp, " mail "), 0);
    desk_open_with(d, "mail.tls", "try");
    desk_expect(d, 2, JOBQ_SNOOZE, "refuses our login: 530");
    cr_expect_eq(smtp_mails(d->smtp), 0);
    desk_open(d, none);
    desk_expect(d, 2, JOBQ_DONE, "");
    expect_tls(d, 1, false);
    desk_free(d);
}

#define CANARY "hunter2-canary"
#define CANARY_BASE64 "aHVudGVyMi1jYW5hcnk"         /* alone, as of LOGIN */
#define CANARY_PLAIN "AGZvcnVtAGh1bnRlcjItY2FuYXJ5" /* NUL forum NUL canary */

Test(mail_connection, keeps_the_password_to_itself)
{
    struct desk *d = desk_new("0.39", &(struct smtp_server_options){.auth = "forum:other"});
    const char *const settings[] = {"mail.user", "forum", "mail.password", CANARY, NULL};
    static const char *const secrets[] = {CANARY, CANARY_BASE64, CANARY_PLAIN};
    static const char *const rules[] = {"", "auth * * 535 5.7.8 no\n", "auth * * close\n",
                                        "auth * * 334 go on\n"};

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        smtp_rules(d->smtp, rules[i]);
        desk_open(d, settings);
        cr_expect_eq(desk_send(d, 2), JOBQ_SNOOZE, "%s", d->mail->text);
        cr_expect(smtp_events(d->smtp, " auth") > i, "it was tried");
        for (size_t k = 0; k < sizeof(secrets) / sizeof(secrets[0]); k++) {
            cr_expect(strstr(d->mail->text, secrets[k]) == NULL, "%s", d->mail->text);
            cr_expect(strstr(d->mail->log, secrets[k]) == NULL, "%s", d->mail->log);
        }
    }
    desk_free(d);
}

/* ---- limits ---- */

Test(mail_connection, is_not_begun_without_time_and_ends_within_the_jobs)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open_with(d, "mail.deadline", "3600000");
    d->mail->soft_ms = 500;
    desk_expect(d, 2, JOBQ_SNOOZE, "soft limit of its type is too short");
    cr_expect_geq(d->mail->delay_ms, 30000, "not again and again");
    cr_expect(strstr(d->mail->log, "3 no mail can be sent: the soft limit of mail.reply"), "%s",
              d->mail->log);
    d->mail->soft_ms = 60000;
    d->mail->should_stop = true;
    desk_expect(d, 2, JOBQ_SNOOZE, "no time left");
    cr_expect_eq(smtp_events(d->smtp, " connect"), 0);
    d->mail->should_stop = false;
    d->mail->soft_ms = 4000;
    smtp_rules(d->smtp, "rcpt * * hang\n");
    desk_expect(d, 2, JOBQ_RETRY, "lost on the way");
    desk_free(d);
}

Test(mail_connection, is_not_begun_when_mails_are_switched_off)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open_with(d, "mail.enabled", "false");
    desk_expect(d, 2, JOBQ_SNOOZE, "switched off by mail.enabled");
    cr_expect(d->mail->delay_ms >= 30000 && d->mail->delay_ms <= 60000, "%lld",
              (long long)d->mail->delay_ms);
    cr_expect_eq(smtp_events(d->smtp, " connect"), 0);
    desk_open_with(d, "mail.enabled", "true");
    desk_expect(d, 2, JOBQ_DONE, "");
    desk_free(d);
}

Test(mail_connection, takes_no_more_than_the_limit_allows)
{
    struct desk *d = desk_new("0.39", NULL);

    desk_open_with(d, "mail.rate", "1/h");
    pg_do(d->pg, "UPDATE misago_notifications_notification SET is_read = true WHERE id = 2");
    desk_expect(d, 2, JOBQ_DONE, "skipped: ");
    desk_expect(d, 3, JOBQ_DONE, "");
    desk_expect(d, 4, JOBQ_SNOOZE, "mail.rate is reached");
    int64_t first = d->mail->delay_ms;
    desk_expect(d, 5, JOBQ_SNOOZE, "mail.rate is reached");
    cr_expect(first > 3000000 && first <= 3600000, "%lld", (long long)first);
    cr_expect(d->mail->delay_ms > 3000000 && d->mail->delay_ms <= 3600000, "%lld",
              (long long)d->mail->delay_ms);
    desk_expect(d, 3, JOBQ_DONE, "skipped: ");
    cr_expect_eq(smtp_mails(d->smtp), 1);
    desk_free(d);
}

struct brake_wait {
    struct desk *d;
    size_t connects;
    bool rested;
};

/* The rests grow up to minutes, but only when the server was tried in between. */
#define REST_MS 120000

static bool has_looked_again(void *ctx)
{
    struct brake_wait *w = ctx;

    (void)desk_send(w->d, 3);
    w->rested = w->rested || strstr(w->d->mail->text, "given a rest") != NULL;
    return smtp_events(w->d->smtp, " connect") > w->connects;
}

/* A server that says so whenever it hears one recipient: that mail must come to an end. Where it is
 * known to be out of order, no mail is to blame. */
Test(mail_connection, counts_an_attempt_for_who_is_first_told_that_the_server_is_out_of_order)
{
    struct desk *d = desk_new("0.39", NULL);
    struct brake_wait w = {d, 1, false};

    desk_open(d, NULL);
    smtp_rules(d->smtp, "rcpt * * 451 4.3.0 lookup failed\n");
    desk_expect(d, 2, JOBQ_RETRY, "out of order: 451 4.3.0");
    cr_assert_eq(d->mail->delay_ms, -1, "by the backoff, which grows");
    /* The first rest is a second: a slow machine may come when it is over, and then the next one is
     * longer. */
    do
        desk_expect(d, 4, JOBQ_SNOOZE, "");
    while (strstr(d->mail->text, "given a rest") == NULL);
    w.connects = smtp_events(d->smtp, " connect");
    smtp_rules(d->smtp, "rcpt * * 451 4.3.0 disk full\n");
    cr_assert(wait_until(patience_ms(REST_MS), has_looked_again, &w));
    cr_assert(strstr(d->mail->text, "out of order: 451 4.3.0 disk full"), "%s", d->mail->text);
    cr_assert_geq(d->mail->delay_ms, 1000);
    desk_free(d);
}

/* While a server is out of order one mail at a time is tried, not each. */
Test(mail_connection, is_given_a_rest_while_the_server_is_out_of_order)
{
    struct desk *d = desk_new("0.39", NULL);
    struct brake_wait w = {d, 0, false};

    desk_open(d, NULL);
    smtp_rules(d->smtp, "ehlo * * 421 out of order\n");
    for (int i = 0; i < 3; i++) { /* 1 s, 2 s, 4 s */
        cr_assert(wait_until(patience_ms(REST_MS), has_looked_again, &w));
        w.connects = smtp_events(d->smtp, " connect");
        cr_expect_eq(w.connects, (size_t)i + 1);
    }
    cr_expect(w.rested);
    smtp_rules(d->smtp, "");
    cr_assert(wait_until(patience_ms(REST_MS), has_looked_again, &w));
    desk_expect(d, 4, JOBQ_DONE, "");
    cr_expect_eq(smtp_mails(d->smtp), 2);
    desk_free(d);
}
