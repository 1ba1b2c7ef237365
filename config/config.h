/* SPDX-License-Identifier: MIT */
/*
 * config: what jobd is told to do, as plain fields, from the table in config.def (base/conf does
 * the reading).
 *
 * A struct worker_config never changes: a reload makes a new one, and the caller frees the old one
 * when nothing points into it any more. Every field is checked, every default filled in. One
 * thread.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jobq/error.h>

#include "base/base.h"
#include "base/log.h"
#include "broker/url.h"
#include "config/address.h"

struct conf;
struct conf_option;

#define WORKER_CONFIG_FILE "/etc/jobq/jobd.conf" /* read when there is no -c; may be absent */

struct worker_queue {
    const char *name;
    int weight;     /* 1..1000 */
    int partitions; /* 1..256: wanted when the queue is new; jobq:queues tells what is */
};

/* What holds for jobs that do not say otherwise: of one type, or the defaults. Complete: nothing is
 * "not set". */
struct worker_limits {
    const char *type; /* NULL in the defaults */
    size_t type_len;
    int64_t soft_limit_ms;
    int64_t hard_limit_ms; /* > soft */
    int64_t backoff_ms;
    int64_t backoff_cap_ms; /* >= backoff */
    int max_attempts;       /* 1..65535 */
};

struct worker_config {
    /* servers */
    struct redis_url redis;
    const char *postgres; /* conninfo or URI with any password; NULL: none. Never log it */
    const char *schema;   /* of our tables in PostgreSQL */
    const char *key_prefix;

    /* this jobd */
    const char *instance;
    const char *state_dir;
    const char *executor_path; /* absolute */
    const char *module_dir;
    const char *const *modules; /* absolute paths, module_count of them, NULL-ended */
    size_t module_count;

    /* work */
    const struct worker_queue *queues; /* at least one */
    size_t queue_count;
    bool lanes_strict;           /* false: by weight 8, 4, 2, 1 */
    struct worker_limits limits; /* the defaults; for a type ask worker_config_limits() */
    int crash_budget;
    int loss_budget;
    int64_t lease_ms;
    int64_t drain_grace_ms;
    int64_t done_retention_ms;
    int64_t dead_max;          /* 0: any number */
    int64_t dead_retention_ms; /* 0: for ever */
    int64_t max_payload_bytes;

    /* executors */
    int executors;
    int64_t executor_max_jobs;      /* 0: without end */
    int64_t executor_max_rss_bytes; /* 0: without limit */
    int max_held;                   /* jobs handed to one executor at most, 1..FRAME_HELD_MAX */
    int64_t prefetch_us;            /* prefetch_time */

    /* http: len 0 when it is off */
    struct http_address http;

    /* log */
    enum log_level log_level;
    enum log_format log_format;

    /*
     * key, value, key, value …: what a handler's host->config() answers ("mail.url",
     * "forum.media_root", "schema", "postgres", …), only those set. Ready for
     * frame_put_strings(FRAME_CONFIG). Holds secrets: never log, argv or env.
     */
    const char *const *host_strings;
    size_t host_count; /* strings: twice the pairs */

    /* private to config.c */
    const struct worker_limits *types; /* sorted by name */
    size_t type_count;
    struct conf *conf;
    struct config_sources *sources;
    struct config_blocks *blocks;
};

/*
 * Reads flags, environment and files. argv and envp are borrowed for the life of *out (reload reads
 * them again).
 *
 * print_metrics does what --print-metrics asks for.
 *
 * JOBQ_OK with *out set: run. Caller frees with worker_config_free().
 * JOBQ_OK with *out NULL: -h, --help, --version, --check, --print-sample, --print-markdown,
 *   --print-man or
 *   --print-metrics did all there was to do and wrote to stdout: exit 0.
 * JOBQ_ECONFIG: exit 78. JOBQ_EINVAL: not a usage of jobd: exit 2. JOBQ_ENOMEM, JOBQ_EINTERNAL.
 */
MUST_CHECK int worker_config_load(int argc, const char *const *argv, const char *const *envp,
                                  void (*print_metrics)(FILE *out), struct worker_config **out,
                                  jobq_err *err);
/* One option as it counts. A secret is never told: its value is "(set)". */
struct worker_config_value {
    const char *name;
    const char *value; /* NULL: not set */
    const char *source;
    bool secret;
};
typedef void (*worker_config_value_fn)(void *ctx, const struct worker_config_value *v);
/*
 * Reads the same sources as worker_config_load() and tells of every option, in the order of the
 * table. Checks each value by itself, not what they mean together. Errors likewise.
 */
MUST_CHECK int worker_config_each(int argc, const char *const *argv, const char *const *envp,
                                  worker_config_value_fn fn, void *ctx, jobq_err *err);
/*
 * For a program that is not jobd and needs to know some of the same: the options named
 * (NULL-ended), with the forum's own variables that are for them, from the same sources; argv sets
 * no others. Everything else is passed over, whatever is wrong with it. rows has room for one more
 * than the names; *out borrows it for life. Caller frees *out with conf_free(). Errors as
 * worker_config_load().
 */
MUST_CHECK int worker_config_pick(int argc, const char *const *argv, const char *const *envp,
                                  const char *const *names, struct conf_option *rows,
                                  struct conf **out, jobq_err *err);
/* Checks the options redis and key_prefix; *redis is the former, and the caller frees it with
 * url_done(). JOBQ_ECONFIG, JOBQ_ENOMEM. */
MUST_CHECK int worker_config_take_redis(const struct conf *conf, struct redis_url *redis,
                                        jobq_err *err);
/*
 * Reads the same sources again. JOBQ_ECONFIG: something is wrong or needs a restart; nothing
 * changes, current stays.
 */
MUST_CHECK int worker_config_reload(const struct worker_config *current, struct worker_config **out,
                                    jobq_err *err);
void worker_config_free(struct worker_config *c); /* wipes secrets; NULL is fine */

/* Limits of a type (bytes need no NUL); those of the defaults when it has none of its own. Never
 * NULL. */
const struct worker_limits *worker_config_limits(const struct worker_config *c, const char *type,
                                                 size_t len);
/* Whether handlers would be told something else than before (host_strings). */
bool worker_config_tells_otherwise(const struct worker_config *before,
                                   const struct worker_config *now);
/* Where a value came from, by option name: "default", "/etc/jobq/jobd.conf:12", "environment
 * JOBQ_REDIS". */
const char *worker_config_source(const struct worker_config *c, const char *option);
/* The exit status of jobd for a failure: 78 for JOBQ_ECONFIG, 2 for JOBQ_EINVAL, else 70. */
int worker_config_exit_status(int code);

#endif
