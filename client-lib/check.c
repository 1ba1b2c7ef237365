/* SPDX-License-Identifier: MIT */
/*
 * check: the part of send.h that needs no connection: is this job fit to be sent, and what is its
 * final answer.
 */
#include "client-lib/check.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "broker/conn.h"
#include "broker/enqueue.h"
#include "client-lib/client.h"

/* What a caller compiled against the first version of <jobq/job.h> gives. */
#define JOB_SIZE_MIN (offsetof(jobq_job, unique_key) + sizeof(const char *))
#define JOB_SIZE_MAX 4096 /* no later version will be larger */

const jobq_job *check_job_at(const struct sending *s, size_t i)
{
    return (const jobq_job *)(const void *)((const char *)s->jobs + i * s->stride);
}

void check_settle(struct sending *s, size_t i, jobq_cause cause, const char *text)
{
    jobq_answer *a = &s->answers[i];

    /* An earlier copy may be stored, whatever became of this one. */
    a->status = (s->flags[i] & SEND_MAYBE) != 0 ? JOBQ_STATUS_UNKNOWN : JOBQ_STATUS_REJECTED;
    a->cause = cause;
    text_sanitize(text, strlen(text), a->text, sizeof(a->text));
    s->flags[i] |= SEND_DONE;
}

static bool has_unknown_field(const jobq_job *job)
{
    const char *bytes = (const char *)job;

    for (size_t i = JOB_SIZE_MIN; i < job->size; i++)
        if (bytes[i] != 0)
            return true;
    return false;
}

static bool is_zero_id(const jobq_id *id)
{
    static const jobq_id zero;

    return memcmp(id, &zero, sizeof(zero)) == 0;
}

bool check_stride(size_t stride)
{
    return stride >= JOB_SIZE_MIN && stride <= JOB_SIZE_MAX && stride % _Alignof(jobq_job) == 0;
}

/* JOBQ_OK, or what is wrong with the struct itself. */
static int check_size(const struct sending *s, const jobq_job *job, jobq_err *err)
{
    if (job->size != s->stride)
        return error_set(err, JOBQ_EREJECTED, CHECK_BAD_SIZE);
    if (has_unknown_field(job))
        return error_set(err, JOBQ_EREJECTED,
                         "a field is set that libjobq " JOBQ_VERSION
                         " does not know: use a newer one");
    return JOBQ_OK;
}

bool check_job(struct sending *s, size_t i)
{
    const jobq_job *job = check_job_at(s, i);
    jobq_cause cause = JOBQ_CAUSE_BAD_OPTION;
    jobq_err err;
    int code = check_size(s, job, &err);

    if (code == JOBQ_OK) {
        s->answers[i].id = job->id;
        if (is_zero_id(&job->id)) {
            cause = JOBQ_CAUSE_SERVER;
            code = jobq_id_new(&s->answers[i].id, &err);
        }
    }
    if (code == JOBQ_OK)
        code = enqueue_check(job, s->c->max_payload_bytes, &cause, &err);
    if (code != JOBQ_OK) {
        check_settle(s, i, cause, err.msg);
        return false;
    }
    s->flags[i] |= SEND_CHECKED;
    return true;
}

/* The texts are the same for every job of a call: written once, because there may be a million. */
static void write_unknown(const struct sending *s, char *out, size_t size)
{
    snprintf(
        out, size,
        "no answer from Redis at %.80s within %lld ms: the job may be stored; repeat it with the "
        "same id",
        conn_where(s->c->conn), (long long)s->c->deadline_ms);
}

static void write_unsent(const struct sending *s, char *out, size_t size)
{
    if (s->last_cause != JOBQ_CAUSE_NONE) {
        snprintf(out, size, "%s", s->last_text);
        return;
    }
    snprintf(
        out, size,
        "not sent to Redis at %.60s within %lld ms: put fewer jobs in a call or allow more time",
        conn_where(s->c->conn), (long long)s->c->deadline_ms);
}

static void finish(struct sending *s, size_t i, jobq_status status, jobq_cause cause,
                   const char *text)
{
    jobq_answer *a = &s->answers[i];

    a->status = status;
    a->cause = cause;
    memcpy(a->text, text, sizeof(a->text));
    s->flags[i] |= SEND_DONE;
    if ((s->flags[i] & SEND_CHECKED) != 0)
        return;
    a->id = check_job_at(s, i)->id;
    if (is_zero_id(&a->id) && jobq_id_new(&a->id, NULL) != JOBQ_OK)
        return; /* without random bytes it stays zero */
}

void check_finish(struct sending *s)
{
    char unknown[sizeof(s->answers[0].text)];
    char unsent[sizeof(s->answers[0].text)];
    jobq_cause unsent_cause =
        s->last_cause != JOBQ_CAUSE_NONE ? s->last_cause : JOBQ_CAUSE_TIMED_OUT;

    memset(unknown, 0, sizeof(unknown));
    memset(unsent, 0, sizeof(unsent));
    write_unknown(s, unknown, sizeof(unknown));
    write_unsent(s, unsent, sizeof(unsent));
    for (size_t i = 0; i < s->n; i++) {
        if ((s->flags[i] & SEND_DONE) != 0)
            continue;
        if ((s->flags[i] & SEND_MAYBE) != 0)
            finish(s, i, JOBQ_STATUS_UNKNOWN, s->last_cause, unknown);
        else
            finish(s, i, JOBQ_STATUS_REJECTED, unsent_cause, unsent);
    }
}
