/* SPDX-License-Identifier: MIT */
/* verdict: see verdict.h. */
#include "worker/handlers/mail/verdict.h"

#include <curl/curl.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <jobq/handler.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char login_refused[] = "the mail server refuses our login";
static const char sender_refused[] = "the mail server refuses the sender";

static struct verdict verdict(enum verdict_kind kind, const char *why)
{
    return (struct verdict){.kind = kind, .why = why};
}

int verdict_answer(enum verdict_kind kind)
{
    switch (kind) {
    case VERDICT_ACCEPTED:
        return JOBQ_DONE;
    case VERDICT_REFUSED:
        return JOBQ_DEAD;
    case VERDICT_BUSY:
    case VERDICT_BROKEN:
        return JOBQ_SNOOZE;
    case VERDICT_DEFERRED:
    case VERDICT_UNKNOWN:
        break;
    }
    return JOBQ_RETRY;
}

/* ---- enhanced codes ---- */

static bool read_number(const char **at, int *out)
{
    int n = 0;
    int digits = 0;

    for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++) {
        n = n * 10 + (**at - '0');
    }
    *out = n;
    return digits > 0;
}

bool verdict_enhanced(const char *reply, int out[3])
{
    const char *at = reply;
    int got[3];

    for (int i = 0; i < 3; i++) {
        if ((i > 0 && *at++ != '.') || !read_number(&at, &got[i])) {
            return false;
        }
    }
    if ((*at != '\0' && *at != ' ') || (got[0] != 2 && got[0] != 4 && got[0] != 5)) {
        return false;
    }
    memcpy(out, got, sizeof(got));
    return true;
}

static bool has_detail(const char *reply, int subject, const int *details, size_t n)
{
    int code[3];

    if (!verdict_enhanced(reply, code) || code[1] != subject) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (code[2] == details[i]) {
            return true;
        }
    }
    return false;
}

/* Whoever sends must first say who he is, or in another way. */
static bool speaks_of_login(const struct smtp_result *r)
{
    static const int codes[] = {530, 534, 535, 538};
    /* authentication: credentials invalid, mechanism too weak, encryption needed; by Google: a
       login in a browser is needed */
    static const int details[] = {8, 9, 11, 14};

    for (size_t i = 0; i < COUNT(codes); i++) {
        if (r->code == codes[i]) {
            return true;
        }
    }
    return has_detail(r->reply, 7, details, COUNT(details));
}

/* The address we send from, whichever recipient: by Exchange "not permitted to send as". */
static bool speaks_of_sender(const struct smtp_result *r)
{
    static const int bad_address[] = {7, 8};
    static const int not_permitted[] = {60};

    return has_detail(r->reply, 1, bad_address, COUNT(bad_address)) ||
           has_detail(r->reply, 7, not_permitted, COUNT(not_permitted));
}

/* "Relay access denied", "relaying denied", "relay not permitted": we are a stranger to this
   server, so each recipient would be refused. There is no code of its own for it. */
static bool speaks_of_relaying(const struct smtp_result *r)
{
    return r->step == SMTP_RCPT && strcasestr(r->reply, "relay") != NULL;
}

/* Of Google and others: our quota is used up. */
static bool speaks_of_quota(const struct smtp_result *r)
{
    static const int details[] = {5};
    return has_detail(r->reply, 4, details, COUNT(details));
}

static bool speaks_of_size(const struct smtp_result *r)
{
    static const int system[] = {4};
    static const int mailbox[] = {3};

    return r->code == 552 || has_detail(r->reply, 3, system, COUNT(system)) ||
           has_detail(r->reply, 2, mailbox, COUNT(mailbox));
}

/* x.3.x: the mail system's own state, not this mail's. */
static bool speaks_of_system(const struct smtp_result *r)
{
    int code[3];
    return verdict_enhanced(r->reply, code) && code[1] == 3;
}

/* ---- replies ---- */

static struct verdict judge_5xx(const struct smtp_result *r)
{
    if (r->step == SMTP_AUTH || speaks_of_login(r)) {
        return verdict(VERDICT_BROKEN, login_refused);
    }
    switch (r->step) {
    case SMTP_CONNECT:
    case SMTP_EHLO:
    case SMTP_STARTTLS:
    case SMTP_AUTH:
        return verdict(VERDICT_BROKEN, "the mail server refuses to talk to us");
    case SMTP_MAIL:
        if (speaks_of_size(r)) {
            return verdict(VERDICT_REFUSED, "the mail server refuses a message of this size");
        }
        return verdict(VERDICT_BROKEN, sender_refused);
    default:
        break;
    }
    if (speaks_of_sender(r)) {
        return verdict(VERDICT_BROKEN, sender_refused);
    }
    if (speaks_of_relaying(r)) {
        return verdict(VERDICT_BROKEN, "the mail server does not relay for us");
    }
    if (speaks_of_quota(r)) {
        return verdict(VERDICT_BROKEN, "the mail server says our quota is used up");
    }
    return verdict(VERDICT_REFUSED, r->step == SMTP_RCPT ? "the mail server refuses the recipient"
                                                         : "the mail server refuses the message");
}

static struct verdict judge_4xx(const struct smtp_result *r)
{
    if (r->code == 421) {
        return verdict(VERDICT_BUSY, "the mail server closes the connection");
    }
    if (r->step == SMTP_AUTH) {
        return verdict(VERDICT_BROKEN, "the mail server cannot check our login now");
    }
    if (r->step < SMTP_AUTH) {
        return verdict(VERDICT_BUSY, "the mail server does not want to talk to us now");
    }
    if (speaks_of_system(r)) {
        return (struct verdict){.kind = VERDICT_BUSY,
                                .why = "the mail server is out of order",
                                .may_be_own = r->step >= SMTP_RCPT};
    }
    return verdict(VERDICT_DEFERRED, r->step == SMTP_RCPT
                                         ? "the mail server refuses the recipient for now"
                                         : "the mail server refuses the message for now");
}

/* ---- no reply ---- */

static bool is_about_tls(int curl)
{
    static const int codes[] = {
        CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR,    CURLE_SSL_CACERT_BADFILE,
        CURLE_SSL_CERTPROBLEM,          CURLE_SSL_CIPHER,           CURLE_USE_SSL_FAILED,
        CURLE_SSL_ISSUER_ERROR,         CURLE_SSL_CRL_BADFILE,      CURLE_SSL_INVALIDCERTSTATUS,
        CURLE_SSL_ENGINE_NOTFOUND,      CURLE_SSL_ENGINE_SETFAILED,
    };

    for (size_t i = 0; i < COUNT(codes); i++) {
        if (curl == codes[i]) {
            return true;
        }
    }
    return false;
}

static struct verdict judge_silence(const struct smtp_result *r)
{
    if (r->step == SMTP_BODY) {
        return verdict(VERDICT_UNKNOWN, "no answer to the message: it may have been accepted");
    }
    if (is_about_tls(r->curl)) {
        return verdict(VERDICT_BROKEN, "no trusted TLS connection to the mail server");
    }
    switch (r->curl) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return verdict(VERDICT_BROKEN, "the mail server's name is not known");
    case CURLE_COULDNT_CONNECT:
        return verdict(VERDICT_BROKEN, "the mail server cannot be reached");
    case CURLE_LOGIN_DENIED:
        return verdict(VERDICT_BROKEN, login_refused);
    case CURLE_OUT_OF_MEMORY:
        return verdict(VERDICT_DEFERRED, "out of memory");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return verdict(VERDICT_BROKEN, "mail.url cannot be used");
    default:
        break;
    }
    if (r->step < SMTP_MAIL) {
        return verdict(VERDICT_BROKEN, "the mail server does not answer as one");
    }
    return verdict(VERDICT_DEFERRED, "the mail server was lost on the way");
}

struct verdict verdict_of(const struct smtp_result *r)
{
    if (r->curl == CURLE_OK) {
        return verdict(VERDICT_ACCEPTED, "accepted");
    }
    if (r->code >= 500 && r->code <= 599) {
        return judge_5xx(r);
    }
    if (r->code >= 400 && r->code <= 499) {
        return judge_4xx(r);
    }
    return judge_silence(r);
}
