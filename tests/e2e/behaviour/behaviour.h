/* SPDX-License-Identifier: MIT */
/*
 * behaviour: what these tests look at: entries of queue default with their headers in the open,
 * files that handlers write, counters, Redis's clock, jobd's log.
 *
 * Single thread. Nothing here sleeps; what waits fails the test when its condition never comes.
 */
#ifndef TESTS_E2E_BEHAVIOUR_BEHAVIOUR_H
#define TESTS_E2E_BEHAVIOUR_BEHAVIOUR_H

#include "broker/codec.h"
#include "tests/e2e/scene.h"

#define LONG_LEASE                                                                                 \
    "10m" /* only presence, the lock or the supervisor itself can tell of a death in time */

/* An entry as it is in Redis; texts are NUL-terminated, NULL when the field is absent. */
struct entry {
    char *h, *p, *reason, *error, *by;
    size_t h_len, p_len;
    enum codec_result readable; /* of h */
    struct job_header header;   /* borrows from h */
};
/* Number i of a stream ("dead", "parked", "ready:normal", …). Caller frees with entry_free(). */
struct entry *entry_at(struct scene *s, const char *stream, size_t i);
/* The delayed job of this id. */
struct entry *entry_later(struct scene *s, const jobq_id *id);
void entry_free(struct entry *e);
/* Fails the test unless the header's counts are these. */
void entry_check_counts(const struct entry *e, unsigned attempts, unsigned crashes, unsigned losses,
                        unsigned releases);
/* The id as text, in a buffer of fmt(). */
const char *id_text(const jobq_id *id);

/* Adds an entry with this header (id made if it has none) to a stream, as only jobq itself would;
 * gives its id. */
jobq_id entry_add(struct scene *s, const char *stream, struct job_header header, const char *type,
                  const char *payload);

/* Sum of a counter of queue default over all minutes. */
long long stats_sum(struct scene *s, const char *field);
/* Redis's clock, Unix ms. */
long long redis_now_ms(struct scene *s);
void wait_redis_ms(struct scene *s, long long at_least);

/* Lines of a file; 0 when it is not there. */
size_t count_lines(const char *path);
void wait_lines(const char *path, size_t at_least, int64_t timeout_ms);
/* Until the log has so many lines with the text. */
void wait_log(struct jobd *j, const char *text, int at_least, int64_t timeout_ms);
/* The first line of the log that has all of the texts (NULL-ended); caller frees; fails the test
 * when there is none. */
char *log_line(struct jobd *j, const char *const *texts);
/* The number behind "key=" in a line of the log; fails the test when there is none. */
long long line_number(const char *line, const char *key);
/* Until `later` of queue default has so many jobs, or exactly none. */
void wait_later(struct scene *s, long long at_least, int64_t timeout_ms);
void wait_parked(struct scene *s, long long exactly, int64_t timeout_ms);
/* Until jobd j has so many live executors (a process that is not yet an executor is none). */
void wait_executors(struct jobd *j, size_t exactly, int64_t timeout_ms);
/* Its live executors once there are so many. */
void note_executors(struct jobd *j, pid_t *pids, size_t exactly);
/* Until it has so many others, and none of those: what starts runs in new ones. */
void wait_replaced(struct jobd *j, const pid_t *before, size_t count, size_t exactly,
                   int64_t timeout_ms);
/* Until so many jobs of queue default are claimed and not settled. */
void wait_exactly_pending(struct scene *s, long long exactly, int64_t timeout_ms);
/* Until jobd j has beaten so many times more: that much of its regular work was done. */
void wait_beats(struct scene *s, int beats, int64_t timeout_ms);

#endif
