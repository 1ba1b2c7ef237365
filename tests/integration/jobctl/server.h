/* SPDX-License-Identifier: MIT */
/*
 * server: the Redis of a test of jobctl, which comes to it as an operator or as a viewer; what such
 * tests ask it, and what they wait for. For tests of one thread.
 */
#ifndef TESTS_INTEGRATION_JOBCTL_SERVER_H
#define TESTS_INTEGRATION_JOBCTL_SERVER_H

#include "tests/support/support.h"

extern struct redis *redis; /* from .init to .fini */

/* For .init: starts it, and points JOBQ_REDIS at it as that user. */
void start_for_operator(void);
void start_for_viewer(void);
/* For .fini. The first also fails the test if a user was refused anything: an operator may do all
 * that jobctl does, a viewer all that only looks. */
void stop_unrefused(void);
void stop(void);

/* Fails the test if it is an error; frees it. */
void done(struct redisReply *r);
/* Entries of a stream of queue mail, partition 0. */
long long count(const char *stream);

/* Until a jobctl stands in a script: for this its writes are to be held up by CLIENT PAUSE. */
void wait_in_script(void);
/* Until somebody listens to the channel. */
void wait_heard(const char *channel);
bool is_heard(const char *channel);
/* URL of a way to it that breaks when an answer has that text in it, which the client does not get
 * then. Of one user: the default one. */
const char *url_cut_at(const char *text);

#endif
