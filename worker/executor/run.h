/* SPDX-License-Identifier: MIT */
/*
 * run: one job from hand-over to outcome, and the functions its handler may call.
 *
 * A struct run is used for one job after the other and keeps its buffers. Single thread.
 */
#ifndef WORKER_EXECUTOR_RUN_H
#define WORKER_EXECUTOR_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <jobq/error.h>
#include <jobq/handler.h>
#include <jobq/job.h>

#include "base/base.h"
#include "base/buf.h"
#include "worker/executor/children.h"
#include "worker/executor/runtime_pg.h"

struct executor;
struct frame;
struct handler;

#define RUN_AGAIN_MAX 5 /* repeats of an attempt after a conflict of transactions */
#define RUN_SNOOZE_DEFAULT_MS 5000
#define RUN_RESULT_MAX ((size_t)64 * 1024)

struct run {
    struct executor *ex;
    jobq_host host; /* ctx points here */

    /* the job; handler NULL: none runs */
    struct handler *handler;
    uint32_t seq;
    jobq_id id;
    char id_text[JOBQ_ID_TEXT_SIZE];
    char type[JOBQ_NAME_MAX + 1];
    char queue[JOBQ_NAME_MAX + 1];
    struct buf payload;
    jobq_job_view view;
    unsigned releases;
    int64_t started_ms;
    int64_t looked_ms; /* when the channel was last looked at for a drain */

    /* what its handler said so far */
    struct children children;
    struct buf result;
    char text[JOBQ_HANDLER_TEXT_MAX + 1];
    int64_t delay_ms;

    char last_error[JOBQ_HANDLER_TEXT_MAX + 1]; /* last line logged as an error while no job ran */
};

void run_init(struct run *r, struct executor *ex);
void run_done(struct run *r);

/* Installs the handler of SIGTERM, which tells the running job to stop. */
MUST_CHECK int run_catch_signals(jobq_err *err);

/*
 * Runs a FRAME_JOB, unless it was taken back, and tells its outcome. JOBQ_OK whatever became of the
 * job; JOBQ_ECONN: the supervisor is gone; JOBQ_EPROTO, JOBQ_ENOMEM: this executor cannot go on.
 */
MUST_CHECK int run_job(struct run *r, const struct frame *f, jobq_err *err);

/* host.c: fills in the functions of r->host. */
void host_init(struct run *r);
/* host.c: forgets what a handler said, before it runs (again). */
void host_forget(struct run *r);
/* host.c: the text of the last error logged outside a job; what modules_start() asks for. */
const char *host_last_error(void *ctx);
/* run.c: whether the running job was asked to stop by signal. */
bool run_was_told_to_stop(const struct run *r);

#endif
