/* SPDX-License-Identifier: MIT */
/* run: runs the built jobctl, keeps its two outputs apart, and compares JSON with golden/. For
 * tests of one thread. */
#ifndef TESTS_INTEGRATION_JOBCTL_RUN_H
#define TESTS_INTEGRATION_JOBCTL_RUN_H

#include <jansson.h>
#include <stddef.h>

struct run {
    int status;
    char *out;
    char *err;
    json_t *json; /* of out, when it is JSON; else NULL */
};

/* args is NULL-ended; input may be NULL. Freed with run_free(). */
struct run run_jobctl(const char *input, const char *const *args);
void run_free(struct run *r);
#define JOBCTL(...) run_jobctl(NULL, (const char *const[]){__VA_ARGS__, NULL})

/* Fails the test unless the exit status is that one, and the text (if not NULL) is part of
 * stderr. */
void expect(const struct run *r, int status, const char *text);
/*
 * Fails the test unless the JSON is what golden/NAME.json holds. Before, what differs from run to
 * run is replaced: ids by <id>, entries by <entry>, ages and moments of this run by <ms>.
 */
void expect_golden(const struct run *r, const char *name);
/* The member at a path like "checks.4.status". Fails the test when there is none. */
json_t *member(const struct run *r, const char *path);
const char *text_at(const struct run *r, const char *path);
long long number_at(const struct run *r, const char *path);
/* Runs doctor, with that configuration file if not NULL: that check must be the only fault, with
 * these words in what was found and in how to mend it. */
void expect_doctor_fault(const char *conf, const char *check, const char *found, const char *mend);

#endif
