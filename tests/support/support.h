/* SPDX-License-Identifier: MIT */
/*
 * support: private servers, processes and conditions for tests.
 *
 * Everything a test starts lives in a private directory under ${TMPDIR:-/var/tmp} and dies with the
 * test process (PR_SET_PDEATHSIG), also when it is killed or times out. Nothing here sleeps:
 * waiting is wait_until() on a condition, with a deadline. A failure aborts the test with a text
 * and the last lines of the logs of what it started.
 */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct redisContext;
struct redisReply;
struct pg_conn;

/* ---- conditions ---- */
/*
 * Polls (2 ms, growing to 50 ms) until condition(ctx) or the deadline; false: it never came true.
 * The deadline is a time of now_ms(); less than a day is taken as from now.
 */
bool wait_until(int64_t deadline_ms, bool (*condition)(void *ctx), void *ctx);
/* Fails the test with the text, after printing the logs of live processes. */
_Noreturn void fail_test(const char *format, ...) __attribute__((format(printf, 1, 2)));
int64_t now_ms(void);
/* Multiplies a time allowance under sanitizers and valgrind, and on a machine with more to do than it can. */
int64_t patience_ms(int64_t ms);
/* For tests that draw at random: this seed, or $JOBQ_TEST_SEED, by which the long run tries others. Prints it. */
uint64_t test_seed(uint64_t usual);

/* ---- files ---- */
/* The private directory of this test process, made at the first call, removed at exit. */
const char *tmp_dir(void);
/* A text made as by printf, which lasts until the test ends. Single thread. */
const char *fmt(const char *format, ...) __attribute__((format(printf, 1, 2)));
void write_file(const char *path, const char *text);
/* Whole file, NUL-terminated; caller frees with free(). NULL when it cannot be read. */
char *read_file(const char *path);
/* $JOBQ_TEST_BIN/name, $JOBQ_TEST_LIB/name, $JOBQ_TEST_SOURCE/name (of fmt()). */
const char *bin_path(const char *name);
const char *lib_path(const char *name);
const char *source_path(const char *name);

/* ---- processes ---- */
struct process {
    pid_t pid;
    int pidfd;
    char name[32];
    char log[256]; /* file with its stdout and stderr */
};
/* Starts argv (NULL-ended), extra environment "K=V" NULL-ended or NULL. Own process group; dies
 * with the test. */
struct process *process_start(const char *name, const char *const *argv,
                              const char *const *extra_env);
/* After SIGSTOP it stands still when this returns. */
void process_signal(struct process *p, int signal_number);
void process_kill_group(struct process *p); /* SIGKILL to its group, and waits */
/* Wait status (as waitpid), or fails the test at the deadline. */
int process_wait(struct process *p, int64_t timeout_ms);
bool process_is_alive(struct process *p);
/* Waits until its log contains text (from byte offset *from if not NULL, which is advanced past the
 * match). */
bool process_wait_log(struct process *p, const char *text, size_t *from, int64_t timeout_ms);
int process_count_log(struct process *p, const char *text);
/* Its log, NUL-terminated; of one that is alive without the line that is being written. Caller frees with free(). */
char *process_log(struct process *p);
void process_free(struct process *p); /* kills it if alive */
/* Runs to the end; stdout and stderr into out (caller frees, may be NULL); returns exit status,
 * 128+n for signal n. */
int run_command(char **out, const char *input, const char *const *argv);

/* ---- ports ---- */
/*
 * A port of 127.0.0.1, below those that the kernel gives to outgoing connections, that is this test's to its end: no
 * other test is given it while the server that listens there (with SO_REUSEADDR, as all do) is not up.
 */
int choose_port(void);

/* ---- Redis ---- */
struct redis {
    struct process *process;
    char dir[192];
    char socket[224];
    int port;          /* TCP on 127.0.0.1, read back from the server */
    char url[256];     /* unix:// form; as the default user, who may do everything */
    char tcp_url[64];  /* redis://127.0.0.1:port/0; likewise */
    /* As the users of contrib/redis/users.conf. */
    char worker_url[288], producer_url[288], operator_url[288], viewer_url[288];
};
/* Extra redis.conf arguments, NULL-ended, or NULL. Ready means it answered PING. */
struct redis *redis_start(const char *const *extra);
/* As jobq-worker, through another socket (a buffer of fmt()). */
const char *redis_worker_url(const char *socket);
/* Fails the test if a user of contrib/redis/users.conf was refused anything. */
void redis_check_refused(struct redis *r);
struct redis *redis_start_aof(void);   /* appendonly yes, appendfsync no: survives redis_kill
                                        * + redis_restart */
void redis_kill(struct redis *r);      /* SIGKILL, and waits */
void redis_restart(struct redis *r);   /* same directory, socket and port; waits until ready */
void redis_stop(struct redis *r);      /* frees */
/* One command on a cached admin connection; fails the test on a lost connection; caller frees with
 * freeReplyObject. */
struct redisReply *redis_do(struct redis *r, const char *format, ...);
long long redis_int(struct redis *r, const char *format, ...);  /* integer reply (or -1 for nil) */
char *redis_str(struct redis *r, const char *format,
                ...); /* string reply, caller frees with free(); NULL for nil */

/* ---- PostgreSQL ---- */
struct postgres {
    struct process *process;
    char dir[192];
    int port;
    char conninfo[320]; /* host=<socket dir> port=… dbname=test user=… */
};
/* initdb once per machine user and version into a cached template, copied; fsync off unless
 * durable. */
struct postgres *postgres_start(bool durable);
void postgres_kill(struct postgres *p);     /* SIGKILL to the whole server, and waits */
void postgres_stop_fast(struct postgres *p);
void postgres_restart(struct postgres *p);
void postgres_stop(struct postgres *p);     /* frees */
/* Runs SQL (several statements allowed); fails the test on an error. */
void pg_do(struct postgres *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* First column of the first row of the last statement; -1 when none. */
long long pg_int(struct postgres *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Likewise; caller frees with free(); NULL when none or NULL. */
char *pg_str(struct postgres *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* psql -f: loads a file. */
void pg_load(struct postgres *p, const char *path);

/* ---- jobd ---- */
struct jobd {
    struct process *process;
    char dir[192];   /* state directory and configuration file */
    char conf[224];
    char status[192]; /* last STATUS= text seen; see jobd_wait_status() */
    int notify_fd;
};
struct jobd_options {
    const char *instance;     /* default "a" */
    const char *redis;        /* URL */
    const char *postgres;     /* conninfo or NULL */
    const char *modules;      /* libconfig list items: "\"recount\", \"/path/x.so\"" or NULL */
    const char *queues;       /* libconfig list items; NULL: ( { name = "default"; } ) */
    const char *types;        /* libconfig list items or NULL */
    int executors;            /* default 2 */
    const char *lease;        /* default "5s" */
    const char *extra;        /* more configuration text or NULL */
    const char *const *env;   /* extra environment, for example JOBQ_CRASH_AT=… */
    const char *state_dir;    /* NULL: a fresh one */
    bool do_not_wait;         /* do not wait for READY=1 */
};
struct jobd *jobd_start(const struct jobd_options *o);
/* Waits for a NOTIFY_SOCKET message containing text (READY=1, STATUS=… with text, STOPPING=1). */
bool jobd_wait_notify(struct jobd *j, const char *text, int64_t timeout_ms);
/* SIGTERM and wait; returns exit status. */
int jobd_drain(struct jobd *j, int64_t timeout_ms);
void jobd_kill(struct jobd *j);  /* SIGKILL to jobd alone, and waits; its executors must die by
                                  * themselves */
void jobd_free(struct jobd *j);  /* kills whatever is left */
/* pids of its live executor children; returns how many (at most max). */
size_t jobd_executors(struct jobd *j, pid_t *out, size_t max);

#endif
