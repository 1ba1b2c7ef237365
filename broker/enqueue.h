/* SPDX-License-Identifier: MIT */
/*
 * enqueue: one job to Redis commands and back. A plain job is a bare XADD; unique and delayed ones
 * cost the script. No I/O. Used by libjobq, by jobd (children of jobs) and by jobctl.
 */
#ifndef BROKER_ENQUEUE_H
#define BROKER_ENQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/job.h>

#include "broker/codec.h"
#include "broker/keys.h"

struct buf;
struct redisReply;

/*
 * Checks everything the caller can get wrong: names, payload (JSON object, UTF-8, size), lane,
 * times, limits, unique key. JOBQ_OK, or JOBQ_EREJECTED with *cause and a text that names the
 * field.
 */
MUST_CHECK int enqueue_check(const jobq_job *job, size_t max_payload_bytes, jobq_cause *cause,
                             jobq_err *err);
bool enqueue_needs_script(const jobq_job *job);
/* Appends the command for a checked job on its partition: XADD, or EVALSHA of enqueue.
 * JOBQ_ENOMEM. */
MUST_CHECK int enqueue_append(struct buf *out, const struct shard_keys *k, const jobq_job *job,
                              const jobq_id *id, jobq_err *err);
/*
 * Reads the reply. JOBQ_OK with answer OK or DUPLICATE; JOBQ_EREJECTED with cause and text;
 * JOBQ_ESCRIPT: NOSCRIPT, load and repeat. where is put into texts ("127.0.0.1:6379/0").
 */
MUST_CHECK int enqueue_reply(const struct redisReply *r, const char *where, jobq_answer *answer,
                             jobq_err *err);

/* HSETNX jobq:queues queue partitions, then HGET: two replies; the second is read with
 * enqueue_partitions_reply(). */
void enqueue_register_queue(struct buf *out, const char *prefix, const char *queue,
                            unsigned partitions);
MUST_CHECK int enqueue_partitions_reply(const struct redisReply *r, unsigned *partitions,
                                        jobq_err *err);

#endif
