/* SPDX-License-Identifier: MIT */
/*
 * desk: a forum's database with readers to be written to, a mail server, and the module mail
 * between them.
 *
 * Reader n (n > 1) is the fixture's user n: reader-n@example.org, watches the public thread with
 * mails wanted, and has one unread notification of its post, all with id n; she is in the private
 * thread too, was told so by notification 1000 + n, and wants mails about it. Nobody else watches
 * anything.
 */
#ifndef TESTS_INTEGRATION_MAIL_DESK_H
#define TESTS_INTEGRATION_MAIL_DESK_H

#include <jansson.h>

#include "tests/support/fixture.h"
#include "tests/support/handler.h"
#include "tests/support/smtp.h"
#include "tests/support/support.h"

#define REPLY "mail.reply"
#define PRIVATE "mail.private_thread"
#define READERS 80 /* the last one */

struct desk {
    struct postgres *pg;
    struct smtp_server *smtp;
    struct handler *mail; /* NULL until desk_open() */
    long long thread, post, private_thread, private_post, actor;
};

/* version: "0.39" or "0.40". The mail server has TLS and wants no login, unless o says so. */
struct desk *desk_new(const char *version, const struct smtp_server_options *o);
void desk_free(struct desk *d);

/*
 * Opens the module with smtp://, its certificate, tls "require", a sender and a deadline of 50 s,
 * then what is given (key, value, …, NULL), which goes before. Closes the one that is open.
 */
void desk_open(struct desk *d, const char *const *settings);
/* The same, with one setting. */
void desk_open_with(struct desk *d, const char *key, const char *value);

/* Payloads, in fmt()'s ring. */
const char *desk_reply(const struct desk *d, int reader);
const char *desk_private(const struct desk *d, int reader);

/* Runs mail.reply for a reader: the verdict. */
int desk_send(struct desk *d, int reader);
/* The same; fails the test unless it is this verdict and the text holds these words. */
void desk_expect(struct desk *d, int reader, int verdict, const char *words);

/* Rows of jobq.mail_sent. */
long long desk_recorded(struct desk *d);
/* A header of the n-th mail as an independent parser reads it; NULL: there is none. Caller frees.
 */
char *desk_header(struct desk *d, size_t mail, const char *name);

#endif
