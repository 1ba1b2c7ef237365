/* SPDX-License-Identifier: MIT */
/*
 * compose: from what the database knows to the bytes of a mail.
 *
 * The Message-ID is made of the notification the mail tells about, so it is the same in every
 * attempt, in a second job for the same notification, and in a run of another jobd. References
 * name the thread, so that a mail program shows its mails together.
 *
 * No state; strings are borrowed for the call.
 */
#ifndef WORKER_HANDLERS_MAIL_COMPOSE_H
#define WORKER_HANDLERS_MAIL_COMPOSE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/handlers/mail/address.h"
#include "worker/handlers/mail/bytes.h"
#include "worker/handlers/mail/fault.h"
#include "worker/handlers/mail/header.h"
#include "worker/handlers/mail/options.h"
#include "worker/handlers/mail/store.h"
#include "worker/handlers/mail/template_set.h"

struct compose {
    const struct options *options;
    const struct store_facts *facts;
    struct template_set *templates;
    const char *type; /* of the job */
    bool is_040;
    int64_t date_ms;
};

/* Without < and >. */
void compose_id(const struct compose *c, char out[HEADER_ID_MAX + 1]);

/* *to is who gets it. out was made by bytes_init() and holds the message. */
bool compose_message(const struct compose *c, const char *id, struct address *to, struct bytes *out,
                     struct mail_fault *why);

#endif
