/* SPDX-License-Identifier: MIT */
/* commands: what the rows of the table in commands.c point to; each is told by its row. */
#ifndef ADMIN_JOBCTL_COMMANDS_H
#define ADMIN_JOBCTL_COMMANDS_H

#include <jobq/error.h>

struct args;
struct session;

int cmd_queue_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_queue_show(struct session *s, const struct args *a, jobq_err *err);
int cmd_queue_purge(struct session *s, const struct args *a, jobq_err *err);
int cmd_job_enqueue(struct session *s, const struct args *a, jobq_err *err);
int cmd_job_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_job_show(struct session *s, const struct args *a, jobq_err *err);
int cmd_dead_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_dead_show(struct session *s, const struct args *a, jobq_err *err);
int cmd_dead_retry(struct session *s, const struct args *a, jobq_err *err);
int cmd_dead_discard(struct session *s, const struct args *a, jobq_err *err);
int cmd_parked_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_audit_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_worker_list(struct session *s, const struct args *a, jobq_err *err);
int cmd_worker_show(struct session *s, const struct args *a, jobq_err *err);
int cmd_init(struct session *s, const struct args *a, jobq_err *err);
int cmd_doctor(struct session *s, const struct args *a, jobq_err *err);
int cmd_print_man(struct session *s, const struct args *a, jobq_err *err);
int cmd_top(struct session *s, const struct args *a, jobq_err *err);
int cmd_config_show(struct session *s, const struct args *a, jobq_err *err);
int cmd_config_check(struct session *s, const struct args *a, jobq_err *err);
int cmd_tail(struct session *s, const struct args *a, jobq_err *err);
int cmd_completion(struct session *s, const struct args *a, jobq_err *err);

#endif
