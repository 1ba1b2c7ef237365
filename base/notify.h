/* SPDX-License-Identifier: MIT */
/*
 * notify: the service manager's notification protocol (sd_notify(3)): READY=1, STATUS=…,
 * WATCHDOG=1, STOPPING=1, RELOADING=1. Without $NOTIFY_SOCKET every call does nothing.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdint.h>

#include "base/base.h"

/* Sends newline-separated assignments. Never blocks, never fails visibly. */
void notify_send(const char *format, ...) PRINTF_LIKE(1, 2);
/* Half of $WATCHDOG_USEC in ms when it is meant for this process ($WATCHDOG_PID), else 0. */
int64_t notify_watchdog_ms(void);

#endif
