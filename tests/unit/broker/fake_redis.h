/* SPDX-License-Identifier: MIT */
/*
 * fake_redis: a server that answers what a test says, byte by byte if need be, in a thread of the
 * test. One connection at a time; the test may look at what serve() wrote once fake_stop() has
 * returned.
 */
#ifndef TESTS_UNIT_BROKER_FAKE_REDIS_H
#define TESTS_UNIT_BROKER_FAKE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake;

/* Serves one connection, the number-th (0, 1, …); it is closed when this returns. */
typedef void (*fake_serve)(void *ctx, int fd, int number);

/* Listens at a unix socket, or at 127.0.0.1. */
struct fake *fake_start(bool tcp, fake_serve serve, void *ctx);
const char *fake_url(const struct fake *f);
int fake_port(const struct fake *f);
/* From now on nobody can connect. For serve(). */
void fake_stop_listening(struct fake *f);
/* Ends what serves, joins, frees. Returns the number of connections served. */
int fake_stop(struct fake *f);

#define FAKE_WORDS 16
/* One command: words NUL-terminated besides their length. */
struct fake_command {
    size_t argc;
    char *argv[FAKE_WORDS];
    size_t len[FAKE_WORDS];
};
/* Reads one command; false at the end of the connection. Freed with fake_command_done(). */
bool fake_read_command(int fd, struct fake_command *out);
void fake_command_done(struct fake_command *c);
bool fake_is(const struct fake_command *c, const char *word);
/* Reads exactly n bytes; false: the connection ended before. */
bool fake_read(int fd, void *bytes, size_t n);
void fake_write(int fd, const void *bytes, size_t n);
void fake_say(int fd, const char *text);
/* The connection ends with a reset instead of an orderly end. */
void fake_reset(int fd);
/* Answers CLIENT SETNAME and CLIENT ID; false: the connection ended before. */
bool fake_greet(int fd);
/* Blocks until the other side closes. */
void fake_wait_end(int fd);

#endif
