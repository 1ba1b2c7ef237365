/* SPDX-License-Identifier: MIT */
/*
 * table: see table.h.
 */
#include "tests/unit/conf/table.h"

#include <string.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "tests/support/support.h"

#define ROW(n, t, d, a, h, ...)                                                                    \
    {.name = (n), .type = (t), .fallback = (d), .applies = (a), .help = (h), __VA_ARGS__}

static const struct conf_option fields[] = {
    ROW("name", CONF_STRING, NULL, CONF_START, "Name.", .min = 0),
    ROW("weight", CONF_INT, "1", CONF_LIVE, "Weight.", .min = 1, .max = 1000),
    ROW("limit", CONF_MS, NULL, CONF_START, "Limit.", .min = 1, .max = 60000),
    {.name = NULL},
};

const struct conf_option conf_test_table[] = {
    ROW("redis", CONF_STRING, "redis://localhost/0", CONF_START, "Redis.",
        .foreign_env = "CACHE_URL BROKER_URL"),
    ROW("executors", CONF_INT, NULL, CONF_LIVE, "Executors.", .min = 1, .max = 1024),
    ROW("big", CONF_INT, "0", CONF_LIVE, "No limit.", .min = 0, .max = 0),
    ROW("lease", CONF_MS, "5s", CONF_START, "Lease.", .min = 100, .max = 3600000),
    ROW("max_payload", CONF_BYTES, "256KiB", CONF_LIVE, "Payload.", .min = 1, .max = 16777216),
    ROW("fast", CONF_BOOL, "false", CONF_LIVE, "Fast.", .foreign_env = "FAST"),
    ROW("order", CONF_CHOICE, "weighted", CONF_LIVE, "Order.", .choices = "weighted strict"),
    ROW("mail.url", CONF_STRING, NULL, CONF_START, "Mail server.", .is_address = true),
    ROW("mail.password", CONF_SECRET, NULL, CONF_START, "Mail password.",
        .foreign_env = "EMAIL_PASSWORD"),
    ROW("modules", CONF_STRINGS, NULL, CONF_START, "Modules.", .min = 0),
    ROW("queues", CONF_GROUPS, NULL, CONF_START, "Queues.", .fields = fields),
    ROW("types", CONF_GROUPS, NULL, CONF_LIVE, "Types.", .fields = fields),
    {.name = NULL},
};

struct conf *new_set(void)
{
    struct conf *c = NULL;
    jobq_err err = {0};
    cr_assert_eq(conf_new(conf_test_table, &c, &err), JOBQ_OK, "%s", err.msg);
    return c;
}

const char *file_with(const char *name, const char *text, mode_t mode)
{
    const char *path = fmt("%s/%s", tmp_dir(), name);
    write_file(path, text);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

const char *without_directory(const char *message)
{
    const char *dir = fmt("%s/", tmp_dir());
    char out[sizeof(((jobq_err *)0)->msg)] = "";
    size_t n = 0;
    while (*message && n < sizeof(out) - 1) {
        if (strncmp(message, dir, strlen(dir)) == 0)
            message += strlen(dir);
        else
            out[n++] = *message++;
    }
    return fmt("%s", out);
}

void expect_file(const char *text, int code, const char *message)
{
    struct conf *c = new_set();
    jobq_err err = {0};
    int got = conf_load_file(c, file_with("x.conf", text, 0600), &err);
    cr_assert_eq(got, code, "%s: %d %s", text, got, err.msg);
    cr_assert_str_eq(without_directory(err.msg), message, "%s: %s", text, err.msg);
    cr_assert(code == JOBQ_OK || err.code == code);
    conf_free(c);
}
