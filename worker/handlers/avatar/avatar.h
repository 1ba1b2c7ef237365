/* SPDX-License-Identifier: MIT */
/*
 * avatar: what the types of this module share.
 *
 * A task lives on the handler's stack during one run.
 */
#ifndef WORKER_HANDLERS_AVATAR_AVATAR_H
#define WORKER_HANDLERS_AVATAR_AVATAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jobq/handler.h>

#include "worker/handlers/avatar/list.h"
#include "worker/handlers/avatar/media.h"
#include "worker/handlers/common/payload.h"
#include "worker/handlers/common/pg.h"

#define AVATAR_REMOVE "avatar.remove"

struct task {
    const jobq_job_view *job;
    const jobq_host *host;
    struct pg_conn *conn;
    struct media media;
    bool has_media;
    struct pg_failure why;
    struct media_fault fault;
};

/*
 * Looks that the payload was taken whole, for forum.media_root and for the connection. JOBQ_DONE:
 * go on; otherwise the verdict, its text is set. Always ends with task_done().
 */
int task_begin(struct task *t, const jobq_job_view *job, const jobq_host *host, struct payload *p);
void task_done(struct task *t);

/* Verdicts, with their texts; others by say_verdict(). */
int task_end_sql(struct task *t);  /* of t->why */
int task_end_file(struct task *t); /* of t->fault */
int task_end_stop(struct task *t); /* told to stop, and did */

/* Enqueues avatar.remove for files of a user; what cannot be enqueued is left to the sweep. */
void task_remove_later(struct task *t, int64_t user_id, const struct list *names);

int resize_run(const jobq_job_view *job, const jobq_host *host, void *state);
int remove_run(const jobq_job_view *job, const jobq_host *host, void *state);
int sweep_run(const jobq_job_view *job, const jobq_host *host, void *state);

#endif
