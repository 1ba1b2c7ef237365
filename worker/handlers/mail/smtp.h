/* SPDX-License-Identifier: MIT */
/*
 * smtp: hands mails to one server over one connection that is kept between them.
 *
 * The library that speaks SMTP keeps a connection also when a reply did not come in time, and then
 * takes that late reply for the answer to the next mail. So after anything but success connection
 * and handle are thrown away; the next mail begins anew. Nor does it say at which step of the
 * dialogue it failed: that is followed here from the commands that leave and the lines that come.
 *
 * A connection is used again for at most SMTP_MAILS_MAX mails, SMTP_AGE_MAX_S seconds, and not
 * after SMTP_IDLE_MAX_S seconds without one. One that turns out to be dead before the server took
 * anything of the mail is replaced once, silently.
 *
 * Lives as long as its executor; one thread; blocks until the deadline it is given at most.
 */
#ifndef WORKER_HANDLERS_MAIL_SMTP_H
#define WORKER_HANDLERS_MAIL_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_MAILS_MAX 100
#define SMTP_IDLE_MAX_S 60
#define SMTP_AGE_MAX_S 600
#define SMTP_REPLY_MAX 256

enum smtp_tls { SMTP_TLS_NONE, SMTP_TLS_TRY, SMTP_TLS_REQUIRE };

/* Where in the dialogue: the command that was sent last. */
enum smtp_step {
    SMTP_CONNECT, /* address, connection, TLS of smtps://, greeting */
    SMTP_EHLO,
    SMTP_STARTTLS, /* and the handshake after it */
    SMTP_AUTH,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_BODY, /* the server asked for the message: from here on it may have been accepted */
    SMTP_STEPS
};

/* Everything borrowed for the life of struct smtp. NULL where not set. */
struct smtp_options {
    const char *url; /* smtp:// or smtps:// */
    const char *user;
    const char *password;
    const char *ca; /* file of certificates instead of the system's */
    enum smtp_tls tls;
};

/* What became of one mail. */
struct smtp_result {
    int curl; /* CURLcode; 0: accepted */
    enum smtp_step step;
    int code;                   /* the reply to that step; 0: none came */
    char reply[SMTP_REPLY_MAX]; /* its last line without the code; valid UTF-8, one line */
    char error[SMTP_REPLY_MAX]; /* what the library says, likewise; holds no secret */
    bool reused;                /* it went over a connection that was open before */
};

struct smtp;

/* NULL: no memory. Connects to nothing yet. Caller frees with smtp_free(). */
struct smtp *smtp_new(const struct smtp_options *options);
/* Takes leave of the server, for a second at most. NULL is fine. */
void smtp_free(struct smtp *s);

/*
 * One mail to one recipient; from and to are bare addresses. message has CRLF line ends and is not
 * dot-stuffed. timeout_ms bounds all of it. False: an address that must not reach the library;
 * nothing was sent, *out is untouched.
 */
bool smtp_send(struct smtp *s, const char *from, const char *to, const char *message, size_t len,
               int64_t timeout_ms, struct smtp_result *out);

/* "at RCPT TO", for texts. */
const char *smtp_step_name(enum smtp_step step);

#endif
