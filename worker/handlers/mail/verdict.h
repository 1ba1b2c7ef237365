/* SPDX-License-Identifier: MIT */
/*
 * verdict: what the end of a dialogue with a mail server means for the job.
 *
 * Pure. Read are the reply to the step at which it ended, by its class and its enhanced code (RFC
 * 3463), and without a reply the step and what the library says. Success is what the library calls
 * success, nothing else.
 *
 *   accepted                                           DONE
 *   the service is at fault: no connection, TLS,       SNOOZE, all mails wait; an alert
 *     login or sender refused, 421, out of order
 *   out of order, once it has heard the recipient,     RETRY, all mails wait
 *     though it has just been in order
 *   5xx to the recipient or the message                DEAD
 *   4xx to them                                        RETRY
 *   no clear answer                                    RETRY, under the same Message-ID
 */
#ifndef WORKER_HANDLERS_MAIL_VERDICT_H
#define WORKER_HANDLERS_MAIL_VERDICT_H

#include <stdbool.h>

#include "worker/handlers/mail/smtp.h"

enum verdict_kind {
    VERDICT_ACCEPTED,
    VERDICT_REFUSED,  /* this mail, for good */
    VERDICT_DEFERRED, /* this mail, for now */
    VERDICT_UNKNOWN,  /* this mail; it may have been accepted */
    VERDICT_BUSY,     /* every mail: the server asks for patience */
    VERDICT_BROKEN,   /* every mail, until somebody mends something */
};

struct verdict {
    enum verdict_kind kind;
    const char *why; /* constant; for people */
    bool may_be_own; /* of VERDICT_BUSY: or only this mail, whose recipient it has heard by now */
};

struct verdict verdict_of(const struct smtp_result *r);

/* An enum jobq_verdict. */
int verdict_answer(enum verdict_kind kind);

/* Class, subject and detail of "5.7.8 …" at the beginning of a reply; false: there is none. */
bool verdict_enhanced(const char *reply, int out[3]);

#endif
