/* SPDX-License-Identifier: MIT */
/*
 * answer: see answer.h.
 */
#include "client-lib/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "broker/conn.h"
#include "broker/enqueue.h"
#include "broker/reply.h"
#include "client-lib/check.h"
#include "client-lib/client.h"

#define PAUSE_FIRST_MS 4
#define PAUSE_MAX_MS 256
#define LOADS_MAX 3 /* of the script, in one call */
#define TRIES_MAX 3 /* of a job whose answers tell nothing */

void answer_remember(struct sending *s, jobq_cause cause, const char *text)
{
    s->last_cause = cause;
    text_sanitize(text, strlen(text), s->last_text, sizeof(s->last_text));
}

void answer_refuse_queue(struct sending *s, struct queue *q, jobq_cause cause, const char *text)
{
    q->refused_in = s->c->calls;
    q->refused = cause;
    text_sanitize(text, strlen(text), q->refused_text, sizeof(q->refused_text));
}

void answer_reopen(struct sending *s, size_t i)
{
    s->next = MIN(s->next, i);
}

void answer_pause(struct sending *s)
{
    int64_t most = s->pause_ms == 0 ? PAUSE_FIRST_MS : MIN(s->pause_ms * 2, PAUSE_MAX_MS);

    s->pause_ms = most;
    s->pause_until_ms =
        clock_mono_ms() + most / 2 + (int64_t)id_random_below((uint64_t)most / 2 + 1);
}

static bool may_pass(jobq_cause cause)
{
    return cause == JOBQ_CAUSE_LOADING || cause == JOBQ_CAUSE_BUSY;
}

/* Redis does not know the script. One load serves all that were sent before it. */
static void retry_with_script(struct sending *s, const struct slot *slot)
{
    if (slot->load == s->loads && s->loads >= LOADS_MAX) {
        check_settle(s, slot->job, JOBQ_CAUSE_SERVER,
                     "Redis forgets the script as soon as it is loaded");
        return;
    }
    if (slot->load == s->loads)
        s->need_load = true;
    answer_reopen(s, slot->job);
}

/* This try was refused, but one before it may be stored. */
static void doubt(jobq_answer *a)
{
    char text[sizeof(a->text)];

    a->status = JOBQ_STATUS_UNKNOWN;
    snprintf(text, sizeof(text), "an earlier try may be stored; now: %.150s", a->text);
    memcpy(a->text, text, sizeof(a->text));
}

static void read_refusal(struct sending *s, size_t i, const struct redisReply *r)
{
    jobq_answer *a = &s->answers[i];
    enum reply_class class = reply_class_of(r);

    s->drop_link = s->drop_link || class == REPLY_DEMOTED || class == REPLY_AUTH;
    if (may_pass(a->cause)) {
        answer_remember(s, a->cause, a->text);
        if (s->pause_until_ms <= s->now_ms)
            answer_pause(s);
        answer_reopen(s, i);
        return;
    }
    s->flags[i] |= SEND_DONE;
    if ((s->flags[i] & SEND_MAYBE) != 0)
        doubt(a);
}

static void read_job(struct sending *s, const struct slot *slot, const struct redisReply *r)
{
    size_t i = slot->job;

    s->in_flight--;
    s->flags[i] &= (uint8_t)~SEND_IN_FLIGHT;
    switch (enqueue_reply(r, conn_where(s->c->conn), &s->answers[i], NULL)) {
    case JOBQ_OK:
        s->flags[i] |= SEND_DONE;
        s->last_cause = JOBQ_CAUSE_NONE;
        s->pause_ms = 0;
        return;
    case JOBQ_ESCRIPT:
        retry_with_script(s, slot);
        return;
    case JOBQ_EREJECTED:
        read_refusal(s, i, r);
        return;
    default: /* it may be stored: the repeat tells, or nothing does */
        s->flags[i] |= SEND_MAYBE;
        s->flags[i] = (uint8_t)(s->flags[i] + SEND_TRY);
        if (s->flags[i] / SEND_TRY >= TRIES_MAX)
            s->flags[i] |= SEND_DONE;
        else
            answer_reopen(s, i);
    }
}

/* Cause and text of an error that was not a job's, as if it were: the same refusals, the same
 * words. */
static void read_words(const struct sending *s, const struct redisReply *r, jobq_answer *out)
{
    int code = enqueue_reply(r, conn_where(s->c->conn), out, NULL);

    if (code == JOBQ_ESCRIPT)
        out->cause = JOBQ_CAUSE_SERVER;
}

static void read_queue_refusal(struct sending *s, struct queue *q, const struct redisReply *r)
{
    jobq_answer a = {0};

    read_words(s, r, &a);
    s->drop_link =
        s->drop_link || reply_class_of(r) == REPLY_DEMOTED || reply_class_of(r) == REPLY_AUTH;
    if (may_pass(a.cause)) {
        answer_remember(s, a.cause, a.text);
        answer_pause(s);
    } else {
        answer_refuse_queue(s, q, a.cause, a.text);
    }
}

static void read_partitions(struct sending *s, struct queue *q, const struct redisReply *r)
{
    unsigned partitions;
    jobq_err err;

    q->asking = false;
    int code = enqueue_partitions_reply(r, &partitions, &err);
    if (code == JOBQ_OK)
        code = client_set_partitions(q, partitions, &err);
    if (code == JOBQ_OK) {
        q->asked_ms = s->now_ms;
        q->asked_on = s->c->links;
        q->refused_in = 0;
        return;
    }
    if (reply_is_error(r))
        read_queue_refusal(s, q, r);
    else if (!reply_is_nil(r) || q->refused_in != s->c->calls)
        answer_refuse_queue(
            s, q, code == JOBQ_ENOMEM ? JOBQ_CAUSE_OUT_OF_MEMORY : JOBQ_CAUSE_SERVER, err.msg);
}

static void refuse_script(struct sending *s, const jobq_answer *a)
{
    s->script_refused = a->cause;
    memcpy(s->script_text, a->text, sizeof(s->script_text));
}

static void read_load(struct sending *s, const struct redisReply *r)
{
    jobq_answer a = {0};

    if (!reply_is_error(r))
        return;
    read_words(s, r, &a);
    if (may_pass(a.cause)) {
        answer_remember(s, a.cause, a.text);
        s->need_load = true;
        answer_pause(s);
    } else {
        refuse_script(s, &a);
    }
}

void answer_read(struct sending *s, const struct slot *slot, const struct redisReply *r)
{
    switch (slot->kind) {
    case SLOT_JOB:
        read_job(s, slot, r);
        break;
    case SLOT_REGISTER:
        if (reply_is_error(r))
            read_queue_refusal(s, slot->queue, r);
        break;
    case SLOT_PARTITIONS:
        read_partitions(s, slot->queue, r);
        break;
    case SLOT_LOAD:
        read_load(s, r);
        break;
    }
}
