/* SPDX-License-Identifier: MIT */
/*
 * trouble: log lines of what fails again and again: told when it begins, then at most once a minute
 * with how often it was left out (left_out=N), and told once more (event "healed") when it has not
 * been seen for a while. For programs; beside log.
 *
 *   trouble_event(LOG_WARN, "redis.error", 3, LOG_STR("server", where), LOG_STR("class", word),
 *                 LOG_STR("error", text), LOG_END);
 *
 * The first fields, as many as the number says, and the event make two lines the same trouble. Of
 * more than TROUBLES_MAX at a time, the rest count as one. One process, one thread.
 */
#ifndef BASE_TROUBLE_H
#define BASE_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

#define TROUBLES_MAX 48
#define TROUBLE_AGAIN_MS 60000

/* What is not seen for so long has healed: longer than the slowest repetition. */
void trouble_setup(int64_t quiet_ms);
/* true: it was written (or offered to the log: see there). */
#define trouble_event(level, event, same, ...)                                                     \
    trouble_write((level), (event), (same), (const struct log_field[]){__VA_ARGS__})
bool trouble_write(enum log_level level, const char *event, unsigned same,
                   const struct log_field *fields);
/* It is over for certain, now: what comes next is told again. */
void trouble_end(const char *event, unsigned same, const struct log_field *fields);
/* Tells what has healed. */
void trouble_tick(void);
/* When that is due next, by the monotonic clock; INT64_MAX: nothing stands. */
int64_t trouble_due_ms(void);

#endif
