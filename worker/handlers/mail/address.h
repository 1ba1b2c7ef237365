/* SPDX-License-Identifier: MIT */
/*
 * address: one mail address, taken apart and known to be harmless.
 *
 * What passes here may be written after RCPT TO:< and into a header: no control character, no
 * angle bracket, no comment, no route, no second address. Lengths are those of RFC 5321.
 *
 * No state.
 */
#ifndef WORKER_HANDLERS_MAIL_ADDRESS_H
#define WORKER_HANDLERS_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "worker/handlers/mail/fault.h"

#define ADDRESS_LOCAL_MAX 64
#define ADDRESS_MAX 254
#define ADDRESS_NAME_MAX 255

struct address {
    char name[ADDRESS_NAME_MAX + 1]; /* decoded display name, UTF-8; "": none */
    char addr[ADDRESS_MAX + 1];      /* local@domain, for the envelope; no angle brackets */
    size_t domain_at;                /* where the domain begins in addr */
    bool utf8;                       /* the server must offer SMTPUTF8 */
};

/*
 * Takes "addr", "<addr>", "Name <addr>" or "\"Name, quoted\" <addr>" apart. kind is what a fault is
 * (MAIL_FAULT_SETTING for the configured sender, MAIL_FAULT_DATA for a recipient); its text says
 * what is wrong, without the address.
 */
bool address_parse(const char *text, size_t len, enum mail_fault_kind kind, struct address *out,
                   struct mail_fault *why);

/* The same for a bare address and a name (NULL: none) that stand apart, as in the database. Control
   characters in either are refused: clean a name with header_clean() first. */
bool address_make(const char *name, const char *addr, enum mail_fault_kind kind,
                  struct address *out, struct mail_fault *why);

#endif
