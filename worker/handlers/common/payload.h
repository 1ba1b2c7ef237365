/* SPDX-License-Identifier: MIT */
/*
 * payload: reads a job's payload and names the field that is wrong.
 *
 * Open, take each field the type knows, then finish: a field that nobody took is refused, so that
 * a misspelt one is not silently ignored. The first fault sticks; later calls do nothing.
 *
 * Lives on the handler's stack during one run.
 */
#ifndef WORKER_HANDLERS_COMMON_PAYLOAD_H
#define WORKER_HANDLERS_COMMON_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define PAYLOAD_FIELDS_MAX 8

struct payload {
    json_t *root;
    const char *taken[PAYLOAD_FIELDS_MAX]; /* borrowed names */
    size_t taken_count;
    char fault[256]; /* empty: none so far */
};

/* Parses. Always followed by payload_done(). */
void payload_open(struct payload *p, const char *bytes, size_t len);
void payload_done(struct payload *p);

/* The index of the field's word in words (NULL-ended), -1 on a fault. The field must be there. */
int payload_word(struct payload *p, const char *field, const char *const *words);

/* An id: a whole number of at least 1. The field must be there. -1 on a fault. */
int64_t payload_id(struct payload *p, const char *field);

/* A whole number of at least min. Absent: fallback. -1 on a fault. */
int64_t payload_int(struct payload *p, const char *field, int64_t min, int64_t fallback);

/*
 * An array of at most max whole numbers >= 1; gives them ascending, each once. The field must be
 * there. *out is allocated (also for none); caller frees with free(). NULL on a fault.
 */
int64_t *payload_ids(struct payload *p, const char *field, size_t max, size_t *count);

/*
 * An object of exactly these numbers (NULL-ended names, at most 8), given in the order of names.
 * The field must be there. False on a fault.
 */
bool payload_numbers(struct payload *p, const char *field, const char *const *names, double *out);

/* A text of at most max bytes, borrowed from the payload; NULL when it is absent or on a fault. */
const char *payload_text(struct payload *p, const char *field, size_t max);

/*
 * An array of 1 to max texts of 1 to text_max bytes each, borrowed from the payload. *out is an
 * array allocated for them; caller frees it with free(). The field must be there. NULL on a fault.
 */
const char **payload_texts(struct payload *p, const char *field, size_t max, size_t text_max,
                           size_t *count);

/* True when all was well and every field of the payload was taken; otherwise fault is set. */
bool payload_finish(struct payload *p);

#endif
