/* SPDX-License-Identifier: MIT */
/*
 * crash: the crash points of handlers, as CRASH_POINT of the runtime is for jobd and executors.
 *
 * A named place at which a test build dies on request: JOBQ_CRASH_AT=name[:nth] kills this process
 * with SIGKILL the nth time (default 1) it passes. Compiled into test builds only.
 */
#ifndef WORKER_HANDLERS_COMMON_CRASH_H
#define WORKER_HANDLERS_COMMON_CRASH_H

#ifdef JOBQ_CRASH_POINTS
void crash_point(const char *name);
#define HANDLER_CRASH_POINT(name) crash_point(name)
#else
#define HANDLER_CRASH_POINT(name) ((void)0)
#endif

#endif
