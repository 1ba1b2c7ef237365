/* SPDX-License-Identifier: MIT */
/*
 * load: jobs of every kind, one after the other, all the time, while a test does something else:
 * plain, high, delayed, retried once, slow, and parents of two children; each has one effect.
 *
 * A thread with a client of its own; the answers are noted in the scene when it is stopped.
 */
#ifndef TESTS_E2E_OPERATION_LOAD_H
#define TESTS_E2E_OPERATION_LOAD_H

#include "tests/e2e/scene.h"

struct load;

struct load *load_start(struct scene *s);
/* Until so many more jobs than now were acknowledged. */
void load_wait(struct load *l, size_t more);
/* Ends it, notes its answers, frees it. */
void load_stop(struct load *l);

/* Until file `gate` exists, at most an hour: a job of queue `queue` (NULL: default) that has then
 * one effect. Each start marks the file `marks`. */
void load_gated(struct scene *s, const char *queue, const char *marks, const char *gate);

#endif
