/* SPDX-License-Identifier: MIT */
/*
 * send: carries the jobs of one call to Redis and back within its deadline: checks them, learns
 * partitions, keeps a window of commands in the pipe, reconnects, repeats what was not answered
 * under the same id, and at the end gives each job the one answer that is true.
 *
 * Lives on the caller's stack for one call.
 */
#ifndef CLIENT_LIB_SEND_H
#define CLIENT_LIB_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/client.h>

struct jobq_client;
struct queue;

/* What is known of a job; all zero at first. */
enum {
    SEND_CHECKED = 1,   /* valid, has an id */
    SEND_IN_FLIGHT = 2, /* in the ring */
    SEND_MAYBE = 4,     /* sent whole at least once and not answered: may be stored */
    SEND_DONE = 8,      /* its answer is final */
    SEND_TRY = 16,      /* counts, in the bits from here up, answers that told nothing */
};

struct sending {
    struct jobq_client *c;
    const jobq_job *jobs; /* stride bytes apart */
    size_t stride;
    size_t n;
    jobq_answer *answers; /* n */
    uint8_t *flags;       /* n */
    int64_t deadline_ms;

    size_t next;          /* no job before this one is waiting to be sent */
    size_t first;         /* oldest slot of the ring, a running number; */
    size_t last;          /* and one past the newest */
    size_t in_flight;     /* jobs in the ring */
    uint64_t appended;    /* bytes appended to this connection */
    uint64_t answered;    /* end of the last answered command */
    struct queue *queue;  /* of the job before */
    int64_t now_ms;       /* when filling began */
    int64_t pause_until_ms;
    int64_t pause_ms;     /* the last pause; doubles */
    unsigned loads;       /* how often the script was loaded */
    bool need_load;
    bool drop_link;       /* this server will not do; the next call looks again */
    jobq_cause script_refused; /* why the script cannot be loaded; NONE: not refused */
    char script_text[sizeof(((jobq_answer *)NULL)->text)];
    jobq_cause last_cause; /* why nothing goes on at present; NONE: it does */
    char last_text[sizeof(((jobq_answer *)NULL)->text)];
};

/* n > 0. Every answer is written. */
void send_all(struct sending *s);

#endif
