/* SPDX-License-Identifier: MIT */
/*
 * config_load: jobd's configuration from a command line, an environment and a text.
 */
#ifndef TESTS_UNIT_CONF_CONFIG_LOAD_H
#define TESTS_UNIT_CONF_CONFIG_LOAD_H

#include "config/config.h"

#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

extern const char *const NO_ENV[];

/* worker_config_load() with these flags, and an executor that is there. One configuration at a
 * time: argv is kept. */
int load(const char *const *env, struct worker_config **out, jobq_err *err,
         const char *const *flags);
struct worker_config *must_load(const char *const *env, const char *const *flags);
/* A file with that text; always the same one. */
const char *conf_file(const char *text);
struct worker_config *of_text(const char *text);
/* That text as a file is refused with this message, which begins with the file's name without its
 * directory. */
void expect_refusal(const char *text, const char *message);
/* What a handler would be told. */
const char *host_value(const struct worker_config *c, const char *key);

#endif
