/* SPDX-License-Identifier: MIT */
/*
 * config_load: see config_load.h.
 */
#include "tests/unit/conf/config_load.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/support.h"

#define ARGS_MAX 16

/* Always given: what the build leaves beside the test is nobody's business here. */
static const char executor[] = "--executor-path=/bin/true";

const char *const NO_ENV[] = {NULL};

int load(const char *const *env, struct worker_config **out, jobq_err *err,
         const char *const *flags)
{
    static const char *argv[ARGS_MAX]; /* borrowed for the life of the configuration */
    int argc = 2;
    argv[0] = "jobd";
    argv[1] = executor;
    while (*flags && argc < ARGS_MAX - 1)
        argv[argc++] = *flags++;
    argv[argc] = NULL;
    return worker_config_load(argc, argv, env, NULL, out, err);
}

struct worker_config *must_load(const char *const *env, const char *const *flags)
{
    struct worker_config *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(load(env, &c, &err, flags), JOBQ_OK, "%s", err.msg);
    cr_assert_not_null(c);
    return c;
}

const char *conf_file(const char *text)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/jobd.conf", tmp_dir());
    write_file(path, text);
    cr_assert_eq(chmod(path, 0600), 0);
    return path;
}

struct worker_config *of_text(const char *text)
{
    return must_load(NO_ENV, ENV("-c", conf_file(text)));
}

/* The message, with the directory of the file cut off. */
void expect_refusal(const char *text, const char *message)
{
    struct worker_config *c = NULL;
    jobq_err err = {0};
    const char *dir = fmt("%s/", tmp_dir());
    cr_assert_eq(load(NO_ENV, &c, &err, ENV("-c", conf_file(text))), JOBQ_ECONFIG, "%s", text);
    const char *got = strncmp(err.msg, dir, strlen(dir)) == 0 ? err.msg + strlen(dir) : err.msg;
    cr_assert_str_eq(got, message, "%s: %s", text, err.msg);
    cr_assert_null(c);
}

const char *host_value(const struct worker_config *c, const char *key)
{
    for (size_t i = 0; i < c->host_count; i += 2)
        if (strcmp(c->host_strings[i], key) == 0)
            return c->host_strings[i + 1];
    return NULL;
}
