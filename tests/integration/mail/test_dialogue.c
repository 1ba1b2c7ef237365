/* SPDX-License-Identifier: MIT */
/*
 * The dialogue with a real mail server that goes wrong at each of its steps, in each way: what
 * becomes of the job, what is recorded, and that the next mail is none the worse for it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/mail/desk.h"

TestSuite(mail_dialogue);

struct trouble {
    const char *rule;
    int verdict;
    const char *words; /* in the text of the verdict */
    bool alert;        /* a line of level error */
    bool kept;         /* the server kept the mail all the same */
};

/* BRIEF: for servers that stand still, a deadline that is soon over. */
enum patience { USUAL, BRIEF };

/* Until the dialogue has come to the step of the rule: on a busy machine that takes longer. */
static int send_until_trouble(struct desk *d, const struct trouble *t, int reader,
                              enum patience patience, const char *const *login)
{
    char step[24];
    int64_t deadline_ms = patience == BRIEF ? 1500 : 50000;
    size_t before;
    int verdict;

    snprintf(step, sizeof(step), " %.*s", (int)strcspn(t->rule, " "), t->rule);
    before = smtp_events(d->smtp, t->kept ? " kept " : step);
    do {
        char deadline[24];
        const char *settings[16] = {"mail.deadline", deadline};
        snprintf(deadline, sizeof(deadline), "%lld", (long long)deadline_ms);
        for (size_t i = 0; login != NULL && login[i] != NULL; i++)
            settings[2 + i] = login[i];
        desk_open(d, settings);
        verdict = desk_send(d, reader);
        deadline_ms *= 2;
    } while (smtp_events(d->smtp, t->kept ? " kept " : step) == before && deadline_ms < 60000);
    return verdict;
}

/*
 * Each with a mail to a reader of its own; then the server is well again, the brake is let go by
 * opening the module anew, and the same job arrives.
 */
static void go_through(const struct trouble *rows, size_t n, enum patience patience,
                       const char *const *login, const struct smtp_server_options *o)
{
    struct desk *d = desk_new("0.39", o);
    size_t mails = 0;

    cr_assert(n + 2 < READERS);
    for (size_t i = 0; i < n; i++) {
        const struct trouble *t = &rows[i];
        int reader = 2 + (int)i;

        smtp_rules(d->smtp, t->rule);
        int verdict = send_until_trouble(d, t, reader, patience, login);
        cr_expect(verdict == t->verdict && strstr(d->mail->text, t->words) != NULL,
                  "%s: verdict %d (%s) instead of %d (…%s…)", t->rule, verdict, d->mail->text,
                  t->verdict, t->words);
        cr_expect_eq(strstr(d->mail->log, "3 no mail can be sent: ") != NULL, t->alert,
                     "%s: log: %s", t->rule, d->mail->log);
        cr_expect_eq(d->mail->delay_ms >= 1000, t->verdict == JOBQ_SNOOZE, "%s: delay %lld",
                     t->rule, (long long)d->mail->delay_ms);
        mails += t->kept;
        cr_expect_eq(smtp_mails(d->smtp), mails, "%s", t->rule);
        cr_expect_eq(desk_recorded(d), (long long)i, "%s", t->rule);
        smtp_rules(d->smtp, "");
        desk_open(d, login);
        desk_expect(d, reader, JOBQ_DONE, "");
        cr_expect_eq(smtp_mails(d->smtp), ++mails, "%s", t->rule);
        if (t->kept) {
            char *first = desk_header(d, mails - 1, "Message-ID");
            char *second = desk_header(d, mails, "Message-ID");
            cr_expect_str_eq(first, second);
            free(first);
            free(second);
        }
    }
    desk_free(d);
}

#define ALL(rows) rows, sizeof(rows) / sizeof(rows[0])

Test(mail_dialogue, is_refused_at_each_step)
{
    static const struct trouble rows[] = {
        {"connect * * 554 go away", JOBQ_SNOOZE, "554 go away (at connecting)", true, false},
        {"connect * * 421 come later", JOBQ_SNOOZE, "421", false, false},
        {"connect * * 450 busy", JOBQ_SNOOZE, "450", false, false},
        {"ehlo * * 550 not you", JOBQ_SNOOZE, "550 not you (at EHLO)", true, false},
        {"ehlo * * 421 closing", JOBQ_SNOOZE, "421", false, false},
        {"starttls * * 454 not now", JOBQ_SNOOZE, "454 not now (at STARTTLS)", false, false},
        {"starttls * * 502 no", JOBQ_SNOOZE, "TLS", true, false},
        {"mail * * 550 5.1.8 bad sender", JOBQ_SNOOZE, "refuses the sender: 550 5.1.8", true,
         false},
        {"mail * * 530 5.7.0 log in first", JOBQ_SNOOZE, "refuses our login: 530", true, false},
        {"mail * * 451 4.7.1 later", JOBQ_RETRY, "451 4.7.1 later (at MAIL FROM)", false, false},
        {"mail * * 452 4.3.1 disk full", JOBQ_SNOOZE, "out of order: 452", false, false},
        {"mail * * 552 5.3.4 too big", JOBQ_DEAD, "of this size: 552", false, false},
        {"mail * * 421 closing", JOBQ_SNOOZE, "421", false, false},
        {"rcpt * * 550 5.1.1 no such user", JOBQ_DEAD, "recipient: 550 5.1.1 no such user", false,
         false},
        {"rcpt * * 450 4.2.1 greylisted", JOBQ_RETRY, "450 4.2.1", false, false},
        {"rcpt * * 451 4.3.2 not now", JOBQ_RETRY, "out of order: 451", false, false},
        {"rcpt * * 554 5.7.1 Relay access denied", JOBQ_SNOOZE, "does not relay", true, false},
        {"rcpt * * 550 5.7.8 log in", JOBQ_SNOOZE, "login", true, false},
        {"rcpt * * 421 closing", JOBQ_SNOOZE, "421", false, false},
        {"data * * 554 5.5.1 no", JOBQ_DEAD, "message: 554 5.5.1 no (at DATA)", false, false},
        {"data * * 451 4.7.1 later", JOBQ_RETRY, "451", false, false},
        {"data * * 421 closing", JOBQ_SNOOZE, "421", false, false},
        {"end * * 554 5.7.1 spam", JOBQ_DEAD, "message: 554 5.7.1 spam (at the end", false, false},
        {"end * * 451 4.7.1 greylisted", JOBQ_RETRY, "451", false, false},
        {"end * * 452 4.3.1 disk full", JOBQ_RETRY, "out of order: 452", false, false},
        {"end * * 550 5.7.60 not as him", JOBQ_SNOOZE, "sender", true, false},
        {"end * * 421 4.3.0 closing", JOBQ_SNOOZE, "421", false, false},
    };

    go_through(ALL(rows), USUAL, NULL, NULL);
}

Test(mail_dialogue, is_cut_off_at_each_step)
{
    static const struct trouble rows[] = {
        {"connect * * close", JOBQ_SNOOZE, "does not answer as one", true, false},
        {"connect * * reset", JOBQ_SNOOZE, "the mail server ", true, false},
        {"ehlo * * close", JOBQ_SNOOZE, "does not answer as one", true, false},
        {"starttls * * close", JOBQ_SNOOZE, "", true, false},
        {"starttls * * reset", JOBQ_SNOOZE, "", true, false},
        {"mail * * close", JOBQ_RETRY, "lost on the way", false, false},
        {"mail * * reset", JOBQ_RETRY, "lost on the way", false, false},
        {"rcpt * * close", JOBQ_RETRY, "lost on the way", false, false},
        {"rcpt * * reset", JOBQ_RETRY, "lost on the way", false, false},
        {"data * * close", JOBQ_RETRY, "lost on the way", false, false},
        {"end * * close", JOBQ_RETRY, "may have been accepted", false, false},
        {"end * * reset", JOBQ_RETRY, "may have been accepted", false, false},
        {"end * * accept-close", JOBQ_RETRY, "may have been accepted", false, true},
        {"end * * accept-reset", JOBQ_RETRY, "may have been accepted", false, true},
    };

    go_through(ALL(rows), USUAL, NULL, NULL);
}

Test(mail_dialogue, stands_still_before_the_mail)
{
    static const struct trouble rows[] = {
        {"connect * * hang", JOBQ_SNOOZE, "does not answer as one", true, false},
        {"connect * * drip 100 220-hello to you all, and to all a good night", JOBQ_SNOOZE, "",
         true, false},
        {"connect * * flood 10000000", JOBQ_SNOOZE, "", true, false},
        {"ehlo * * hang", JOBQ_SNOOZE, "does not answer as one", true, false},
        {"starttls * * hang", JOBQ_SNOOZE, "", true, false},
    };

    go_through(ALL(rows), BRIEF, NULL, NULL);
}

Test(mail_dialogue, stands_still_with_the_mail)
{
    static const struct trouble rows[] = {
        {"mail * * hang", JOBQ_RETRY, "lost on the way", false, false},
        {"rcpt * * hang", JOBQ_RETRY, "lost on the way", false, false},
        {"data * * hang", JOBQ_RETRY, "lost on the way", false, false},
        {"end * * hang", JOBQ_RETRY, "may have been accepted", false, false},
        {"end * * drip 100 250-2.0.0 this takes a very long time indeed", JOBQ_RETRY,
         "may have been accepted", false, false},
        {"end * * accept-hang", JOBQ_RETRY, "may have been accepted", false, true},
    };

    go_through(ALL(rows), BRIEF, NULL, NULL);
}

Test(mail_dialogue, fails_at_the_login)
{
    static const struct trouble rows[] = {
        {"auth * * 535 5.7.8 bad credentials", JOBQ_SNOOZE, "refuses our login", true, false},
        {"auth * * 534 5.7.9 too weak", JOBQ_SNOOZE, "refuses our login", true, false},
        {"auth * * 454 4.7.0 temporary failure", JOBQ_SNOOZE, "cannot check our login", true,
         false},
        {"auth * * 421 closing", JOBQ_SNOOZE, "421", false, false},
        {"auth * * close", JOBQ_SNOOZE, "does not answer as one", true, false},
        {"auth * * hang", JOBQ_SNOOZE, "does not answer as one", true, false},
    };
    const char *const login[] = {"mail.user", "forum", "mail.password", "hunter2-canary", NULL};

    go_through(ALL(rows), BRIEF, login,
               &(struct smtp_server_options){.require_tls = true, .auth = "forum:hunter2-canary"});
}
