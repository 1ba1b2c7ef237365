/* SPDX-License-Identifier: MIT */
/*
 * smtp: a real mail server (contrib/forum/smtp_server.py) for tests: what it got, and rules by
 * which it misbehaves.
 *
 * Listens on 127.0.0.1, on a port below the range of outgoing connections, so that a restarted one
 * finds it free. Single thread.
 */
#ifndef TESTS_SUPPORT_SMTP_H
#define TESTS_SUPPORT_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process;

struct smtp_server {
    struct process *process;
    char spool[192];
    char ca[224]; /* the certificate that vouches for it */
    int port;
    int tls_port;
    char url[48];     /* smtp://127.0.0.1:… */
    char tls_url[48]; /* smtps://127.0.0.1:… */
};

struct smtp_server_options {
    bool plain;       /* no TLS at all */
    bool require_tls; /* refuses to go on without STARTTLS */
    const char *auth; /* "user:password": refuses mails without it */
};

struct smtp_server *smtp_start(const struct smtp_server_options *o);
void smtp_kill(struct smtp_server *s);    /* SIGKILL, and waits; its spool stays */
void smtp_restart(struct smtp_server *s); /* the same ports and spool */
void smtp_stop(struct smtp_server *s);    /* frees */

/* Replaces all rules; "" for none. See smtp_server.py. */
void smtp_rules(struct smtp_server *s, const char *rules);

/* Mails kept so far. */
size_t smtp_mails(struct smtp_server *s);
bool smtp_wait_mails(struct smtp_server *s, size_t at_least, int64_t timeout_ms);
/* The bytes of the n-th mail (from 1), or what a parser of its own made of it; caller frees. */
char *smtp_mail(struct smtp_server *s, size_t n);
char *smtp_mail_json(struct smtp_server *s, size_t n);
/* Lines of events that contain text, such as " connect" or " rcpt TO:<bob@". */
size_t smtp_events(struct smtp_server *s, const char *text);
bool smtp_wait_event(struct smtp_server *s, const char *text, size_t at_least, int64_t timeout_ms);

/* A certificate of somebody else, which vouches for nobody. */
const char *smtp_other_ca(void);

#endif
