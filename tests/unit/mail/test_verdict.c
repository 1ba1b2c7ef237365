/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <string.h>

#include <jobq/handler.h>

#include "worker/handlers/mail/verdict.h"

struct row {
    int curl;
    enum smtp_step step;
    int code;
    const char *reply;
    enum verdict_kind kind;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SEND CURLE_SEND_ERROR
#define RECV CURLE_RECV_ERROR
#define SLOW CURLE_OPERATION_TIMEDOUT

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct smtp_result result = {.curl = r->curl, .step = r->step, .code = r->code};
        struct verdict v;

        strncpy(result.reply, r->reply, sizeof(result.reply) - 1);
        v = verdict_of(&result);
        cr_expect(v.kind == r->kind, "curl %d, %s: %d %s: kind %d (%s) instead of %d", r->curl,
                  smtp_step_name(r->step), r->code, r->reply, (int)v.kind, v.why, (int)r->kind);
        cr_expect(v.why != NULL && v.why[0] != '\0');
    }
}

Test(verdict, of_a_reply_depends_on_the_step)
{
    static const struct row rows[] = {
        /* the greeting and before the mail: the service as a whole */
        {RECV, SMTP_CONNECT, 554, "go away", VERDICT_BROKEN},
        {RECV, SMTP_CONNECT, 450, "busy", VERDICT_BUSY},
        {CURLE_REMOTE_ACCESS_DENIED, SMTP_EHLO, 550, "", VERDICT_BROKEN},
        {CURLE_REMOTE_ACCESS_DENIED, SMTP_EHLO, 451, "", VERDICT_BUSY},
        {CURLE_USE_SSL_FAILED, SMTP_STARTTLS, 502, "not here", VERDICT_BROKEN},
        {CURLE_USE_SSL_FAILED, SMTP_STARTTLS, 454, "TLS not available", VERDICT_BUSY},
        {CURLE_LOGIN_DENIED, SMTP_AUTH, 535, "5.7.8 bad credentials", VERDICT_BROKEN},
        {CURLE_LOGIN_DENIED, SMTP_AUTH, 534, "5.7.9 too weak", VERDICT_BROKEN},
        {CURLE_LOGIN_DENIED, SMTP_AUTH, 550, "", VERDICT_BROKEN},
        {CURLE_LOGIN_DENIED, SMTP_AUTH, 454, "4.7.0 temporary", VERDICT_BROKEN},
        /* the sender */
        {SEND, SMTP_MAIL, 550, "5.1.8 sender unknown", VERDICT_BROKEN},
        {SEND, SMTP_MAIL, 553, "not yours", VERDICT_BROKEN},
        {SEND, SMTP_MAIL, 530, "5.7.0 authenticate first", VERDICT_BROKEN},
        {SEND, SMTP_MAIL, 451, "4.7.1 try later", VERDICT_DEFERRED},
        {SEND, SMTP_MAIL, 452, "4.3.1 disk full", VERDICT_BUSY},
        {SEND, SMTP_MAIL, 552, "too big", VERDICT_REFUSED},
        {SEND, SMTP_MAIL, 550, "5.3.4 too big", VERDICT_REFUSED},
        /* the recipient */
        {SEND, SMTP_RCPT, 550, "5.1.1 no such user", VERDICT_REFUSED},
        {SEND, SMTP_RCPT, 553, "no", VERDICT_REFUSED},
        {SEND, SMTP_RCPT, 552, "5.2.2 mailbox full", VERDICT_REFUSED},
        {SEND, SMTP_RCPT, 556, "5.1.10 no mail here", VERDICT_REFUSED},
        {SEND, SMTP_RCPT, 450, "4.2.1 greylisted", VERDICT_DEFERRED},
        {SEND, SMTP_RCPT, 452, "4.2.2 mailbox full", VERDICT_DEFERRED},
        {SEND, SMTP_RCPT, 452, "", VERDICT_DEFERRED},
        {SEND, SMTP_RCPT, 451, "4.3.2 not accepting", VERDICT_BUSY},
        {SEND, SMTP_RCPT, 530, "Authentication required", VERDICT_BROKEN},
        {SEND, SMTP_RCPT, 550, "5.7.8 log in", VERDICT_BROKEN},
        {SEND, SMTP_RCPT, 550, "5.1.7 bad sender", VERDICT_BROKEN},
        {SEND, SMTP_RCPT, 554, "5.7.1 <a@b>: Relay access denied", VERDICT_BROKEN},
        {SEND, SMTP_RCPT, 550, "relaying denied", VERDICT_BROKEN},
        {SEND, SMTP_RCPT, 550, "5.7.1 blocked by policy", VERDICT_REFUSED},
        {SEND, SMTP_RCPT, 550, "5.4.5 daily quota exceeded", VERDICT_BROKEN},
        /* the message */
        {CURLE_WEIRD_SERVER_REPLY, SMTP_DATA, 554, "no valid recipients", VERDICT_REFUSED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_DATA, 451, "", VERDICT_DEFERRED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 554, "5.7.1 looks like spam", VERDICT_REFUSED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 552, "too big", VERDICT_REFUSED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 550, "5.7.60 cannot send as", VERDICT_BROKEN},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 554, "relay of spam refused", VERDICT_REFUSED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 451, "4.7.1 greylisted", VERDICT_DEFERRED},
        {CURLE_WEIRD_SERVER_REPLY, SMTP_BODY, 452, "4.3.1 disk full", VERDICT_BUSY},
    };

    check(rows, COUNT(rows));
}

Test(verdict, of_421_is_patience_at_every_step)
{
    for (int step = SMTP_CONNECT; step < SMTP_STEPS; step++) {
        const struct row row = {RECV, (enum smtp_step)step, 421, "4.3.2 closing", VERDICT_BUSY};
        check(&row, 1);
    }
}

Test(verdict, of_silence_depends_on_what_was_handed_over)
{
    static const int lost[] = {
        SEND, RECV, SLOW, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_WEIRD_SERVER_REPLY};

    for (int step = SMTP_CONNECT; step < SMTP_STEPS; step++) {
        enum verdict_kind kind = step < SMTP_MAIL   ? VERDICT_BROKEN
                                 : step < SMTP_BODY ? VERDICT_DEFERRED
                                                    : VERDICT_UNKNOWN;
        for (size_t i = 0; i < COUNT(lost); i++) {
            const struct row rows[] = {
                {lost[i], (enum smtp_step)step, 0, "", kind},
                /* an answer that is no refusal, left over from the step before */
                {lost[i], (enum smtp_step)step, 250, "ok", kind},
                {lost[i], (enum smtp_step)step, 220, "ready", kind},
            };
            check(rows, COUNT(rows));
        }
    }
}

Test(verdict, of_a_server_that_cannot_be_used_is_broken)
{
    static const struct row rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_COULDNT_CONNECT, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_PEER_FAILED_VERIFICATION, SMTP_STARTTLS, 220, "go ahead", VERDICT_BROKEN},
        {CURLE_SSL_CONNECT_ERROR, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_SSL_CACERT_BADFILE, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_USE_SSL_FAILED, SMTP_EHLO, 250, "SIZE", VERDICT_BROKEN},
        {CURLE_LOGIN_DENIED, SMTP_AUTH, 334, "", VERDICT_BROKEN},
        {CURLE_UNSUPPORTED_PROTOCOL, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_URL_MALFORMAT, SMTP_CONNECT, 0, "", VERDICT_BROKEN},
        {CURLE_OUT_OF_MEMORY, SMTP_CONNECT, 0, "", VERDICT_DEFERRED},
    };

    check(rows, COUNT(rows));
}

Test(verdict, of_success_is_what_the_library_calls_so)
{
    static const struct row rows[] = {
        {CURLE_OK, SMTP_BODY, 250, "2.0.0 queued", VERDICT_ACCEPTED},
        {CURLE_OK, SMTP_BODY, 0, "", VERDICT_ACCEPTED},
    };

    check(rows, COUNT(rows));
}

Test(verdict, becomes_an_answer_that_costs_an_attempt_only_when_the_mail_is_to_blame)
{
    cr_expect_eq(verdict_answer(VERDICT_ACCEPTED), JOBQ_DONE);
    cr_expect_eq(verdict_answer(VERDICT_REFUSED), JOBQ_DEAD);
    cr_expect_eq(verdict_answer(VERDICT_DEFERRED), JOBQ_RETRY);
    cr_expect_eq(verdict_answer(VERDICT_UNKNOWN), JOBQ_RETRY);
    cr_expect_eq(verdict_answer(VERDICT_BUSY), JOBQ_SNOOZE);
    cr_expect_eq(verdict_answer(VERDICT_BROKEN), JOBQ_SNOOZE);
}

Test(verdict, reads_enhanced_codes_and_nothing_that_only_looks_like_one)
{
    static const char *const none[] = {"",       "5",         "5.7",          "5.7.",   "5.7.8x",
                                       "3.1.1",  "5.7.8.9",   "five",         ".5.7.8", "5..8",
                                       "6.1.1 ", "5.7.1234 ", "5.12345.1 no", " 5.7.8"};
    int code[3];

    cr_assert(verdict_enhanced("5.7.8 no", code));
    cr_assert(code[0] == 5 && code[1] == 7 && code[2] == 8);
    cr_assert(verdict_enhanced("4.123.456", code));
    cr_assert(code[0] == 4 && code[1] == 123 && code[2] == 456);
    for (size_t i = 0; i < COUNT(none); i++)
        cr_expect(!verdict_enhanced(none[i], code), "\"%s\"", none[i]);
}
