/* SPDX-License-Identifier: MIT */
/*
 * event_line: an event that jobd or jobctl published (docs/protocol.md), as a line for people or a
 * line of JSON. Events are anybody's who may publish: what is not of its form is left out, and
 * nothing of it reaches a terminal raw. Pure.
 */
#ifndef ADMIN_JOBCTL_EVENT_LINE_H
#define ADMIN_JOBCTL_EVENT_LINE_H

#include <jansson.h>
#include <stdbool.h>

struct buf;
struct shard_keys;

/* Words of events, space-separated: what --event takes. */
#define EVENT_WORDS                                                                                \
    "started succeeded retried snoozed crashed released dead expired corrupt parked unparked "     \
    "fenced reaped dropped operator skipped"

/* A line with its end: "09:18:22.123  succeeded  mail  mail.send  01a3…  run 210ms". */
void event_line_text(struct buf *b, const json_t *event, const struct shard_keys *k, bool colour);
/* One line: the event, to which the queue and the partition that it is of are added. */
void event_line_json(struct buf *b, json_t *event, const struct shard_keys *k);

#endif
