/* SPDX-License-Identifier: MIT */
/*
 * options: what the configuration says about mail, checked.
 *
 * Read once per executor, at its start: jobd replaces its executors when one of these changes.
 * Strings are borrowed from the executor, which keeps them as long as it runs.
 */
#ifndef WORKER_HANDLERS_MAIL_OPTIONS_H
#define WORKER_HANDLERS_MAIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/handler.h>

#include "worker/handlers/mail/address.h"
#include "worker/handlers/mail/smtp.h"

struct options {
    struct smtp_options smtp;
    struct address from;
    const char *language;
    const char *templates;     /* NULL: only those shipped */
    const char *schema;        /* of jobq's own tables; letters, digits and _ */
    const char *forum_address; /* NULL: the forum's own setting only */
    int64_t rate_interval_us;  /* 0: no limit */
    int64_t deadline_ms;
    int64_t retention_ms; /* of what was sent */
    bool enabled;
};

/* False: text says which option is wrong. */
bool options_read(const jobq_host *host, struct options *out, char *text, size_t text_size);

#endif
