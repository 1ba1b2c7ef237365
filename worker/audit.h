/* SPDX-License-Identifier: MIT */
/*
 * audit: what Redis says we hold must be what we hold. An XREADGROUP whose answer is lost leaves
 * entries with a living owner who never saw them: pending under our name and not known here in two
 * looks, they are fetched and run.
 */
#ifndef WORKER_AUDIT_H
#define WORKER_AUDIT_H

#include <stdint.h>

struct shard;
struct supervisor;

/* Compares now; plans the next time. */
void audit_run(struct shard *shard, int64_t now_ms);
/* A connection broke: two audits soon, on every partition. */
void audit_soon(struct supervisor *s);

#endif
