/* SPDX-License-Identifier: MIT */
/*
 * closing: carries out what drain.c decides: stops claiming, gives back, leaves every partition,
 * ends the loop.
 */
#ifndef WORKER_CLOSING_H
#define WORKER_CLOSING_H

#include <stdint.h>

struct supervisor;

/* SIGTERM or SIGINT; the second one ends the grace. */
void closing_begin(struct supervisor *s);
/* At the end of every turn of a drain. */
void closing_run(struct supervisor *s, int64_t now_ms);

#endif
