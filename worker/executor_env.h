/* SPDX-License-Identifier: MIT */
/*
 * executor_env: the environment an executor is given: a list of names, so that no secret of jobd's
 * reaches a handler.
 */
#ifndef WORKER_EXECUTOR_ENV_H
#define WORKER_EXECUTOR_ENV_H

#define EXECUTOR_ENV_MAX 64

/* out: at most EXECUTOR_ENV_MAX strings borrowed from environment, then NULL. */
void executor_env(const char *const *environment, const char *out[EXECUTOR_ENV_MAX + 1]);

#endif
