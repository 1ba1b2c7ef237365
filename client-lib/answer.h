/* SPDX-License-Identifier: MIT */
/*
 * answer: what one reply of Redis means for the job, the queue or the script it belongs to. No I/O;
 * borrows everything from the sending it is given.
 */
#ifndef CLIENT_LIB_ANSWER_H
#define CLIENT_LIB_ANSWER_H

#include <stddef.h>

#include "client-lib/send.h"

struct redisReply;
struct slot;

/* Reads the reply to the command of a slot. */
void answer_read(struct sending *s, const struct slot *slot, const struct redisReply *r);
/* Why nothing goes on at present. */
void answer_remember(struct sending *s, jobq_cause cause, const char *text);
/* Why a queue cannot be registered in this call. */
void answer_refuse_queue(struct sending *s, struct queue *q, jobq_cause cause, const char *text);
/* Job i waits to be sent again. */
void answer_reopen(struct sending *s, size_t i);
/* Nothing is sent for a while: longer each time, with jitter, until something succeeds. */
void answer_pause(struct sending *s);

#endif
