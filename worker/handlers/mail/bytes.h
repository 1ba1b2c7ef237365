/* SPDX-License-Identifier: MIT */
/*
 * bytes: growing memory with a ceiling that remembers its failure, so that many additions need one
 * check at the end.
 *
 * data is always NUL-terminated (the NUL is not counted) and NULL only before the first addition.
 * After a failure nothing is added any more. Owned by whoever called bytes_init().
 */
#ifndef WORKER_HANDLERS_MAIL_BYTES_H
#define WORKER_HANDLERS_MAIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>

enum bytes_state { BYTES_OK = 0, BYTES_FULL, BYTES_NO_MEMORY };

struct bytes {
    char *data;
    size_t len;
    size_t size; /* allocated */
    size_t max;  /* len never goes beyond */
    enum bytes_state state;
};

/* Allocates nothing. */
void bytes_init(struct bytes *b, size_t max);
/* Frees the data; *b is empty afterwards, with the same ceiling. */
void bytes_done(struct bytes *b);
/* Empties, keeps the memory, forgets a failure. */
void bytes_clear(struct bytes *b);

void bytes_add(struct bytes *b, const char *data, size_t len);
void bytes_add_text(struct bytes *b, const char *text);
void bytes_add_char(struct bytes *b, char c);

/* The data as a string of its own, for free(); *b is empty afterwards. NULL after a failure, or
   when there is no memory for an empty string. */
char *bytes_take(struct bytes *b);

#endif
