/* SPDX-License-Identifier: MIT */
/*
 * session: a connection to a test's database beside what is tested: the forum that writes
 * meanwhile, somebody who holds a lock.
 */
#ifndef TESTS_SUPPORT_SESSION_H
#define TESTS_SUPPORT_SESSION_H

#include <libpq-fe.h>

struct postgres;

/* Another connection, of the server's own user; PQfinish() ends it. */
PGconn *session_open(const struct postgres *pg);
/* Fails the test when the statement fails. */
void session_do(PGconn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
