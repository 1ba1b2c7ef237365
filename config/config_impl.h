/* SPDX-License-Identifier: MIT */
/*
 * config_impl: what the files of config share; nobody else includes it.
 *
 *   config.c  values into struct worker_config        config_args.c    the table, argv, documents
 *   config_check.c  what the table cannot check       config_forum.c   the forum's own variables
 */
#ifndef CONFIG_CONFIG_IMPL_H
#define CONFIG_CONFIG_IMPL_H

#include <stdio.h>

#include "base/conf.h"
#include "config/config.h"

#define HARD_ABOVE_SOFT_MS 10000

/* What is read again by a reload. */
struct config_sources {
    int argc;
    const char *const *argv; /* borrowed for life */
    const char *const *envp;
    const char *file; /* inside argv; NULL: WORKER_CONFIG_FILE, if it is there */
    const char *env_file;
};

enum config_command {
    CONFIG_RUN,
    CONFIG_HELP,
    CONFIG_VERSION,
    CONFIG_TRY,
    CONFIG_PRINT_SAMPLE,
    CONFIG_PRINT_MARKDOWN,
    CONFIG_PRINT_MAN,
    CONFIG_PRINT_METRICS
};

/* Memory that is wiped and freed together with the configuration. */
struct config_blocks {
    struct config_blocks *next;
    size_t size;
    max_align_t bytes[];
};

/* ---- config_args.c ---- */
const struct conf_option *config_table(void);
/* Goes through argv. conf NULL: finds sources and the command; else sets the flags in conf.
 * JOBQ_EINVAL, JOBQ_ECONFIG. */
MUST_CHECK int config_read_args(struct config_sources *s, enum config_command *command,
                                struct conf *conf, jobq_err *err);
/* Does what a command other than RUN and TRY asks for, on stdout. */
void config_do_command(enum config_command command, void (*print_metrics)(FILE *out));
/* Every option with its value and source, on stdout. */
void config_print_values(struct conf *conf);

/* ---- config.c ---- */
int config_no_memory(jobq_err *err);
/* Zeroed memory that lives as long as c; NULL: none left. */
MUST_CHECK void *config_alloc(struct worker_config *c, size_t size);
MUST_CHECK char *config_text(struct worker_config *c, const char *text);

/* ---- config_check.c ---- */
/* Fill parts of c from c->conf, checking what the table cannot say. */
MUST_CHECK int config_take_names(struct worker_config *c, jobq_err *err);
MUST_CHECK int config_take_queues(struct worker_config *c, jobq_err *err);
MUST_CHECK int config_take_limits(struct worker_config *c, jobq_err *err);
MUST_CHECK int config_check_mail(const struct worker_config *c, jobq_err *err);
MUST_CHECK int config_take_programs(struct worker_config *c, jobq_err *err);

/* ---- config_forum.c ---- */
/* Sets in conf what the variables of a forum's deployment say, where our options are not set. Of
 * the options that conf has, and of their variables alone. */
MUST_CHECK int config_read_forum(const struct config_sources *s, struct conf *conf, jobq_err *err);

#endif
