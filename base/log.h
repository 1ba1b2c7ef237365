/* SPDX-License-Identifier: MIT */
/*
 * log: one event a line on stderr, key=value or JSON. For programs (worker, admin) only; floors
 * below never log.
 *
 *   log_event(LOG_WARN, "redis.lost", "url=%s" … )  is written as
 *   log_event(LOG_WARN, "redis.lost", LOG_STR("server", where), LOG_STR("error", err.msg),
 *   LOG_END);
 *
 * The event word is stable, texts may change. Never blocks: a full or closed stderr drops the line
 * and counts it; the count is written with the next line that passes (event log.dropped). Identical
 * events beyond 20 a second of level warn and above are counted and summarised once a second
 * (suppressed=N). One process, one thread.
 *
 * A line has at most LOG_LINE_MAX bytes: what does not fit is cut at a character, or left out, and
 * cut=1 is added.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

#define LOG_LINE_MAX 4096

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_KEY_VALUE, LOG_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_BYTES, LOG_KIND_INT };

struct log_field {
    enum log_kind kind;
    const char *key;
    const char *text; /* NULL: the field is left out */
    int64_t number;   /* LOG_KIND_INT: the value; LOG_KIND_BYTES: length */
};

#define LOG_STR(k, v) ((struct log_field){LOG_KIND_STR, (k), (v), 0})
#define LOG_BYTES(k, v, n) ((struct log_field){LOG_KIND_BYTES, (k), (v), (int64_t)(n)})
#define LOG_INT(k, v) ((struct log_field){LOG_KIND_INT, (k), NULL, (int64_t)(v)})
#define LOG_END ((struct log_field){LOG_KIND_END, NULL, NULL, 0})

/*
 * program stands in every line ("jobd"); fd is borrowed (2). May be called again to change level
 * and format live. Ignores SIGPIPE for the whole process, so that a closed reader costs lines and
 * not the program.
 */
void log_setup(const char *program, int fd, enum log_level level, enum log_format format);
bool log_is_enabled(enum log_level level);
/* Fields end with LOG_END. */
#define log_event(level, event, ...)                                                               \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__})
void log_write(enum log_level level, const char *event, const struct log_field *fields);
/* Writes what is due: summaries of suppressed events, the count of dropped lines. Call about once a
 * second. */
void log_tick(void);
/* "debug" "info" "warn" "error"; false when it is none of them. */
bool log_parse_level(const char *text, enum log_level *out);
/* Lines dropped so far because stderr did not take them. */
uint64_t log_dropped(void);

#endif
