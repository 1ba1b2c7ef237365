/* SPDX-License-Identifier: MIT */
/*
 * say: what a handler tells of its job: the verdict with a text, and lines of the log.
 *
 * Texts are cut as by text_format(). No state. Whoever holds the host may call.
 */
#ifndef WORKER_HANDLERS_COMMON_SAY_H
#define WORKER_HANDLERS_COMMON_SAY_H

#include <jobq/handler.h>

/* Gives the verdict back: return say_verdict(…). */
int say_verdict(const jobq_host *host, int verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void say_log(const jobq_host *host, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
