/* SPDX-License-Identifier: MIT */
/*
 * internal: what the files of tests/support share and tests do not see.
 */
#ifndef TESTS_SUPPORT_INTERNAL_H
#define TESTS_SUPPORT_INTERNAL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process;

/* Who a started process becomes; 0: stays what the test is. PostgreSQL refuses to run as root. */
struct process_user {
    uid_t uid;
    gid_t gid;
    int death_signal; /* what it gets when the test dies; 0: SIGKILL */
};

/* As process_start(), as another user. */
struct process *process_start_as(const char *name, const char *const *argv,
                                 const char *const *extra_env, struct process_user user);
/* As run_command(), as another user. */
int run_command_as(char **out, const char *input, const char *const *argv,
                   struct process_user user);
/* Prints the last lines of the log of every process, for a failed test. */
void process_print_logs(void);
/* Kills and frees every process. */
void process_free_all(void);

/* A fresh directory below tmp_dir(), mode 0700, owned by user. */
void make_dir(const char *name, struct process_user user, char *out, size_t out_size);
/*
 * A PostgreSQL that was killed leaves a System V shared memory segment behind, and a machine has 4,096 of them.
 * Removes that of a data directory, unless somebody is attached.
 */
void release_shared_memory(const char *data_dir);
/* Removes the private directory; the next tmp_dir() makes a new one. */
void tmp_dir_remove(void);
/* True when a private directory was made and not yet removed. */
bool tmp_dir_is_made(void);
/* Fails the test when a socket at this path could not be bound. */
void check_socket_path(const char *path);

/* A malloc() that fails the test instead of returning NULL. */
void *must_alloc(size_t size);
/* For what a test need not free: redis, postgres, jobd. */
void *server_alloc(size_t size);
void server_free(void *server);
char *must_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* Looks for reports of sanitizers in a file, and remembers that the test is to fail. */
void note_sanitizer_reports(const char *path);

#endif
