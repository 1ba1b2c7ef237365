/* SPDX-License-Identifier: MIT */
/*
 * client: the handle behind <jobq/client.h>: options, one connection, and what is known about each
 * queue.
 *
 * Used by one thread at a time. After fork the child's first call drops the connection without a
 * word.
 */
#ifndef CLIENT_LIB_CLIENT_H
#define CLIENT_LIB_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jobq/client.h>

#include "base/base.h"
#include "broker/keys.h"

struct conn;
struct map;

/* Commands on their way: what each reply, in order, belongs to. */
#define CLIENT_RING 2048 /* a power of two, above CLIENT_WINDOW and the registrations among it */
#define CLIENT_WINDOW 1000
#define CLIENT_WINDOW_BYTES ((size_t)1024 * 1024)

struct queue {
    char name[JOBQ_NAME_MAX + 1];
    unsigned partitions;       /* 0: not known yet */
    struct shard_keys *shards; /* one for each partition, made when first used (base NULL: not
                                * yet) */
    int64_t asked_ms;          /* when its registration was last answered, */
    uint64_t asked_on;         /* and on which connection */
    bool asking;
    uint64_t refused_in;       /* the call in which it could not be registered, */
    jobq_cause refused;        /* why, */
    char refused_text[sizeof(((jobq_answer *)NULL)->text)]; /* and in words */
};

enum slot_kind {
    SLOT_JOB,
    SLOT_REGISTER,   /* HSETNX of a queue */
    SLOT_PARTITIONS, /* HGET of a queue */
    SLOT_LOAD,       /* SCRIPT LOAD */
};

struct slot {
    enum slot_kind kind;
    unsigned load;       /* scripts loaded before it was sent */
    size_t job;
    struct queue *queue;
    uint64_t end;        /* where its command ends in the bytes appended to this connection */
};

struct jobq_client {
    pid_t pid;
    struct conn *conn;
    int64_t deadline_ms;
    size_t max_payload_bytes;
    char *prefix;        /* NULL: the default */
    struct map *queues;  /* name to struct queue, owned */
    uint64_t links;      /* connections made so far */
    uint64_t calls;
    struct slot ring[CLIENT_RING];
};

/* First thing in every call: notices a fork, bounds the queue table. */
void client_begin_call(struct jobq_client *c);
/* The queue of that name, made if need be. Borrowed from c until the next client_begin_call().
 * JOBQ_ENOMEM. */
MUST_CHECK int client_queue(struct jobq_client *c, const char *name, struct queue **out,
                            jobq_err *err);
/* Makes it known that the queue has so many partitions. JOBQ_ENOMEM: as before. */
MUST_CHECK int client_set_partitions(struct queue *q, unsigned partitions, jobq_err *err);
/* The keys of one of its partitions. Borrowed from q. JOBQ_ENOMEM. */
MUST_CHECK int client_shard(struct jobq_client *c, struct queue *q, unsigned partition,
                            const struct shard_keys **out, jobq_err *err);

#endif
