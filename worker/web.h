/* SPDX-License-Identifier: MIT */
/*
 * web: /metrics, /healthz and /readyz at the address of the option http.
 *
 * An address that cannot be had (another jobd listens there, it does not exist yet) is no reason
 * not to work: it is said in the log and tried again. Lives as long as the supervisor. Single
 * thread.
 */
#ifndef WORKER_WEB_H
#define WORKER_WEB_H

#include <stdint.h>

#include <jobq/error.h>

#include "base/base.h"

struct supervisor;

/* Begins to listen, as soon as that can be. */
MUST_CHECK int web_start(struct supervisor *s, jobq_err *err);
/* The option may have changed. */
void web_configure(struct supervisor *s);
void web_stop(struct supervisor *s);
/* At the end of a turn; when to call again at the latest. */
int64_t web_run(struct supervisor *s, int64_t now_ms);

#endif
