/* SPDX-License-Identifier: MIT */
/*
 * table: a small table with an option of every type, and ways to load things into a set of it.
 */
#ifndef TESTS_UNIT_CONF_TABLE_H
#define TESTS_UNIT_CONF_TABLE_H

#include <sys/types.h>

#include "base/conf.h"

extern const struct conf_option conf_test_table[];

/* A fresh set; frees nothing by itself. */
struct conf *new_set(void);
/* A file in the private directory with that text and mode; its path, in the ring of fmt(). */
const char *file_with(const char *name, const char *text, mode_t mode);
/* Loads that text as a file; fails unless code and message (less its directory) are these. */
void expect_file(const char *text, int code, const char *message);
/* The message of an error without the private directory, in the ring of fmt(). */
const char *without_directory(const char *message);

#endif
